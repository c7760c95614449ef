//! The events of a call: their content, their order, and that every call that starts also ends.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::{IntoFuture, poll_fn};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use agentgate::events::{CallEvent, CallOutcome, WaitReason};
use agentgate::resources::{Call, CallFuture, CreateWorkOrder};
use agentgate::simulator::{Fault, Simulator};
use agentgate::types::RunPage;
use agentgate::{Client, Operation, WorkspaceSource};
use common::script::{Server, respond_raw_and_stall};
use common::time::SimulatedTime;
use proptest::prelude::*;
use tokio::task::JoinSet;

const SECOND: Duration = Duration::from_secs(1);

/// Records the events of a client, one per line.
#[derive(Clone, Debug, Default)]
struct EventLog(Arc<Mutex<String>>);

impl EventLog {
    fn client(time: &SimulatedTime) -> (Self, Client) {
        let log = Self::default();
        (log.clone(), time.builder().on_event(move |event| log.add(event)).build().unwrap())
    }

    fn add(&self, event: CallEvent<'_>) {
        let outcome = |outcome: CallOutcome<'_>| match outcome {
            CallOutcome::Success(status) => status.as_u16().to_string(),
            CallOutcome::Failure(error) => error.kind().to_string(),
            CallOutcome::Dropped => "dropped".to_owned(),
            other => panic!("{other:?}"),
        };
        let line = match event {
            CallEvent::Wait(wait) => {
                let expected = wait.expected.map(|expected| expected.as_secs());
                format!("{} waits: {}, {} in front, {expected:?} s", wait.operation, wait.reason, wait.ahead)
            }
            CallEvent::Attempt(attempt) => format!(
                "{} attempt {} of {} bytes after {:?}",
                attempt.operation,
                attempt.attempt,
                if attempt.request_bytes == 0 { "no" } else { "some" },
                attempt.waited
            ),
            CallEvent::AttemptEnd(end) => format!(
                "{} attempt {} ended: {}, {} bytes, {:?}",
                end.operation,
                end.attempt,
                outcome(end.outcome),
                if end.response_bytes == 0 { "no" } else { "some" },
                end.duration
            ),
            CallEvent::Retry(retry) => format!("{} retry in {:?}", retry.operation, retry.delay),
            CallEvent::End(end) => {
                assert!(end.waited + end.delayed <= end.duration, "{end:?}");
                format!(
                    "{} ended: {}, {} attempts, waited {:?}, delayed {:?} of {:?}",
                    end.operation,
                    outcome(end.outcome),
                    end.attempts,
                    end.waited,
                    end.delayed,
                    end.duration
                )
            }
            other => panic!("{other:?}"),
        };
        writeln!(self.0.lock().unwrap(), "{line}").unwrap();
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn submit(client: &Client) -> Call<CreateWorkOrder> {
    client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"))
}

#[tokio::test]
async fn a_call_emits_events_for_its_attempts_retries_and_end() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let (log, client) = EventLog::client(&time);
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "2"));
    time.simulator().inject(Fault::error("RATE_LIMITED").header("retry-after", "3"));
    time.run(submit(&client).into_future()).await.unwrap();
    client.runs().get("run_17").await.unwrap_err();
    client.runs().get("run_17").deadline(Duration::ZERO).await.unwrap_err();
    insta::assert_snapshot!(log.take());
}

#[tokio::test]
async fn the_twenty_first_submission_emits_a_wait_event_with_reason_and_duration() {
    let time = SimulatedTime::start(Simulator::builder().concurrent_runs(100)).await;
    let (log, client) = EventLog::client(&time);
    for _ in 0..20 {
        submit(&client).await.unwrap();
    }
    log.take();
    let calls = async { tokio::try_join!(submit(&client).into_future(), submit(&client).into_future()) };
    time.run(calls).await.unwrap();
    insta::assert_snapshot!(log.take());
}

#[tokio::test]
async fn a_call_that_waits_for_an_unknown_limit_emits_a_first_response_wait() {
    let server = Server::start(vec![respond_raw_and_stall(""); 10]).await;
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&reasons);
    let client = Client::builder().api_key("k").base_url(server.url()).on_event(move |event| {
        if let CallEvent::Wait(wait) = event {
            note.lock().unwrap().push((wait.reason, wait.ahead, wait.expected));
        }
    });
    let client = client.build().unwrap();
    let mut calls: Vec<_> = (0..12).map(|_| client.credits().balance().into_future()).collect();
    for call in &mut calls {
        assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_pending());
    }
    while reasons.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    let first = WaitReason::FirstResponse;
    assert_eq!(*reasons.lock().unwrap(), [(first, 0, None), (first, 1, None)]);
}

#[tokio::test]
async fn a_panic_in_the_event_callback_panics_the_call_and_ends_its_events() {
    let simulator = Simulator::start().await.unwrap();
    let count = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&count);
    let client = Client::builder().base_url(simulator.url()).api_key(simulator.api_key()).on_event(move |_| {
        *counter.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        panic!("the callback panics");
    });
    let client = client.build().unwrap();
    let call = tokio::spawn(client.credits().balance().into_future());
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(*count.lock().unwrap_or_else(std::sync::PoisonError::into_inner), 1);
}

