//! Measures the SDK beside what else fetches a run: plain reqwest, Python's requests as in the service's documentation,
//! and Node's fetch.
//!
//! All fetch the same run from one server on this machine, in turn. `--builds` measures cold builds, too, which takes
//! minutes.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::{Outcome, cargo_path, root, run as run_command};

const SECONDS: u32 = 2;
/// The median of so many counts.
const ROUNDS: usize = 5;
const AT_A_TIME: [&str; 2] = ["1", "32"];

struct Peer {
    name: &'static str,
    /// The program and its first arguments; none if it cannot be run here.
    command: Option<Vec<String>>,
    build: String,
    size: String,
}

/// The result of a peer: calls a second, and its peak memory, in KiB.
struct Count {
    rate: f64,
    memory: u64,
}

pub(crate) fn run() -> Outcome {
    let with_builds = env::args().any(|argument| argument == "--builds");
    let peers = [
        rust_peer("the SDK", "peer-sdk", with_builds)?,
        rust_peer("plain reqwest", "peer-plain", with_builds)?,
        script("Python requests", python(), "benches/peers/python.py"),
        script("Node fetch", works("node", &["--version"]).then(|| "node".to_owned()), "benches/peers/node.mjs"),
    ];
    let base_url = serve().map_err(|error| error.to_string())?;
    let mut counts: Vec<[Vec<Count>; 2]> = peers.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        for (peer, counts) in peers.iter().zip(&mut counts) {
            let Some(command) = &peer.command else { continue };
            for (at_a_time, counts) in AT_A_TIME.iter().zip(counts) {
                counts.push(measure(command, &base_url, at_a_time).map_err(|error| format!("{}: {error}", peer.name))?);
            }
        }
    }
    println!(
        "\n| | calls a second, alone | 32 at a time | peak memory | cold build | binary |\n|---|---|---|---|---|---|"
    );
    for (peer, counts) in peers.iter().zip(&mut counts) {
        let [alone, together] = counts
            .each_mut()
            .map(|counts| median(counts).map_or("not measured".to_owned(), |rate| format!("{rate:.0}")));
        let memory =
            counts[1].iter().map(|count| count.memory).max().map_or(String::new(), |kib| format!("{} MB", kib / 1000));
        println!("| {} | {alone} | {together} | {memory} | {} | {} |", peer.name, peer.build, peer.size);
    }
    Ok(())
}

fn median(counts: &mut [Count]) -> Option<f64> {
    counts.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    counts.get(counts.len() / 2).map(|count| count.rate)
}

/// Builds the program, in an empty directory if the time counts.
fn rust_peer(name: &'static str, package: &str, is_timed: bool) -> Result<Peer, String> {
    let target = root().join("target/peers").join(package);
    if is_timed && target.exists() {
        fs::remove_dir_all(&target).map_err(|error| error.to_string())?;
    }
    run_command(Command::new(cargo_path()).arg("fetch"))?;
    let arguments = ["build", "--release", "--quiet", "--package", package, "--config", "profile.release.strip=true"];
    let start = Instant::now();
    run_command(Command::new(cargo_path()).args(arguments).arg("--target-dir").arg(&target))?;
    let build = if is_timed { format!("{} s", start.elapsed().as_secs()) } else { String::new() };
    let program = target.join("release").join(package);
    let bytes = fs::metadata(&program).map_err(|error| error.to_string())?.len();
    let size = format!("{}.{:02} MB", bytes / 1_000_000, bytes / 10_000 % 100);
    Ok(Peer { name, command: Some(vec![program.display().to_string()]), build, size })
}

fn script(name: &'static str, interpreter: Option<String>, path: &str) -> Peer {
    let command = interpreter.map(|interpreter| vec![interpreter, root().join(path).display().to_string()]);
    Peer { name, command, build: String::new(), size: String::new() }
}

/// A Python that has `requests`, by a virtual environment if need be.
fn python() -> Option<String> {
    let environment = root().join("target/peers/venv");
    let own = environment.join("bin/python3").display().to_string();
    let has_requests = |python: &str| works(python, &["-c", "import requests"]);
    if let Some(python) = ["python3", &own].into_iter().find(|python| has_requests(python)) {
        return Some(python.to_owned());
    }
    let made = works("python3", &["-m", "venv", &environment.display().to_string()])
        && works(&own, &["-m", "pip", "install", "--quiet", "requests"]);
    made.then_some(own)
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs a peer. It prints how many calls it made, and then waits for the end of its input, so that its memory can be
/// read.
fn measure(command: &[String], base_url: &str, at_a_time: &str) -> Result<Count, String> {
    let arguments = [base_url, &SECONDS.to_string(), at_a_time];
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .args(arguments)
        .env_remove("AGENTGATE_API_KEY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    let memory = peak_memory(child.id()).unwrap_or_default();
    drop(child.stdin.take());
    child.wait().map_err(|error| error.to_string())?;
    let calls: f64 = line.trim().parse().map_err(|_| format!("it printed {line:?}"))?;
    Ok(Count { rate: calls / f64::from(SECONDS), memory })
}

fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(PathBuf::from("/proc").join(process.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Starts a server that gives each request the same run, and lives as long as the program. Returns its address.
fn serve() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || respond(&stream));
        }
    });
    Ok(format!("http://{address}"))
}

fn respond(mut stream: &TcpStream) -> std::io::Result<()> {
    let body = r#"{"id":"run_3n9x2p","workOrderId":"wo_8f2k1m","status":"succeeded","iterations":3,"prUrl":"https://github.com/your-org/your-repo/pull/42","timing":{"startedAt":"2026-01-15T10:30:05Z","completedAt":"2026-01-15T10:34:05Z","durationMs":240000},"cost":{"credits":12.5}}"#;
    let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 3600;
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-request-id: req_000001\r\nx-ratelimit-limit: \
         100000000\r\nx-ratelimit-remaining: 99999999\r\nx-ratelimit-reset: {in_an_hour}\r\n\r\n{body}",
        body.len()
    );
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        let length = stream.read(&mut buffer[filled..])?;
        filled += length;
        if length == 0 {
            return Ok(());
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            stream.write_all(response.as_bytes())?;
            filled = 0;
        }
    }
}
