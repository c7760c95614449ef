//! With deliveries, no wait is later than with polling at the fallback share: a table of set-ups.
//!
//! The figures are printed: `cargo test -p agentgate --lib follow::tests::deliveries -- --nocapture`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::model::{Lateness, Model, Planned, wait_for_all, wait_for_all_that_count};
use super::{in_simulated_time, seconds};
use crate::clock::Clock;
use crate::follow::{FollowState, Watcher};
use crate::types::RunStatus;
use crate::webhook::Event;

pub(super) const ENDS: &[&str] = &["run.completed", "run.failed", "run.cancelled"];

pub(super) fn end_of(run: &Planned) -> &'static str {
    match run.status {
        RunStatus::Succeeded => ENDS[0],
        RunStatus::Failed => ENDS[1],
        RunStatus::Cancelled => ENDS[2],
        _ => "run.no-such-event",
    }
}

pub(super) fn event(kind: &str, run: &Planned) -> Event {
    let data = json!({ "runId": run.id, "workOrderId": "wo_1" });
    Event::from_json(json!({ "id": "evt_1", "type": kind, "data": data })).unwrap()
}

/// Calls a function at a time.
pub(super) fn at(model: &Model, time: Duration, action: impl FnOnce() + Send + 'static) {
    let clock = model.clock;
    tokio::spawn(async move {
        clock.sleep(time.saturating_sub(clock.monotonic())).await;
        action();
    });
}

pub(super) fn notify_at(model: &Model, watcher: &Watcher, moment: Duration, event: Event) {
    let watcher = watcher.clone();
    at(model, moment, move || watcher.notify(&event));
}

/// Delivers the starts and ends of runs to random processes, some of them twice, late or not at all.
pub(super) fn deliver_by_chance(model: &Model, watchers: &[Watcher], random: &mut fastrand::Rng) {
    let lost = random.u8(0..4);
    for run in model.runs() {
        for _ in 0..random.u8(1..3) {
            let late = if random.u8(0..4) == 0 { seconds(random.u64(0..60)) } else { Duration::ZERO };
            let watcher = &watchers[random.usize(0..watchers.len())];
            if random.u8(0..4) >= lost {
                notify_at(model, watcher, run.starts + late, event("run.started", &run));
                notify_at(model, watcher, run.ends + late, event(end_of(&run), &run));
            }
        }
    }
}

/// Delivers events of these types until a time, to the processes in turn.
fn deliver(model: &Model, watchers: &[Watcher], kinds: &[&str], until: Duration) {
    let mut events: Vec<_> = model
        .runs()
        .iter()
        .flat_map(|run| [(run.starts, "run.started", run.clone()), (run.ends, end_of(run), run.clone())])
        .collect();
    events.retain(|(at, kind, _)| kinds.contains(kind) && *at < until);
    events.sort_by_key(|(at, ..)| *at);
    for (index, (at, kind, run)) in events.into_iter().enumerate() {
        notify_at(model, &watchers[index % watchers.len()], at, event(kind, &run));
    }
}

/// Fifty runs, ten at a time. Every fifth is cancelled.
fn service() -> Model {
    let plans = Model::with_lanes(10, 50, &mut fastrand::Rng::with_seed(7)).runs();
    let model = Model::new();
    for (index, plan) in plans.into_iter().enumerate() {
        let status = if index % 5 == 0 { RunStatus::Cancelled } else { plan.status.clone() };
        model.submit(Planned { status, ..plan });
    }
    model
}

struct Setup {
    name: &'static str,
    processes: usize,
    kinds: &'static [&'static str],
    /// The same client cancels the cancelled runs.
    cancels: bool,
    /// The time of a graceful shutdown, in seconds.
    stops: Option<u64>,
}

const SETUP: Setup = Setup { name: "", processes: 1, kinds: ENDS, cancels: false, stops: None };

const SETUPS: [Setup; 8] = [
    Setup { name: "one process, all three ends", ..SETUP },
    Setup { name: "two processes", processes: 2, ..SETUP },
    Setup { name: "four processes", processes: 4, ..SETUP },
    Setup { name: "run.started alone", kinds: &["run.started"], ..SETUP },
    Setup { name: "run.completed alone", kinds: &["run.completed"], ..SETUP },
    Setup { name: "completed and failed, cancelled by others", kinds: &["run.completed", "run.failed"], ..SETUP },
    Setup {
        name: "completed and failed, cancelled here",
        kinds: &["run.completed", "run.failed"],
        cancels: true,
        ..SETUP
    },
    Setup { name: "graceful shutdown, the runs that are left", stops: Some(1_200), ..SETUP },
];

async fn try_setup(setup: &Setup) -> Lateness {
    let model = service();
    let clients: Vec<(Watcher, Arc<FollowState>)> = (0..setup.processes).map(|_| model.client()).collect();
    let watchers: Vec<_> = clients.iter().map(|(watcher, _)| watcher.clone()).collect();
    let until = setup.stops.map_or(Duration::MAX, seconds);
    deliver(&model, &watchers, setup.kinds, until);
    if let Some(stops) = setup.stops {
        let watcher = watchers[0].clone();
        at(&model, seconds(stops), move || watcher.deliveries_stopped());
    }
    let cancelled = model.runs().into_iter().filter(|run| setup.cancels && run.status == RunStatus::Cancelled);
    for run in cancelled {
        let follow = Arc::clone(&clients[0].1);
        at(&model, run.ends, move || follow.apply_status(&run.id, &run.status));
    }
    let from = setup.stops.map_or(Duration::ZERO, seconds);
    wait_for_all_that_count(&model, &watchers, |run| run.ends >= from).await
}

fn print(name: &str, late: &Lateness) {
    let [median, most, last] = [50, 90, 100].map(|hundredths| late.part(hundredths).as_secs_f64());
    println!("{name:<45} {median:>6.1}s {most:>6.1}s {last:>6.1}s");
}

#[test]
fn no_set_up_with_deliveries_is_later_than_polling_at_the_fallback_share() {
    println!("{:<45} {:>7} {:>7} {:>7}", "", "median", "90 %", "most");
    let polling = |share: f64| {
        in_simulated_time(async move {
            let model = service();
            wait_for_all(&model, &[model.watcher().share(share)]).await
        })
    };
    let fallback = polling(0.05);
    print("polling at a share of 5 %", &fallback);
    print("polling at a share of 25 %", &polling(0.25));
    for setup in &SETUPS {
        let late = in_simulated_time(try_setup(setup));
        print(setup.name, &late);
        for hundredths in [50, 90, 100] {
            assert!(late.part(hundredths) <= fallback.part(hundredths), "{}: {hundredths} %", setup.name);
        }
    }
}

#[test]
fn ten_thousand_waits_with_deliveries_end_at_once_and_take_five_requests_a_minute() {
    in_simulated_time(async {
        let model = Model::with_lanes(100, 10_000, &mut fastrand::Rng::with_seed(7));
        let watcher = model.watcher();
        deliver(&model, std::slice::from_ref(&watcher), ENDS, Duration::MAX);
        let late = wait_for_all(&model, &[watcher]).await;
        let each_minute = model.requests_a_minute();
        let last_percent = late.part(99);
        println!("100 / 10000 with deliveries: {each_minute:.1} requests a minute, {last_percent:?} late");
        assert!(last_percent < seconds(1) && each_minute <= 5.0);
    });
}
