//! A clock on which every sleep ends at once, and a clock with an offset.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
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
