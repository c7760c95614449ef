//! The task that moves the clock for those who sleep on it.
//!
//! On a clock that stands still, time passes when nothing but sleeps is pending, and then to the end of the first sleep, or to the
//! next event if that comes before. Whatever these set off has run its course before time passes again.
//!
//! No request, delivery or [`Held`](crate::simulator::clock::sleepers::Held) may be under way. What goes on between two of them is not registered
//! anywhere: a response has arrived, and its receiver has not run yet. So the task waits until nothing happens any more. On a runtime
//! with one thread, that is when everybody else had many turns. With several threads, it is when all of them have been parked for a few
//! milliseconds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::simulator::clock::sleepers::Sleepers;
use crate::simulator::clock::time::since;
use crate::simulator::server::service::Shared;

/// Turns of the runtime. Each wakes the next receiver in a chain of them.
const TURNS: u32 = 128;

/// How often in a row all threads have to be found parked, with this pause before each look.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1);

/// After so many looks, a thread that is not parked has nothing to do with what is waited for.
const MAX_LOOKS: u32 = 100;

/// Moves the clock for as long as anybody has it. A client may outlive its simulator, and its delays have to end.
pub(crate) async fn run(shared: Weak<Shared>, sleepers: Arc<Sleepers>) {
    while let Some(shared) = shared.upgrade() {
        let changed = sleepers.changed.notified();
        match next(&shared) {
            Next::Wake(now) => sleepers.wake(now),
            Next::After(pause) => {
                drop(shared);
                let _ = tokio::time::timeout(pause, changed).await;
            }
            Next::Never => {
                drop(shared);
                changed.await;
            }
            Next::Quiet(changes) => {
                if is_quiet(&shared, changes).await {
                    advance(&shared);
                }
            }
        }
    }
}

/// What the task waits for.
enum Next {
    Wake(DateTime<Utc>),
    /// The first sleep ends after this much real time.
    After(Duration),
    /// Nothing happens any more since this many changes.
    Quiet(u64),
    /// Only somebody else can move the clock.
    Never,
}

fn next(shared: &Shared) -> Next {
    let overview = shared.sleepers.overview();
    let Some(first) = overview.first else { return Next::Never };
    let state = shared.lock();
    match state.time.until(first) {
        Some(Duration::ZERO) => Next::Wake(state.time.now()),
        Some(pause) => Next::After(pause),
        None if overview.may_advance => Next::Quiet(overview.changes + state.seen()),
        None => Next::Never,
    }
}

/// Waits until nothing happens any more. Returns `false` if something has happened.
async fn is_quiet(shared: &Shared, changes: u64) -> bool {
    let is_unchanged = || {
        let overview = shared.sleepers.overview();
        let state = shared.lock();
        let has_deliveries = state.deliveries.lanes.has_unserved();
        overview.may_advance && !has_deliveries && overview.changes + state.seen() == changes
    };
    let runtime = Handle::current();
    if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread && !shared.sleepers.has_other_threads() {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            if !is_unchanged() {
                return false;
            }
        }
        return true;
    }
    let others = shared.sleepers.other_runtimes(runtime.id());
    let mut parked = 0;
    for _ in 0..MAX_LOOKS {
        tokio::time::sleep(PAUSE).await;
        if !is_unchanged() {
            return false;
        }
        // This task runs on a thread of its own runtime.
        let is_parked = running_threads(&runtime) <= 1 && others.iter().all(|other| running_threads(other) == 0);
        parked = if is_parked { parked + 1 } else { 0 };
        if parked == LOOKS {
            return true;
        }
    }
    // Somebody blocks a thread, or a runtime has been shut down.
    shared.sleepers.forget_runtimes();
    true
}

/// How many threads of a runtime have something to do.
fn running_threads(runtime: &Handle) -> usize {
    let metrics = runtime.metrics();
    #[cfg(target_has_atomic = "64")]
    // A count that is even is that of a thread that runs.
    let running =
        (0..metrics.num_workers()).filter(|worker| metrics.worker_park_unpark_count(*worker).is_multiple_of(2)).count();
    #[cfg(not(target_has_atomic = "64"))]
    let running = 0;
    running + metrics.global_queue_depth()
}

/// Moves the clock to what comes next: the end of the first sleep, or an event.
fn advance(shared: &Shared) {
    let Some(first) = shared.sleepers.overview().first else { return };
    let now = shared.act(|state| {
        let next = state.organization.agenda.next().map_or(first, |event| event.min(first));
        state.time.advance(since(state.time.now(), next));
        state.time.now()
    });
    shared.sleepers.wake(now);
}
