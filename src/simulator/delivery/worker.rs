//! The courier: a task in the background that brings deliveries to their targets.
//!
//! It wakes up when somebody rings, and on a clock that goes by itself when the next thing is due. Each target that has
//! deliveries waiting gets a task to serve it, one delivery after the other, so that none waits for another target's
//! receiver. All of these tasks are the courier's own: when it is aborted, they are too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::simulator::clock::sleepers::{ClockHandle, Held};
use crate::simulator::delivery::dispatcher::{Attempt, End};
use crate::simulator::delivery::queue::Target;
use crate::simulator::delivery::record::DeliveryOutcome;
use crate::simulator::delivery::sender;
use crate::simulator::server::service::Shared;

/// How many connections there may be at the same time. Each takes a file descriptor, and a test may well have as many
/// targets as it has runs.
const MOST_AT_ONCE: usize = 128;

/// How long every receiver is waited for in real time, however quickly the simulated time passes. A test that advances the
/// clock by a minute while a delivery is under way does not mean that its receiver hangs.
///
/// It is waited in naps, since the receiver often runs on the same runtime. When that is so busy that a second is nothing,
/// each nap takes as long as it takes everybody else to have their turn.
const NAPS: u32 = 20;
const NAP: Duration = Duration::from_millis(50);

/// Delivers, for as long as it is let.
pub(crate) async fn run(shared: Arc<Shared>) {
    let connections = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let mut servants = JoinSet::new();
    loop {
        let (targets, pause) = {
            let mut state = shared.lock();
            state.catch_up();
            let next = state.organization.agenda.next();
            (state.deliveries.lanes.take_unserved(), next.and_then(|next| state.time.until(next)))
        };
        for target in targets {
            servants.spawn(serve(Arc::clone(&shared), target, Arc::clone(&connections)));
        }
        // Those that have ended are forgotten.
        while servants.try_join_next().is_some() {}
        let rung = shared.bells.courier.notified();
        match pause {
            Some(pause) => drop(tokio::time::timeout(pause, rung).await),
            None => rung.await,
        }
    }
}

/// Sends what there is for a target, in its order.
async fn serve(shared: Arc<Shared>, target: Target, connections: Arc<Semaphore>) {
    // It is never closed.
    while let Ok(_connection) = connections.acquire().await {
        let next = shared.act(|state| state.deliveries.next(&target, &state.organization, &state.time));
        let Some(attempt) = next else { break };
        let end = send(&shared, &attempt, Held::new(&shared)).await;
        shared.act(|state| state.deliveries.conclude(attempt, end, &mut state.organization.agenda, &state.time));
    }
    shared.bells.served.notify_waiters();
}

/// A clock that advances by itself is held until the receiver has had its real time.
async fn send(shared: &Arc<Shared>, attempt: &Attempt, held: Held) -> End {
    let patience = async move {
        for _ in 0..NAPS {
            tokio::time::sleep(NAP).await;
        }
        drop(held);
        match attempt.deadline() {
            Some(deadline) => ClockHandle::new(shared, false).sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let (outcome, took) = tokio::select! {
        biased;
        answer = sender::post(&attempt.destination, &attempt.parcel) => match answer {
            Ok(status) => (DeliveryOutcome::Responded(status.as_u16()), Duration::ZERO),
            Err(reason) => (DeliveryOutcome::Failed(reason), Duration::ZERO),
        },
        () = patience => {
            (DeliveryOutcome::Failed(format!("no answer within {:?}", attempt.timeout)), attempt.timeout)
        }
    };
    End { outcome, took }
}
