//! Three processes behind a load balancer, one of which is killed:
//!
//! ```text
//! cargo run -p agentgate --example fleet --features axum,redis,simulator
//! ```
//!
//! Each process (a *replica*) submits work orders, waits for their runs and receives webhooks. The replicas share the
//! rate limit and the deliveries through Redis, so a delivery to any replica ends the wait in the replica that waits.
//! Without `redis-server` in the `PATH`, they share neither, and a wait ends by polling.
//!
//! The parent process starts Redis, the simulator and the replicas, and acts as the load balancer. It stores the ids of
//! the runs, like a database. Midway it kills a replica, and starts another that resumes the waits for its runs.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::{self, BufRead as _, BufReader};
use std::process::{self, Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentgate::chrono::Utc;
use agentgate::follow::{RedisBroadcast, Watcher};
use agentgate::shared_rate_limit::RedisRateLimit;
use agentgate::simulator::{SimulatedClock, Simulator};
use agentgate::types::RunId;
use agentgate::webhook::{Delivery, Verifier};
use agentgate::{Client, WorkspaceSource};
use axum::routing::post;
use axum::{Extension, Router};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Number of work orders that each of the first three replicas submits: together within the submission limit of a
/// minute.
const ORDERS: usize = 6;

#[tokio::main]
async fn main() -> Outcome {
    match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => fleet().await,
        [orders, left @ ..] => replica(orders.parse()?, left).await,
    }
}

// A replica

/// Submits work orders, and waits for their runs and for those of a killed replica.
async fn replica(orders: usize, left: &[String]) -> Outcome {
    end_with_parent();
    let (client, watcher) = connect().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());
    let router = Router::new().route("/", post(receive)).layer(Extension(watcher)).with_state(Verifier::from_env()?);
    let server = tokio::spawn(async { axum::serve(listener, router).await });

    for id in left {
        tokio::spawn(wait(client.clone(), RunId::from(id.as_str())));
    }
    let webhook = env::var("WEBHOOK_URL")?;
    for number in 0..orders {
        let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
        let order = client.work_orders().create(format!("Fix issue {number}"), source).webhook_url(&webhook).await?;
        println!("submitted {}", order.run_id);
        tokio::spawn(wait(client.clone(), order.run_id));
    }
    Ok(server.await??)
}

/// Creates the client of a replica, which shares the rate limit and deliveries with the others.
async fn connect() -> Result<(Client, Watcher), Box<dyn Error + Send + Sync>> {
    let builder = Client::builder().from_env()?;
    let Ok(url) = env::var("REDIS_URL") else {
        let client = builder.build()?;
        let watcher = client.runs().watcher();
        return Ok((client, watcher));
    };
    let client = builder.shared_rate_limit(RedisRateLimit::connect(&url).await?).build()?;
    let watcher = client.runs().watcher().broadcast(RedisBroadcast::connect(&url).await?)?;
    Ok((client, watcher))
}

async fn receive(Extension(watcher): Extension<Watcher>, Delivery(event): Delivery) {
    println!("delivered {}", event.id);
    watcher.notify(&event);
}

/// Waits for a run, and prints the delay between the end of the run and the end of the wait in milliseconds.
async fn wait(client: Client, id: RunId) {
    match client.runs().wait(&id).summary_only().await {
        Ok(finished) => {
            let ended = finished.run().timing.as_ref().and_then(|timing| timing.completed_at);
            let late = ended.map_or(0, |ended| (Utc::now() - ended).num_milliseconds());
            println!("ended {id} {late}");
        }
        Err(error) => eprintln!("{error}"),
    }
}

/// Ends this process when the parent closes the standard input or exits.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
}

// The parent

