//! Genuine and forged deliveries, sent over a plain TCP connection, and the receiver's response.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use agentgate::chrono::{DateTime, Utc};
use agentgate::webhook::Verifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const SECRET: &str = "whsec_k3pt-by-the-receiver";
/// The largest body that [`verifier`] accepts.
pub const LIMIT: usize = 1717;

/// Time limit for an exchange. Only a receiver that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Returns a verifier with [`SECRET`], a clock fixed at [`now`], a maximum age of an hour and a limit of [`LIMIT`]
/// bytes.
pub fn verifier() -> Verifier {
    Verifier::new([SECRET]).unwrap().max_body_size(LIMIT).max_age(Duration::from_secs(3600)).clock(now)
}

pub fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// The body of a delivery of this event.
pub fn body(event_id: &str) -> String {
    body_at(event_id, "2026-01-01T00:00:00Z")
}

fn body_at(event_id: &str, time: &str) -> String {
    format!(r#"{{"id":"{event_id}","type":"run.completed","createdAt":"{time}","data":{{"runId":"run_1"}}}}"#)
}

/// Returns this number of bytes that are not UTF-8.
pub fn binary(length: usize) -> Vec<u8> {
    (0..=u8::MAX).rev().cycle().take(length).collect()
}

/// A delivery to send.
#[derive(Clone, Debug)]
pub struct Sent {
    pub name: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn unsigned(name: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { name, headers: Vec::new(), body: body.into() }
    }

    pub fn signed(name: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let signature = verifier().sign(&body);
        Self::unsigned(name, body).header("X-AgentGate-Signature", signature)
    }

    /// A genuine delivery of this event.
    pub fn of(event_id: &str) -> Self {
        Self::signed("genuine", body(event_id))
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The head of the request without the length of the body.
    pub fn head(&self, path: &str) -> String {
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: receiver.example.com\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        [format!("{}Content-Length: {}\r\n\r\n", self.head(path), self.body.len()).as_bytes(), &self.body].concat()
    }

    /// The request with a chunked body and no content length.
    pub fn chunked(&self, path: &str) -> Vec<u8> {
        let mut bytes = format!("{}Transfer-Encoding: chunked\r\n\r\n", self.head(path)).into_bytes();
        for part in self.body.chunks(self.body.len().div_ceil(3).max(1)) {
            bytes.extend([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }

    pub async fn send(&self, receiver: SocketAddr, path: &str) -> ReceiverResponse {
        exchange(receiver, &self.bytes(path)).await
    }
}

/// Deliveries that [`verifier`] rejects, each for a different reason.
pub fn refused() -> Vec<Sent> {
    let genuine = || body("evt_1");
    let unsigned = |name| Sent::unsigned(name, genuine());
    let with = |name, signature: &str| unsigned(name).header("X-AgentGate-Signature", signature);
    let other = Verifier::new(["whsec_of-another-webhook"]).unwrap();
    let digits = "0".repeat(64);
    vec![
        unsigned("no signature"),
        with("an empty signature", ""),
        with("a signature of another scheme", &format!("sha1={}", &digits[..40])),
        with("a signature that is cut off", &format!("sha256={}", &digits[1..])),
        with("a signature that is not hexadecimal", &format!("sha256={}", digits.replace('0', "g"))),
        with("a signature that is made up", &format!("sha256={digits}")),
        with("a signature by another secret", &other.sign(genuine().as_bytes())),
        with("the signature of another body", &verifier().sign(body("evt_2").as_bytes())),
        Sent::signed("signed, and not JSON", "run.completed"),
        Sent::signed("signed, and not text", binary(256)),
        Sent::signed("signed, and empty", ""),
        Sent::signed("signed, and not an event", r#"{"type":"run.completed"}"#),
        Sent::signed("signed, and without a time", r#"{"id":"evt_1","type":"run.completed"}"#),
        Sent::signed("signed, and old", body_at("evt_1", "2025-12-31T22:59:59Z")),
        Sent::signed("signed, and not of this hour", body_at("evt_1", "2026-01-01T01:00:00Z")),
        Sent::signed("signed, and one byte too large", binary(LIMIT + 1)),
        Sent::unsigned("too large", binary(LIMIT + 1)),
    ]
}

/// Texts that a response must not contain.
pub fn private() -> Vec<String> {
    let mut private: Vec<String> =
        ["sha256", "hmac", "secret", "whsec", "hex", "JSON", "1717", "3600", "clock", "agentgate"]
            .map(str::to_owned)
            .into();
    for delivery in refused() {
        private.push(verifier().sign(&delivery.body).trim_start_matches("sha256=").to_owned());
    }
    private
}

/// The response of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverResponse {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl ReceiverResponse {
    /// Parses a whole response. Returns `None` if there are no bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Some(Self { status, head, body: bytes[head_end..].to_vec() })
    }

    /// Parses a response if its body has the announced length.
    fn complete(bytes: &[u8]) -> Option<Self> {
        bytes.windows(4).find(|window| window == b"\r\n\r\n")?;
        let response = Self::read(bytes)?;
        let head = response.head.to_lowercase();
        let length: usize = head.split_once("content-length: ")?.1.lines().next()?.parse().ok()?;
        (response.body.len() >= length).then_some(response)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Panics if the response contains a private text.
    pub fn assert_tells_nothing(&self, name: &str) {
        let told = self.head.to_lowercase() + &String::from_utf8_lossy(&self.body).to_lowercase();
        for private in private() {
            assert!(!told.contains(&private.to_lowercase()), "{name}: {private} is in {told}");
        }
    }
}

/// Sends these bytes and returns the response.
pub async fn exchange(receiver: SocketAddr, bytes: &[u8]) -> ReceiverResponse {
    try_exchange(receiver, bytes).await.unwrap()
}

/// Sends these bytes and returns the response. Returns `None` if the receiver does not listen or closes the connection.
pub async fn try_exchange(receiver: SocketAddr, bytes: &[u8]) -> Option<ReceiverResponse> {
    let mut connection = TcpStream::connect(receiver).await.ok()?;
    connection.write_all(bytes).await.ok()?;
    to_end(connection).await
}

/// Sends an incomplete request, closes the writing half, and returns the response if there is one.
pub async fn break_off(receiver: SocketAddr, bytes: &[u8]) -> Option<ReceiverResponse> {
    let mut connection = TcpStream::connect(receiver).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    connection.shutdown().await.unwrap();
    to_end(connection).await
}

/// Sends this head and a body without end until the receiver responds. Also returns the number of bytes sent.
pub async fn send_without_end(receiver: SocketAddr, head: &str) -> (ReceiverResponse, usize) {
    let (mut reading, mut writing) = TcpStream::connect(receiver).await.unwrap().into_split();
    writing.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
    let mut sent = 0;
    let sending = async {
        while writing.write_all(&chunk).await.is_ok() {
            sent += 0x1000;
        }
        // The receiver closed the connection, and its response is still to be read.
        std::future::pending().await
    };
    let response_or_end = async {
        let mut bytes = Vec::new();
        loop {
            assert!(
                reading.read_buf(&mut bytes).await.unwrap() > 0,
                "the receiver closed the connection without a response"
            );
            if let Some(response) = ReceiverResponse::complete(&bytes) {
                return response;
            }
        }
    };
    let response = tokio::time::timeout(TIMEOUT, async {
        tokio::select! {
            response = response_or_end => response,
            never = sending => never,
        }
    });
    let response = response.await.unwrap();
    (response, sent)
}

async fn to_end(mut connection: impl tokio::io::AsyncRead + Unpin) -> Option<ReceiverResponse> {
    let mut bytes = Vec::new();
    // A receiver that does not read to the end resets the connection after its response.
    let _ = tokio::time::timeout(TIMEOUT, connection.read_to_end(&mut bytes)).await.unwrap();
    ReceiverResponse::read(&bytes)
}
