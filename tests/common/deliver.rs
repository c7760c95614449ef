//! Deliveries of the simulator, passed to a client's watcher by a receiver on loopback.

use agentgate::follow::Watcher;
use agentgate::types::WebhookEventType;
use agentgate::webhook::Verifier;
use agentgate::{Client, RateLimitMode};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

use crate::time::SimulatedTime;

/// Delivers the events of all runs to this client's watcher.
pub async fn deliver(time: &SimulatedTime, client: &Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let creator = time.builder().rate_limit_mode(RateLimitMode::Off).build().unwrap();
    let created = creator.webhooks().create(url, WebhookEventType::KNOWN.iter().copied()).await.unwrap();
    let state = (Verifier::new([created.secret]).unwrap(), client.runs().watcher());
    let app = Router::new().route("/", post(receive)).with_state(state);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
}

async fn receive(
    State((verifier, watcher)): State<(Verifier, Watcher)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    watcher.notify(&verifier.unwrap(&body, &headers).unwrap());
    StatusCode::NO_CONTENT
}
