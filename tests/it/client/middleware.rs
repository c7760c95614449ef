//! Middleware around attempts: observing, adding headers, rejecting requests, and never completing.

use std::future::pending;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use agentgate::middleware::{AttemptRequest, AttemptResponse, Middleware, MiddlewareFuture, Refusal};
use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, Clock as _, ErrorKind, Operation, WorkspaceSource};
use common::time::SimulatedTime;
use tokio::task::JoinSet;

/// Records requests and responses, and adds its name as a header.
struct Named(&'static str, Arc<Mutex<Vec<String>>>);

impl Named {
    fn note(&self, line: &str) {
        self.1.lock().unwrap().push(format!("{}: {line}", self.0));
    }
}

impl Middleware for Named {
    fn before<'a>(&'a self, request: &'a mut AttemptRequest<'_>) -> MiddlewareFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.note(&format!(
                "{} attempt {}, {} {}, {}, {} headers",
                request.operation(),
                request.attempt(),
                request.method(),
                request.url().path(),
                if request.body().is_empty() { "no body" } else { "a body" },
                request.headers().keys_len(),
            ));
            request.insert_header(&format!("x-{}", self.0), &request.attempt().to_string())?;
            Ok(())
        })
    }

    fn after<'a>(&'a self, response: &'a AttemptResponse<'_>) -> MiddlewareFuture<'a, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.note(&format!(
                "{} attempt {} ended: {:?}, {}, {:?}",
                response.operation(),
                response.attempt(),
                response.status().map(|status| status.as_u16()),
                if response.body().is_some() && response.headers().is_some() { "whole" } else { "not whole" },
                response.error().map(agentgate::Error::kind),
            ));
        })
    }
}

#[tokio::test]
async fn middleware_runs_in_order_for_requests_and_in_reverse_for_responses() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (outer, inner) = (Named("outer", Arc::clone(&seen)), Named("inner", Arc::clone(&seen)));
    let client = time.builder().middleware(outer).middleware(inner).build().unwrap();
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "2"));
    time.run(client.work_orders().create("Fix it", WorkspaceSource::template("python-flask")).into_future())
        .await
        .unwrap();
    insta::assert_snapshot!(seen.lock().unwrap().join("\n"));
    let requests = time.simulator().requests();
    let headers: Vec<_> =
        requests.iter().map(|request| (request.header("x-outer"), request.header("x-inner"))).collect();
    assert_eq!(headers, [(Some("1"), Some("1")), (Some("2"), Some("2"))]);
}

#[tokio::test]
async fn middleware_observes_a_failed_connection() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let client = Client::builder()
        .api_key("k")
        .base_url(common::script::closed_port().await)
        .max_retries(0)
        .middleware(Named("a", Arc::clone(&seen)))
        .build()
        .unwrap();
    client.credits().balance().await.unwrap_err();
    let last = seen.lock().unwrap().pop();
    assert_eq!(last.as_deref(), Some("a: getCredits attempt 1 ended: None, not whole, Some(Connect)"));
}

/// Rejects requests, or never completes.
struct Obstacle {
    never_ends_before: bool,
    never_ends_after: bool,
}

impl Middleware for Obstacle {
    fn before<'a>(&'a self, _: &'a mut AttemptRequest<'_>) -> MiddlewareFuture<'a, Result<(), Refusal>> {
        Box::pin(async {
            match self {
                Self { never_ends_before: true, .. } => pending().await,
                Self { never_ends_after: true, .. } => Ok(()),
                _ => Err("the circuit is open".into()),
            }
        })
    }

    fn after<'a>(&'a self, _: &'a AttemptResponse<'_>) -> MiddlewareFuture<'a, ()> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_request_rejected_by_middleware_is_not_sent_or_retried_and_takes_no_permit() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(2)).await;
    let obstacle = Obstacle { never_ends_before: false, never_ends_after: false };
    let client = time.builder().middleware(obstacle).build().unwrap();
    for _ in 0..50 {
        let error = client.credits().balance().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Middleware, 0));
        assert!(!error.may_have_reached_server() && !error.is_retryable());
        assert!(error.to_string().contains("the circuit is open"), "{error}");
    }
    assert_eq!(time.simulator().request_count(), 0);
    assert_eq!(time.passed(), Duration::ZERO);
}

