//! `agentgate-simulator`: the simulator as a program, for programs in any language.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use agentgate::simulator::{Builder, RunPlan, SimulatedClock, Simulator};

const HELP: &str = "\
Simulates AgentGate on 127.0.0.1 until it is stopped with Ctrl-C or `kill`.

Usage: agentgate-simulator [OPTIONS]

Options:
      --port <PORT>          Port to listen on [default: a free one]
      --rate-limit <NUMBER>  Number of requests allowed per minute [default: 100]
      --seed <NUMBER>        Seed of random durations and outcomes of runs; one in five fails
                             [default: each takes 6 seconds and succeeds]
      --secret <SECRET>      Secret that signs deliveries to the webhookUrl of work orders
                             [default: whsec_simulator]
      --background           Run in the background; return when the simulator has started
  -h, --help                 Print help
  -V, --version              Print version

The output is its address, an API key, the secret and its process id as `export` lines for a shell:

  eval \"$(agentgate-simulator --background)\"
  curl \"$AGENTGATE_BASE_URL/v1/runs\" -H \"Authorization: Bearer $AGENTGATE_API_KEY\"
  kill \"$AGENTGATE_SIMULATOR_PID\"
";

/// The variable in the last line of the output.
const PROCESS_ID: &str = "AGENTGATE_SIMULATOR_PID";

/// The exit code for invalid arguments.
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

/// Parses the arguments. Requests are not recorded, because the program may run for days and nothing reads them.
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

/// Checks that a shell does not change the secret.
fn secret(text: &str) -> Result<String, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.".contains(&byte));
    if is_plain && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("a secret may contain letters, digits and _-+/=. only")
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
            eprintln!("\nThe simulator listens at {url}. Use these lines in another terminal. Stop it with Ctrl-C.");
        }
        std::future::pending().await
    })
}

/// Starts another process and returns when that has printed its lines. It must not share the output with this one,
/// because a shell waits for the end of the output.
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
    // It has printed the reason.
    child.wait()?;
    Ok(ExitCode::FAILURE)
}

fn exit(result: io::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("agentgate-simulator: {error}");
        ExitCode::FAILURE
    })
}
