//! The full loop in one program: a work order is submitted, its run goes on, and the service reports by signed deliveries, which
//! a receiver verifies, queues and hands to the waits. At the end the receiver is shut down gracefully, and a wait outlives it:
//!
//! ```text
//! cargo run -p agentgate --example webhooks --features axum,simulator
//! ```
//!
//! The service is the simulator, as a real one could not reach a receiver on this machine. Each event is delivered twice on
//! purpose, and handled once all the same.

use std::error::Error;
use std::future::IntoFuture as _;
use std::time::Duration;

use agentgate::follow::Watcher;
use agentgate::simulator::{RunPlan, SimulatedClock, Simulator};
use agentgate::types::WebhookEventType;
use agentgate::webhook::{Delivery, Event, MemoryReplayGuard, Once, OnceError, Verifier, once};
use agentgate::{Client, WorkspaceSource};
use axum::routing::post;
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Longer than the run takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let simulator = Simulator::builder()
        .clock(SimulatedClock::Scaled(1.0))
        .default_run(RunPlan::succeeds().pending(Duration::from_millis(500)).running(Duration::from_secs(2)))
        .start()
        .await?;
    simulator.duplicate_deliveries(1);
    let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).build()?;

    // The address is needed to create the webhook, and its secret to receive.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/agentgate", listener.local_addr()?);
    let events = WebhookEventType::KNOWN.iter().copied();
    let created = client.webhooks().create(&url, events).description("full loop").await?;
    println!("Webhook {} delivers to {url}", created.webhook.id);

    let (sender, mut handled) = mpsc::channel(16);
    let receiver = Router::new()
        .route("/agentgate", post(receive))
        .layer(Extension(Receiver {
            guard: MemoryReplayGuard::new(),
            handled: sender,
            watcher: client.runs().watcher(),
        }))
        .with_state(Verifier::new([created.secret])?);
    // A real program waits for a signal, such as that of `tokio::signal::ctrl_c`.
    let (shut_down, signal) = oneshot::channel();
    let watcher = client.runs().watcher();
    let server = axum::serve(listener, receiver).with_graceful_shutdown(async move {
        let _ = signal.await;
        // No more deliveries are accepted from here on, so the waits that are left go by polling.
        watcher.deliveries_stopped();
    });
    let server = tokio::spawn(server.into_future());

    let order = client
        .work_orders()
        .create("Add error handling to the API routes", WorkspaceSource::git("https://github.com/your-org/your-repo"))
        .tenant("acme-corp", "user_123")
        .await?;
    println!("Work order {} started run {}", order.work_order_id, order.run_id);

    loop {
        let event = timeout(PATIENCE, handled.recv()).await?.ok_or("the receiver has ended")?;
        println!("  {} {}", event.id, event.kind);
        if event.run_id() == Some(&order.run_id) && is_end(&event) {
            report(&event)?;
            break;
        }
    }

    let order = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).await?;
    let last = tokio::spawn(client.runs().wait(&order.run_id).timeout(PATIENCE).into_future());
    shut_down.send(()).map_err(|()| "the receiver has ended")?;
    server.await??;
    println!("The receiver is shut down, and run {} has {} all the same", order.run_id, last.await??.status());
    Ok(())
}

#[derive(Clone)]
struct Receiver {
    guard: MemoryReplayGuard,
    /// Stands for a queue, which should survive a crash: once an event is in it, it counts as handled.
    handled: mpsc::Sender<Event>,
    /// Ends the waits for the runs that have ended. It needs no guard: an event may come more than once.
    watcher: Watcher,
}

/// Only verified deliveries come here. The work is left to whoever reads the queue, so that the delivery is answered soon; one
/// that does not get into the queue is answered with 500, and comes again.
async fn receive(
    Extension(receiver): Extension<Receiver>,
    Delivery(event): Delivery,
) -> Result<Once<()>, OnceError<impl std::fmt::Display>> {
    receiver.watcher.notify(&event);
    let id = event.id.clone();
    once(&receiver.guard, &id, receiver.handled.send(event)).await
}

fn is_end(event: &Event) -> bool {
    use WebhookEventType::{RunCancelled, RunCompleted, RunFailed};
    matches!(event.kind, RunCompleted | RunFailed | RunCancelled)
}

fn report(event: &Event) -> Result<(), Box<dyn Error>> {
    if let Some(run) = event.run() {
        let status = run.status.as_ref().map_or("?", |status| status.as_str());
        println!("Run {} {status}", run.run_id().map_or("?", |id| id.as_str()));
        println!("  pull request: {}", run.pr_url.as_deref().unwrap_or("none"));
        println!("  tenant: {:?}", run.tenant_context.as_ref().and_then(|tenant| tenant.tenant_id.as_deref()));
    }
    println!("The event as it was delivered:");
    println!("{}", serde_json::to_string_pretty(event)?);
    Ok(())
}
