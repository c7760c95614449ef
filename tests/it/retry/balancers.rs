//! Submissions through nginx and `HAProxy`, over TLS, while these reload and after they were down: each work order is
//! created once, and reported once.
//!
//! Where a program is not in the `PATH`, its tests are ignored. The programs are real, and so are the delays.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentgate::chrono::{DateTime, Utc};
use agentgate::simulator::{SimulatedClock, Simulator};
use agentgate::{Client, Clock, RateLimitMode, WorkspaceSource};
use common::tls::AUTHORITY;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

const SUBMISSIONS: usize = 200;
const OUTAGE: Duration = Duration::from_secs(6);

const NGINX: &str = r#"
daemon off;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream service { server UPSTREAM; keepalive 8; }
    server {
        listen 127.0.0.1:PORT ssl http2;
        ssl_certificate server.pem;
        ssl_certificate_key server.pem;
        location / { proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
"#;

const HAPROXY: &str = r"
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend tls
    bind 127.0.0.1:PORT ssl crt server.pem alpn h2,http/1.1
    default_backend service
backend service
    server service UPSTREAM
";

/// A load balancer of this test alone. It ends with this value, and with the process of the test.
struct Balancer {
    command: Vec<&'static str>,
    directory: PathBuf,
    port: u16,
    /// The signal that makes it reload.
    reload: &'static str,
    process: Option<(Child, String)>,
}

impl Balancer {
    async fn start(program: &str, upstream: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{program}-{}", std::process::id()));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (text, command, reload) = if program == "nginx" {
            (NGINX, vec!["nginx", "-p", ".", "-e", "error.log", "-c", "configuration"], "-HUP")
        } else {
            (HAPROXY, vec!["haproxy", "-W", "-q", "-f", "configuration"], "-USR2")
        };
        std::fs::create_dir_all(&directory).unwrap();
        let text = text.replace("PORT", &port.to_string()).replace("UPSTREAM", upstream);
        std::fs::write(directory.join("configuration"), text).unwrap();
        std::fs::write(directory.join("server.pem"), AUTHORITY.issue(|_| ()).pem().concat()).unwrap();
        let mut balancer = Self { command, directory, port, reload, process: None };
        balancer.run().await;
        balancer
    }

    /// Starts the program, and waits until it accepts connections.
    async fn run(&mut self) {
        /// Ends the program when the standard input ends, also if the test is killed.
        const SCRIPT: &str = r#""$@" >&2 & echo $!; exec >&-; read -r _; kill $!; wait $!"#;
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .args(&self.command)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut id = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut id).unwrap();
        self.process = Some((process, id.trim().to_owned()));
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn reload(&self) {
        let (_, id) = self.process.as_ref().unwrap();
        assert!(Command::new("kill").args([self.reload, id]).status().unwrap().success());
    }

    /// Ends the program at once, with its connections.
    fn stop(&mut self) {
        if let Some((mut process, _)) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A clock that is fast, as is the simulator's: a search for a lost work order takes half a minute.
#[derive(Debug)]
struct FastClock(DateTime<Utc>);

const SPEED: u32 = 5;

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        self.0 + (Utc::now() - self.0) * SPEED.cast_signed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(sleep(duration / SPEED))
    }
}

/// Submits work orders while something happens to the load balancer after each twentieth of them.
async fn submit(program: &str, happens: fn(usize, Arc<Mutex<Balancer>>)) {
    let simulator = Simulator::builder().rate_limit(1_000_000).submission_limit(1_000_000).concurrent_runs(1_000_000);
    // nginx sends its own `Date`, which is real.
    let simulator = simulator.clock(SimulatedClock::Scaled(SPEED.into())).start().await.unwrap();
    simulator.set_credits(i64::MAX / 2);
    let balancer = Balancer::start(program, simulator.url().trim_start_matches("http://")).await;
    let authority = reqwest::Certificate::from_pem(AUTHORITY.pem().as_bytes()).unwrap();
    let client = Client::builder()
        .base_url(format!("https://127.0.0.1:{}", balancer.port))
        .api_key(simulator.api_key())
        .configure_http(move |http| http.tls_certs_only([authority.clone()]))
        .clock(FastClock(Utc::now()))
        .rate_limit_mode(RateLimitMode::Off)
        .max_retries(20)
        .build()
        .unwrap();
    let (balancer, begun) = (Arc::new(Mutex::new(balancer)), Arc::new(AtomicUsize::new(0)));
    let mut workers = JoinSet::new();
    for _ in 0..8 {
        let (client, balancer, begun) = (client.clone(), Arc::clone(&balancer), Arc::clone(&begun));
        workers.spawn(async move {
            let mut created = Vec::new();
            loop {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                if number >= SUBMISSIONS {
                    return created;
                }
                if number % 20 == 0 {
                    happens(number, Arc::clone(&balancer));
                }
                let order = client.work_orders().create("Fix it", WorkspaceSource::git("r")).reconcile();
                created.push(order.await.unwrap().work_order_id);
            }
        });
    }
    let created = workers.join_all().await.concat();
    let distinct: BTreeSet<_> = created.iter().collect();
    assert_eq!((created.len(), distinct.len(), simulator.work_order_count()), (SUBMISSIONS, SUBMISSIONS, SUBMISSIONS));
}

fn reload(_: usize, balancer: Arc<Mutex<Balancer>>) {
    tokio::spawn(async move { balancer.lock().await.reload() });
}

fn outage(number: usize, balancer: Arc<Mutex<Balancer>>) {
    if number == 100 {
        tokio::spawn(async move {
            let mut balancer = balancer.lock().await;
            balancer.stop();
            sleep(OUTAGE).await;
            balancer.run().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(nginx), ignore = "needs nginx")]
async fn each_order_is_created_once_while_nginx_reloads() {
    submit("nginx", reload).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(nginx), ignore = "needs nginx")]
async fn each_order_is_created_once_although_nginx_is_down_for_some_seconds() {
    submit("nginx", outage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(haproxy), ignore = "needs haproxy")]
async fn each_order_is_created_once_while_haproxy_reloads() {
    submit("haproxy", reload).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(haproxy), ignore = "needs haproxy")]
async fn each_order_is_created_once_although_haproxy_is_down_for_some_seconds() {
    submit("haproxy", outage).await;
}
