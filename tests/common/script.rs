//! A TCP server that follows a script to the byte: it responds, truncates, stalls or closes the connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The steps of a server on one connection, before it closes the connection.
pub type Connection = Vec<Step>;

#[derive(Clone, Debug)]
pub enum Step {
    /// Reads a whole request.
    Read,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Sends nothing until the client closes the connection.
    Stall,
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the method and the target, such as `GET /v1/runs/run_1`.
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

/// A server with one script per connection, in order. It closes connections after the last script at once.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    is_tls: bool,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    pub async fn start(script: impl IntoIterator<Item = Connection>) -> Self {
        Self::listen(script, false, None).await
    }

    /// Starts a server that plays each script over TLS. A connection whose handshake fails uses up its script.
    pub async fn start_tls(tls: TlsAcceptor, script: impl IntoIterator<Item = Connection>) -> Self {
        Self::listen(script, false, Some(tls)).await
    }

    /// Starts a server that refuses connections after the last script. It closes its port before the last script
    /// begins.
    pub async fn start_then_refuse(script: impl IntoIterator<Item = Connection>) -> Self {
        Self::listen(script, true, None).await
    }

    async fn listen(
        script: impl IntoIterator<Item = Connection>,
        refuses_later: bool,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut script: VecDeque<_> = script.into_iter().collect();
        let (shared, is_tls) = (Arc::clone(&seen), tls.is_some());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                let steps = script.pop_front().unwrap_or_default();
                if refuses_later && script.is_empty() {
                    drop(listener);
                    return play(socket, steps, shared).await;
                }
                socket.set_nodelay(true).unwrap();
                let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    match tls {
                        None => play(socket, steps, shared).await,
                        Some(tls) => {
                            match tls.accept(socket).into_fallible().await {
                                Ok(socket) => play(socket, steps, shared).await,
                                // The client reads the alert before the connection is reset.
                                Err((_, mut socket)) => while socket.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {},
                            }
                        }
                    }
                });
            }
        });
        Self { address, is_tls, seen }
    }

    pub fn url(&self) -> String {
        format!("http{}://{}", if self.is_tls { "s" } else { "" }, self.address)
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Returns the only request received.
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.into_iter().next().unwrap()
    }
}

async fn play(mut socket: impl AsyncRead + AsyncWrite + Unpin, script: Connection, seen: Arc<Mutex<Seen>>) {
    for step in script {
        match step {
            Step::Read => match read(&mut socket).await {
                Some(request) => seen.lock().unwrap().requests.push(request),
                None => return,
            },
            Step::Write(bytes) => {
                if socket.write_all(&bytes).await.is_err() || socket.flush().await.is_err() {
                    return;
                }
                // The client reads it before the next bytes are written.
                tokio::task::yield_now().await;
            }
            Step::Stall => while socket.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {},
        }
    }
}

pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
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

async fn more(socket: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Option<()> {
    match socket.read_buf(bytes).await {
        Ok(count) if count > 0 => Some(()),
        _ => None,
    }
}

/// Reads a request, writes these bytes and closes the connection.
pub fn respond_raw(bytes: impl Into<Vec<u8>>) -> Connection {
    vec![Step::Read, Step::Write(bytes.into())]
}

/// Reads a request, writes these bytes and stalls.
pub fn respond_raw_and_stall(bytes: impl Into<Vec<u8>>) -> Connection {
    vec![Step::Read, Step::Write(bytes.into()), Step::Stall]
}

/// Reads a request, writes a whole response and closes the connection.
pub fn respond(status: &str, headers: &str, body: &str) -> Connection {
    let length = body.len();
    respond_raw(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
}

/// Returns the URL of a port without a listener.
pub async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
