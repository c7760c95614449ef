//! A clock on which every wait is over at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use agentgate::Clock;
use agentgate::chrono::{DateTime, Utc};

/// Time passes by waiting alone, and then at once. Other tasks have their turn in between.
#[derive(Debug)]
pub struct InstantClock(Mutex<DateTime<Utc>>);

impl Default for InstantClock {
    fn default() -> Self {
        // The moment at which a simulator's clock stands.
        Self(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap()))
    }
}

impl Clock for InstantClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        *self.0.lock().unwrap() += duration;
        Box::pin(tokio::task::yield_now())
    }
}
