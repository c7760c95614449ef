//! The program `agentgate-simulator`, as a process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_agentgate-simulator");

/// A process that is killed when the test ends.
struct Process {
    child: Child,
    variables: BTreeMap<String, String>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(4);
        let variables = lines.map(|line| variable(&line.unwrap())).collect();
        Self { child, variables }
    }

    fn get(&self, path: &str) -> String {
        get(&self.variables, path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads `export NAME=value`.
fn variable(line: &str) -> (String, String) {
    let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

/// Sends a `GET` request and returns the response.
fn get(variables: &BTreeMap<String, String>, path: &str) -> String {
    let address = variables["AGENTGATE_BASE_URL"].strip_prefix("http://").unwrap();
    let key = &variables["AGENTGATE_API_KEY"];
    let mut socket = TcpStream::connect(address).unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    response
}

fn output(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

#[test]
fn it_prints_its_variables_and_responds_until_it_is_killed() {
    let mut process = Process::start(&["--rate-limit", "2", "--secret=whsec_mine", "--seed", "7"]);
    assert_eq!(process.variables["AGENTGATE_WEBHOOK_SECRET"], "whsec_mine");
    assert_eq!(process.variables["AGENTGATE_SIMULATOR_PID"], process.child.id().to_string());
    for expected in ["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 429"] {
        let response = process.get("/v1/credits");
        assert!(response.starts_with(expected), "{response}");
        assert!(response.to_lowercase().contains("x-ratelimit-limit: 2"), "{response}");
    }
    assert!(process.child.try_wait().unwrap().is_none());
}

#[test]
fn it_listens_on_the_given_port_and_fails_if_that_is_not_available() {
    let first = Process::start(&[]);
    let (_, port) = first.variables["AGENTGATE_BASE_URL"].rsplit_once(':').unwrap();
    for arguments in [&["--port", port][..], &["--port", port, "--background"]] {
        let second = output(arguments);
        assert_eq!((second.status.code(), second.stdout.len()), (Some(1), 0));
        assert!(String::from_utf8_lossy(&second.stderr).starts_with("agentgate-simulator: "), "{second:?}");
    }
    let port = port.to_owned();
    drop(first);
    assert!(Process::start(&["--port", &port]).variables["AGENTGATE_BASE_URL"].ends_with(&port));
}

#[test]
fn invalid_arguments_are_reported_on_stderr_with_exit_code_2() {
    for arguments in [
        &["--prot", "1"][..],
        &["--port"],
        &["--port", "70000"],
        &["--rate-limit=many"],
        &["--seed", "-1"],
        &["--secret", "a b"],
        &["--secret", ""],
        &["--background=yes"],
        &["4010"],
    ] {
        let output = output(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("agentgate-simulator: ") && text.contains("--help"), "{text}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for (arguments, start) in [(["--help"], "Simulates AgentGate"), (["-V"], "agentgate-simulator 0.")] {
        let output = output(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.starts_with(start.as_bytes()), "{output:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_shell_can_start_it_in_the_background_read_its_lines_and_stop_it() {
    let script = format!(
        "eval \"$({PROGRAM} --background)\"\n\
         for name in BASE_URL API_KEY SIMULATOR_PID; do eval \"echo export AGENTGATE_$name=\\$AGENTGATE_$name\"; done\n\
         kill -0 \"$AGENTGATE_SIMULATOR_PID\" && read line && kill \"$AGENTGATE_SIMULATOR_PID\""
    );
    let mut shell = Command::new("sh");
    let mut shell = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(shell.stdout.take().unwrap()).lines().take(3);
    let variables = lines.map(|line| variable(&line.unwrap())).collect();
    let response = get(&variables, "/v1/runs");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    shell.stdin.take().unwrap().write_all(b"stop\n").unwrap();
    assert!(shell.wait().unwrap().success());
}
