//! The simulator's time as the client's clock. It passes only while everything else is idle.
//!
//! The runtime has one thread that runs the calls, the simulator and the links between them. After many turns of the
//! runtime without activity, every task waits for time, and the clock advances to the earliest sleeper.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use agentgate::chrono::{DateTime, Utc};
use agentgate::simulator::{self, Simulator};
use agentgate::{Client, ClientBuilder, Clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

/// Number of turns of the runtime without activity after which every task waits for time.
const IDLE_TURNS: u32 = 200;

/// Longer than any test here takes in real time, on a machine that is busy with other things.
const TEST_TIMEOUT: Duration = Duration::from_secs(900);

/// The time at which a sleep ends, and a number that makes it unique.
type Moment = (DateTime<Utc>, u64);

/// The largest step of time with tokio's timers, so that they fire in order.
const STEP: Duration = Duration::from_secs(5);

/// A simulator and a clock that follows its time.
#[derive(Clone, Debug)]
pub struct SimulatedTime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    simulator: Simulator,
    /// Pending sleeps, in order of their end.
    sleepers: Mutex<BTreeMap<Moment, oneshot::Sender<()>>>,
    next_id: AtomicU64,
    /// Counts the uses of the clock.
    activity: AtomicUsize,
    /// Advances tokio's timers as well, such as that of an attempt's timeout.
    moves_tokio: bool,
}

impl SimulatedTime {
    pub async fn start(simulator: simulator::Builder) -> Self {
        Self::new(simulator.start().await.unwrap(), false)
    }

    /// Starts a simulator whose time also drives tokio's timers, such as that of an attempt's timeout. Await everything
    /// in [`run`](Self::run): outside of it, tokio advances its time itself.
    pub async fn start_with_tokio(simulator: simulator::Builder) -> Self {
        let time = Self::new(simulator.start().await.unwrap(), true);
        tokio::time::pause();
        time
    }

    fn new(simulator: Simulator, moves_tokio: bool) -> Self {
        Self(Arc::new(Inner {
            simulator,
            sleepers: Mutex::default(),
            next_id: AtomicU64::new(0),
            activity: AtomicUsize::new(0),
            moves_tokio,
        }))
    }

    pub fn simulator(&self) -> &Simulator {
        &self.0.simulator
    }

    /// Returns a builder for a client of the simulator, with its clock.
    pub fn builder(&self) -> ClientBuilder {
        let simulator = self.simulator();
        Client::builder().api_key(simulator.api_key()).base_url(simulator.url()).clock(self.clone())
    }

    pub fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// Runs a future to completion, and advances time for it.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let drive = async {
            loop {
                self.settle().await;
                self.0.simulator.settle().await;
                let first = self.0.sleepers.lock().unwrap().keys().next().copied();
                let by = first.map(|(moment, _)| (moment - self.0.simulator.now()).to_std().unwrap_or_default());
                if self.0.moves_tokio {
                    let by = by.unwrap_or(STEP).min(STEP);
                    tokio::time::advance(by).await;
                    self.advance(by);
                } else if let Some(by) = by {
                    self.advance(by);
                }
            }
        };
        let mut drive = pin!(drive);
        let both = std::future::poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => drive.as_mut().poll(context),
        });
        if self.0.moves_tokio { both.await } else { tokio::time::timeout(TEST_TIMEOUT, both).await.unwrap() }
    }

    /// Runs all tasks until they are idle, without advancing time.
    pub async fn settle(&self) {
        let (mut idle, mut before) = (0, self.activity());
        while idle < IDLE_TURNS {
            tokio::task::yield_now().await;
            let now = self.activity();
            idle = if now == before { idle + 1 } else { 0 };
            before = now;
        }
    }

    /// Advances time, and wakes the sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        self.0.simulator.advance(by);
        let later = (self.0.simulator.now() + Duration::from_nanos(1), 0);
        let mut sleepers = self.0.sleepers.lock().unwrap();
        let rest = sleepers.split_off(&later);
        for (_, wake) in std::mem::replace(&mut *sleepers, rest) {
            // The sleeper may have been dropped.
            let _ = wake.send(());
        }
    }

    /// Returns the time since the start of the simulator's clock.
    pub fn passed(&self) -> Duration {
        const START: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        (self.0.simulator.now() - START).to_std().unwrap()
    }

    /// Returns the time since an earlier value of [`passed`](Self::passed).
    pub fn passed_since(&self, earlier: Duration) -> Duration {
        self.passed().checked_sub(earlier).unwrap()
    }

    /// Returns a URL that leads to the simulator over a link with latency: `latency` returns the delay of each chunk,
    /// in each direction.
    pub async fn slow_line(&self, latency: impl Fn() -> Duration + Send + Sync + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let simulator: SocketAddr = self.simulator().url().strip_prefix("http://").unwrap().parse().unwrap();
        let latency: Arc<dyn Fn() -> Duration + Send + Sync> = Arc::new(latency);
        let clock = self.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = tokio::net::TcpStream::connect(simulator).await.unwrap();
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(clock.clone(), Arc::clone(&latency), near_read, far_write));
                tokio::spawn(carry(clock.clone(), Arc::clone(&latency), far_read, near_write));
            }
        });
        url
    }

    /// Returns the URL of a [slow line](Self::slow_line) that cycles through these latencies in milliseconds.
    pub async fn slow_line_of(&self, latencies: Vec<u64>) -> String {
        let next = AtomicUsize::new(0);
        let latency = move || latencies[next.fetch_add(1, Ordering::Relaxed) % latencies.len()];
        self.slow_line(move || Duration::from_millis(latency())).await
    }

    fn activity(&self) -> usize {
        self.0.activity.load(Ordering::Relaxed) + self.simulator().request_count()
    }

    fn record_activity(&self) {
        self.0.activity.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for SimulatedTime {
    fn now(&self) -> DateTime<Utc> {
        self.record_activity();
        self.0.simulator.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.record_activity();
        let (wake, woken) = oneshot::channel();
        let key = (self.0.simulator.now() + duration, 1 + self.0.next_id.fetch_add(1, Ordering::Relaxed));
        self.0.sleepers.lock().unwrap().insert(key, wake);
        let sleeper = Sleeper { clock: self.clone(), key };
        Box::pin(async move {
            let sleeper = sleeper;
            let _ = woken.await;
            sleeper.clock.record_activity();
        })
    }
}

/// Removes a sleep when it is dropped.
struct Sleeper {
    clock: SimulatedTime,
    key: Moment,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.clock.0.sleepers.lock().unwrap().remove(&self.key);
    }
}

async fn carry(
    clock: SimulatedTime,
    latency: Arc<dyn Fn() -> Duration + Send + Sync>,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        clock.sleep(latency()).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
