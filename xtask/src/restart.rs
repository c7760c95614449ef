//! Kills `examples/restart` again and again, and counts what it submits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::simulator::Simulator;
use crate::{Outcome, cargo, target_directory};

/// Databases, each with programs of its own, which run at the same time.
const DATABASES: u32 = 10;

/// The number of times that the program of each database is killed.
const KILLS: u32 = 20;

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
    let runs = thread::scope(|scope| {
        let databases: Vec<_> = (0..DATABASES)
            .map(|seed| {
                let (simulator, program, path) = (&simulator, &program, directory.join(format!("{seed}.db")));
                scope.spawn(move || kill_and_finish(simulator, program, &path, seed))
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

/// Starts the program of a database, kills it at a random moment, and so on; then runs it to its end. Returns the ids of its runs.
fn kill_and_finish(
    simulator: &Simulator,
    program: &PathBuf,
    database: &Path,
    seed: u32,
) -> Result<Vec<String>, String> {
    let command = || {
        let mut command = Command::new(program);
        simulator.configure(command.arg(database.as_os_str()).args(TASKS));
        command
    };
    let text = |error: std::io::Error| error.to_string();
    let mut state = u64::from(seed) + 1;
    for _ in 0..KILLS {
        // Knuth's linear congruential generator; the high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        // Mostly while it starts and submits; now and then in its search, or while the run goes on.
        let delay = if random.is_multiple_of(8) { random % 3_000 } else { random % 120 };
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
