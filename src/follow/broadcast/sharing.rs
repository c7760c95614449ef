//! [`Sharing`]: the tasks that publish to a channel and listen to it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::key::Rejection;
use super::message::{Envelope, Message, RunMessage};
use super::replicas::{ANNOUNCE, Replicas};
use super::{Broadcast, BroadcastError, BroadcastKey};
use crate::clock::Clock;
use crate::follow::Follow;
use crate::platform::{AbortHandle, Handle};
use crate::race::race;

/// Number of messages that wait to be published. More are dropped.
const QUEUE: usize = 1_024;

/// The delays before a new subscription.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What a client that shares deliveries knows of the others, and its way to them.
#[derive(Debug, Default)]
pub(in crate::follow) struct Sharing {
    queue: Option<mpsc::Sender<Outgoing>>,
    replicas: Replicas,
    has_dropped: bool,
}

#[derive(Debug)]
enum Outgoing {
    Run(RunMessage),
    /// Somebody has begun to wait.
    Begin,
    /// There is somebody who may not know of this replica.
    Announce,
}

impl Sharing {
    /// Publishes what a delivery told of a run. It never blocks: returns whether this message is the first that is dropped.
    pub(in crate::follow) fn publish(&mut self, run: RunMessage) -> bool {
        let is_dropped = self.send(Outgoing::Run(run));
        !std::mem::replace(&mut self.has_dropped, is_dropped) && is_dropped
    }

    /// Somebody has begun to wait.
    pub(in crate::follow) fn begin(&self) {
        self.send(Outgoing::Begin);
    }

    /// Returns the number of other replicas that poll.
    pub(in crate::follow) fn replicas(&mut self, now: Duration) -> u32 {
        self.replicas.count(now)
    }

    /// Returns whether the message was dropped, as too many wait.
    fn send(&self, outgoing: Outgoing) -> bool {
        let queue = self.queue.as_ref();
        queue.is_some_and(|queue| matches!(queue.try_send(outgoing), Err(TrySendError::Full(_))))
    }
}

/// Begins to share deliveries by this channel, and ends what was begun before.
pub(in crate::follow) fn share(
    follow: &Arc<Follow>,
    key: BroadcastKey,
    broadcast: Arc<dyn Broadcast>,
    runtime: &Handle,
) {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let clock = Arc::clone(&follow.clock);
    let replica = Arc::new(Replica { follow: Arc::downgrade(follow), broadcast, key, clock, id });
    let (sender, queue) = mpsc::channel(QUEUE);
    // Not while the state is locked: a runtime that shuts down drops the tasks at once.
    let listener = Listener(runtime.spawn(Arc::clone(&replica).listen()).abort_handle());
    runtime.spawn(replica.publish(queue, listener));
    follow.state().sharing = Sharing { queue: Some(sender), ..Sharing::default() };
}

/// The task that listens. It ends with the one that publishes, which ends with the client.
struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// This process among the others.
struct Replica {
    follow: Weak<Follow>,
    broadcast: Arc<dyn Broadcast>,
    key: BroadcastKey,
    clock: Arc<dyn Clock>,
    id: String,
}

impl Replica {
    /// Publishes what is in the queue, and announces this replica while it awaits runs, until the client is dropped.
    async fn publish(self: Arc<Self>, mut queue: mpsc::Receiver<Outgoing>, _listener: Listener) {
        let mut outage = Outage::default();
        let mut announced = None;
        while let Some(is_awaiting) = self.is_awaiting() {
            let now = self.clock.monotonic();
            let due = announced.map_or(Duration::ZERO, |at: Duration| (at + ANNOUNCE).saturating_sub(now));
            let message = if !is_awaiting {
                // No timer runs while nobody waits.
                queue.recv().await.map(Some)
            } else if due.is_zero() {
                announced = Some(now);
                self.send(Message::Awaiting, &mut outage).await;
                continue;
            } else {
                race(queue.recv(), self.clock.sleep(due)).await.map_or(Some(None), |message| message.map(Some))
            };
            match message {
                None => return,
                Some(Some(Outgoing::Run(run))) => self.send(Message::Run(run), &mut outage).await,
                Some(Some(Outgoing::Announce)) => announced = None,
                Some(Some(Outgoing::Begin) | None) => {}
            }
        }
    }

    fn is_awaiting(&self) -> Option<bool> {
        self.follow.upgrade().map(|follow| !follow.state().registry.is_empty())
    }

    /// Publishes a message. One that is lost costs the others time, as polling finds what it told of.
    async fn send(&self, message: Message, outage: &mut Outage) {
        let envelope = Envelope { sender: self.id.clone(), sent_at: self.clock.now(), message };
        let published = match self.key.seal(&envelope) {
            Ok(sealed) => self.broadcast.publish(self.key.channel(), sealed.as_bytes()).await,
            Err(error) => Err(error.into()),
        };
        match published {
            Ok(()) => outage.end(),
            Err(error) => outage.begin("deliveries cannot be shared with the other replicas", &error),
        }
    }

    /// Takes in what others publish, on one subscription after the other.
    async fn listen(self: Arc<Self>) {
        let mut outage = Outage::default();
        let mut has_rejected = false;
        let mut delay = FIRST_DELAY;
        loop {
            match self.broadcast.subscribe(self.key.channel()).await {
                Ok(mut subscription) => {
                    self.announce();
                    while let Some(message) = subscription.next().await {
                        delay = FIRST_DELAY;
                        outage.end();
                        self.receive(&message, &mut has_rejected);
                    }
                    outage.begin("the connection to the other replicas is lost", &"it is made anew".into());
                }
                Err(error) => outage.begin("the deliveries of the other replicas cannot be received", &error),
            }
            self.clock.sleep(delay.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// Makes the other replicas announce themselves, by doing so.
    fn announce(&self) {
        if let Some(follow) = self.follow.upgrade() {
            follow.state().sharing.send(Outgoing::Announce);
        }
    }

    fn receive(&self, message: &[u8], has_rejected: &mut bool) {
        let Some(follow) = self.follow.upgrade() else { return };
        match self.key.open(message, self.clock.now()) {
            Ok(envelope) if envelope.sender == self.id => {}
            Ok(Envelope { message: Message::Run(run), .. }) => follow.learn_delivery(run.into()),
            Ok(Envelope { message: Message::Awaiting, sender, sent_at }) => {
                let now = follow.now();
                let mut state = follow.state();
                if state.sharing.replicas.announced(sender, sent_at, now) {
                    state.sharing.send(Outgoing::Announce);
                }
            }
            Err(Rejection::Unknown) => {}
            Err(rejection) if !*has_rejected => {
                *has_rejected = true;
                let why = match rejection {
                    Rejection::WrongTime => "its time is a quarter of an hour off: do the clocks differ?",
                    _ => "it was not made with this API key",
                };
                warn("a message of another replica is ignored", why);
            }
            Err(_) => {}
        }
    }
}

/// A time in which the channel fails, of which one warning tells.
#[derive(Default)]
struct Outage(bool);

impl Outage {
    fn begin(&mut self, what: &str, error: &BroadcastError) {
        if !self.0 {
            self.0 = true;
            warn(what, &error.to_string());
        }
    }

    fn end(&mut self) {
        self.0 = false;
    }
}

#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "for tracing"))]
pub(in crate::follow) fn warn(what: &str, error: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(error, "{what}; polling finds the ends of runs");
}
