//! The simulated time as a clock for clients.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::Clock;
use crate::simulator::clock::sleepers::{Hold, Key, Sleepers};
use crate::simulator::clock::time::{Time, checked_later};

/// The time and the sleeps of a simulator.
#[derive(Debug)]
pub(crate) struct SharedClock {
    pub(crate) time: Time,
    pub(crate) sleepers: Arc<Sleepers>,
}

impl Drop for SharedClock {
    fn drop(&mut self) {
        // Ends the task that advances the clock.
        self.sleepers.changed.notify_one();
    }
}

/// A handle to the simulator's clock, for clients. Returned by
/// [`Simulator::clock`](crate::simulator::Simulator::clock).
///
/// Clones share the same time. A handle may be used after the simulator has been dropped.
#[derive(Clone)]
pub struct ClockHandle {
    clock: Arc<SharedClock>,
    auto_advance: bool,
}

impl ClockHandle {
    pub(crate) fn new(clock: &Arc<SharedClock>, auto_advance: bool) -> Self {
        Self { clock: Arc::clone(clock), auto_advance }
    }

    /// Sets whether sleeps on this handle let the clock advance by itself. If not, they end only when the clock is
    /// advanced by [`Simulator::advance`](crate::simulator::Simulator::advance) or by a sleep on another handle.
    /// Defaults to `true`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use agentgate::Clock;
    /// use agentgate::simulator::Simulator;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let simulator = Simulator::start().await?;
    /// let sleep = tokio::spawn(simulator.clock().auto_advance(false).sleep(Duration::from_secs(90)));
    ///
    /// // The test lets a minute pass, and then another.
    /// simulator.clock().sleep(Duration::from_secs(60)).await;
    /// assert!(!sleep.is_finished());
    /// simulator.clock().sleep(Duration::from_secs(60)).await;
    /// assert!(sleep.is_finished());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn auto_advance(mut self, auto_advance: bool) -> Self {
        self.auto_advance = auto_advance;
        self
    }

    /// Sleeps until this time; for ever if it is `None`.
    pub(crate) async fn sleep_until(self, time: Option<DateTime<Utc>>) {
        match time {
            Some(time) => {
                let key = (time, self.clock.sleepers.next_id());
                Sleep { clock: self, key }.await;
            }
            None => std::future::pending().await,
        }
    }
}

impl Clock for ClockHandle {
    fn now(&self) -> DateTime<Utc> {
        self.clock.time.now()
    }

    /// Sleeps for this long in simulated time. A sleep that would end after the year 9999 never ends.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.clone().sleep_until(checked_later(self.now(), duration)))
    }

    fn hold(&self) -> Option<Box<dyn Send + Sync>> {
        Some(Box::new(Hold::new(&self.clock.sleepers)))
    }
}

impl fmt::Debug for ClockHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auto_advance = self.auto_advance;
        f.debug_struct("ClockHandle")
            .field("now", &self.now())
            .field("auto_advance", &auto_advance)
            .finish_non_exhaustive()
    }
}

struct Sleep {
    clock: ClockHandle,
    key: Key,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let SharedClock { time, sleepers } = &*self.clock.clock;
        let is_over = || time.now() >= self.key.0;
        if !is_over() {
            sleepers.register(self.key, context.waker(), self.clock.auto_advance);
            // The clock may have been advanced before the sleep was registered.
            if !is_over() {
                return Poll::Pending;
            }
        }
        sleepers.remove(self.key);
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.clock.sleepers.remove(self.key);
    }
}
