//! What will become of a run, and how far it has come.
//!
//! A run's state at a moment is a pure function of its plan, the time since it was submitted and the time it was
//! cancelled.

use std::time::Duration;

use fastrand::Rng;

/// The future of a run: how long it is pending and running, in how many iterations, and how it ends.
///
/// The default is [`RunPlan::succeeds`].
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
    /// How long the run is `pending` after its submission. 2 s by default.
    pub pending: Duration,
    /// How long it is `running` after that. 10 s by default.
    pub running: Duration,
    /// How many iterations it takes, spread evenly over [`running`](Self::running). 3 by default; a work order's
    /// `maxIterations` caps it.
    pub iterations: u32,
    /// How it ends. Successfully by default.
    pub outcome: Outcome,
}

/// How a run ends, unless it is cancelled before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It succeeds.
    #[non_exhaustive]
    Succeeded {
        /// The run's `prUrl`. `None` makes one up, from the work order's repository where it has one.
        pull_request: Option<String>,
    },
    /// It fails.
    #[non_exhaustive]
    Failed {
        /// The `code` of the run's `error`.
        code: String,
        /// The `message` of the run's `error`.
        message: String,
    },
    /// It does not end: having used up its iterations, it goes on running until somebody cancels it.
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

/// The plans of runs that have none of their own.
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
    /// A run that is pending for 2 s, runs for 10 s in 3 iterations, and succeeds with a pull request.
    #[must_use]
    pub fn succeeds() -> Self {
        Self::default()
    }

    /// A run that is pending for 2 s, runs for 10 s in 3 iterations, and fails with this error.
    #[must_use]
    pub fn fails(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed { code: code.into(), message: message.into() }, ..Self::default() }
    }

    /// How long the run is `pending`.
    #[must_use]
    pub fn pending(mut self, pending: Duration) -> Self {
        self.pending = pending;
        self
    }

    /// How long the run is `running`.
    #[must_use]
    pub fn running(mut self, running: Duration) -> Self {
        self.running = running;
        self
    }

    /// How many iterations the run takes.
    #[must_use]
    pub fn iterations(mut self, iterations: u32) -> Self {
        self.iterations = iterations;
        self
    }

    /// The run succeeds with this pull request.
    #[must_use]
    pub fn pull_request(mut self, url: impl Into<String>) -> Self {
        self.outcome = Outcome::Succeeded { pull_request: Some(url.into()) };
        self
    }

    /// The run goes on until somebody cancels it.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.outcome = Outcome::Endless;
        self
    }

    /// How long after its submission the run ends by itself; `None` if it never does.
    pub(crate) fn end(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Endless => None,
            _ => self.pending.checked_add(self.running),
        }
    }

    /// How far the run has come `elapsed` after its submission, if it was cancelled `cancelled` after it.
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

/// A run's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl Status {
    /// The word of the API for it.
    pub(crate) fn word(self) -> &'static str {
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
    fn a_failing_run_fails_at_its_end() {
        assert_eq!(RunPlan::fails("E", "no").progress(seconds(12), None).status, Status::Failed);
    }

    #[test]
    fn an_endless_run_uses_up_its_iterations_and_goes_on() {
        let plan = RunPlan::succeeds().forever();
        let progress = plan.progress(Duration::MAX, None);
        assert_eq!((progress.status, progress.iterations, progress.ended), (Status::Running, 3, None));
        assert_eq!(plan.progress(seconds(50), Some(seconds(40))).status, Status::Cancelled);
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
