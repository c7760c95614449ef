//! Runs each example to its end, against the simulator.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::simulator::{Simulator, example};
use crate::{Outcome, cargo, target_directory};

const PROMPTS: &str =
    "Add error handling to the API routes\n\nAdd tests for the date parser\nUpdate the dependencies\n";

/// Longer than the service takes to wait for a run, which takes six seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn run() -> Outcome {
    cargo("run --quiet --package agentgate --example quickstart --features simulator")?;
    cargo(
        "run --quiet --package agentgate --example quickstart --no-default-features --features rustls-ring,simulator",
    )?;
    cargo("run --quiet --package agentgate --example fleet --features axum,redis,simulator")?;
    cargo("test --quiet --package agentgate --example unit_tests --features simulator")?;
    cargo(
        "build --quiet --package agentgate --features axum,blocking,redis \
         --example batch --example service --example daily_check --example multi_tenant",
    )?;

    let simulator = Simulator::start()?;
    let prompts = target_directory().join("prompts.txt");
    fs::write(&prompts, PROMPTS).map_err(|error| error.to_string())?;
    let repository = "https://github.com/your-org/your-repo";
    simulator.run(Command::new(example("batch")).arg(repository).arg(&prompts))?;
    simulator.run(Command::new(example("daily_check")).arg("100"))?;
    let mut alert = Command::new(example("daily_check"));
    simulator.configure(alert.arg("1000000000000"));
    expect(alert.status().is_ok_and(|status| status.code() == Some(1)), "daily_check: no alert for too few credits")?;
    // The simulator is its own proxy: it ignores the host of a request.
    let mut tenants = Command::new(example("multi_tenant"));
    simulator.run(tenants.env("AGENTGATE_PROXY", simulator.url()).env("RUST_LOG", "info"))?;

    service(&simulator, None)?;
    let Some(redis) = Redis::start() else {
        println!("skipped: the service with Redis (no redis-server)");
        return Ok(());
    };
    service(&simulator, Some(&redis.url))
}

/// Submits a work order by the service, waits for its run, and stops the service as a container is stopped.
fn service(simulator: &Simulator, redis: Option<&str>) -> Outcome {
    println!("\n== service ({})", redis.unwrap_or("without Redis"));
    let mut command = Command::new(example("service"));
    simulator.configure(command.env("ADDRESS", "127.0.0.1:0").env_remove("REDIS_URL").env_remove("PUBLIC_URL"));
    command.envs(redis.map(|url| ("REDIS_URL", url)));
    let mut process = Process(command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?);
    let mut lines = BufReader::new(process.0.stdout.take().ok_or("no output")?).lines().map_while(Result::ok);
    let started = lines.next().unwrap_or_default();
    let address = started.split("http://").nth(1).ok_or("service: it does not say where it listens")?;

    let run = http(address, "POST", "/orders", "Add error handling to the API routes")?;
    let status = http(address, "GET", &format!("/runs/{run}"), "")?;
    expect(status == "succeeded", &format!("service: the run is `{status}`"))?;
    let unknown = http(address, "GET", "/runs/run_none", "");
    expect(unknown.is_err(), "service: a run that is not there has a status")?;

    // The standard library sends no signals.
    let stopped = Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status();
    expect(stopped.is_ok_and(|status| status.success()), "service: it cannot be stopped")?;
    let printed: Vec<_> = lines.inspect(|line| println!("{line}")).collect();
    let status = process.0.wait().map_err(|error| error.to_string())?;
    expect(status.success(), &format!("service: {status}"))?;
    expect(
        printed == [format!("{run} succeeded: notify the customer"), "Shut down".to_owned()],
        "service: other output",
    )
}

/// Sends a request, and returns the body of the response if its status is a success.
fn http(address: &str, method: &str, path: &str, body: &str) -> Result<String, String> {
    let exchange = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok::<_, std::io::Error>(response)
    };
    let response = exchange().map_err(|error| format!("{method} {path}: {error}"))?;
    println!("{method} {path}: {}", response.lines().next().unwrap_or_default());
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
    if head.starts_with("HTTP/1.1 2") {
        Ok(body.trim().to_owned())
    } else {
        Err(format!("{method} {path}: {response}"))
    }
}

/// A Redis server of our own, in memory alone.
struct Redis {
    url: String,
    _process: Process,
}

impl Redis {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).ok()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let process = Process(command.stdout(Stdio::null()).spawn().ok()?);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > TIMEOUT {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(Self { url: format!("redis://127.0.0.1:{port}/"), _process: process })
    }
}

/// A process that ends with the task.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn expect(holds: bool, failure: &str) -> Outcome {
    if holds { Ok(()) } else { Err(failure.to_owned()) }
}
