//! The simulator as a process of its own, for programs that take the service's address and key from the environment.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::{cargo, run, target_directory};

/// A running simulator. It is stopped when it is dropped.
pub(crate) struct Simulator {
    process: Child,
    /// Kept open, as the simulator fails if it cannot print.
    _output: BufReader<ChildStdout>,
    /// The variables that it printed as `export NAME=value`.
    variables: Vec<(String, String)>,
}

impl Simulator {
    pub(crate) fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Result<Self, String> {
        cargo(
            "build --quiet --package agentgate --bin agentgate-simulator --no-default-features --features simulator-bin",
        )?;
        let mut process = Command::new(target_directory().join("debug/agentgate-simulator"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the simulator does not start: {error}"))?;
        let mut output = BufReader::new(process.stdout.take().ok_or("the simulator has no output")?);
        let mut variables = Vec::new();
        while variables.len() < 3 {
            let mut line = String::new();
            if output.read_line(&mut line).map_err(|error| error.to_string())? == 0 {
                return Err("the simulator has ended before it printed its address".to_owned());
            }
            if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|line| line.split_once('=')) {
                variables.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(Self { process, _output: output, variables })
    }

    /// Points a program at the simulator.
    pub(crate) fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)))
    }

    /// Runs a program against the simulator, to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), String> {
        run(self.configure(command))
    }

    pub(crate) fn url(&self) -> &str {
        self.variables.iter().find(|(name, _)| name == "AGENTGATE_BASE_URL").map_or("", |(_, url)| url)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program of an example that was built.
pub(crate) fn example(name: &str) -> PathBuf {
    target_directory().join("debug/examples").join(name)
}