/// A process that is killed on drop.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The state of the parent.
#[derive(Default)]
struct Fleet {
    environment: Vec<(&'static str, String)>,
    /// In the order of their start.
    replicas: Vec<Process>,
    delivered: Vec<usize>,
    ports: Arc<Mutex<HashMap<usize, u16>>>,
    /// The replica that waits for each run.
    waiting: HashMap<RunId, usize>,
    /// The replica that saw the end of each run, with its delay in milliseconds.
    ended: Vec<(RunId, usize, u64)>,
}

async fn fleet() -> Outcome {
    let clock = SimulatedClock::Scaled(1.0);
    // Without Redis, polling at the default limit would take longer than the example should.
    let limits = Simulator::builder().rate_limit(300).concurrent_runs(20);
    let simulator = limits.clock(clock).random_runs(7).start().await?;
    let balancer = TcpListener::bind("127.0.0.1:0").await?;
    let mut fleet = Fleet {
        environment: vec![
            ("AGENTGATE_BASE_URL", simulator.url().to_owned()),
            ("AGENTGATE_API_KEY", simulator.api_key().to_owned()),
            ("AGENTGATE_WEBHOOK_SECRET", simulator.webhook_secret().to_owned()),
            ("WEBHOOK_URL", format!("http://{}/", balancer.local_addr()?)),
        ],
        ..Fleet::default()
    };
    let redis = start_redis().await;
    match &redis {
        Some((_, url)) => fleet.environment.push(("REDIS_URL", url.clone())),
        None => println!("There is no redis-server: each replica polls its runs"),
    }
    tokio::spawn(balance(balancer, Arc::clone(&fleet.ports)));

    let (sender, mut lines) = mpsc::unbounded_channel();
    for _ in 0..3 {
        fleet.start(ORDERS, &[], &sender)?;
    }
    let mut is_killed = false;
    while fleet.ended.len() < 3 * ORDERS {
        let line = tokio::time::timeout(Duration::from_secs(50), lines.recv()).await?.ok_or("no replica is left")?;
        match line {
            (replica, Some(line)) => fleet.apply(replica, &line)?,
            // The killed replica has printed its last line.
            (replica, None) => {
                let left = fleet.waiting.iter().filter(|(_, other)| **other == replica);
                let left: Vec<_> = left.map(|(id, _)| id.to_string()).collect();
                println!("Replica {} resumes {} runs of replica {}", fleet.replicas.len() + 1, left.len(), replica + 1);
                fleet.start(0, &left, &sender)?;
            }
        }
        let are_submitted = fleet.ended.len() + fleet.waiting.len() == 3 * ORDERS;
        if !is_killed && are_submitted && fleet.ended.len() >= ORDERS {
            println!("Killing replica 1");
            is_killed = true;
            fleet.replicas[0].0.kill()?;
        }
    }
    fleet.report(&simulator);
    Ok(())
}

impl Fleet {
    fn start(
        &mut self,
        orders: usize,
        left: &[String],
        lines: &mpsc::UnboundedSender<(usize, Option<String>)>,
    ) -> Outcome {
        let number = self.replicas.len();
        let mut command = Command::new(env::current_exe()?);
        command.arg(orders.to_string()).args(left).envs(self.environment.iter().cloned());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        self.replicas.push(Process(child));
        self.delivered.push(0);
        self.waiting.extend(left.iter().map(|id| (RunId::from(id.as_str()), number)));
        let lines = lines.clone();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = lines.send((number, Some(line)));
            }
            let _ = lines.send((number, None));
        });
        Ok(())
    }

    /// Applies a line that a replica has printed.
    fn apply(&mut self, replica: usize, line: &str) -> Outcome {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["listening", port] => {
                self.ports.lock().unwrap_or_else(PoisonError::into_inner).insert(replica, port.parse()?);
            }
            ["submitted", id] => {
                self.waiting.insert(id.into(), replica);
            }
            ["delivered", _] => self.delivered[replica] += 1,
            ["ended", id, late] => {
                let id = RunId::from(id);
                if self.waiting.remove(&id) != Some(replica) {
                    return Err(format!(
                        "replica {} has seen the end of {id} twice, or did not wait for it",
                        replica + 1
                    )
                    .into());
                }
                self.ended.push((id, replica, late.parse()?));
            }
            _ => return Err(format!("unexpected line of replica {}: `{line}`", replica + 1).into()),
        }
        Ok(())
    }

    fn report(&self, simulator: &Simulator) {
        println!("\n| replica | deliveries received | ends of its runs seen |\n|---|---|---|");
        for (number, delivered) in self.delivered.iter().enumerate() {
            let ended = self.ended.iter().filter(|(_, replica, _)| *replica == number).count();
            println!("| {} | {delivered} | {ended} |", number + 1);
        }
        let mut late: Vec<_> = self.ended.iter().map(|(_, _, late)| *late).collect();
        late.sort_unstable();
        let part = |hundredths: usize| late[(late.len() * hundredths / 100).min(late.len() - 1)];
        println!("\n{} runs, the end of each seen once by the replica that waited for it", self.ended.len());
        println!(
            "{} requests, of which {} were refused (429)",
            simulator.request_count(),
            simulator.response_count(429)
        );
        println!("late: {} ms in the median, 99 % within {} ms", part(50), part(99));
    }
}

/// Forwards each connection to a random replica that accepts it.
async fn balance(listener: TcpListener, ports: Arc<Mutex<HashMap<usize, u16>>>) {
    while let Ok((mut inbound, _)) = listener.accept().await {
        let mut ports: Vec<_> = ports.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect();
        fastrand::shuffle(&mut ports);
        tokio::spawn(async move {
            for port in ports {
                if let Ok(mut outbound) = TcpStream::connect(("127.0.0.1", port)).await {
                    let _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await;
                    return;
                }
            }
        });
    }
}

/// Starts an in-memory Redis server if `redis-server` is installed. Also returns its URL.
async fn start_redis() -> Option<(Process, String)> {
    let port = TcpListener::bind("127.0.0.1:0").await.ok()?.local_addr().ok()?.port();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    let server = Process(command.stdout(Stdio::null()).spawn().ok()?);
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some((server, format!("redis://127.0.0.1:{port}/")))
}
