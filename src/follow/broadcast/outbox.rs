//! [`Outbox`]: the queue of messages to publish.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::message::RunMessage;

/// The number of messages that wait to be published. More are dropped.
const CAPACITY: usize = 1_024;

/// The queue, unless deliveries are not shared.
#[derive(Debug, Default)]
pub(in crate::follow) struct Outbox {
    queue: Option<mpsc::Sender<Outgoing>>,
    has_dropped: bool,
}

#[derive(Debug)]
pub(super) enum Outgoing {
    Run(RunMessage),
    /// A wait has begun after a time without any.
    WaitBegan,
    /// Another replica may not know this one.
    Announce,
}

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, receiver) = mpsc::channel(CAPACITY);
        (Self { queue: Some(queue), has_dropped: false }, receiver)
    }

    /// Queues an update of a run, without blocking. Returns whether it was dropped while the one before was not.
    pub(in crate::follow) fn publish(&mut self, run: RunMessage) -> bool {
        let is_dropped = self.send(Outgoing::Run(run));
        !std::mem::replace(&mut self.has_dropped, is_dropped) && is_dropped
    }

    pub(in crate::follow) fn wait_began(&self) {
        self.send(Outgoing::WaitBegan);
    }

    pub(super) fn announce(&self) {
        self.send(Outgoing::Announce);
    }

    /// Returns whether the message was dropped, because the queue is full.
    fn send(&self, outgoing: Outgoing) -> bool {
        let queue = self.queue.as_ref();
        queue.is_some_and(|queue| matches!(queue.try_send(outgoing), Err(TrySendError::Full(_))))
    }
}

#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "for tracing"))]
pub(in crate::follow) fn warn(problem: &str, error: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(error, "{problem}; polling finds the ends of runs");
}
