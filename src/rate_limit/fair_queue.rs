//! A fair queue of permits, which are granted in the order of the calls, as the limits allow.
//!
//! A call may be held unpolled for any time: by a `select!` on `&mut call`, by a stream that reads ahead while the
//! loop's body runs. So the queue does not depend on any one waiter being polled, and no task grants the permits: each
//! waiter that is polled grants permits to all in front of it, then sleeps until more may be granted. A waiter that was
//! granted a permit and is not polled holds that permit only, and loses it after [`CLAIM_WITHIN`]. It keeps its place,
//! and is the first as soon as it is polled again.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::leased_permits::{Change, LeaseDemand, LeasedPermits, Waiting};
use super::limits::{Full, Grant, Limits, Request};
use super::shared::Lease;
use super::wait::{Wait, WaitReason};
use super::window::LONGEST_WINDOW;
use crate::clock::Clock;

/// The time within which a waiter has to be polled after it was granted a permit. After it, others get the permit. A
/// task that was woken takes far less, and a future that is not polled must not delay the others for longer.
const CLAIM_WITHIN: Duration = Duration::from_secs(1);

/// The time after which the service has counted a request, even if there is no response. Its permit is then free.
const COUNTED_WITHIN: Duration = LONGEST_WINDOW;

/// The queue and the limits that it grants from. Times are the clock's [`monotonic`](Clock::monotonic).
#[derive(Debug)]
pub(super) struct FairQueue(Mutex<State>);

#[derive(Debug)]
struct State {
    limits: Limits,
    next_ticket: u64,
    /// Calls without a permit, in order.
    waiting: BTreeMap<u64, Waiter>,
    permits: BTreeMap<u64, Held>,
    /// The time until which waiters that are polled sleep at most.
    next_change: Duration,
}

#[derive(Debug)]
struct Waiter {
    request: Request,
    /// False after the waiter did not claim a permit in time. It gets none until it is polled.
    is_live: bool,
    waker: Option<Waker>,
}

fn count_live<'a>(waiters: impl Iterator<Item = &'a Waiter>) -> Waiting {
    let mut waiting = Waiting::default();
    for waiter in waiters.filter(|waiter| waiter.is_live) {
        *if waiter.request.is_submission { &mut waiting.submissions } else { &mut waiting.requests } += 1;
    }
    waiting
}

/// A permit that was granted to a waiter.
#[derive(Debug)]
struct Held {
    grant: Grant,
    /// The waiter has been polled since it was granted.
    is_claimed: bool,
    expires_at: Duration,
}

/// Begins a lease. It is called without a lock.
pub(super) type BeginLease<'a> = &'a (dyn Fn(LeaseDemand) + Sync);

/// The state of one waiter.
enum Turn {
    Granted,
    /// The wait would take this long, which is longer than the caller may wait.
    TooLong(Duration),
    WaitUntil(Duration),
}

