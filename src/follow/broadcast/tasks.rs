//! The tasks of a replica that publish to the channel and listen to it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::state::FollowState;
use super::key::{BroadcastKey, Rejection};
use super::message::{Envelope, Message};
use super::outbox::{Outbox, Outgoing, warn};
use super::replicas::{ANNOUNCE_INTERVAL, Replicas};
use super::{Broadcast, BroadcastError};
use crate::clock::Clock;
use crate::platform::{Handle, JoinHandle};
use crate::run_until::run_until;

/// The delays before a new subscription.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// Starts to share deliveries by this channel, in place of an earlier one.
pub(in crate::follow) fn start(
    state: &Arc<FollowState>,
    key: BroadcastKey,
    broadcast: Arc<dyn Broadcast>,
    runtime: &Handle,
) {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let clock = Arc::clone(&state.clock);
    let replica = Arc::new(Replica { state: Arc::downgrade(state), broadcast, key, clock, id });
    let (outbox, queue) = Outbox::new();
    // Not while the state is locked: a runtime that shuts down drops the tasks at once.
    let listener = Listener(runtime.spawn(Arc::clone(&replica).listen()));
    runtime.spawn(replica.publish(queue, listener));
    let earlier = state.update(|inner| {
        inner.replicas = Replicas::default();
        std::mem::replace(&mut inner.outbox, outbox)
    });
    drop(earlier);
}

/// The task that listens. It ends with the task that publishes, which ends with the client.
struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Replica {
    state: Weak<FollowState>,
    broadcast: Arc<dyn Broadcast>,
    key: BroadcastKey,
    clock: Arc<dyn Clock>,
    id: String,
}

impl Replica {
    /// Publishes the queued messages, and announces this replica while it awaits runs, until the client is dropped.
    async fn publish(self: Arc<Self>, mut queue: mpsc::Receiver<Outgoing>, _listener: Listener) {
        let mut outage = Outage::default();
        let mut announced = None;
        while let Some(is_awaiting) = self.is_awaiting() {
            let now = self.clock.monotonic();
            let due = announced.map_or(Duration::ZERO, |at: Duration| (at + ANNOUNCE_INTERVAL).saturating_sub(now));
            let message = if !is_awaiting {
                // No timer while no run is awaited.
                queue.recv().await.map(Some)
            } else if due.is_zero() {
                announced = Some(now);
                self.send(Message::Awaiting, &mut outage).await;
                continue;
            } else {
                run_until(queue.recv(), self.clock.sleep(due)).await.map_or(Some(None), |message| message.map(Some))
            };
            match message {
                None => return,
                Some(Some(Outgoing::Run(run))) => self.send(Message::Run(run), &mut outage).await,
                Some(Some(Outgoing::Announce)) => announced = None,
                Some(Some(Outgoing::WaitBegan) | None) => {}
            }
        }
    }

    fn is_awaiting(&self) -> Option<bool> {
        self.state.upgrade().map(|state| !state.lock().registry.is_empty())
    }

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

    /// Receives the messages of other replicas, and subscribes again whenever a subscription ends.
    async fn listen(self: Arc<Self>) {
        let mut outage = Outage::default();
        let mut has_rejected = false;
        let mut delay = FIRST_DELAY;
        loop {
            match self.broadcast.subscribe(self.key.channel()).await {
                Ok(mut subscription) => {
                    // The others announce themselves to a replica that is new to them.
                    if let Some(state) = self.state.upgrade() {
                        state.lock().outbox.announce();
                    }
                    while let Some(message) = subscription.next().await {
                        delay = FIRST_DELAY;
                        outage.end();
                        self.receive(&message, &mut has_rejected);
                    }
                    outage.begin("the connection to the other replicas is lost", &"it is reestablished".into());
                }
                Err(error) => outage.begin("the deliveries of the other replicas cannot be received", &error),
            }
            self.clock.sleep(delay.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    fn receive(&self, message: &[u8], has_rejected: &mut bool) {
        let Some(state) = self.state.upgrade() else { return };
        match self.key.open(message, self.clock.now()) {
            Ok(envelope) if envelope.sender == self.id => {}
            Ok(Envelope { message: Message::Run(run), .. }) => state.apply_delivery(run.into()),
            Ok(Envelope { message: Message::Awaiting, sender, sent_at }) => {
                let now = state.now();
                let mut inner = state.lock();
                if inner.replicas.announced(sender, sent_at, now) {
                    inner.outbox.announce();
                }
            }
            Err(Rejection::Unknown) => {}
            Err(rejection) if !*has_rejected => {
                *has_rejected = true;
                let reason = match rejection {
                    Rejection::WrongTime => "its time differs by more than 15 minutes: do the clocks differ?",
                    _ => "it was not made with this API key",
                };
                warn("a message of another replica is ignored", reason);
            }
            Err(_) => {}
        }
    }
}

/// A time in which the channel fails. One warning is logged for each.
#[derive(Default)]
struct Outage(bool);

impl Outage {
    fn begin(&mut self, problem: &str, error: &BroadcastError) {
        if !self.0 {
            self.0 = true;
            warn(problem, &error.to_string());
        }
    }

    fn end(&mut self) {
        self.0 = false;
    }
}