/// Calls that callbacks and wakers drop and poll.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<CallFuture<RunPage>>>>);

impl Held {
    fn take(&self) -> Option<CallFuture<RunPage>> {
        self.0.lock().unwrap().pop()
    }

    /// Drops a call, and polls another.
    fn meddle(&self) {
        drop(self.take());
        if let Some(mut call) = self.take() {
            let is_pending =
                call.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(self.clone())))).is_pending();
            if is_pending {
                self.0.lock().unwrap().insert(0, call);
            }
        }
    }
}

impl Wake for Held {
    fn wake(self: Arc<Self>) {
        self.meddle();
    }
}

#[tokio::test]
async fn callbacks_and_wakers_can_drop_poll_and_make_calls() {
    let time = SimulatedTime::start(Simulator::builder().rate_limit(12)).await;
    let (held, made) = (Held::default(), Arc::new(Mutex::new((JoinSet::new(), BTreeSet::new()))));
    let (client, own) = (Arc::new(OnceLock::<Client>::new()), (held.clone(), Arc::clone(&made)));
    let other = Arc::clone(&client);
    let builder = time.builder().on_event(move |event| {
        own.0.meddle();
        let name = format!("{event:?}").split('(').next().unwrap_or_default().to_owned();
        let (calls, seen) = &mut *own.1.lock().unwrap();
        // Each kind of event, until there are enough calls.
        if seen.insert(name) || calls.len() < 60 {
            calls.spawn(other.get().unwrap().credits().balance().into_future());
        }
    });
    client.set(builder.build().unwrap()).unwrap();
    let client = client.get().unwrap();
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE"));
    held.0.lock().unwrap().extend((0..40).map(|_| client.runs().list().into_future()));
    held.meddle();
    time.run(client.credits().balance().into_future()).await.unwrap();
    let calls = std::mem::take(&mut made.lock().unwrap().0);
    time.run(calls.join_all()).await.into_iter().for_each(|call| assert!(call.is_ok()));
    assert_eq!(made.lock().unwrap().1.len(), 5, "all kinds of events were seen");
}

/// The action on one call.
#[derive(Clone, Debug)]
enum Action {
    Finish,
    /// Polls the call this many times, with other tasks running in between, and drops it.
    Drop(u32),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Finish), (0..12_u32).prop_map(Action::Drop)]
}

/// Returns `true` if the events of one call are in the documented order.
fn is_in_order(events: &[&str]) -> bool {
    let pattern = events.iter().map(|line| match *line {
        line if line.contains(" waits") => 'w',
        line if line.contains(" attempt ") && line.contains(" ended") => 'e',
        line if line.contains(" attempt ") => 'a',
        line if line.contains(" retry ") => 'r',
        _ => 'E',
    });
    let mut rest: String = pattern.collect();
    if !rest.ends_with('E') || rest.matches('E').count() != 1 {
        return false;
    }
    rest.pop();
    loop {
        rest = rest.strip_prefix('w').unwrap_or(&rest).to_owned();
        match rest.strip_prefix("aer") {
            Some(after) => rest = after.to_owned(),
            None => return matches!(&*rest, "" | "ae"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_call_emits_ordered_events_and_one_end_even_if_dropped(
        actions in prop::collection::vec((action(), 0..3_u32, any::<bool>()), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // A limit at which some calls wait.
            let time = SimulatedTime::start(Simulator::builder().rate_limit(5)).await;
            let (log, client) = EventLog::client(&time);
            for (action, faults, is_submission) in actions {
                for _ in 0..faults {
                    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "1"));
                }
                let mut call = if is_submission {
                    let call = submit(&client).into_future();
                    Box::pin(async { call.await.map(drop) }) as CallFuture<()>
                } else {
                    let call = client.credits().balance().into_future();
                    Box::pin(async { call.await.map(drop) })
                };
                match action {
                    Action::Finish => time.run(call).await.unwrap_or_default(),
                    Action::Drop(polls) => {
                        for poll in 0..polls {
                            if poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_ready() {
                                break;
                            }
                            time.settle().await;
                            if poll % 3 == 2 {
                                time.advance(SECOND);
                            }
                        }
                        drop(call);
                    }
                }
                let events = log.take();
                let events: Vec<_> = events.lines().collect();
                // A call that was never polled has no events.
                let is_unbegun = events.is_empty() && matches!(action, Action::Drop(0));
                assert!(is_unbegun || is_in_order(&events), "{action:?}: {events:#?}");
            }
        });
    }
}

#[tokio::test]
async fn events_name_the_operation_of_a_raw_request() {
    let time = SimulatedTime::start(Simulator::builder()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let client = time.builder().on_event(move |event| {
        if let CallEvent::End(end) = event {
            note.lock().unwrap().push(end.operation);
        }
    });
    let client = client.build().unwrap();
    client.request(agentgate::http::Method::GET, Operation::GET_CREDITS.path()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [Operation::GET_CREDITS]);
}
