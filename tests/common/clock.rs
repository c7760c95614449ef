//! A clock on which every sleep ends at once, one that a test advances, and one with an offset.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use agentgate::Clock;
use agentgate::chrono::{DateTime, TimeDelta, Utc};

/// A clock that only sleeps advance, and at once. A sleep yields to other tasks. It records the sleeps.
#[derive(Clone, Debug, Default)]
pub struct InstantClock(Arc<Mutex<Sleeps>>);

#[derive(Debug, Default)]
struct Sleeps {
    each: Vec<Duration>,
    total: Duration,
}

impl InstantClock {
    /// Returns every sleep so far.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().each.clone()
    }
}

impl Clock for InstantClock {
    fn now(&self) -> DateTime<Utc> {
        // The start of a simulator's clock.
        const START: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        START + self.0.lock().unwrap().total
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut sleeps = self.0.lock().unwrap();
        sleeps.each.push(duration);
        sleeps.total += duration;
        Box::pin(tokio::task::yield_now())
    }
}

/// A clock with an offset to another clock.
#[derive(Clone, Debug)]
pub struct WrongClock<C>(pub C, pub TimeDelta);

impl<C: Clock> Clock for WrongClock<C> {
    fn now(&self) -> DateTime<Utc> {
        self.0.now() + self.1
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep(duration)
    }

    fn hold(&self) -> Option<Box<dyn Send + Sync>> {
        self.0.hold()
    }
}

/// A clock that stands still until a test advances it. It can be used on several runtimes.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Mutex<Sleepers>>);

#[derive(Debug, Default)]
struct Sleepers {
    now: Duration,
    asleep: Vec<(Duration, Waker)>,
}

impl ManualClock {
    /// Advances the time, and wakes the sleepers whose time has come, even if the waker of one panics.
    pub fn advance(&self, by: Duration) {
        let mut sleepers = self.0.lock().unwrap();
        sleepers.now += by;
        let now = sleepers.now;
        let awake: Vec<_> = sleepers.asleep.extract_if(.., |(end, _)| *end <= now).collect();
        drop(sleepers);
        for (_, waker) in awake {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap() + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (clock, end) = (self.clone(), self.monotonic() + duration);
        Box::pin(poll_fn(move |context| {
            let waker = context.waker().clone();
            let mut sleepers = clock.0.lock().unwrap();
            if sleepers.now >= end {
                return Poll::Ready(());
            }
            sleepers.asleep.push((end, waker));
            Poll::Pending
        }))
    }
}
