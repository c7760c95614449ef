//! Kills `examples/restart` again and again, and counts what it submits.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::simulator::Simulator;
use crate::{Outcome, cargo, target_directory};

/// Databases, each with programs of its own, which run at the same time.
const DATABASES: u32 = 10;

/// The number of times that the program of each database is killed.
const KILLS: u32 = 20;

/// The time that the line takes each way.
const LATENCY: Duration = Duration::from_millis(40);

/// The tasks of each database. All together are submitted in a minute.
const TASKS: [&str; 2] = ["Fix the date parser", "Update the dependencies"];

pub(crate) fn run() -> Outcome {
    cargo("build --quiet --package agentgate-restart")?;
    let program = target_directory().join("debug/agentgate-restart");
    let directory = target_directory().join("restart");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;

    // Searches after a kill take more requests than the service allows.
    let simulator = Simulator::start_with(&["--rate-limit", "1000000"])?;
    let line = slow_line(simulator.url()).map_err(|error| error.to_string())?;
    let runs = thread::scope(|scope| {
        let databases: Vec<_> = (0..DATABASES)
            .map(|seed| {
                let path = directory.join(format!("{seed}.db"));
                let (simulator, program, line) = (&simulator, &program, &line);
                let command = move || {
                    let mut command = Command::new(program);
                    simulator.configure(command.arg(&path).args(TASKS)).env("AGENTGATE_BASE_URL", line);
                    command
                };
                scope.spawn(move || kill_and_finish(command, seed))
            })
            .collect();
        let joined = databases.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|runs| runs.unwrap_or_else(|_| Err("a thread has panicked".to_owned()))).collect::<Vec<_>>()
    });
    let mut ids = BTreeSet::new();
    for run in runs {
        ids.extend(run?);
    }
    // The simulator numbers its runs.
    let tasks = TASKS.len() * usize::try_from(DATABASES).unwrap_or_default();
    let expected: BTreeSet<_> = (1..=tasks).map(|number| format!("run_{number:06}")).collect();
    if ids != expected {
        return Err(format!("{tasks} tasks have {ids:?}"));
    }
    println!("{} kills: {tasks} tasks, {tasks} work orders", DATABASES * KILLS);
    Ok(())
}

/// Returns an address that leads to the simulator over a line that takes some time each way, so that many a program is
/// killed between the request and the response.
fn slow_line(url: &str) -> io::Result<String> {
    let simulator = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(&simulator) else { return };
            for (from, to) in [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())] {
                let (Ok(from), Ok(to)) = (from, to) else { return };
                thread::spawn(move || carry(from, to));
            }
        }
    });
    Ok(format!("http://{address}"))
}

/// Carries what one side sends to the other, also when the one is gone.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        thread::sleep(LATENCY);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Starts a program, kills it at a random moment, and so on; then runs it to its end. Returns the ids of its runs.
fn kill_and_finish(command: impl Fn() -> Command, seed: u32) -> Result<Vec<String>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut state = u64::from(seed) + 1;
    for _ in 0..KILLS {
        // Knuth's linear congruential generator; the high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        // Mostly while it starts and submits; now and then in its search, or while the run goes on.
        let delay = if random.is_multiple_of(8) { random % 3_000 } else { random % 200 };
        let mut process = command().stdout(Stdio::null()).spawn().map_err(text)?;
        thread::sleep(Duration::from_millis(delay));
        process.kill().map_err(text)?;
        process.wait().map_err(text)?;
    }
    let output = command().output().map_err(text)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {errors}", output.status));
    }
    Ok(printed.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect())
}
