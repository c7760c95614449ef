//! Handling each event once, whatever becomes of the handler and the guard.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agentgate::types::EventId;
use agentgate::webhook::{
    Claim, ClaimToken, Event, GuardError, GuardFuture, MemoryReplayGuard, Once, OnceError, ReplayGuard, once,
};
use common::logs::Logs;
use tokio::sync::{Barrier, oneshot};

const LEASE: Duration = Duration::from_secs(120);

/// A clock that is moved by hand.
#[derive(Clone)]
struct Hand(Arc<Mutex<Instant>>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }

    fn guard(&self) -> MemoryReplayGuard {
        let now = Arc::clone(&self.0);
        MemoryReplayGuard::new().lease(LEASE).clock(move || *now.lock().unwrap())
    }
}

fn id() -> EventId {
    "evt_1".into()
}

/// Handles the event with this outcome, and says what became of it and whether the handler ran.
async fn handle(guard: &(impl ReplayGuard + ?Sized), outcome: Result<u8, &'static str>) -> (Outcome, bool) {
    let mut ran = false;
    let handler = async {
        ran = true;
        outcome
    };
    let outcome = once(guard, &id(), handler).await;
    (outcome.into(), ran)
}

/// A result of `once` that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Once(Once<u8>, u16),
    Handler(String, u16),
    Guard(String, u16),
}

impl From<Result<Once<u8>, OnceError<&'static str>>> for Outcome {
    fn from(outcome: Result<Once<u8>, OnceError<&'static str>>) -> Self {
        match outcome {
            Ok(once) => Self::Once(once, once.status().as_u16()),
            Err(error) => {
                let (text, status) = (error.to_string(), error.status().as_u16());
                match error {
                    OnceError::Handler(_) => Self::Handler(text, status),
                    OnceError::Guard(_) => Self::Guard(text, status),
                }
            }
        }
    }
}

const DUPLICATE: Outcome = Outcome::Once(Once::Duplicate, 204);
const IN_PROGRESS: Outcome = Outcome::Once(Once::InProgress, 503);

fn handled(value: u8) -> Outcome {
    Outcome::Once(Once::Handled(value), 204)
}

fn failed(text: &str) -> Outcome {
    Outcome::Handler(format!("the event was not handled: {text}"), 500)
}

// The ways of a handler

#[tokio::test]
async fn the_first_delivery_is_handled_and_the_others_are_duplicates() {
    let guard = MemoryReplayGuard::new();
    assert_eq!(handle(&guard, Ok(1)).await, (handled(1), true));
    assert_eq!(handle(&guard, Ok(2)).await, (DUPLICATE, false));
    assert_eq!(handle(&guard, Err("unlucky")).await, (DUPLICATE, false));
}

#[tokio::test]
async fn a_concurrent_delivery_is_in_progress_and_retried() {
    let guard = MemoryReplayGuard::new();
    let (finish, finished) = oneshot::channel();
    let first = tokio::spawn({
        let guard = guard.clone();
        async move { once(&guard, &id(), finished).await.unwrap() }
    });
    while guard.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(handle(&guard, Ok(2)).await, (IN_PROGRESS, false));
    finish.send(1).unwrap();
    assert_eq!(first.await.unwrap(), Once::Handled(1));
    assert_eq!(handle(&guard, Ok(3)).await, (DUPLICATE, false));
}

#[tokio::test]
async fn an_event_whose_handler_failed_is_handled_by_the_retry() {
    let guard = MemoryReplayGuard::new();
    for _ in 0..3 {
        assert_eq!(handle(&guard, Err("unlucky")).await, (failed("unlucky"), true));
        assert!(guard.is_empty());
    }
    assert_eq!(handle(&guard, Ok(1)).await, (handled(1), true));
    assert_eq!(handle(&guard, Ok(2)).await, (DUPLICATE, false));
}

