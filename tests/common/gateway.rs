//! A gateway between a client and a server that replaces some responses, before or after it forwards the request.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use agentgate::chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::script::{Request, read};

/// Typical responses of gateways. The service itself sends none of them.
pub const RESPONSES: [(&str, &str); 14] = [
    ("502 Bad Gateway", "<h1>Bad Gateway</h1>"),
    ("502 Bad Gateway", ""),
    ("503 Service Unavailable", "<h1>Service Unavailable</h1>"),
    ("503 Service Unavailable", ""),
    ("503 Service Unavailable", "upstream connect error or disconnect/reset before headers"),
    ("503 Service Unavailable", r#"{"message":"no healthy upstream"}"#),
    ("503 Service Unavailable", r#"{"code":"SERVICE_UNAVAILABLE"}"#),
    ("503 Service Unavailable", r#"{"error":"SERVICE_UNAVAILABLE"}"#),
    ("503 Service Unavailable", r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#),
    ("503 Service Unavailable", r#"{"error":{"code":"SERVICE_UNAVAILABLE","#),
    ("504 Gateway Timeout", ""),
    ("500 Internal Server Error", "{}"),
    ("408 Request Timeout", ""),
    ("303 See Other\r\nlocation: /v1/work-orders/wo_1", ""),
];

/// The behaviour of a gateway.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour {
    /// The share of POST requests with a replaced response. For other methods it is a third of that.
    pub share: f64,
    /// Offset added to all times in responses.
    pub shift: TimeDelta,
}

/// Forwards each request on a connection of its own. Connections of clients stay open unless they are cut.
#[derive(Debug)]
pub struct Gateway {
    url: String,
    tokens: Arc<Mutex<HashMap<String, String>>>,
    task: JoinHandle<()>,
}

impl Gateway {
    pub async fn start(upstream: &str, seed: u64, behaviour: Behaviour) -> Self {
        let upstream: Arc<str> = upstream.trim_start_matches("http://").into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tokens = Arc::new(Mutex::new(HashMap::new()));
        let task = tokio::spawn({
            let (tokens, mut random) = (Arc::clone(&tokens), fastrand::Rng::with_seed(seed));
            async move {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let (upstream, tokens, random) = (Arc::clone(&upstream), Arc::clone(&tokens), random.fork());
                    connections.spawn(serve(client, upstream, tokens, random, behaviour));
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Self { url, tokens, task }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the token of the submission with this idempotency key, if it was received.
    pub fn token(&self, key: &str) -> Option<String> {
        self.tokens.lock().unwrap().get(key).cloned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    upstream: Arc<str>,
    tokens: Arc<Mutex<HashMap<String, String>>>,
    mut random: fastrand::Rng,
    behaviour: Behaviour,
) -> Option<()> {
    while let Some(request) = read(&mut client).await {
        if let Some(token) = token(&request) {
            let key = request.headers("idempotency-key")[0].to_owned();
            // All attempts of a submission have the same token.
            assert_eq!(*tokens.lock().unwrap().entry(key).or_insert_with(|| token.clone()), token);
        }
        let own = match RESPONSES.get(random.usize(..=RESPONSES.len())) {
            // Only a submission gets a redirect.
            Some((status, _)) if status.starts_with("303") && !request.line().starts_with("POST") => Vec::new(),
            Some((status, body)) => format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into(),
            None => Vec::new(),
        };
        let share = if request.line().starts_with("POST") { behaviour.share } else { behaviour.share / 3.0 };
        let (response, is_whole) = if random.f64() >= share {
            (forward(&upstream, &request, behaviour.shift).await?, true)
        } else {
            match random.u8(..4) {
                0 => (own, false),
                1 => {
                    let mut response = forward(&upstream, &request, behaviour.shift).await?;
                    response.truncate(random.usize(..response.len()));
                    (response, false)
                }
                _ => {
                    forward(&upstream, &request, behaviour.shift).await?;
                    (own, false)
                }
            }
        };
        client.write_all(&response).await.ok()?;
        if !is_whole {
            return None;
        }
    }
    None
}

fn token(request: &Request) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    Some(body.pointer("/metadata/agentgate-submission")?.as_str()?.to_owned())
}

async fn forward(upstream: &str, request: &Request, shift: TimeDelta) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await.ok()?;
    server.write_all(request.head.as_bytes()).await.ok()?;
    server.write_all(&request.body).await.ok()?;
    // The head of a response has the same form as that of a request.
    let response = read(&mut server).await?;
    // Thousands of closed connections would use up the ports of this machine.
    server.set_zero_linger().ok()?;
    let mut body: Value = serde_json::from_slice(&response.body).ok()?;
    shift_times(&mut body, shift);
    let (body, mut head) = (body.to_string(), String::new());
    for line in response.head.trim_end().lines() {
        match line.split_once(": ") {
            Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {}
            Some((name, date)) if name.eq_ignore_ascii_case("date") => {
                let date = DateTime::parse_from_rfc2822(date).unwrap() + shift;
                write!(head, "{name}: {}\r\n", date.format("%a, %d %b %Y %H:%M:%S GMT")).unwrap();
            }
            _ => write!(head, "{line}\r\n").unwrap(),
        }
    }
    Some(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

fn shift_times(value: &mut Value, shift: TimeDelta) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| shift_times(value, shift)),
        Value::Object(object) => {
            for (name, value) in object {
                match value.as_str().and_then(|time| time.parse::<DateTime<Utc>>().ok()) {
                    Some(time) if name == "createdAt" => *value = (time + shift).to_rfc3339().into(),
                    _ => shift_times(value, shift),
                }
            }
        }
        _ => {}
    }
}
