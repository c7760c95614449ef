//! A server that follows a script, down to the byte: it answers, hangs up, breaks off and falls silent as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does on one connection, before it closes it.
pub type Connection = Vec<Act>;

#[derive(Clone, Debug)]
pub enum Act {
    /// Reads a request to its end.
    Read,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Says nothing until the client hangs up.
    Stall,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// `GET /v1/runs/run_1`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
}

/// Follows one script for each connection, in their order. It hangs up on those that come after the last script.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    pub async fn start(script: impl IntoIterator<Item = Connection>) -> Self {
        Self::listen(script, false).await
    }

    /// Refuses every connection after the last script. Its port is closed before the last script begins.
    pub async fn start_and_leave(script: impl IntoIterator<Item = Connection>) -> Self {
        Self::listen(script, true).await
    }

    async fn listen(script: impl IntoIterator<Item = Connection>, leaves: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut script: VecDeque<_> = script.into_iter().collect();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                let script_of_this = script.pop_front().unwrap_or_default();
                if leaves && script.is_empty() {
                    drop(listener);
                    return play(socket, script_of_this, shared).await;
                }
                tokio::spawn(play(socket, script_of_this, Arc::clone(&shared)));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// The one request that came.
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.into_iter().next().unwrap()
    }
}

async fn play(mut socket: TcpStream, script: Connection, seen: Arc<Mutex<Seen>>) {
    socket.set_nodelay(true).unwrap();
    for act in script {
        match act {
            Act::Read => match read(&mut socket).await {
                Some(request) => seen.lock().unwrap().requests.push(request),
                None => return,
            },
            Act::Write(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
                // The client reads it before the next bytes are written.
                tokio::task::yield_now().await;
            }
            Act::Stall => while socket.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {},
        }
    }
}

pub(crate) async fn read(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        more(socket, &mut bytes).await?;
    };
    let mut request = Request { head: String::from_utf8(bytes[..head_end].to_vec()).unwrap(), body: Vec::new() };
    let length = request.headers("content-length").first().map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + length {
        more(socket, &mut bytes).await?;
    }
    request.body = bytes.split_off(head_end);
    Some(request)
}

async fn more(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    match socket.read_buf(bytes).await {
        Ok(count) if count > 0 => Some(()),
        _ => None,
    }
}

/// Reads a request, writes these bytes and hangs up.
pub fn say(bytes: impl Into<Vec<u8>>) -> Connection {
    vec![Act::Read, Act::Write(bytes.into())]
}

/// Reads a request, writes these bytes and falls silent.
pub fn say_and_stall(bytes: impl Into<Vec<u8>>) -> Connection {
    vec![Act::Read, Act::Write(bytes.into()), Act::Stall]
}

/// A whole answer, after which the server hangs up.
pub fn answer(status: &str, headers: &str, body: &str) -> Connection {
    let length = body.len();
    say(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
}

/// A port that nobody listens on.
pub async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
