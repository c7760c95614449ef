//! `agentgate-simulator`: runs the simulator until it is stopped, for programs in any language.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use agentgate::simulator::{Builder, RunPlan, SimulatedClock, Simulator};

const HELP: &str = "\
Simulates AgentGate on 127.0.0.1, until it is stopped with Ctrl-C or `kill`.

Usage: agentgate-simulator [OPTIONS]

Options:
      --port <PORT>          Listens on this port [default: a free one]
      --rate-limit <NUMBER>  Allows this many requests a minute [default: 100]
      --seed <NUMBER>        Draws the time and the end of runs at random, one in five fails
                             [default: each takes 6 seconds and succeeds]
      --secret <SECRET>      Signs deliveries to the webhookUrl of work orders with this
                             [default: whsec_simulator]
      --background           Returns when it has started, and leaves it running
  -h, --help                 Prints this
  -V, --version              Prints the version

It prints its address, a key, the secret and its process id as `export` lines for a shell:

  eval \"$(agentgate-simulator --background)\"
  curl \"$AGENTGATE_BASE_URL/v1/runs\" -H \"Authorization: Bearer $AGENTGATE_API_KEY\"
  kill \"$AGENTGATE_SIMULATOR_PID\"
";

/// The variable of the last line that is printed.
const PROCESS_ID: &str = "AGENTGATE_SIMULATOR_PID";

/// The exit code for arguments that are not understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match arguments(lexopt::Parser::from_env()) {
        Ok(Task::Print(text)) => exit(io::stdout().write_all(text.as_bytes()).map(|()| ExitCode::SUCCESS)),
        Ok(Task::Run(builder)) => exit(run(builder)),
        Ok(Task::RunInBackground) => exit(run_in_background()),
        Err(error) => {
            eprintln!("agentgate-simulator: {error}\nTry `agentgate-simulator --help`.");
            ExitCode::from(USAGE)
        }
    }
}

enum Task {
    Print(String),
    Run(Builder),
    RunInBackground,
}

/// Reads the arguments. It may run for days, and nobody looks at what was sent: so no request is kept.
fn arguments(mut parser: lexopt::Parser) -> Result<Task, lexopt::Error> {
    use lexopt::prelude::{Long, Short, ValueExt};

    let mut builder = Simulator::builder()
        .clock(SimulatedClock::Scaled(1.0))
        .default_run(RunPlan::succeeds().pending(Duration::from_secs(1)).running(Duration::from_secs(5)))
        .record_requests(false);
    let mut background = false;
    while let Some(argument) = parser.next()? {
        builder = match argument {
            Short('h') | Long("help") => return Ok(Task::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Task::Print(format!("agentgate-simulator {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Long("port") => builder.port(parser.value()?.parse()?),
            Long("rate-limit") => builder.rate_limit(parser.value()?.parse()?),
            Long("seed") => builder.random_runs(parser.value()?.parse()?),
            Long("secret") => builder.webhook_secret(parser.value()?.parse_with(secret)?),
            Long("background") => {
                background = true;
                builder
            }
            _ => return Err(argument.unexpected()),
        };
    }
    Ok(if background { Task::RunInBackground } else { Task::Run(builder) })
}

/// A secret that a shell reads as it is.
fn secret(text: &str) -> Result<String, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.".contains(&byte));
    if is_plain && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("a secret consists of letters, digits and any of _-+/=.")
    }
}

/// Runs until a signal ends the process.
fn run(builder: Builder) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let simulator = builder.start().await?;
        let (url, key, secret) = (simulator.url(), simulator.api_key(), simulator.webhook_secret());
        let lines = format!(
            "export AGENTGATE_BASE_URL={url}\n\
             export AGENTGATE_API_KEY={key}\n\
             export AGENTGATE_WEBHOOK_SECRET={secret}\n\
             export {PROCESS_ID}={}\n",
            std::process::id()
        );
        let mut stdout = io::stdout();
        stdout.write_all(lines.as_bytes())?;
        stdout.flush()?;
        if stdout.is_terminal() {
            eprintln!("\nAgentGate is simulated at {url}. Use these lines in another terminal. Stop it with Ctrl-C.");
        }
        std::future::pending().await
    })
}

/// Runs in a process of its own, and returns when that has printed its lines. A shell that reads them waits for the end of the output,
/// so the simulator must not share it.
fn run_in_background() -> io::Result<ExitCode> {
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--background");
    let mut child =
        Command::new(std::env::current_exe()?).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().map(BufReader::new);
    for line in output.into_iter().flat_map(BufRead::lines) {
        let line = line?;
        writeln!(io::stdout(), "{line}")?;
        if line.contains(PROCESS_ID) {
            return Ok(ExitCode::SUCCESS);
        }
    }
    // It has said why.
    child.wait()?;
    Ok(ExitCode::FAILURE)
}

fn exit(result: io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("agentgate-simulator: {error}");
        ExitCode::FAILURE
    })
}
