//! The task that advances the clock for its sleepers.
//!
//! A manual clock advances when nothing but sleeps is pending: to the end of the first sleep, or to the next event if
//! that comes before. Everything that these cause is completed before the clock advances again.
//!
//! No request, delivery or [`Hold`](crate::simulator::clock::sleepers::Hold) may be pending. Work between two of them
//! is registered nowhere: a response has arrived, and its receiver has not run yet. So the task waits until the program
//! is idle. On a single-threaded runtime, it yields to all other tasks many times. With several threads, all of them
//! have to be parked for a few milliseconds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::simulator::clock::handle::SharedClock;
use crate::simulator::clock::time::since;
use crate::simulator::delivery::state::SharedState;

/// Number of yields to the other tasks. Each wakes the next receiver in a chain of them.
const YIELDS: u32 = 128;

/// Number of consecutive checks that have to find all threads parked, and the delay before each.
const CHECKS: u32 = 4;
const CHECK_DELAY: Duration = Duration::from_millis(1);

/// After this many checks, a thread that is not parked has nothing to do with the clock.
const MAX_CHECKS: u32 = 100;

/// Advances the clock for as long as it is used. A client may outlive its simulator, and its delays have to end.
pub(crate) async fn run(clock: Weak<SharedClock>, state: Weak<SharedState>) {
    let Some(sleepers) = clock.upgrade().map(|clock| Arc::clone(&clock.sleepers)) else { return };
    while let Some(clock) = clock.upgrade() {
        let changed = sleepers.changed.notified();
        match next(&clock) {
            Next::Wake(now) => sleepers.wake(now),
            Next::After(delay) => {
                drop(clock);
                let _ = tokio::time::timeout(delay, changed).await;
            }
            Next::Never => {
                drop(clock);
                changed.await;
            }
            Next::Idle(changes) => {
                if is_idle(&clock, &state, changes).await {
                    advance(&clock, &state);
                }
            }
        }
    }
}

/// The next step of the task.
enum Next {
    /// A sleep is over.
    Wake(DateTime<Utc>),
    /// The first sleep ends after this much real time.
    After(Duration),
    /// The clock may advance if nothing happens after this number of changes.
    Idle(u64),
    /// Only something else can advance the clock.
    Never,
}

fn next(clock: &SharedClock) -> Next {
    let overview = clock.sleepers.overview();
    let Some(first) = overview.first else { return Next::Never };
    match clock.time.real_time_until(first) {
        Some(Duration::ZERO) => Next::Wake(clock.time.now()),
        Some(delay) => Next::After(delay),
        None if overview.may_advance => Next::Idle(overview.changes),
        None => Next::Never,
    }
}

/// Waits until the program is idle. Returns `false` if something has happened.
async fn is_idle(clock: &SharedClock, state: &Weak<SharedState>, changes: u64) -> bool {
    let is_unchanged = || {
        let overview = clock.sleepers.overview();
        let has_deliveries = state.upgrade().is_some_and(|state| state.lock().deliveries.queue.has_unserved());
        overview.may_advance && overview.changes == changes && !has_deliveries
    };
    let runtime = Handle::current();
    if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread && !clock.sleepers.has_other_threads() {
        for _ in 0..YIELDS {
            tokio::task::yield_now().await;
            if !is_unchanged() {
                return false;
            }
        }
        return true;
    }
    let others = clock.sleepers.other_runtimes(runtime.id());
    let mut parked = 0;
    for _ in 0..MAX_CHECKS {
        tokio::time::sleep(CHECK_DELAY).await;
        if !is_unchanged() {
            return false;
        }
        // This task runs on a thread of its own runtime.
        let is_parked = running_threads(&runtime) <= 1 && others.iter().all(|other| running_threads(other) == 0);
        parked = if is_parked { parked + 1 } else { 0 };
        if parked == CHECKS {
            return true;
        }
    }
    // A thread is blocked, or a runtime has been shut down.
    clock.sleepers.forget_runtimes();
    true
}

/// Returns the number of threads of a runtime that have something to do.
fn running_threads(runtime: &Handle) -> usize {
    let metrics = runtime.metrics();
    #[cfg(target_has_atomic = "64")]
    // The count of a running thread is even.
    let running =
        (0..metrics.num_workers()).filter(|worker| metrics.worker_park_unpark_count(*worker).is_multiple_of(2)).count();
    #[cfg(not(target_has_atomic = "64"))]
    let running = 0;
    running + metrics.global_queue_depth()
}

/// Advances the clock to the end of the first sleep, or to an event before that.
fn advance(clock: &SharedClock, state: &Weak<SharedState>) {
    let Some(first) = clock.sleepers.overview().first else { return };
    let advance_to = |time| clock.time.advance(since(clock.time.now(), time));
    match state.upgrade() {
        Some(state) => state.act(|state, _| advance_to(state.schedule.next().map_or(first, |event| event.min(first)))),
        None => advance_to(first),
    }
    clock.sleepers.wake(clock.time.now());
}
