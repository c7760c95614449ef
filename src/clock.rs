//! Time, as the client sees it. Tests hand over a clock of their own and wait for nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// What tells the client the time, and lets it wait between attempts.
///
/// The default is the system's clock and tokio's timer. A test hands over its own with
/// [`ClientBuilder::clock`](crate::ClientBuilder::clock), so that it need not wait:
///
/// ```
/// use std::{future::Future, pin::Pin, sync::Mutex, time::Duration};
///
/// use chrono::{DateTime, Utc};
///
/// /// Time passes only when somebody waits for it to.
/// #[derive(Debug)]
/// struct TestClock(Mutex<DateTime<Utc>>);
///
/// impl agentgate::Clock for TestClock {
///     fn now(&self) -> DateTime<Utc> {
///         *self.0.lock().unwrap()
///     }
///
///     fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
///         *self.0.lock().unwrap() += duration;
///         Box::pin(async {})
///     }
/// }
/// ```
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// The time since some fixed moment, for measuring: it never goes backwards. By default it is derived from
    /// [`now`](Self::now), which suits a test's clock.
    fn monotonic(&self) -> Duration {
        let since_epoch = self.now().signed_duration_since(DateTime::UNIX_EPOCH);
        since_epoch.to_std().unwrap_or_default()
    }

    /// Waits this long. When it ends, [`now`](Self::now) has moved on by as much.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The system's clock and tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
