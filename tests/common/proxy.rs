//! A proxy that cuts connections at random bytes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Upper bound of the bytes before a cut: about the size of a submission and its response.
const WITHIN: usize = 1_000;

/// A proxy between a client and a server that cuts a share of the connections.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    cuts: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(upstream: &str, seed: u64, share: f64) -> Self {
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let cuts = Arc::new(AtomicUsize::new(0));
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        let task = tokio::spawn({
            let cuts = Arc::clone(&cuts);
            async move {
                let mut connections = tokio::task::JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let Ok(server) = TcpStream::connect(&upstream).await else { continue };
                    let left = {
                        let mut random = random.lock().unwrap();
                        if random.f64() < share { random.usize(0..WITHIN) } else { usize::MAX }
                    };
                    connections.spawn(forward(client, server, left, Arc::clone(&cuts)));
                }
            }
        });
        Self { address, cuts, task }
    }

    pub fn url(&self) -> String {
        self.address.clone()
    }

    /// Returns the number of connections cut so far.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards until `left` bytes have passed in both directions together.
async fn forward(mut client: TcpStream, mut server: TcpStream, mut left: usize, cuts: Arc<AtomicUsize>) {
    let (mut up, mut down) = (vec![0; 4_096], vec![0; 4_096]);
    loop {
        let (read, is_up) = tokio::select! {
            read = client.read(&mut up) => (read, true),
            read = server.read(&mut down) => (read, false),
        };
        let Ok(length @ 1..) = read else { return };
        let passing = length.min(left);
        let written =
            if is_up { server.write_all(&up[..passing]).await } else { client.write_all(&down[..passing]).await };
        left -= passing;
        if written.is_err() {
            return;
        }
        if passing < length || left == 0 {
            cuts.fetch_add(1, Ordering::Relaxed);
            if is_up && passing == length {
                // The server has the whole request. It must act before the client checks for the outcome.
                let _ = server.read(&mut down).await;
            }
            return;
        }
    }
}
