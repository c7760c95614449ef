//! All limits that a permit takes from: the window of requests, the submissions in a minute, and the permits of a
//! shared limit.

use std::time::Duration;

use super::leased_permits::{LeaseDemand, LeasedPermit, LeasedPermits, Waiting};
use super::submissions::Submissions;
use super::window::{Report, Window};

/// The properties of a call that decide on its permit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) is_submission: bool,
    /// False if the call fails rather than wait.
    pub(super) may_wait: bool,
}

/// The limits that a permit takes from: all calls from the window, submissions from both. While a shared limit works,
/// permits are leased from it, and these two go on counting.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) window: Window,
    pub(super) submissions: Submissions,
    pub(super) leased: Option<LeasedPermits>,
    /// The last report or hold came from a response that was not the service's own.
    pub(super) is_foreign: bool,
}

/// A permit that was granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) request: Request,
    /// Set if the permit comes from a shared limit.
    leased: Option<LeasedPermit>,
}

/// The limit that has no room, and the time at which to try again at the latest.
pub(super) enum Full {
    Window(Duration),
    Submissions(Duration),
    /// No permit is leased for requests. There may be one for submissions.
    Requests(Duration),
}

impl Limits {
    pub(super) fn new(submissions_per_minute: u32, leased: Option<LeasedPermits>) -> Self {
        Self { window: Window::new(), submissions: Submissions::new(submissions_per_minute), leased, is_foreign: false }
    }

    pub(super) fn try_acquire(&mut self, request: Request, now: Duration) -> Result<Grant, Full> {
        let is_unlimited = !request.is_submission && self.window.is_unlimited();
        if !is_unlimited && self.leased.as_ref().is_some_and(LeasedPermits::is_working) {
            let leased = self.acquire_leased(request.is_submission, now)?;
            return Ok(Grant { request, leased });
        }
        if request.is_submission {
            self.submissions.try_acquire(now).map_err(Full::Submissions)?;
        }
        let shares = self.leased.as_ref().map_or(1, LeasedPermits::shares);
        match self.window.try_acquire(now, request.may_wait, shares) {
            Ok(()) => Ok(Grant { request, leased: None }),
            Err(at) => {
                if request.is_submission {
                    self.submissions.release();
                }
                Err(Full::Window(at))
            }
        }
    }

    /// Takes a leased permit. A hold after a 429 applies to these, too.
    fn acquire_leased(&mut self, is_submission: bool, now: Duration) -> Result<Option<LeasedPermit>, Full> {
        let Some(leased) = &mut self.leased else { return Ok(None) };
        let full = if is_submission { Full::Submissions } else { Full::Requests };
        if is_submission {
            self.submissions.acquire_leased(now).map_err(full)?;
        }
        let permit = match self.window.acquire_leased(now) {
            Ok(()) => leased.try_acquire(is_submission, now).map_err(|at| {
                self.window.release();
                full(at)
            }),
            Err(at) => Err(Full::Window(at)),
        };
        if permit.is_err() && is_submission {
            self.submissions.release();
        }
        permit.map(Some)
    }

    /// Takes back a permit that was not used.
    pub(super) fn give_back(&mut self, grant: Grant, now: Duration) {
        let is_submission = grant.request.is_submission;
        self.release(is_submission);
        if let (Some(leased), Some(permit)) = (&mut self.leased, grant.leased) {
            leased.give_back(permit, is_submission, now);
        }
    }

    /// Ends a permit that was used.
    pub(super) fn end(&mut self, grant: Grant) {
        self.release(grant.request.is_submission);
        if let Some(leased) = self.leased.as_mut().filter(|_| grant.leased.is_some() && grant.request.is_submission) {
            leased.submission_ended();
        }
    }

    pub(super) fn is_lease_pending(&self) -> bool {
        self.leased.as_ref().is_some_and(LeasedPermits::is_pending)
    }

    /// Ends a lease that takes too long, so that no call waits for it, even if the task that runs it does not.
    pub(super) fn check_lease(&mut self, now: Duration) {
        if let Some(leased) = &mut self.leased {
            leased.check_time(now);
        }
    }

    /// Applies a response, with or without a report.
    pub(super) fn responded(&mut self, report: Option<Report>, is_success: bool) {
        let is_new_window = self.window.responded(report, is_success);
        if let Some(leased) = self.leased.as_mut().filter(|_| is_new_window) {
            leased.window_began();
        }
    }

    /// Grants no request before this time, which the service has requested.
    pub(super) fn hold(&mut self, until: Duration) {
        self.window.hold(until);
        if let Some(leased) = &mut self.leased {
            leased.hold(until);
        }
    }

    /// Grants no submission before this time, which the service has requested.
    pub(super) fn hold_submissions(&mut self, until: Duration) {
        self.submissions.hold(until);
        if let Some(leased) = &mut self.leased {
            leased.hold_submissions(until);
        }
    }

    /// Gives back the room that a permit took.
    fn release(&mut self, is_submission: bool) {
        self.window.release();
        if is_submission {
            self.submissions.release();
        }
    }

    /// An attempt has ended, and it is not known whether the service has counted it.
    pub(super) fn lost(&mut self, is_submission: bool, now: Duration) {
        self.window.lost();
        if is_submission {
            self.submissions.responded(now);
        }
    }

    /// Begins a lease from the shared limit, if one is needed. `waiting` counts the calls that wait.
    pub(super) fn begin_lease(&mut self, now: Duration, waiting: Waiting) -> Option<LeaseDemand> {
        let leased = self.leased.as_mut()?;
        leased.begin(now, self.window.report(now), self.submissions.limit(), waiting)
    }

    /// Returns the earliest time at which a call behind so many others can be granted a permit, as far as that is
    /// known.
    pub(super) fn estimate(&self, ahead: Waiting, is_submission: bool, now: Duration) -> Duration {
        let Waiting { submissions, requests: others } = ahead;
        // Submissions without a slot do not wait for the window yet.
        let granted_at = self.window.estimate(others + submissions.min(self.submissions.free(now)), now);
        let working = self.leased.as_ref().filter(|leased| leased.is_working());
        let granted_at = working.map_or(granted_at, |leased| granted_at.max(leased.estimate(is_submission, now)));
        if is_submission { granted_at.max(self.submissions.estimate(submissions, now)) } else { granted_at }
    }
}
