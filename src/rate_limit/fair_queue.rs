//! A fair queue of permits, which are granted in the order of the calls, as the limits allow.
//!
//! Whoever changes the limits grants permits to all that can have one, and wakes those. Where time has to pass, the
//! first waiter of each runtime sleeps until then and grants for all (and each that its own thread polls), so that a
//! runtime that nobody drives delays nobody: not by its waiters that sleep, and not by those that were granted a
//! permit, which they lose after [`CLAIM_WITHIN`]. Such a waiter keeps its place, and is the first as soon as it is
//! polled again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
use crate::platform::{RuntimeId, polls_calls, runtime_id};

/// The time within which a waiter has to be polled after it was granted a permit. After it, others get the permit. A
/// task that was woken takes far less.
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
    requests: BTreeMap<u64, Waiter>,
    submissions: BTreeMap<u64, Waiter>,
    /// The waiters of each driver. The first sleeps until the next change, and the others until they are woken.
    drivers: HashMap<Driver, BTreeSet<u64>>,
    permits: HashMap<u64, Held>,
    /// When the permits expire.
    expiries: BTreeSet<(Duration, u64)>,
    /// The time at which permits may be granted or expire.
    next_change: Duration,
    /// To be woken or dropped when the lock is released: both may drop a task, and with it another place in this queue.
    wakers: Vec<Waker>,
}

/// What polls a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Driver {
    Runtime(RuntimeId),
    /// A thread that blocks on this call. It may not poll it at times, such as in a callback that makes another call.
    Thread(u64),
}

#[derive(Debug)]
struct Waiter {
    request: Request,
    driver: Driver,
    waker: Option<Waker>,
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
            requests: BTreeMap::new(),
            submissions: BTreeMap::new(),
            drivers: HashMap::new(),
            permits: HashMap::new(),
            expiries: BTreeSet::new(),
            next_change: Duration::MAX,
            wakers: Vec::new(),
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
            if turn.is_pending() && on_wait.is_some() {
                let now = clock.monotonic();
                let wait = self.lock().describe(&place, now);
                if let Some((wait, on_wait)) = wait.and_then(|wait| Some((wait, on_wait.take()?))) {
                    on_wait(wait);
                }
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
        self.with(|state| {
            let held = state.remove_permit(ticket);
            if let Some(held) = &held {
                state.limits.end(held.grant);
            }
            change(&mut state.limits, held.is_some_and(|held| held.grant.request.is_submission));
            state.settle(now);
        });
    }

    /// Ends a permit that was not used.
    pub(super) fn give_back(&self, ticket: u64, now: Duration) {
        self.with(|state| state.give_back(ticket, now));
    }

    /// Begins a lease from the shared limit, if one is needed.
    pub(super) fn begin_lease(&self, now: Duration) -> Option<LeaseDemand> {
        self.lock().begin_lease(now)
    }

    /// Applies the result of a lease. `None` is a failure.
    pub(super) fn end_lease(&self, demand: &LeaseDemand, lease: Option<Lease>, now: Duration) -> Change {
        self.with(|state| {
            let change = state.limits.leased.as_mut().map_or(Change::None, |leased| leased.end(demand, lease, now));
            state.settle(now);
            // Those that may not wait have waited for the lease alone.
            let waiters = state.requests.values_mut().chain(state.submissions.values_mut());
            let failing = waiters.filter(|waiter| !waiter.request.may_wait);
            state.wakers.extend(failing.filter_map(|waiter| waiter.waker.take()));
            change
        })
    }

    /// Returns whether permits come from a shared limit.
    pub(super) fn is_shared(&self) -> bool {
        self.lock().limits.leased.as_ref().is_some_and(LeasedPermits::is_working)
    }

    /// Returns the limit of the window that the service reported last.
    pub(super) fn limit(&self) -> Option<u32> {
        self.lock().limits.window.limit()
    }

    /// Returns whether the limit is the word of something in front of the service.
    pub(super) fn is_foreign(&self) -> bool {
        self.lock().limits.is_foreign
    }

    /// Returns the time to the end of the window that was reported last, if it is not over.
    pub(super) fn window_left(&self, now: Duration) -> Option<Duration> {
        Some(self.lock().limits.window.report(now)?.resets_at.saturating_sub(now))
    }

