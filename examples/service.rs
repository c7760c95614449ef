//! A web service that submits work orders and receives the signed deliveries about their runs:
//!
//! ```text
//! cargo run -p agentgate --example service --features axum,redis
//! curl --data 'Add error handling to the API routes' http://127.0.0.1:3000/orders   # the id of the run
//! curl http://127.0.0.1:3000/runs/run_3n9x2p                                       # its status, after at most 25 s
//! ```
//!
//! | variable | |
//! |---|---|
//! | `AGENTGATE_API_KEY`, `AGENTGATE_WEBHOOK_SECRET` | the API key, and the secret that signs deliveries |
//! | `PUBLIC_URL` | the URL at which AgentGate reaches this service; defaults to `http://<address>` |
//! | `ADDRESS` | the address to listen at; defaults to `127.0.0.1:3000` |
//! | `REDIS_URL` | the store of handled events, shared by all processes; defaults to the memory of each process |

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use agentgate::types::WebhookEventType;
use agentgate::webhook::{
    Delivery, Event, MemoryReplayGuard, Once, OnceError, RedisReplayGuard, ReplayGuard, Verifier, once,
};
use agentgate::{Client, ErrorKind, WorkspaceSource};
use axum::Router;
use axum::extract::{FromRef, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;

/// Time for which a request waits for the end of a run: less than the timeouts of browsers and proxies.
const LONG_POLL: Duration = Duration::from_secs(25);

#[derive(Clone)]
struct App {
    client: Client,
    verifier: Verifier,
    guard: Arc<dyn ReplayGuard>,
    public_url: String,
}

/// Provides the verifier to the extractor of deliveries.
impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt::init();
    let listener = TcpListener::bind(env::var("ADDRESS").as_deref().unwrap_or("127.0.0.1:3000")).await?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("Listening at {address}");

    let guard: Arc<dyn ReplayGuard> = match env::var("REDIS_URL") {
        Ok(url) => Arc::new(RedisReplayGuard::connect(&url).await?),
        Err(_) => Arc::new(MemoryReplayGuard::new()),
    };
    let client = Client::from_env()?;
    let watcher = client.runs().watcher();
    let public_url = env::var("PUBLIC_URL").unwrap_or(address);
    let app = App { client, verifier: Verifier::from_env()?, guard, public_url };
    let router = Router::new()
        .route("/orders", post(submit))
        .route("/runs/{id}", get(status))
        .route("/agentgate", post(receive))
        .with_state(app);

    // Pending requests complete before the process ends. Their runs are polled, as deliveries now go to other processes
    // or are retried later.
    let shutdown = async move {
        stop_signal().await;
        watcher.deliveries_stopped();
    };
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    println!("Shut down");
    Ok(())
}

/// Submits the body of the request as a prompt, and responds with the id of the run.
async fn submit(State(app): State<App>, prompt: String) -> Result<(StatusCode, String), (StatusCode, String)> {
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let order = app.client.work_orders().create(prompt, source).webhook_url(format!("{}/agentgate", app.public_url));
    match order.deadline(LONG_POLL).await {
        Ok(order) => Ok((StatusCode::ACCEPTED, format!("{}\n", order.run_id))),
        Err(error) => Err(failure(&error)),
    }
}

/// Waits for the end of a run, for a limited time, and responds with its status.
async fn status(State(app): State<App>, Path(id): Path<String>) -> Result<String, (StatusCode, String)> {
    match app.client.runs().wait(id).timeout(LONG_POLL).await {
        Ok(finished) => Ok(format!("{}\n", finished.status())),
        Err(error) => match error.run_status() {
            Some(status) if error.kind() == ErrorKind::WaitTimeout => Ok(format!("{status}\n")),
            _ => Err(failure(&error)),
        },
    }
}

/// Returns the response for a failed call to AgentGate. The details go to the log.
fn failure(error: &agentgate::Error) -> (StatusCode, String) {
    eprintln!("{error}");
    let status = match error.kind() {
        ErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        _ if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    (status, format!("{}\n", error.message().unwrap_or("AgentGate is not available")))
}

/// Receives verified deliveries. The service retries a delivery that was not handled, and sometimes one that was.
async fn receive(State(app): State<App>, Delivery(event): Delivery) -> Result<Once<()>, OnceError<std::io::Error>> {
    app.client.runs().watcher().notify(&event); // ends the waits for this run
    once(&app.guard, &event.id, handle(&event)).await
}

/// Runs once for each event.
#[expect(clippy::unused_async, reason = "a real one awaits a database or a queue")]
async fn handle(event: &Event) -> Result<(), std::io::Error> {
    let run = event.run_id().map_or("no run", |id| id.as_str());
    match event.kind {
        WebhookEventType::RunCompleted => println!("{run} succeeded: notify the customer"),
        WebhookEventType::RunFailed => println!("{run} failed: notify the team"),
        _ => {}
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return,
                _ = terminate.recv() => return,
            }
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
