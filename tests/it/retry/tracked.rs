//! Tracked submissions: their state, and finding them after their call was dropped.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use agentgate::resources::SubmissionState;
use agentgate::simulator::{Fault, Simulator};
use agentgate::{Client, WorkspaceSource};
use common::time::SimulatedTime;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn simulator() -> agentgate::simulator::Builder {
    Simulator::builder().rate_limit(1_000).submission_limit(1_000).concurrent_runs(1_000)
}

fn create(client: &Client) -> agentgate::resources::Call<agentgate::resources::CreateWorkOrder> {
    client.work_orders().create("Fix it", WorkspaceSource::template("python-flask"))
}

#[tokio::test]
async fn an_unpolled_submission_is_not_submitted() {
    let time = SimulatedTime::start(simulator()).await;
    let (submission, call) = create(&time.client()).tracked();
    assert_eq!(submission.state(), SubmissionState::NotSubmitted);
    drop(call);
    assert_eq!(submission.state(), SubmissionState::NotSubmitted);
    assert_eq!(time.run(submission.find()).await.unwrap(), None);
}

#[tokio::test]
async fn the_submission_state_follows_the_call() {
    let time = SimulatedTime::start(simulator()).await;
    let client = time.client();
    let (submission, call) = create(&client).tracked();
    let order = time.run(call).await.unwrap();
    assert_eq!(submission.state(), SubmissionState::Submitted);
    assert_eq!(time.run(submission.find()).await.unwrap().unwrap().run_id, order.run_id);

    time.simulator().inject(Fault::error("INVALID_VALUE"));
    let (submission, call) = create(&client).tracked();
    time.run(call).await.unwrap_err();
    assert_eq!(submission.state(), SubmissionState::NotSubmitted);

    // The response is lost, and the order is found by the call itself.
    time.simulator().inject(Fault::response(502, "text/html", "").after_acting());
    let (submission, call) = create(&client).tracked();
    time.run(call).await.unwrap();
    assert_eq!(submission.state(), SubmissionState::Submitted);

    time.simulator().inject(Fault::response(502, "text/html", ""));
    let (submission, call) = create(&client).tracked();
    time.run(call).await.unwrap_err();
    assert_eq!(submission.state(), SubmissionState::Unknown);
    assert_eq!(time.run(submission.find()).await.unwrap(), None);

    // A sign-in page accepts nothing.
    time.simulator().inject(Fault::response(200, "text/html", "<h1>Sign in</h1>"));
    let (submission, call) = create(&client).tracked();
    assert!(time.run(call).await.unwrap_err().may_have_reached_server());
    assert_eq!(submission.state(), SubmissionState::Unknown);
    assert_eq!(time.simulator().work_order_count(), 2);
}

#[tokio::test]
async fn a_rejection_after_an_unknown_outcome_leaves_the_state_unknown() {
    let time = SimulatedTime::start(simulator()).await;
    time.simulator().inject(Fault::response(502, "text/html", ""));
    time.simulator().inject(Fault::error("INSUFFICIENT_CREDITS").on("createWorkOrder"));
    let (submission, call) = create(&time.client()).reconcile().tracked();
    let error = time.run(call).await.unwrap_err();
    assert!(error.may_have_reached_server(), "{error}");
    assert_eq!(submission.state(), SubmissionState::Unknown);
}

#[tokio::test]
async fn attempts_share_an_idempotency_key_and_submissions_do_not() {
    let time = SimulatedTime::start(simulator()).await;
    let client = time.client();
    time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "1"));
    for _ in 0..2 {
        let (_, call) = create(&client).tracked();
        time.run(call).await.unwrap();
    }
    let requests = time.simulator().requests();
    let keys: Vec<_> = requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_dropped_submission_is_not_submitted_or_can_be_found_if_accepted(
        latencies in prop::collection::vec(0..3_000_u64, 1..8),
        steps in 0..40_u32,
        step in 50..700_u64,
        faults in 0..3_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let time = SimulatedTime::start(simulator()).await;
            for _ in 0..faults {
                time.simulator().inject(Fault::error("SERVICE_UNAVAILABLE").header("retry-after", "1"));
            }
            let client = time.builder().base_url(time.slow_line_of(latencies).await).build().unwrap();
            let (submission, mut call) = create(&client).tracked();
            let mut is_done = false;
            for _ in 0..steps {
                if poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_ready() {
                    is_done = true;
                    break;
                }
                time.settle().await;
                time.advance(Duration::from_millis(step));
            }
            drop(call);
            let state = submission.state();
            // Delivers everything that was sent.
            for _ in 0..20 {
                time.settle().await;
                time.advance(SECOND);
            }
            let orders = time.simulator().work_order_count();
            let found = SimulatedTime::run(&time, submission.find()).await.unwrap();
            match state {
                SubmissionState::NotSubmitted => assert!(orders == 0 && !is_done, "{orders} orders"),
                SubmissionState::Submitted => assert_eq!(orders, 1),
                _ => assert!(orders <= 1),
            }
            assert_eq!(found.is_some(), orders == 1, "{state:?}");
            // A search resolves an unknown state, and does not change a known one.
            assert_eq!(submission.state() == SubmissionState::Submitted, orders == 1);
        });
    }
}