    /// Polls a waiter: it claims its permit, or waits for one.
    fn check(&self, place: &Place<'_>, now: Duration, deadline: Option<Duration>, waker: &Waker) -> Turn {
        let (turn, demand) = self.with(|state| {
            if state.claim(place.ticket, now) {
                return (Turn::Granted, None);
            }
            state.enter(place);
            state.settle(now);
            let demand = state.begin_lease(now);
            if demand.is_some() {
                // No waiter may sleep for longer than the lease may take.
                state.settle(now);
            }
            let is_granted = state.claim(place.ticket, now);
            (if is_granted { Turn::Granted } else { state.wait(place, now, deadline, waker) }, demand)
        });
        if let Some(demand) = demand {
            (place.begin_lease)(demand);
        }
        turn
    }

    /// Gives up a place and the permit that was granted to it.
    fn leave(&self, place: &Place<'_>) {
        let now = place.clock.monotonic();
        self.with(|state| {
            state.remove_waiter(place.ticket, place.request);
            state.give_back(place.ticket, now);
        });
    }

    /// Runs a function under the lock, and wakes the waiters concerned without it.
    fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers) = {
            let mut state = self.lock();
            let result = run(&mut state);
            (result, std::mem::take(&mut state.wakers))
        };
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiters(&mut self, is_submission: bool) -> &mut BTreeMap<u64, Waiter> {
        if is_submission { &mut self.submissions } else { &mut self.requests }
    }

    /// Adds a waiter, unless it waits already.
    fn enter(&mut self, place: &Place<'_>) {
        let &Place { ticket, request, driver, .. } = place;
        let waiter = Waiter { request, driver, waker: None };
        self.waiters(request.is_submission).entry(ticket).or_insert(waiter);
        self.drivers.entry(driver).or_default().insert(ticket);
    }

    fn remove_waiter(&mut self, ticket: u64, request: Request) {
        let Some(waiter) = self.waiters(request.is_submission).remove(&ticket) else { return };
        self.wakers.extend(waiter.waker);
        let Some(tickets) = self.drivers.get_mut(&waiter.driver) else { return };
        let was_first = tickets.first() == Some(&ticket);
        tickets.remove(&ticket);
        match tickets.first().copied() {
            Some(next) if was_first => self.wake(next),
            Some(_) => {}
            None => drop(self.drivers.remove(&waiter.driver)),
        }
    }

    fn wake(&mut self, ticket: u64) {
        let waiter = self.requests.get_mut(&ticket).or_else(|| self.submissions.get_mut(&ticket));
        self.wakers.extend(waiter.and_then(|waiter| waiter.waker.take()));
    }

    /// Takes back expired permits, and grants permits in order.
    fn settle(&mut self, now: Duration) {
        self.expire(now);
        self.limits.check_lease(now);
        let mut next_change = self.grant(now);
        if let Some((expires_at, _)) = self.expiries.first() {
            next_change = next_change.min(*expires_at);
        }
        if next_change < self.next_change {
            let firsts: Vec<_> = self.drivers.values().filter_map(BTreeSet::first).copied().collect();
            for ticket in firsts {
                self.wake(ticket);
            }
        }
        self.next_change = next_change;
    }

    fn expire(&mut self, now: Duration) {
        while let Some((expires_at, ticket)) = self.expiries.first().copied() {
            if now < expires_at {
                break;
            }
            let Some(held) = self.remove_permit(ticket) else { break };
            if held.is_claimed {
                self.limits.end(held.grant);
                self.limits.lost(held.grant.request.is_submission, now);
            } else {
                self.limits.give_back(held.grant, now);
            }
        }
    }

    /// Grants a permit to each waiter that may have one. Returns the time at which to try again.
    fn grant(&mut self, now: Duration) -> Duration {
        let mut try_again = Duration::MAX;
        let (mut has_requests, mut has_submissions) = (true, true);
        loop {
            let request = self.requests.first_key_value().filter(|_| has_requests);
            let submission = self.submissions.first_key_value().filter(|_| has_submissions);
            let first = request.into_iter().chain(submission).min_by_key(|(ticket, _)| **ticket);
            let Some((ticket, request)) = first.map(|(ticket, waiter)| (*ticket, waiter.request)) else { break };
            let at = match self.limits.try_acquire(request, now) {
                Ok(grant) => {
                    self.remove_waiter(ticket, request);
                    self.insert_permit(ticket, Held { grant, is_claimed: false, expires_at: now + CLAIM_WITHIN });
                    continue;
                }
                Err(Full::Submissions(at)) => {
                    has_submissions = false;
                    at
                }
                Err(Full::Requests(at)) => {
                    has_requests = false;
                    at
                }
                Err(Full::Window(at)) => {
                    (has_requests, has_submissions) = (false, false);
                    at
                }
            };
            try_again = try_again.min(at);
        }
        try_again
    }

    fn begin_lease(&mut self, now: Duration) -> Option<LeaseDemand> {
        let count = |waiters: &BTreeMap<_, _>| u32::try_from(waiters.len()).unwrap_or(u32::MAX);
        let waiting = Waiting { requests: count(&self.requests), submissions: count(&self.submissions) };
        self.limits.begin_lease(now, waiting)
    }

    fn insert_permit(&mut self, ticket: u64, held: Held) {
        self.expiries.insert((held.expires_at, ticket));
        self.permits.insert(ticket, held);
    }

    fn remove_permit(&mut self, ticket: u64) -> Option<Held> {
        let held = self.permits.remove(&ticket)?;
        self.expiries.remove(&(held.expires_at, ticket));
        Some(held)
    }

    /// Claims the permit that was granted to a waiter, if one was.
    fn claim(&mut self, ticket: u64, now: Duration) -> bool {
        let Some(held) = self.remove_permit(ticket) else { return false };
        self.insert_permit(ticket, Held { is_claimed: true, expires_at: now + COUNTED_WITHIN, ..held });
        true
    }

    fn give_back(&mut self, ticket: u64, now: Duration) {
        if let Some(held) = self.remove_permit(ticket) {
            self.limits.give_back(held.grant, now);
        }
        self.settle(now);
    }

    /// Lets a waiter wait, unless that would take too long.
    fn wait(&mut self, place: &Place<'_>, now: Duration, deadline: Option<Duration>, waker: &Waker) -> Turn {
        let &Place { ticket, request, driver, .. } = place;
        let waiter = self.waiters(request.is_submission).get_mut(&ticket);
        // One of another task is woken in vain, rather than dropped here.
        let old = waiter.and_then(|waiter| waiter.waker.replace(waker.clone()));
        self.wakers.extend(old.filter(|old| !old.will_wake(waker)));
        let is_first = self.drivers.get(&driver).and_then(BTreeSet::first) == Some(&ticket);
        let next_change = if is_first { self.next_change } else { Duration::MAX };
        let Some(deadline) = deadline else { return Turn::WaitUntil(next_change) };
        let granted_at = self.limits.estimate(self.ahead_of(ticket), request.is_submission, now);
        // Waiting for a lease does not count as waiting for the rate limit.
        let fails_fast = !request.may_wait && !self.limits.is_lease_pending();
        if fails_fast || now >= deadline || granted_at > deadline {
            Turn::TooLong(granted_at.saturating_sub(now))
        } else {
            Turn::WaitUntil(next_change.min(deadline))
        }
    }

    /// Counts the calls in front of a waiter.
    fn ahead_of(&self, ticket: u64) -> Waiting {
        let count = |waiters: &BTreeMap<u64, Waiter>| {
            let count = match waiters.last_key_value() {
                Some((last, _)) if *last > ticket => waiters.range(..ticket).count(),
                // Most estimates are of the last.
                Some((last, _)) if *last == ticket => waiters.len() - 1,
                _ => waiters.len(),
            };
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        Waiting { requests: count(&self.requests), submissions: count(&self.submissions) }
    }

    /// Describes a wait. `None` if the waiter waits for a lease.
    fn describe(&self, place: &Place<'_>, now: Duration) -> Option<Wait> {
        if self.limits.is_lease_pending() {
            return None;
        }
        let is_submission = place.request.is_submission;
        let ahead = self.ahead_of(place.ticket);
        let Waiting { submissions, requests: others } = ahead;
        let reason = match &self.limits {
            limits if is_submission && limits.submissions.estimate(submissions, now) > now => WaitReason::Submissions,
            limits if limits.is_foreign => WaitReason::Gateway,
            limits if limits.window.is_unknown() => WaitReason::FirstResponse,
            _ => WaitReason::RateLimit,
        };
        let expected = self.limits.estimate(ahead, is_submission, now).saturating_sub(now);
        let ahead = if reason == WaitReason::Submissions { submissions } else { submissions.saturating_add(others) };
        Some(Wait { reason, ahead, expected: (!expected.is_zero()).then_some(expected) })
    }
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place in the queue, given up on drop.
struct Place<'a> {
    queue: &'a FairQueue,
    clock: &'a dyn Clock,
    begin_lease: BeginLease<'a>,
    ticket: u64,
    request: Request,
    driver: Driver,
    is_kept: bool,
    /// The sleep under way, and its end.
    sleep: Option<(Duration, Sleep)>,
    slept_until: Duration,
}

