//! Waiting for a future on a thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Waits for this, asleep while there is nothing to do.
///
/// `Handle::block_on` does the same, but panics where it believes that it must not block; here, that has been decided.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let alarm = Arc::new(Alarm { thread: thread::current(), rang: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        while !alarm.rang.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// Wakes a thread. It notes that it did: a wait inside of another, from a callback, may get to see what was meant for the other.
struct Alarm {
    thread: Thread,
    rang: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::thread;

    use tokio::sync::oneshot;

    use super::wait;

    #[test]
    fn a_future_that_is_ready_is_not_waited_for() {
        assert_eq!(wait(async { 7 }), 7);
    }

    #[test]
    fn another_thread_ends_the_wait() {
        let (sender, receiver) = oneshot::channel();
        let other = thread::spawn(move || sender.send(7));
        assert_eq!(wait(receiver), Ok(7));
        other.join().unwrap().unwrap();
    }

    #[test]
    fn a_wait_inside_of_a_wait_does_not_swallow_its_wake_up() {
        let mut is_first = true;
        let outer = poll_fn(|context| {
            if !is_first {
                return Poll::Ready(());
            }
            is_first = false;
            context.waker().wake_by_ref();
            let (sender, receiver) = oneshot::channel();
            let other = thread::spawn(move || sender.send(()));
            wait(receiver).unwrap();
            other.join().unwrap().unwrap();
            Poll::Pending
        });
        wait(outer);
    }
}
