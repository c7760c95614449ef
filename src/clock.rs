//! [`Clock`], the source of time and delays. Tests inject their own.

use std::future::Future;
use std::pin::Pin;
#[cfg(feature = "client")]
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};

#[cfg(feature = "client")]
use crate::platform::{self, Instant};

/// The clock of a client: the source of the time, and of the delays between attempts and polls.
///
/// The default is the system's clock and tokio's timer. A test sets another with `ClientBuilder::clock`, so that it
/// need not wait:
///
/// - `Simulator::clock`, for tests against the simulator;
/// - `test_util::TokioClock`, for tests without a server, on tokio's paused time.
///
/// A custom clock must end each sleep when its time has come, and not before: the time-out and the polls of a wait use
/// the same clock, and the earlier has to end first. Tokio's paused time does that. A minimal version of `TokioClock`:
///
/// ```
/// use std::{future::Future, pin::Pin, time::Duration};
///
/// use agentgate::chrono::{DateTime, Utc};
/// use tokio::time::Instant;
///
/// #[derive(Debug)]
/// struct PausedClock(Instant);
///
/// impl agentgate::Clock for PausedClock {
///     fn now(&self) -> DateTime<Utc> {
///         DateTime::UNIX_EPOCH + self.0.elapsed()
///     }
///
///     fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
///         Box::pin(tokio::time::sleep(duration))
///     }
/// }
/// ```
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// Returns the current time.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the time since some fixed moment, for measuring: it never goes backwards. By default it is derived from
    /// [`now`](Self::now), which suits a test's clock.
    fn monotonic(&self) -> Duration {
        let since_epoch = self.now().signed_duration_since(DateTime::UNIX_EPOCH);
        since_epoch.to_std().unwrap_or_default()
    }

    /// Sleeps for the duration. When it ends, [`now`](Self::now) has moved on by as much.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Keeps a clock that advances by itself from doing so until the returned value is dropped. The client holds the
    /// clock while a request is under way. Defaults to nothing, which suits a clock that does not advance by itself.
    fn hold(&self) -> Option<Box<dyn Send + Sync>> {
        None
    }
}

/// The system's clock and tokio's timer; in a JavaScript host, those of the host.
#[cfg(feature = "client")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

#[cfg(feature = "client")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(platform::sleep(duration))
    }
}