impl<'a> Place<'a> {
    fn take(queue: &'a FairQueue, request: Request, clock: &'a dyn Clock, begin_lease: BeginLease<'a>) -> Self {
        let ticket = {
            let mut state = queue.lock();
            state.next_ticket += 1;
            state.next_ticket
        };
        let driver = if polls_calls() { Driver::Thread(ticket) } else { Driver::Runtime(runtime_id()) };
        let slept_until = Duration::ZERO;
        Self { queue, clock, begin_lease, ticket, request, driver, is_kept: true, sleep: None, slept_until }
    }

    fn poll(&mut self, context: &mut Context<'_>, deadline: Option<Duration>) -> Poll<Result<(), Duration>> {
        loop {
            // A sleep counts as ended even if the clock says that it was too short, so that this cannot spin.
            let now = self.clock.monotonic().max(self.slept_until);
            let until = match self.queue.check(self, now, deadline, context.waker()) {
                Turn::Granted => return Poll::Ready(Ok(())),
                Turn::TooLong(wait) => return Poll::Ready(Err(wait)),
                Turn::WaitUntil(until) => until,
            };
            if until < self.sleep.as_ref().map_or(Duration::MAX, |(end, _)| *end) {
                self.sleep = Some((until, self.clock.sleep(until.saturating_sub(now))));
            }
            let Some((end, sleep)) = &mut self.sleep else { return Poll::Pending };
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.slept_until = *end;
            self.sleep = None;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            self.queue.leave(self);
        }
    }
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
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
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

