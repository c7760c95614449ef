//! The plan of a run, and its progress.
//!
//! The state of a run is a pure function of its plan, the time since its submission and the time of its cancellation.

use std::time::Duration;

use fastrand::Rng;

/// The plan of a run: its durations, its iterations and its outcome.
///
/// Used with [`Simulator::next_run`](crate::simulator::Simulator::next_run) and
/// [`Builder::default_run`](crate::simulator::Builder::default_run). The default is [`RunPlan::succeeds`].
///
/// ```
/// use std::time::Duration;
/// use agentgate::simulator::RunPlan;
///
/// let plan = RunPlan::fails("TESTS_FAILED", "2 of 14 tests failed")
///     .running(Duration::from_secs(90))
///     .iterations(5);
/// assert_eq!(plan.pending, Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunPlan {
    /// The time for which the run is `pending` after its submission. Defaults to 2 seconds.
    pub pending: Duration,
    /// The time for which the run is `running` after that. Defaults to 10 seconds.
    pub running: Duration,
    /// The number of iterations, evenly distributed over [`running`](Self::running). It is capped by the
    /// `maxIterations` of the work order. Defaults to 3.
    pub iterations: u32,
    /// The outcome. Defaults to success.
    pub outcome: Outcome,
}

/// The outcome of a run that is not cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The run succeeds.
    #[non_exhaustive]
    Succeeded {
        /// The run's `prUrl`. If `None`, it is derived from the repository of the work order.
        pull_request: Option<String>,
    },
    /// The run fails.
    #[non_exhaustive]
    Failed {
        /// The `code` of the run's `error`.
        code: String,
        /// The `message` of the run's `error`.
        message: String,
    },
    /// The run does not end. After its last iteration, it is `running` until it is cancelled.
    Endless,
}

impl Default for RunPlan {
    fn default() -> Self {
        Self {
            pending: Duration::from_secs(2),
            running: Duration::from_secs(10),
            iterations: 3,
            outcome: Outcome::Succeeded { pull_request: None },
        }
    }
}

/// The source of the plans of runs without a plan of their own.
#[derive(Clone, Debug)]
pub(crate) enum DefaultRun {
    Same(RunPlan),
    Random(Rng),
}

impl Default for DefaultRun {
    fn default() -> Self {
        Self::Same(RunPlan::default())
    }
}

impl DefaultRun {
    pub(crate) fn plan(&mut self) -> RunPlan {
        match self {
            Self::Same(plan) => plan.clone(),
            Self::Random(random) => {
                let plan = if random.u8(..5) == 0 {
                    RunPlan::fails("VERIFICATION_FAILED", "The verification did not pass.")
                } else {
                    RunPlan::succeeds()
                };
                let mut time = |range| Duration::from_millis(random.u64(range));
                let (pending, running) = (time(0..3_000), time(2_000..15_000));
                plan.pending(pending).running(running).iterations(random.u32(1..=8))
            }
        }
    }
}

impl RunPlan {
    /// Returns the plan of a run that succeeds with a pull request: 2 seconds pending, 10 seconds running, 3
    /// iterations.
    #[must_use]
    pub fn succeeds() -> Self {
        Self::default()
    }

