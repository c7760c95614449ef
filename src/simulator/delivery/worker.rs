//! The task that sends deliveries.
//!
//! It wakes after each change of the state, and on a scaled clock when the next event is due. Each receiver has a task
//! of its own, which sends one delivery after the other, so that no receiver delays another. When the worker is
//! aborted, these tasks are, too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::simulator::clock::handle::ClockHandle;
use crate::simulator::clock::sleepers::Hold;
use crate::simulator::delivery::dispatcher::Attempt;
use crate::simulator::delivery::queue::Target;
use crate::simulator::delivery::record::DeliveryOutcome;
use crate::simulator::delivery::sender;
use crate::simulator::delivery::state::SharedState;

/// Maximum number of connections. Each takes a file descriptor, and each run of a test may have its own receiver.
const MAX_CONNECTIONS: usize = 128;

/// The real time that every receiver has, however far the clock is advanced. A test that advances the clock by a minute
/// during a delivery does not mean that its receiver hangs.
///
/// It is divided into short sleeps because the receiver often runs on the same runtime: if that is so busy that a
/// second passes in one turn, each sleep still lets all other tasks run.
const GRACE_SLEEPS: u32 = 20;
const GRACE_SLEEP: Duration = Duration::from_millis(50);

pub(crate) async fn run(shared: Arc<SharedState>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut targets = JoinSet::new();
    loop {
        let (unserved, delay) = {
            let mut state = shared.lock();
            state.dispatch_due(shared.clock.time.now());
            let next = state.schedule.next();
            (state.deliveries.queue.take_unserved(), next.and_then(|next| shared.clock.time.real_time_until(next)))
        };
        for target in unserved {
            targets.spawn(serve(Arc::clone(&shared), target, Arc::clone(&connections)));
        }
        while targets.try_join_next().is_some() {}
        let changed = shared.worker.notified();
        match delay {
            Some(delay) => drop(tokio::time::timeout(delay, changed).await),
            None => changed.await,
        }
    }
}

/// Sends the deliveries to a target in their order.
async fn serve(shared: Arc<SharedState>, target: Target, connections: Arc<Semaphore>) {
    // The semaphore is never closed.
    while let Ok(_connection) = connections.acquire().await {
        let time = &shared.clock.time;
        let next = shared.act(|state, _| state.deliveries.next(&target, &state.organization, time));
        let Some(attempt) = next else { break };
        let (outcome, duration) = send(&shared, &attempt).await;
        shared.act(|state, _| state.deliveries.complete(attempt, outcome, duration, &mut state.schedule, time));
    }
    shared.delivered.notify_waiters();
}

/// Sends a delivery. Returns its outcome, and how long it took on a manual clock.
///
/// The clock does not advance by itself before the receiver has had its real time.
async fn send(shared: &SharedState, attempt: &Attempt) -> (DeliveryOutcome, Duration) {
    let hold = Hold::new(&shared.clock.sleepers);
    let timeout = async move {
        for _ in 0..GRACE_SLEEPS {
            tokio::time::sleep(GRACE_SLEEP).await;
        }
        drop(hold);
        ClockHandle::new(&shared.clock, false).sleep_until(attempt.deadline()).await;
    };
    tokio::select! {
        biased;
        result = sender::post(&attempt.destination, &attempt.request) => match result {
            Ok(status) => (DeliveryOutcome::Responded(status.as_u16()), Duration::ZERO),
            Err(reason) => (DeliveryOutcome::Failed(reason), Duration::ZERO),
        },
        () = timeout => {
            (DeliveryOutcome::Failed(format!("no response within {:?}", attempt.timeout)), attempt.timeout)
        }
    }
}
