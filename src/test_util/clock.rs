//! Tokio's time as the clock of a client.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::Clock;

/// The first moment, 2026-01-01T00:00:00Z, as on the simulator's clock.
const START: i64 = 1_767_225_600;

/// A clock that follows tokio's time, which a test can pause with `#[tokio::test(start_paused = true)]` (tokio's
/// feature `test-util`). It starts at 2026-01-01T00:00:00Z.
///
/// Paused, tokio's time advances by itself when nothing but sleeps is pending. This suits tests that use no network,
/// such as those with a [`Replay`](super::Replay). With a network, paused time would advance while a response is in
/// transit. With the simulator, use its own clock.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock(Instant);

impl TokioClock {
    /// Starts a clock.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> DateTime<Utc> {
        let start = DateTime::from_timestamp(START, 0).unwrap_or(DateTime::UNIX_EPOCH);
        TimeDelta::from_std(self.0.elapsed())
            .ok()
            .and_then(|passed| start.checked_add_signed(passed))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
