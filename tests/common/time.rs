//! The simulator's time as the client's clock: it passes only when everything else stands still.
//!
//! The runtime has one thread, and everything runs on it: the calls, the simulator, the links between them. When nothing
//! has stirred through many turns of the runtime, all are waiting for time to pass, and it passes up to the moment that
//! the first of them waits for.

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

/// So many turns of the runtime in which nothing stirs mean that everything waits for time to pass.
const QUIET: u32 = 200;

/// Longer than any test here takes in real time, on a machine that is busy with other things.
const GUARD: Duration = Duration::from_secs(900);

/// A time, and a number that tells those apart who wait for the same.
type Moment = (DateTime<Utc>, u64);

/// With the timers of tokio in step, no more time passes at once than this, so that they fire in their order.
const STEP: Duration = Duration::from_secs(5);

/// A simulator, its time, and the clock that tells it.
#[derive(Clone, Debug)]
pub struct SimulatedTime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    simulator: Simulator,
    /// Who waits for which moment, in that order.
    sleepers: Mutex<BTreeMap<Moment, oneshot::Sender<()>>>,
    next_id: AtomicU64,
    /// Grows with everything that is done by somebody who looks at the clock.
    stirred: AtomicUsize,
    /// The timers of tokio, such as those of an attempt's time-out, go by this time too.
    moves_tokio: bool,
}

impl SimulatedTime {
    pub async fn start(simulator: simulator::Builder) -> Self {
        Self::new(simulator.start().await.unwrap(), false)
    }

    /// Starts one that the timers of tokio go by, such as those of an attempt's time-out. Everything has to be awaited in
    /// [`run`](Self::run): elsewhere, tokio lets time pass by itself.
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
            stirred: AtomicUsize::new(0),
            moves_tokio,
        }))
    }

    pub fn simulator(&self) -> &Simulator {
        &self.0.simulator
    }

    /// A client of the simulator, on its clock.
    pub fn builder(&self) -> ClientBuilder {
        let simulator = self.simulator();
        Client::builder().api_key(simulator.api_key()).base_url(simulator.url()).clock(self.clone())
    }

    pub fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// Runs this to its end, and lets time pass for it.
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
        if self.0.moves_tokio { both.await } else { tokio::time::timeout(GUARD, both).await.unwrap() }
    }

    /// Lets everything go as far as it can without time passing.
    pub async fn settle(&self) {
        let (mut quiet, mut before) = (0, self.stirred());
        while quiet < QUIET {
            tokio::task::yield_now().await;
            let now = self.stirred();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
    }

    /// Lets time pass, and wakes those who waited for it.
    pub fn advance(&self, by: Duration) {
        self.0.simulator.advance(by);
        let later = (self.0.simulator.now() + Duration::from_nanos(1), 0);
        let mut sleepers = self.0.sleepers.lock().unwrap();
        let rest = sleepers.split_off(&later);
        for (_, wake) in std::mem::replace(&mut *sleepers, rest) {
            // Who has given up does not mind.
            let _ = wake.send(());
        }
    }

    /// How much time has passed since the simulator's clock began.
    pub fn passed(&self) -> Duration {
        const START: DateTime<Utc> = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        (self.0.simulator.now() - START).to_std().unwrap()
    }

    /// How much of it since then.
    pub fn passed_since(&self, earlier: Duration) -> Duration {
        self.passed().checked_sub(earlier).unwrap()
    }

    /// An address that leads to the simulator over a slow line: each way takes as long as `latency` says each time.
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

    /// A [slow line](Self::slow_line) that takes these milliseconds, one after the other and again from the start.
    pub async fn slow_line_of(&self, latencies: Vec<u64>) -> String {
        let next = AtomicUsize::new(0);
        let latency = move || latencies[next.fetch_add(1, Ordering::Relaxed) % latencies.len()];
        self.slow_line(move || Duration::from_millis(latency())).await
    }

    fn stirred(&self) -> usize {
        self.0.stirred.load(Ordering::Relaxed) + self.simulator().request_count()
    }

    fn stir(&self) {
        self.0.stirred.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for SimulatedTime {
    fn now(&self) -> DateTime<Utc> {
        self.stir();
        self.0.simulator.now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.stir();
        let (wake, woken) = oneshot::channel();
        let key = (self.0.simulator.now() + duration, 1 + self.0.next_id.fetch_add(1, Ordering::Relaxed));
        self.0.sleepers.lock().unwrap().insert(key, wake);
        let sleeper = Sleeper { clock: self.clone(), key };
        Box::pin(async move {
            let sleeper = sleeper;
            let _ = woken.await;
            sleeper.clock.stir();
        })
    }
}

/// Nobody waits for who has given up.
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
