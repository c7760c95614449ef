//! A failure of one run or of lists delays no other wait.

use std::future::IntoFuture;
use std::time::Duration;

use super::model::{Lists, Model, Planned, failure, foreign, undecodable, wait_for_all};
use super::{in_simulated_time, seconds};
use crate::clock::Clock;
use crate::types::{RunId, RunStatus};
use crate::{Error, ErrorKind, Operation};

const BROKEN: &str = "run_broken";

fn failures() -> Vec<(&'static str, Error)> {
    vec![
        ("500", failure(500)),
        ("503 for a quarter of an hour", failure(503).with_retry_after(Some(seconds(900)))),
        ("429 for a quarter of an hour", failure(429).with_retry_after(Some(seconds(900)))),
        ("301", failure(301)),
        ("404", failure(404)),
        ("405", failure(405)),
        ("HTML", undecodable("<html>")),
        ("JSON that is no run", undecodable("{}")),
    ]
}

/// A service with this number of runs, which all run at once.
fn service(runs: usize) -> Model {
    Model::with_lanes(runs, runs, &mut fastrand::Rng::with_seed(7))
}

fn planned(id: &str, ends: u64, status: &str) -> Planned {
    Planned { id: id.into(), starts: Duration::ZERO, ends: seconds(ends), status: RunStatus::from(status) }
}

#[test]
fn a_run_that_cannot_be_fetched_delays_no_other() {
    for (name, error) in failures() {
        in_simulated_time(async {
            let model = service(20);
            let watcher = model.watcher();
            let broken = tokio::spawn(watcher.wait(BROKEN).into_future());
            model.set_fault(move |_, id, _| id.is_some_and(|id| id.as_str() == BROKEN).then(|| error.clone()));
            let late = wait_for_all(&model, &[watcher]).await;
            assert!(late.part(100) < seconds(15), "{name}: {:?} late", late.part(100));
            broken.abort();
        });
    }
}

#[test]
fn a_run_whose_fetch_hangs_delays_no_other() {
    in_simulated_time(async {
        let model = service(20);
        let watcher = model.watcher();
        let broken = tokio::spawn(watcher.wait(BROKEN).into_future());
        model.set_hanging(Some(BROKEN.into()));
        let late = wait_for_all(&model, &[watcher]).await;
        assert!(late.part(100) < seconds(15), "{:?} late", late.part(100));
        broken.abort();
    });
}

#[test]
fn waits_end_without_lists() {
    for (name, error) in failures().into_iter().chain([("403", failure(403))]) {
        in_simulated_time(async {
            let model = service(10);
            model.set_fault(move |operation, _, _| (operation == Operation::LIST_RUNS).then(|| error.clone()));
            let late = wait_for_all(&model, &[model.watcher()]).await;
            assert!(late.part(100) < seconds(60), "{name}: {:?} late", late.part(100));
            let lists = model.count(Operation::LIST_RUNS);
            assert!(lists < 20, "{name}: {lists} lists");
        });
    }
}

#[test]
fn lists_are_used_again_when_they_work_again() {
    in_simulated_time(async {
        let model = service(50);
        model.set_fault(|operation, _, now| {
            (operation == Operation::LIST_RUNS && now < seconds(100)).then(|| undecodable("<html>"))
        });
        let late = wait_for_all(&model, &[model.watcher()]).await;
        assert!(late.part(100) < seconds(60), "{:?} late", late.part(100));
    });
}

#[test]
fn lists_that_lag_delay_waits_by_minutes_at_most() {
    in_simulated_time(async {
        let model = service(50);
        model.set_lists(Lists { lag: seconds(1_000_000), ..Lists::default() });
        let late = wait_for_all(&model, &[model.watcher()]).await;
        assert!(late.part(100) < seconds(10 * 60), "{:?} late", late.part(100));
    });
}

#[test]
fn lists_that_omit_runs_delay_waits_by_minutes_at_most() {
    in_simulated_time(async {
        let model = service(50);
        model.set_lists(Lists { skips: 2, ..Lists::default() });
        let late = wait_for_all(&model, &[model.watcher()]).await;
        assert!(late.part(100) < seconds(3 * 60), "{:?} late", late.part(100));
    });
}

#[test]
fn responses_of_another_end_a_wait_after_a_quarter_of_an_hour_with_the_last_failure() {
    for (name, error, kind) in [
        ("301", failure(301), ErrorKind::UnexpectedStatus),
        ("401 without an error of the service", foreign(401), ErrorKind::UnexpectedStatus),
        ("HTML", undecodable("<html>"), ErrorKind::Decode),
    ] {
        in_simulated_time(async {
            let model = service(1);
            model.set_fault(move |_, _, _| Some(error.clone()));
            let error = model.watcher().wait("run_000000").await.unwrap_err();
            assert_eq!((error.kind(), error.attempts()), (kind, 20), "{name}: {error}");
            let last = std::error::Error::source(&error).unwrap().downcast_ref::<Error>().unwrap();
            assert_eq!(last.kind(), kind, "{name}");
            assert!((900..970).contains(&model.clock.monotonic().as_secs()), "{name}");
        });
    }
}

