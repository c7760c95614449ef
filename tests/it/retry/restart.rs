//! Programs that stop at any point and restart, with their tasks and tokens in a store.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use agentgate::chrono::{DateTime, Utc};
use agentgate::resources::SubmissionToken;
use agentgate::simulator::{Fault, Simulator};
use agentgate::types::{RunId, WorkOrderId};
use agentgate::{Client, Clock as _, Result, WorkspaceSource};
use common::clock::WrongClock;
use common::time::SimulatedTime;
use proptest::prelude::*;

/// A task as the program stores it.
#[derive(Clone, Debug, Default)]
struct Task {
    /// Stored before the work order is submitted, with the time.
    token: Option<(SubmissionToken, DateTime<Utc>)>,
    /// Stored after it was submitted.
    order: Option<(WorkOrderId, RunId)>,
}

/// The persistent tasks.
type Store = RefCell<Vec<Task>>;

/// Yields, so that the program can stop here.
async fn stop_point() {
    tokio::task::yield_now().await;
}

/// Runs the program: resumes unfinished tasks, then submits the others.
async fn program(store: &Store, client: &Client, time: &SimulatedTime) -> Result<()> {
    for task in store.borrow().iter() {
        if let (Some((token, _)), Some((order, _))) = (task.token, &task.order) {
            client.work_orders().remember(order, token);
        }
    }
    let count = store.borrow().len();
    for index in 0..count {
        let task = store.borrow()[index].clone();
        if task.order.is_some() {
            continue;
        }
        let source = WorkspaceSource::template("python-flask");
        let call = client.work_orders().create(format!("Task {index}"), source);
        stop_point().await;
        let order = if let Some((token, stored_at)) = task.token {
            call.submission_token(token).resume(stored_at).await?
        } else {
            let token = SubmissionToken::random();
            store.borrow_mut()[index].token = Some((token, time.now()));
            stop_point().await;
            call.submission_token(token).await?
        };
        stop_point().await;
        store.borrow_mut()[index].order = Some((order.work_order_id, order.run_id));
        stop_point().await;
    }
    Ok(())
}

/// Runs the program until it ends, or stops it after this many polls. Returns `true` if it has finished all tasks.
async fn run(store: &Store, client: &Client, time: &SimulatedTime, polls: usize, step: Duration) -> bool {
    let mut program: Pin<Box<dyn Future<Output = Result<()>> + '_>> = Box::pin(program(store, client, time));
    for _ in 0..polls {
        match poll_fn(|context| Poll::Ready(program.as_mut().poll(context))).await {
            // An unknown outcome is resumed at the next start.
            Poll::Ready(result) => return result.is_ok(),
            Poll::Pending => {}
        }
        time.settle().await;
        time.advance(step);
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Each case stops the program up to eight times.
    #[test]
    fn a_program_stopped_at_any_point_submits_each_task_once(
        stops in prop::collection::vec(0..60_usize, 5..8),
        latencies in prop::collection::vec(0..1_500_u64, 1..8),
        step in 20..400_u64,
        lost in 0..3_u32,
        others in 0..4_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let simulator = Simulator::builder().rate_limit(10_000).submission_limit(10_000).concurrent_runs(10_000);
            let time = SimulatedTime::start(simulator).await;
            let elsewhere = time.client();
            for _ in 0..others {
                // Another program of the organization submits work orders that look the same.
                let source = WorkspaceSource::template("python-flask");
                time.run(elsewhere.work_orders().create("Task 0", source).into_future()).await.unwrap();
            }
            for _ in 0..lost {
                time.simulator().inject(Fault::response(502, "text/html", "").on("createWorkOrder").after_acting());
            }
            let url = time.slow_line_of(latencies).await;
            let store: Store = RefCell::new(vec![Task::default(); 4]);
            let step = Duration::from_millis(step);
            for polls in stops {
                // A new client, as a new process has no state.
                let client = time.builder().base_url(&url).build().unwrap();
                run(&store, &client, &time, polls, step).await;
            }
            let client = time.builder().base_url(&url).build().unwrap();
            assert!(run(&store, &client, &time, 100_000, step).await, "{store:?}");
            assert_eq!(time.simulator().work_order_count(), 4 + others as usize, "{store:?}");
            let mut runs: Vec<_> = store.borrow().iter().map(|task| task.order.clone().unwrap().1).collect();
            runs.sort();
            runs.dedup();
            assert_eq!(runs.len(), 4);
        });
    }
}

#[tokio::test]
async fn a_search_skips_remembered_work_orders() {
    let simulator = Simulator::builder().rate_limit(10_000).submission_limit(10_000).concurrent_runs(10_000);
    let time = SimulatedTime::start(simulator).await;
    let before = time.builder().submissions_per_minute(1_000).build().unwrap();
    let mut known = Vec::new();
    for _ in 0..80 {
        let token = SubmissionToken::random();
        let source = WorkspaceSource::template("python-flask");
        let order = before.work_orders().create("Fix it", source).submission_token(token).await.unwrap();
        known.push((order.work_order_id, token));
    }
    let (_, last) = known.pop().unwrap();
    let client = time.client();
    let resume = || {
        let call = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
        call.submission_token(last).resume(time.now())
    };
    // A search starts with the newest run and gives up after 50 unknown work orders.
    for (order, token) in &known {
        client.work_orders().remember(order, *token);
    }
    time.simulator().clear_requests();
    time.run(resume()).await.unwrap();
    assert_eq!(time.simulator().request_count(), 2);
    let unknown = time.client().work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
    let error = time.run(unknown.submission_token(SubmissionToken::random()).resume(time.now())).await.unwrap_err();
    assert!(error.to_string().contains("too many recent work orders"), "{error}");
    assert_eq!(time.simulator().work_order_count(), 80);
}

#[tokio::test]
async fn a_clock_wrong_by_days_does_not_hide_work_orders() {
    for days in [-400, 400] {
        let time = SimulatedTime::start(Simulator::builder()).await;
        let offset = agentgate::chrono::TimeDelta::days(days);
        let client = time.builder().clock(WrongClock(time.clone(), offset)).build().unwrap();
        time.simulator().inject(Fault::response(502, "text/html", "").after_acting());
        let call = client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"));
        time.run(call.into_future()).await.unwrap();
        assert_eq!(time.simulator().work_order_count(), 1);
    }
}