#[tokio::test]
async fn an_event_whose_handler_was_dropped_is_handled_again_after_its_lease() {
    let hand = Hand::new();
    let guard = hand.guard();
    let event_id = id();
    let mut steps = 0;
    {
        let mut first = Box::pin(once(&guard, &event_id, async {
            steps += 1;
            tokio::task::yield_now().await;
            steps += 1;
            Ok::<_, &str>(1)
        }));
        std::future::poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    assert_eq!(steps, 1);
    assert_lease_has_to_run_out(&guard, &hand).await;
}

#[tokio::test]
async fn an_event_whose_handler_panicked_is_handled_again_after_its_lease() {
    let hand = Hand::new();
    let guard = hand.guard();
    let first = tokio::spawn({
        let guard = guard.clone();
        async move {
            let handler = async { if guard.len() == 1 { panic!("a bug in the handler") } else { Ok::<_, &str>(1) } };
            once(&guard, &id(), handler).await.unwrap()
        }
    });
    assert!(first.await.unwrap_err().is_panic());
    assert_lease_has_to_run_out(&guard, &hand).await;
}

async fn assert_lease_has_to_run_out(guard: &impl ReplayGuard, hand: &Hand) {
    assert_eq!(handle(guard, Ok(2)).await, (IN_PROGRESS, false));
    hand.pass(Duration::from_secs(119));
    assert_eq!(handle(guard, Ok(2)).await, (IN_PROGRESS, false));
    hand.pass(Duration::from_secs(1));
    assert_eq!(handle(guard, Ok(3)).await, (handled(3), true));
    assert_eq!(handle(guard, Ok(4)).await, (DUPLICATE, false));
    hand.pass(LEASE);
    assert_eq!(handle(guard, Ok(5)).await, (DUPLICATE, false));
}

#[tokio::test]
async fn a_handler_that_outlives_its_lease_still_completes_the_event() {
    let hand = Hand::new();
    let guard = hand.guard();
    let handler = async {
        hand.pass(LEASE);
        Ok::<_, &str>(1)
    };
    assert_eq!(once(&guard, &id(), handler).await.unwrap(), Once::Handled(1));
    assert_eq!(handle(&guard, Ok(2)).await, (DUPLICATE, false));
}

#[tokio::test]
async fn an_event_stays_handled_if_a_late_handler_fails() {
    let hand = Hand::new();
    let guard = hand.guard();
    let late = async {
        hand.pass(LEASE);
        assert_eq!(handle(&guard, Ok(2)).await, (handled(2), true));
        Err("too late")
    };
    assert_eq!(Outcome::from(once(&guard, &id(), late).await), failed("too late"));
    assert_eq!(handle(&guard, Ok(3)).await, (DUPLICATE, false));
}

#[tokio::test]
async fn a_late_failure_does_not_release_the_next_claim() {
    let hand = Hand::new();
    let guard = hand.guard();
    let next = ClaimToken::new();
    let late = async {
        hand.pass(LEASE);
        assert_eq!(guard.claim(&id(), &next).await.unwrap(), Claim::First);
        Err("too late")
    };
    assert_eq!(Outcome::from(once(&guard, &id(), late).await), failed("too late"));
    assert_eq!(handle(&guard, Ok(2)).await, (IN_PROGRESS, false));
    guard.release(&id(), &next).await.unwrap();
    assert_eq!(handle(&guard, Ok(3)).await, (handled(3), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_deliveries_at_once_exactly_one_is_handled() {
    const DELIVERIES: usize = 200;
    let guard: Arc<dyn ReplayGuard> = Arc::new(MemoryReplayGuard::new());
    for round in 0..20 {
        let event_id = EventId::from(format!("evt_{round}"));
        let (barrier, ran) = (Arc::new(Barrier::new(DELIVERIES)), Arc::new(AtomicUsize::new(0)));
        let deliveries: Vec<_> = (0..DELIVERIES)
            .map(|_| {
                let (guard, event_id) = (Arc::clone(&guard), event_id.clone());
                let (barrier, ran) = (Arc::clone(&barrier), Arc::clone(&ran));
                tokio::spawn(async move {
                    barrier.wait().await;
                    let handler = async {
                        ran.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok::<_, &str>(())
                    };
                    once(&*guard, &event_id, handler).await.unwrap()
                })
            })
            .collect();
        let mut handled = 0;
        for delivery in deliveries {
            handled += usize::from(delivery.await.unwrap() == Once::Handled(()));
        }
        assert_eq!((handled, ran.load(Ordering::SeqCst)), (1, 1));
    }
}

#[tokio::test]
async fn events_do_not_wait_for_each_other() {
    let guard = MemoryReplayGuard::new();
    let (first, second) = (EventId::from("evt_1"), EventId::from("evt_2"));
    let outcome = once(&guard, &first, async { once(&guard, &second, async { Ok::<_, ()>(2) }).await }).await;
    assert_eq!(outcome.unwrap(), Once::Handled(Once::Handled(2)));
}

// The ways of a guard

/// A guard of which some operations fail.
#[derive(Default)]
struct Broken {
    memory: MemoryReplayGuard,
    claim: bool,
    complete: bool,
    release: bool,
}

fn or_fail<T: Send + 'static>(fails: bool, otherwise: GuardFuture<'_, T>) -> GuardFuture<'_, T> {
    if fails { Box::pin(ready(Err(GuardError::new("the store is on fire")))) } else { otherwise }
}

impl ReplayGuard for Broken {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        or_fail(self.claim, self.memory.claim(event_id, token))
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        or_fail(self.complete, self.memory.complete(event_id))
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        or_fail(self.release, self.memory.release(event_id, token))
    }
}

#[tokio::test]
async fn without_a_claim_the_handler_does_not_run_and_the_delivery_is_retried() {
    let guard = Broken { claim: true, ..Broken::default() };
    let text = "the replay guard failed: the store is on fire";
    assert_eq!(handle(&guard, Ok(1)).await, (Outcome::Guard(text.to_owned(), 503), false));
    let guard = MemoryReplayGuard::new().capacity(1);
    assert_eq!(guard.claim(&"evt_0".into(), &ClaimToken::new()).await.unwrap(), Claim::First);
    let text = "the replay guard failed: as many events are in progress as are allowed: 1";
    assert_eq!(handle(&guard, Ok(1)).await, (Outcome::Guard(text.to_owned(), 503), false));
}

/// A guard that makes its first claim and loses the response.
#[derive(Default)]
struct Mumbling {
    guard: Broken,
    spoke: AtomicBool,
}

impl ReplayGuard for Mumbling {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        Box::pin(async move {
            let claim = self.guard.claim(event_id, token).await;
            if self.spoke.swap(true, Ordering::SeqCst) { claim } else { Err(GuardError::new("what was that?")) }
        })
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        self.guard.complete(event_id)
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        self.guard.release(event_id, token)
    }
}