#[test]
fn an_outage_of_ten_minutes_ends_no_wait_and_one_of_hours_ends_it() {
    for (minutes, is_survived) in [(10, true), (50, true), (120, false)] {
        in_simulated_time(async {
            let model = service(3);
            model.set_fault(move |_, _, now| (now < seconds(60 * minutes)).then(|| failure(503)));
            let watcher = model.watcher();
            let outcome = watcher.wait("run_000000").await;
            assert_eq!(outcome.is_ok(), is_survived, "{minutes} minutes");
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(std::error::Error::source(&error).is_some());
            }
        });
    }
}

#[test]
fn a_time_out_has_the_error_of_the_last_poll() {
    in_simulated_time(async {
        let model = service(1);
        model.set_fault(|_, _, now| (now > seconds(20)).then(|| foreign(502)));
        let error = model.watcher().wait("run_000000").timeout(seconds(100)).await.unwrap_err();
        assert_eq!((error.kind(), error.run_status()), (ErrorKind::WaitTimeout, Some(&RunStatus::Running)));
        let last = std::error::Error::source(&error).unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(last.kind(), ErrorKind::Server);
        let line = error.to_string();
        for part in [
            "run run_000000 was running when the wait timed out after 100s",
            "the last poll failed: 502 Bad Gateway",
            "wait again",
        ] {
            assert!(line.contains(part), "{line}");
        }
    });
}

#[test]
fn an_unknown_status_ends_a_wait_if_the_run_is_complete() {
    for runs in [1, 5] {
        in_simulated_time(async {
            let model = Model::new();
            for number in 0..runs {
                model.submit(planned(&format!("run_{number}"), 100, "expired"));
            }
            let late = wait_for_all(&model, &[model.watcher()]).await;
            assert!(late.part(100) < seconds(5));
            let finished = model.watcher().wait("run_0").await.unwrap();
            assert_eq!(finished.status(), "expired");
            let error = finished.succeeded().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RunOutcomeUnknown);
            assert!(error.to_string().contains("expired"), "{error}");
        });
    }
}

#[test]
fn a_submitted_run_may_be_missing_for_a_while_and_an_unknown_run_may_not() {
    in_simulated_time(async {
        let model = Model::new();
        model.submit(planned("run_1", 60, "succeeded"));
        model.set_fault(|_, _, now| (now < seconds(10)).then(|| failure(404)));
        let (watcher, follow) = model.client();
        assert!(watcher.wait("run_1").await.unwrap_err().is_not_found());
        follow.apply_status(&RunId::from("run_1"), &RunStatus::Pending);
        assert_eq!(watcher.wait("run_1").await.unwrap().status(), &RunStatus::Succeeded);
    });
}

#[test]
fn a_key_that_is_refused_ends_every_wait() {
    in_simulated_time(async {
        let model = service(20);
        model.set_fault(|_, _, now| (now > seconds(60)).then(|| failure(401)));
        let watcher = model.watcher();
        let waits: Vec<_> =
            model.runs().into_iter().map(|run| tokio::spawn(watcher.wait(run.id).into_future())).collect();
        for wait in waits {
            assert!(wait.await.unwrap().unwrap_err().is_authentication());
        }
        assert!(model.clock.monotonic() < seconds(70));
    });
}

// Usage

#[test]
fn thousands_of_waits_for_one_run_take_the_requests_of_one() {
    in_simulated_time(async {
        let model = service(1);
        let watcher = model.watcher();
        let waits: Vec<_> =
            (0..5_000).map(|_| tokio::spawn(watcher.wait("run_000000").summary_only().into_future())).collect();
        for wait in waits {
            let _ = wait.await.unwrap().unwrap();
        }
        let minutes = model.clock.monotonic().as_secs_f64() / 60.0;
        assert!(f64::from(u32::try_from(model.requests().len()).unwrap()) <= 25.0 * minutes + 1.0);
    });
}

#[test]
fn a_thousand_waits_begun_at_once_take_pages_and_two_take_a_fetch_each() {
    for (runs, lists, fetches) in [(1_000, 9, 0), (2, 0, 2)] {
        in_simulated_time(async {
            let model = service(runs);
            let watcher = model.watcher();
            let waits: Vec<_> =
                model.runs().into_iter().map(|run| tokio::spawn(watcher.wait(run.id).into_future())).collect();
            tokio::time::sleep(Duration::from_millis(1_900)).await;
            assert_eq!(model.count(Operation::GET_RUN), fetches);
            assert!((lists..=10).contains(&model.count(Operation::LIST_RUNS)));
            waits.iter().for_each(tokio::task::JoinHandle::abort);
        });
    }
}

#[test]
fn waits_that_begin_and_end_all_the_time_delay_no_other() {
    in_simulated_time(async {
        let model = service(30);
        let watcher = model.watcher();
        let (model_too, watcher_too) = (model.clone(), watcher.clone());
        let ended = tokio::spawn(async move {
            for number in 0.. {
                let id = format!("run_old_{number}");
                model_too.submit(planned(&id, 0, "succeeded"));
                let _ = watcher_too.wait(id).summary_only().await.unwrap();
            }
        });
        let late = wait_for_all(&model, &[watcher]).await;
        assert!(late.part(100) < seconds(60), "{:?} late", late.part(100));
        ended.abort();
    });
}