    /// Returns the plan of a run that fails with this error: 2 seconds pending, 10 seconds running, 3 iterations.
    #[must_use]
    pub fn fails(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed { code: code.into(), message: message.into() }, ..Self::default() }
    }

    /// Sets the time for which the run is `pending`. Defaults to 2 seconds.
    #[must_use]
    pub fn pending(mut self, pending: Duration) -> Self {
        self.pending = pending;
        self
    }

    /// Sets the time for which the run is `running`. Defaults to 10 seconds.
    #[must_use]
    pub fn running(mut self, running: Duration) -> Self {
        self.running = running;
        self
    }

    /// Sets the number of iterations. Defaults to 3.
    #[must_use]
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.iterations = iterations;
        self
    }

    /// Makes the run succeed with this pull request.
    #[must_use]
    pub fn pull_request(mut self, url: impl Into<String>) -> Self {
        self.outcome = Outcome::Succeeded { pull_request: Some(url.into()) };
        self
    }

    /// Makes the run continue until it is cancelled.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.outcome = Outcome::Endless;
        self
    }

    /// Returns the time from the submission to the end of the run; `None` if it does not end by itself.
    pub(crate) fn end(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Endless => None,
            _ => self.pending.checked_add(self.running),
        }
    }

    /// Returns the state of the run at `elapsed` after its submission, if it is cancelled at `cancelled` after it.
    pub(crate) fn progress(&self, elapsed: Duration, cancelled: Option<Duration>) -> Progress {
        let reached = cancelled.map_or(elapsed, |cancelled| cancelled.min(elapsed));
        let started = (reached >= self.pending).then_some(self.pending);
        let (status, ended) = match (self.end(), cancelled) {
            (Some(end), _) if reached >= end => (self.final_status(), Some(end)),
            (_, Some(cancelled)) if elapsed >= cancelled => (Status::Cancelled, Some(cancelled)),
            _ if started.is_some() => (Status::Running, None),
            _ => (Status::Pending, None),
        };
        let iterations = started.map_or(0, |started| self.iterations_after(reached.saturating_sub(started)));
        Progress { status, iterations, started, ended }
    }

    fn final_status(&self) -> Status {
        match self.outcome {
            Outcome::Failed { .. } => Status::Failed,
            _ => Status::Succeeded,
        }
    }

    fn iterations_after(&self, running: Duration) -> u32 {
        if running >= self.running {
            return self.iterations;
        }
        // Not zero: `running` is shorter. The product fits: nanoseconds need at most 94 bits, iterations 32.
        let done = running.as_nanos() * u128::from(self.iterations) / self.running.as_nanos();
        u32::try_from(done).unwrap_or(self.iterations)
    }
}

/// The state of a run at one moment. Times count from its submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) status: Status,
    pub(crate) iterations: u32,
    pub(crate) started: Option<Duration>,
    pub(crate) ended: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(n: u32) -> Duration {
        SECOND * n
    }

    #[test]
    fn random_runs_are_the_same_for_the_same_seed_and_one_in_five_fails() {
        let plans = |seed| {
            let mut default = DefaultRun::Random(Rng::with_seed(seed));
            (0..1_000).map(|_| default.plan()).collect::<Vec<_>>()
        };
        assert_eq!(plans(7), plans(7));
        assert_ne!(plans(7), plans(8));
        let failed = plans(7).iter().filter(|plan| plan.final_status() == Status::Failed).count();
        assert!((150..250).contains(&failed), "{failed}");
    }

    #[test]
    fn a_run_is_pending_then_running_then_ended() {
        let plan = RunPlan::succeeds();
        let table = [
            (0, Status::Pending, 0, None, None),
            (1, Status::Pending, 0, None, None),
            (2, Status::Running, 0, Some(2), None),
            (6, Status::Running, 1, Some(2), None),
            (11, Status::Running, 2, Some(2), None),
            (12, Status::Succeeded, 3, Some(2), Some(12)),
            (9999, Status::Succeeded, 3, Some(2), Some(12)),
        ];
        for (elapsed, status, iterations, started, ended) in table {
            let expected = Progress { status, iterations, started: started.map(seconds), ended: ended.map(seconds) };
            assert_eq!(plan.progress(seconds(elapsed), None), expected, "after {elapsed} s");
        }
    }

    #[test]
    fn a_cancelled_run_stays_as_it_was_when_it_was_cancelled() {
        let plan = RunPlan::succeeds();
        let pending = plan.progress(seconds(99), Some(SECOND));
        assert_eq!(pending, Progress { status: Status::Cancelled, iterations: 0, started: None, ended: Some(SECOND) });
        let running = plan.progress(seconds(99), Some(seconds(6)));
        assert_eq!((running.status, running.iterations, running.started), (Status::Cancelled, 1, Some(seconds(2))));
    }

    #[test]
    fn a_plan_without_time_ends_at_once() {
        let plan = RunPlan::succeeds().pending(Duration::ZERO).running(Duration::ZERO);
        let progress = plan.progress(Duration::ZERO, None);
        assert_eq!((progress.status, progress.iterations), (Status::Succeeded, 3));
    }

    #[test]
    fn plans_longer_than_time_do_not_overflow() {
        let plan = RunPlan::succeeds().pending(Duration::MAX).running(Duration::MAX).iterations(u32::MAX);
        assert_eq!(plan.progress(Duration::MAX, None).status, Status::Running);
        let plan = RunPlan::succeeds().pending(Duration::ZERO).running(Duration::MAX).iterations(u32::MAX);
        assert!(plan.progress(Duration::from_secs(u64::MAX), None).iterations >= u32::MAX - 1);
    }
}