const MUMBLED: &str = "the replay guard failed: what was that?";

#[tokio::test]
async fn a_claim_with_a_lost_response_is_released() {
    let guard = Mumbling::default();
    assert_eq!(handle(&guard, Ok(1)).await, (Outcome::Guard(MUMBLED.to_owned(), 503), false));
    assert!(guard.guard.memory.is_empty());
    assert_eq!(handle(&guard, Ok(2)).await, (handled(2), true));
}

#[tokio::test]
async fn a_claim_with_a_lost_response_expires_if_it_cannot_be_released() {
    let hand = Hand::new();
    let guard = Broken { memory: hand.guard(), release: true, ..Broken::default() };
    let guard = Mumbling { guard, spoke: AtomicBool::new(false) };
    assert_eq!(handle(&guard, Ok(1)).await, (Outcome::Guard(MUMBLED.to_owned(), 503), false));
    assert_lease_has_to_run_out(&guard, &hand).await;
}

#[tokio::test]
async fn a_lost_response_does_not_release_the_claim_of_another() {
    let guard = Mumbling::default();
    let other = ClaimToken::new();
    assert_eq!(guard.guard.claim(&id(), &other).await.unwrap(), Claim::First);
    assert_eq!(handle(&guard, Ok(1)).await, (Outcome::Guard(MUMBLED.to_owned(), 503), false));
    assert_eq!(handle(&guard, Ok(2)).await, (IN_PROGRESS, false));
}