impl FairQueue {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Mutex::new(State {
            limits,
            next_ticket: 0,
            waiting: BTreeMap::new(),
            permits: BTreeMap::new(),
            next_change: Duration::MAX,
        }))
    }

    /// Waits for a permit, and returns its ticket. If that would take until after `deadline`, returns the time that it
    /// would take.
    ///
    /// `on_wait` is called once, when a wait begins. A lease that is under way is no such wait.
    pub(super) async fn acquire(
        &self,
        request: Request,
        clock: &dyn Clock,
        deadline: Option<Duration>,
        on_wait: &mut (dyn FnMut(Wait) + Send),
        begin_lease: BeginLease<'_>,
    ) -> Result<u64, Duration> {
        let mut place = Place::take(self, request, clock, begin_lease);
        let mut on_wait = Some(on_wait);
        poll_fn(|context| {
            let turn = place.poll(context, deadline);
            if turn.is_pending()
                && on_wait.is_some()
                && !self.is_lease_pending()
                && let Some(on_wait) = on_wait.take()
            {
                on_wait(self.lock().describe(place.ticket, clock.monotonic()));
            }
            turn
        })
        .await?;
        place.is_kept = false;
        Ok(place.ticket)
    }

    /// Ends a permit, unless it has expired, and changes the limits by the result of its attempt. The second argument
    /// of `change` says whether the permit still takes a slot for submissions.
    pub(super) fn finish(&self, ticket: u64, now: Duration, change: impl FnOnce(&mut Limits, bool)) {
        let wakers = {
            let mut state = self.lock();
            let held = state.permits.remove(&ticket);
            if let Some(held) = &held {
                state.limits.end(held.grant);
            }
            change(&mut state.limits, held.is_some_and(|held| held.grant.request.is_submission));
            state.settle(now, None)
        };
        wake(wakers);
    }

    /// Ends a permit that was not used.
    pub(super) fn give_back(&self, ticket: u64, now: Duration) {
        let wakers = {
            let mut state = self.lock();
            if let Some(held) = state.permits.remove(&ticket) {
                state.limits.give_back(held.grant, now);
            }
            state.settle(now, None)
        };
        wake(wakers);
    }

    /// Begins a lease from the shared limit, if one is needed.
    pub(super) fn begin_lease(&self, now: Duration) -> Option<LeaseDemand> {
        self.lock().begin_lease(now)
    }

    /// Applies the result of a lease. `None` is a failure.
    pub(super) fn end_lease(&self, demand: &LeaseDemand, lease: Option<Lease>, now: Duration) -> Change {
        let (change, wakers) = {
            let mut state = self.lock();
            let change = state.limits.leased.as_mut().map_or(Change::None, |leased| leased.end(demand, lease, now));
            (change, state.settle(now, None))
        };
        wake(wakers);
        change
    }

    /// Returns whether permits come from a shared limit.
    pub(super) fn is_shared(&self) -> bool {
        self.lock().limits.leased.as_ref().is_some_and(LeasedPermits::is_working)
    }

    fn is_lease_pending(&self) -> bool {
        self.lock().limits.is_lease_pending()
    }

    /// Returns the limit of the window that the service reported last.
    pub(super) fn limit(&self) -> Option<u32> {
        self.lock().limits.window.limit()
    }

    /// Returns the time to the end of the window that was reported last, if it is not over.
    pub(super) fn window_left(&self, now: Duration) -> Option<Duration> {
        Some(self.lock().limits.window.report(now)?.resets_at.saturating_sub(now))
    }

    fn check(
        &self,
        ticket: u64,
        now: Duration,
        deadline: Option<Duration>,
        waker: &Waker,
        begin_lease: BeginLease<'_>,
    ) -> Turn {
        // Waking or dropping a waker may drop a task, and with it another place in this queue, so neither happens under
        // the lock.
        let (mut wakers, mut old, mut demand) = (Vec::new(), None, None);
        let turn = {
            let mut state = self.lock();
            if let Some(waiter) = state.waiting.get_mut(&ticket) {
                waiter.is_live = true;
                old = waiter.waker.take();
                wakers = state.settle(now, Some(ticket));
                demand = state.begin_lease(now);
                if demand.is_some() {
                    // No waiter may sleep for longer than the lease may take.
                    wakers.extend(state.settle(now, Some(ticket)));
                }
            }
            if state.claim(ticket, now) {
                Turn::Granted
            } else {
                let waker = old.take_if(|old| old.will_wake(waker)).unwrap_or_else(|| waker.clone());
                state.wait(ticket, waker, now, deadline)
            }
        };
        drop(old);
        if let Some(demand) = demand {
            begin_lease(demand);
        }
        wake(wakers);
        turn
    }

    /// Returns whether a waiter has not been woken since it was last polled by the same task.
    fn is_unchanged(&self, ticket: u64, waker: &Waker) -> bool {
        let state = self.lock();
        let own = state.waiting.get(&ticket).and_then(|waiter| waiter.waker.as_ref());
        own.is_some_and(|own| own.will_wake(waker))
    }

    /// Gives up a place and the permit that was granted to it.
    fn leave(&self, ticket: u64, now: Duration) {
        let waiter = self.lock().waiting.remove(&ticket);
        if waiter.is_none() {
            self.give_back(ticket, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes back expired permits, and grants permits in order. Returns the wakers of the waiters to poll. `own` is the
    /// waiter that is being polled.
    fn settle(&mut self, now: Duration, own: Option<u64>) -> Vec<Waker> {
        self.expire(now);
        self.limits.check_lease(now);
        let (granted, mut next_change) = self.grant(now);
        let mut wakers = Vec::new();
        for (ticket, grant) in granted {
            let Some(Waiter { waker, .. }) = self.waiting.remove(&ticket) else { continue };
            let is_claimed = own == Some(ticket);
            let time = if is_claimed { COUNTED_WITHIN } else { CLAIM_WITHIN };
            self.permits.insert(ticket, Held { grant, is_claimed, expires_at: now.saturating_add(time) });
            wakers.extend(waker);
        }
        for held in self.permits.values() {
            next_change = next_change.min(held.expires_at);
        }
        // All others sleep for too long now, and it is not known which of them are polled.
        if next_change < self.next_change {
            wakers.extend(self.waiting.values_mut().filter_map(|waiter| waiter.waker.take()));
        }
        self.next_change = next_change;
        wakers
    }

    fn expire(&mut self, now: Duration) {
        let expired = self.permits.iter().filter(|(_, held)| held.expires_at <= now).map(|(ticket, _)| *ticket);
        for ticket in expired.collect::<Vec<_>>() {
            let Some(held) = self.permits.remove(&ticket) else { continue };
            let request = held.grant.request;
            if held.is_claimed {
                self.limits.end(held.grant);
                self.limits.lost(request.is_submission, now);
            } else {
                self.limits.give_back(held.grant, now);
                self.waiting.insert(ticket, Waiter { request, is_live: false, waker: None });
            }
        }
    }

    /// Takes from the limits for all waiters that may have a permit. Returns their tickets, and the time at which to
    /// try again.
    fn grant(&mut self, now: Duration) -> (Vec<(u64, Grant)>, Duration) {
        let (mut granted, mut try_again) = (Vec::new(), Duration::MAX);
        let (mut is_full_for_submissions, mut is_full_for_requests) = (false, false);
        for (ticket, waiter) in &self.waiting {
            let is_full = if waiter.request.is_submission { is_full_for_submissions } else { is_full_for_requests };
            if !waiter.is_live || is_full {
                continue;
            }
            match self.limits.try_acquire(waiter.request, now) {
                Ok(grant) => granted.push((*ticket, grant)),
                Err(Full::Submissions(at)) => {
                    (is_full_for_submissions, try_again) = (true, try_again.min(at));
                }
                Err(Full::Requests(at)) => {
                    (is_full_for_requests, try_again) = (true, try_again.min(at));
                }
                Err(Full::Window(at)) => {
                    try_again = try_again.min(at);
                    break;
                }
            }
            if is_full_for_submissions && is_full_for_requests {
                break;
            }
        }
        (granted, try_again)
    }

    fn begin_lease(&mut self, now: Duration) -> Option<LeaseDemand> {
        self.limits.begin_lease(now, || count_live(self.waiting.values()))
    }

    /// Claims the permit that was granted to a waiter, if one was.
    fn claim(&mut self, ticket: u64, now: Duration) -> bool {
        let held = self.permits.get_mut(&ticket);
        if let Some(held) = held {
            (held.is_claimed, held.expires_at) = (true, now.saturating_add(COUNTED_WITHIN));
            return true;
        }
        false
    }

    fn wait(&mut self, ticket: u64, waker: Waker, now: Duration, deadline: Option<Duration>) -> Turn {
        let Some(waiter) = self.waiting.get_mut(&ticket) else { return Turn::WaitUntil(Duration::MAX) };
        waiter.waker = Some(waker);
        let Request { is_submission, may_wait } = waiter.request;
        let Some(deadline) = deadline else { return Turn::WaitUntil(self.next_change) };
        let granted_at = self.limits.estimate(self.ahead_of(ticket), is_submission, now);
        // Waiting for a lease does not count as waiting for the rate limit.
        let fails_fast = !may_wait && !self.limits.is_lease_pending();
        if fails_fast || now >= deadline || granted_at > deadline {
            Turn::TooLong(granted_at.saturating_sub(now))
        } else {
            Turn::WaitUntil(self.next_change.min(deadline))
        }
    }

    /// Counts the calls in front of a waiter.
    fn ahead_of(&self, ticket: u64) -> Waiting {
        count_live(self.waiting.range(..ticket).map(|(_, waiter)| waiter))
    }

    fn describe(&self, ticket: u64, now: Duration) -> Wait {
        let is_submission = self.waiting.get(&ticket).is_some_and(|waiter| waiter.request.is_submission);
        let ahead = self.ahead_of(ticket);
        let Waiting { submissions, requests: others } = ahead;
        let reason = match &self.limits {
            limits if is_submission && limits.submissions.estimate(submissions, now) > now => WaitReason::Submissions,
            limits if limits.window.is_unknown() => WaitReason::FirstResponse,
            _ => WaitReason::RateLimit,
        };
        let expected = self.limits.estimate(ahead, is_submission, now).saturating_sub(now);
        let ahead = if reason == WaitReason::Submissions { submissions } else { submissions + others };
        Wait { reason, ahead, expected: (!expected.is_zero()).then_some(expected) }
    }
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place in the queue, given up on drop.
struct Place<'a> {
    queue: &'a FairQueue,
    clock: &'a dyn Clock,
    begin_lease: BeginLease<'a>,
    ticket: u64,
    is_kept: bool,
    /// The sleep under way, and its end.
    sleep: Option<(Duration, Sleep)>,
    slept_until: Duration,
}

impl<'a> Place<'a> {
    fn take(queue: &'a FairQueue, request: Request, clock: &'a dyn Clock, begin_lease: BeginLease<'a>) -> Self {
        let ticket = {
            let mut state = queue.lock();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.waiting.insert(ticket, Waiter { request, is_live: false, waker: None });
            ticket
        };
        Self { queue, clock, begin_lease, ticket, is_kept: true, sleep: None, slept_until: Duration::ZERO }
    }

    fn poll(&mut self, context: &mut Context<'_>, deadline: Option<Duration>) -> Poll<Result<(), Duration>> {
        loop {
            if let Some((end, sleep)) = &mut self.sleep {
                match sleep.as_mut().poll(context) {
                    Poll::Ready(()) => {
                        self.slept_until = *end;
                        self.sleep = None;
                    }
                    Poll::Pending if self.queue.is_unchanged(self.ticket, context.waker()) => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            // A sleep counts as ended even if the clock says that it was too short, so that this cannot spin.
            let now = self.clock.monotonic().max(self.slept_until);
            let until = match self.queue.check(self.ticket, now, deadline, context.waker(), self.begin_lease) {
                Turn::Granted => return Poll::Ready(Ok(())),
                Turn::TooLong(wait) => return Poll::Ready(Err(wait)),
                Turn::WaitUntil(until) => until,
            };
            if until == Duration::MAX || self.sleep.as_ref().is_some_and(|(end, _)| *end <= until) {
                return Poll::Pending;
            }
            self.sleep = Some((until, self.clock.sleep(until.saturating_sub(now))));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            self.queue.leave(self.ticket, self.clock.monotonic());
        }
    }
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use super::{CLAIM_WITHIN, COUNTED_WITHIN, FairQueue, Place, Request};
    use crate::clock::Clock;
    use crate::rate_limit::limits::Limits;
    use crate::rate_limit::window::{MINUTE, Report};
    use chrono::{DateTime, Utc};
    use std::future::{Future, pending};
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, SystemTime};

    /// A clock that the test advances. Its sleeps do not end, as the tests poll.
    #[derive(Debug)]
    struct ManualClock(Mutex<Duration>);

    impl ManualClock {
        fn new() -> Self {
            Self(Mutex::new(Duration::from_secs(1_000)))
        }

        fn advance(&self, by: Duration) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH + *self.0.lock().unwrap()
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(pending())
        }
    }

    /// A queue behind a window of `limit` requests that resets in a minute, and behind 2 submissions a minute.
    fn queue(clock: &ManualClock, limit: u32) -> FairQueue {
        let queue = FairQueue::new(Limits::new(2, None));
        let resets_at = clock.monotonic() + MINUTE;
        let report = Report { limit, left: limit, resets_at, ends: SystemTime::UNIX_EPOCH + resets_at };
        queue.lock().limits.window.responded(Some(report), true);
        queue
    }

    /// A call that waits.
    fn place<'a>(queue: &'a FairQueue, is_submission: bool, clock: &'a ManualClock) -> Place<'a> {
        Place::take(queue, Request { is_submission, may_wait: true }, clock, &|_| {})
    }

    fn poll(place: &mut Place<'_>) -> Poll<Result<(), Duration>> {
        poll_until(place, None)
    }

    fn poll_until(place: &mut Place<'_>, deadline: Option<Duration>) -> Poll<Result<(), Duration>> {
        place.poll(&mut Context::from_waker(Waker::noop()), deadline)
    }

    const GRANTED: Poll<Result<(), Duration>> = Poll::Ready(Ok(()));

    #[test]
    fn a_permit_that_is_not_claimed_goes_to_the_next_and_its_waiter_keeps_its_place() {
        let clock = ManualClock::new();
        let queue = queue(&clock, 1);
        let mut places: Vec<_> = (0..4).map(|_| place(&queue, false, &clock)).collect();
        assert_eq!(poll(&mut places[0]), GRANTED);
        assert!(places[1..].iter_mut().all(|place| poll(place).is_pending()));
        queue.finish(places[0].ticket, clock.monotonic(), |limits, _| limits.window.lost());
        clock.advance(MINUTE);
        // The second is granted the permit, by the poll of the third.
        assert!(poll(&mut places[2]).is_pending());
        clock.advance(CLAIM_WITHIN);
        assert_eq!(poll(&mut places[2]), GRANTED);
        assert!(poll(&mut places[3]).is_pending());
        assert!(poll(&mut places[1]).is_pending());
        queue.finish(places[2].ticket, clock.monotonic(), |limits, _| limits.window.lost());
        clock.advance(MINUTE);
        assert!(poll(&mut places[3]).is_pending());
        assert_eq!(poll(&mut places[1]), GRANTED);
    }

    #[test]
    fn a_waiter_that_is_not_polled_takes_no_slot_for_submissions() {
        let clock = ManualClock::new();
        let queue = queue(&clock, 100);
        let mut unpolled: Vec<_> = (0..5).map(|_| place(&queue, true, &clock)).collect();
        queue.lock().limits.window.hold(clock.monotonic() + MINUTE);
        assert!(unpolled.iter_mut().all(|place| poll(place).is_pending()));
        let mut polled = place(&queue, true, &clock);
        clock.advance(MINUTE);
        assert!(poll(&mut polled).is_pending());
        for _ in 0..3 {
            clock.advance(CLAIM_WITHIN);
            let _ = poll(&mut polled);
        }
        assert_eq!(poll(&mut polled), GRANTED);
    }

    #[test]
    fn a_submission_without_a_slot_delays_no_other_call() {
        let clock = ManualClock::new();
        let queue = queue(&clock, 100);
        let mut submissions: Vec<_> = (0..3).map(|_| place(&queue, true, &clock)).collect();
        assert_eq!(submissions.iter_mut().filter_map(|place| poll(place).is_ready().then_some(())).count(), 2);
        assert_eq!(poll(&mut place(&queue, false, &clock)), GRANTED);
    }

    #[test]
    fn a_request_without_a_response_holds_its_permit_for_at_most_a_window() {
        let clock = ManualClock::new();
        let queue = queue(&clock, 1);
        let mut stuck = place(&queue, false, &clock);
        assert_eq!(poll(&mut stuck), GRANTED);
        let mut next = place(&queue, false, &clock);
        clock.advance(MINUTE);
        assert!(poll(&mut next).is_pending());
        clock.advance(COUNTED_WITHIN.saturating_sub(MINUTE));
        assert!(poll(&mut next).is_pending(), "the request may have been counted in this window");
        clock.advance(MINUTE);
        assert_eq!(poll(&mut next), GRANTED);
        // Its end changes nothing.
        queue.finish(stuck.ticket, clock.monotonic(), |_, was_submission| assert!(!was_submission));
        assert!(poll(&mut place(&queue, false, &clock)).is_pending());
    }

    #[test]
    fn the_permit_of_a_dropped_place_goes_to_the_next_which_is_woken() {
        #[derive(Default)]
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let clock = ManualClock::new();
        let queue = queue(&clock, 1);
        let mut first = place(&queue, false, &clock);
        assert_eq!(poll(&mut first), GRANTED);
        let count = std::sync::Arc::new(Count::default());
        let waker = Waker::from(std::sync::Arc::clone(&count));
        let mut second = place(&queue, false, &clock);
        assert!(second.poll(&mut Context::from_waker(&waker), None).is_pending());
        drop(first);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(second.poll(&mut Context::from_waker(&waker), None), GRANTED);
    }

    #[test]
    fn the_estimate_counts_the_waiters_in_front() {
        let clock = ManualClock::new();
        let queue = queue(&clock, 1);
        let mut places: Vec<_> = (0..4).map(|_| place(&queue, false, &clock)).collect();
        assert_eq!(poll(&mut places[0]), GRANTED);
        assert!(poll(&mut places[1]).is_pending());
        assert!(poll(&mut places[2]).is_pending());
        let deadline = clock.monotonic() + 2 * MINUTE;
        assert_eq!(poll_until(&mut places[3], Some(deadline)), Poll::Ready(Err(3 * MINUTE)));
        places.pop();
        let mut last = place(&queue, false, &clock);
        assert!(poll_until(&mut last, Some(deadline + MINUTE)).is_pending());
    }
}