    fn poll_as(place: &mut Place<'_>, count: &Arc<Count>) -> Poll<Result<(), Duration>> {
        place.poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))), None)
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicU32);

    impl Count {
        fn get(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
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
        let clock = ManualClock::new();
        let queue = queue(&clock, 1);
        let mut first = place(&queue, false, &clock);
        assert_eq!(poll(&mut first), GRANTED);
        let (mut second, mut third) = (place(&queue, false, &clock), place(&queue, false, &clock));
        let (next, other) = (Arc::default(), Arc::default());
        assert!(poll_as(&mut second, &next).is_pending() && poll_as(&mut third, &other).is_pending());
        drop(first);
        // The third sleeps for the rest now.
        assert_eq!((next.get(), other.get()), (1, 1));
        assert_eq!(poll_as(&mut second, &next), GRANTED);
    }

    #[test]
    fn only_those_are_woken_that_can_go_and_the_one_that_sleeps_for_the_rest() {
        let clock = ManualClock::new();
        let queue = queue(&clock, 10);
        let mut granted: Vec<_> = (0..10).map(|_| place(&queue, false, &clock)).collect();
        assert!(granted.iter_mut().all(|place| poll(place) == GRANTED));
        let mut waiting: Vec<_> = (0..1_000).map(|_| (place(&queue, false, &clock), Arc::<Count>::default())).collect();
        assert!(waiting.iter_mut().all(|(place, count)| poll_as(place, count).is_pending()));
        for place in &granted {
            queue.finish(place.ticket, clock.monotonic(), |limits, _| limits.window.lost());
        }
        assert_eq!(waiting.iter().map(|(_, count)| count.get()).sum::<u32>(), 0);
        clock.advance(MINUTE);
        let (first, count) = &mut waiting[0];
        assert_eq!(poll_as(first, count), GRANTED);
        assert!(waiting[1..=10].iter().all(|(_, count)| count.get() == 1));
        assert!(waiting[11..].iter().all(|(_, count)| count.get() == 0));
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