#[tokio::test]
async fn a_repeated_claim_by_the_same_token_succeeds() {
    let guards: [Arc<dyn ReplayGuard>; 2] = [Arc::new(Table::default()), Arc::new(MemoryReplayGuard::new())];
    for guard in guards {
        let token = ClaimToken::new();
        assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::First);
        assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::First);
        guard.complete(&id()).await.unwrap();
        assert_eq!(guard.claim(&id(), &token).await.unwrap(), Claim::Handled);
    }
}

#[tokio::test]
async fn a_handled_event_that_cannot_be_completed_is_still_handled() {
    let (told, _guard) = Logs::capture();
    let guard = Broken { complete: true, ..Broken::default() };
    assert_eq!(handle(&guard, Ok(1)).await, (handled(1), true));
    assert_eq!(handle(&guard, Ok(2)).await, (IN_PROGRESS, false));
    insta::assert_snapshot!(told.take().join("\n"), @r#"
    WARN message=an event was handled, and could not be completed event.id=evt_1 error=the replay guard failed: the store is on fire
    DEBUG message=a webhook event was delivered event.id=evt_1 outcome="handled"
    DEBUG message=a webhook event was delivered event.id=evt_1 outcome="in progress"
    "#);
}

#[tokio::test]
async fn the_error_of_the_handler_is_returned_if_the_claim_cannot_be_released() {
    let (told, _guard) = Logs::capture();
    let guard = Broken { release: true, ..Broken::default() };
    assert_eq!(handle(&guard, Err("unlucky")).await, (failed("unlucky"), true));
    assert_eq!(handle(&guard, Ok(2)).await, (IN_PROGRESS, false));
    insta::assert_snapshot!(told.take().join("\n"), @r#"
    WARN message=an event could not be released; its claim has to expire event.id=evt_1 error=the replay guard failed: the store is on fire
    DEBUG message=a webhook event was delivered event.id=evt_1 outcome="the handler failed"
    DEBUG message=a webhook event was delivered event.id=evt_1 outcome="in progress"
    "#);
}

/// The texts of an error and its sources.
fn chain(error: &dyn Error) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

#[derive(Debug)]
struct Unreachable(std::io::Error);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no route to the store")
    }
}

impl Error for Unreachable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn the_chain_of_an_error_says_each_thing_once() {
    let unreachable = || Unreachable(std::io::Error::other("a cable is out"));
    let guard_failed = ["the replay guard failed: no route to the store", "a cable is out"];
    assert_eq!(chain(&GuardError::new(unreachable())), guard_failed);
    assert_eq!(chain(&OnceError::<Unreachable>::Guard(GuardError::new(unreachable()))), guard_failed);
    assert_eq!(chain(&GuardError::new("it is full")), ["the replay guard failed: it is full"]);

    let error = once(&MemoryReplayGuard::new(), &id(), ready(Err::<(), _>(unreachable()))).await.unwrap_err();
    assert_eq!(chain(&error), ["the event was not handled: no route to the store", "a cable is out"]);
}

/// A guard for a custom store.
#[derive(Default)]
struct Table(Mutex<(HashMap<EventId, ClaimToken>, HashSet<EventId>)>);

impl ReplayGuard for Table {
    fn claim<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, Claim> {
        Box::pin(async move {
            let (claimed, handled) = &mut *self.0.lock().unwrap();
            if handled.contains(event_id) {
                return Ok(Claim::Handled);
            }
            let holder = claimed.entry(event_id.clone()).or_insert_with(|| token.clone());
            Ok(if holder == token { Claim::First } else { Claim::InProgress })
        })
    }

