//! The task that advances the clock for its sleepers.
//!
//! A manual clock advances when nothing but sleeps is pending: to the end of the first sleep, or to the next event if
//! that comes before. Everything that these cause is completed before the clock advances again.
//!
//! No request, delivery or [`Hold`](crate::simulator::clock::sleepers::Hold) may be pending. Work between two of them
//! is registered nowhere: a response has arrived, and its receiver has not run yet. So the task waits until nothing has
//! happened while all other tasks had their turn. Only on a current-thread runtime is that certain. If several threads
//! use the clock, nothing may happen for some milliseconds.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::simulator::clock::handle::SharedClock;
use crate::simulator::clock::sleepers::Overview;
use crate::simulator::clock::time::since;
use crate::simulator::delivery::state::SharedState;

/// Number of yields to the other tasks. Each wakes the next receiver in a chain of them.
const YIELDS: u32 = 128;

/// Number of delays in place of yields, if other threads use the clock, and the length of each.
const DELAYS: u32 = 10;
const DELAY: Duration = Duration::from_millis(1);

/// Advances the clock for as long as it is used. A client may outlive its simulator, and its delays have to end.
pub(crate) async fn run(clock: Weak<SharedClock>, state: Weak<SharedState>) {
    let Some(sleepers) = clock.upgrade().map(|clock| Arc::clone(&clock.sleepers)) else { return };
    while let Some(clock) = clock.upgrade() {
        let changed = sleepers.changed.notified();
        let Overview { first, may_advance, changes } = sleepers.overview();
        // The real time to the end of the first sleep. `None` if only an advance ends it, or nothing sleeps.
        match first.and_then(|first| clock.time.real_time_until(first)) {
            Some(Duration::ZERO) => sleepers.wake(clock.time.now()),
            Some(delay) => {
                drop(clock);
                let _ = tokio::time::timeout(delay, changed).await;
            }
            None if may_advance => {
                if stays_idle(&clock, &state, changes).await {
                    advance(&clock, &state);
                }
            }
            None => {
                drop(clock);
                changed.await;
            }
        }
    }
}

/// Lets the rest of the program run. Returns `false` if something has happened.
async fn stays_idle(clock: &SharedClock, state: &Weak<SharedState>, changes: u64) -> bool {
    let is_single = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let is_alone = is_single && !clock.sleepers.has_other_threads();
    for _ in 0..if is_alone { YIELDS } else { DELAYS } {
        if is_alone {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(DELAY).await;
        }
        let overview = clock.sleepers.overview();
        let has_deliveries = state.upgrade().is_some_and(|state| state.lock().deliveries.queue.has_unserved());
        if !overview.may_advance || overview.changes != changes || has_deliveries {
            return false;
        }
    }
    true
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
