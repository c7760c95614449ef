//! Blocks a thread until a future is ready.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Polls the future to completion, and parks the thread between polls.
///
/// Unlike tokio's `block_on`, it may be nested: a callback on this thread may make a blocking call.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unparker = Arc::new(Unparker { thread: thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unparker));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        while !unparker.is_woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// Unparks a thread. The flag is needed because a nested wait, such as one in a callback, may consume the unpark token
/// of the outer one.
struct Unparker {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
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
    fn a_nested_wait_does_not_consume_the_wake_up_of_the_outer_one() {
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