#[tokio::test]
async fn middleware_that_never_completes_ends_with_the_timeout_of_the_call() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let timeout = Duration::from_secs(7);
    let before = time.builder().middleware(Obstacle { never_ends_before: true, never_ends_after: false });
    let client = before.timeout(timeout).build().unwrap();
    let error = time.run(client.credits().balance().into_future()).await.unwrap_err();
    assert_eq!((error.kind(), time.passed()), (ErrorKind::Middleware, timeout));
    assert!(!error.may_have_reached_server());
    assert_eq!(time.simulator().request_count(), 0);

    let after = time.builder().middleware(Obstacle { never_ends_before: false, never_ends_after: true });
    let client = after.timeout(timeout).build().unwrap();
    time.run(client.credits().balance().into_future()).await.unwrap();
    assert_eq!(time.passed(), 2 * timeout);
}

/// Takes 9 seconds before and after each attempt.
struct Slow(SimulatedTime);

impl Middleware for Slow {
    fn before<'a>(&'a self, _: &'a mut AttemptRequest<'_>) -> MiddlewareFuture<'a, Result<(), Refusal>> {
        Box::pin(async {
            self.0.sleep(Duration::from_secs(9)).await;
            Ok(())
        })
    }

    fn after<'a>(&'a self, _: &'a AttemptResponse<'_>) -> MiddlewareFuture<'a, ()> {
        Box::pin(self.0.sleep(Duration::from_secs(9)))
    }
}

#[tokio::test]
async fn a_deadline_holds_with_slow_middleware() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let client = time.builder().middleware(Slow(time.clone())).deadline(Duration::from_secs(10)).build().unwrap();
    time.run(client.credits().balance().into_future()).await.unwrap();
    assert_eq!(time.passed(), Duration::from_secs(10));
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE"));
    time.run(client.credits().balance().into_future()).await.unwrap_err();
    assert_eq!(time.passed(), Duration::from_secs(20));
}

/// Makes a call of its own before each attempt to list runs.
#[derive(Clone, Default)]
struct Caller(Arc<OnceLock<Client>>);

impl Middleware for Caller {
    fn before<'a>(&'a self, request: &'a mut AttemptRequest<'_>) -> MiddlewareFuture<'a, Result<(), Refusal>> {
        let is_outer = request.operation() == Operation::LIST_RUNS;
        Box::pin(async move {
            if is_outer {
                self.0.get().unwrap().credits().balance().await?;
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn calls_that_a_middleware_makes_at_the_start_do_not_starve() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let caller = Caller::default();
    let client = time.builder().middleware(caller.clone()).build().unwrap();
    caller.0.set(client.clone()).unwrap();
    let calls: JoinSet<_> = (0..30).map(|_| client.runs().list().into_future()).collect();
    time.run(calls.join_all()).await.into_iter().for_each(|list| assert!(list.is_ok()));
    assert_eq!(time.passed(), Duration::ZERO);
}

/// Tries to set headers of the client, and invalid headers.
struct HeaderSetter(Arc<Mutex<Vec<String>>>);

impl Middleware for HeaderSetter {
    fn before<'a>(&'a self, request: &'a mut AttemptRequest<'_>) -> MiddlewareFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            for (name, value) in [("Authorization", "Bearer x"), ("idempotency-key", "1"), ("a b", "1"), ("x-a", "\n")]
            {
                let error = request.insert_header(name, value).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                self.0.lock().unwrap().push(error.to_string());
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn middleware_cannot_set_headers_of_the_client() {
    let simulator = Simulator::start().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let builder = Client::builder().base_url(simulator.url()).api_key(simulator.api_key());
    let client = builder.middleware(HeaderSetter(Arc::clone(&seen))).build().unwrap();
    client.credits().balance().await.unwrap();
    insta::assert_snapshot!(seen.lock().unwrap().join("\n"));
}