    fn complete<'a>(&'a self, event_id: &'a EventId) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            self.0.lock().unwrap().1.insert(event_id.clone());
            Ok(())
        })
    }

    fn release<'a>(&'a self, event_id: &'a EventId, token: &'a ClaimToken) -> GuardFuture<'a, ()> {
        Box::pin(async move {
            let (claimed, _) = &mut *self.0.lock().unwrap();
            if claimed.get(event_id) == Some(token) {
                claimed.remove(event_id);
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_custom_guard_implements_three_operations() {
    let guards: [Arc<dyn ReplayGuard>; 2] = [Arc::new(Table::default()), Arc::new(MemoryReplayGuard::new())];
    for guard in guards {
        assert_eq!(handle(&*guard, Err("unlucky")).await, (failed("unlucky"), true));
        assert_eq!(handle(&*guard, Ok(1)).await, (handled(1), true));
        assert_eq!(handle(&*guard, Ok(2)).await, (DUPLICATE, false));
    }
}

#[tokio::test]
async fn first_time_is_true_once_for_every_guard() {
    let guards: [Arc<dyn ReplayGuard>; 2] = [Arc::new(Table::default()), Arc::new(MemoryReplayGuard::new())];
    for guard in guards {
        assert!(guard.first_time(&id()).await.unwrap());
        assert!(!guard.first_time(&id()).await.unwrap());
        assert_eq!(guard.claim(&id(), &ClaimToken::new()).await.unwrap(), Claim::Handled);
        // An event that is claimed is not new.
        let other = EventId::from("evt_2");
        assert_eq!(guard.claim(&other, &ClaimToken::new()).await.unwrap(), Claim::First);
        assert!(!guard.first_time(&other).await.unwrap());
    }
    for guard in [Broken { claim: true, ..Broken::default() }, Broken { complete: true, ..Broken::default() }] {
        assert!(guard.first_time(&id()).await.unwrap_err().to_string().ends_with("the store is on fire"));
    }
}

#[tokio::test]
async fn futures_that_are_not_polled_do_nothing() {
    let guard = MemoryReplayGuard::new();
    let (claimed, event_id, token) = (EventId::from("evt_0"), id(), ClaimToken::new());
    assert_eq!(guard.claim(&claimed, &token).await.unwrap(), Claim::First);
    drop(guard.claim(&event_id, &token));
    drop(guard.complete(&event_id));
    drop(guard.first_time(&event_id));
    drop(once(&guard, &event_id, ready(Ok::<_, &str>(1))));
    drop(guard.release(&claimed, &token));
    assert_eq!(guard.len(), 1);
    assert_eq!(guard.claim(&claimed, &ClaimToken::new()).await.unwrap(), Claim::InProgress);
    assert_eq!(handle(&guard, Ok(1)).await, (handled(1), true));
}

// As it is written in a receiver

#[tokio::test]
async fn handlers_may_borrow_the_event_and_be_spawned() {
    async fn note(event: &Event, log: &Mutex<Vec<EventId>>) -> Result<(), std::io::Error> {
        tokio::task::yield_now().await;
        log.lock().unwrap().push(event.id.clone());
        Ok(())
    }
    let log = Arc::new(Mutex::new(Vec::new()));
    let guard: Arc<dyn ReplayGuard> = Arc::new(MemoryReplayGuard::new());
    let receive = async |event: Event| {
        let (guard, log) = (Arc::clone(&guard), Arc::clone(&log));
        let task = tokio::spawn(async move {
            match once(&*guard, &event.id, note(&event, &log)).await {
                Ok(done) => done.status(),
                Err(error) => error.status(),
            }
        });
        task.await.unwrap()
    };
    let event = Event::parse_unverified(br#"{"id":"evt_1","type":"run.completed"}"#).unwrap();
    assert_eq!(receive(event.clone()).await, 204);
    assert_eq!(receive(event).await, 204);
    assert_eq!(*log.lock().unwrap(), ["evt_1"]);
}
