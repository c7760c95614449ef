//! The listener, which can refuse connections.
//!
//! While connections are refused, nothing listens, so that the operating system refuses them as it does for a service
//! that is down. A socket that is bound but does not listen keeps the port from other programs.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::simulator::server::connection;
use crate::simulator::server::service::Service;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    socket: ListenState,
    /// The tasks of the open connections. Dropping them closes the connections.
    connections: JoinSet<()>,
    /// Wakes the accepting task when the listener accepts connections again.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum ListenState {
    Accepting(TcpListener),
    /// The port is bound.
    Refusing(TcpSocket),
    /// The port is free.
    Closed,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let state = State { socket: ListenState::Accepting(socket), connections: JoinSet::new(), waker: None };
        Ok(Self { address, runtime: Handle::current(), state: Mutex::new(state) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses new connections and closes the open ones.
    pub(crate) fn refuse(&self) -> io::Result<()> {
        let mut state = self.state();
        if let ListenState::Accepting(_) = state.socket {
            // The old socket has to be closed before a new one can bind its port.
            state.close();
            state.socket = ListenState::Refusing(self.bind_port()?);
        }
        Ok(())
    }

    pub(crate) fn accept_again(&self) -> io::Result<()> {
        let mut state = self.state();
        let socket = match std::mem::replace(&mut state.socket, ListenState::Closed) {
            ListenState::Refusing(socket) => socket,
            ListenState::Closed => self.bind_port()?,
            accepting @ ListenState::Accepting(_) => {
                state.socket = accepting;
                return Ok(());
            }
        };
        let _runtime = self.runtime.enter();
        state.socket = ListenState::Accepting(socket.listen(BACKLOG)?);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// Releases the port and closes all connections.
    pub(crate) fn close(&self) {
        self.state().close();
    }

    fn bind_port(&self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        // Closed connections may linger on the port. On Windows, this would let other programs share it.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket)
    }

    /// Accepts connections until the task is aborted.
    pub(crate) async fn run(&self, service: Arc<Service>) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        loop {
            match poll_fn(|context| self.poll_accept(context, &service)).await {
                Ok(()) => {}
                // The client has already gone.
                Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
                // Probably too many open files, which may take some time.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    fn poll_accept(&self, context: &mut Context<'_>, service: &Arc<Service>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.waker = Some(context.waker().clone());
        let ListenState::Accepting(socket) = &state.socket else { return Poll::Pending };
        let (stream, _) = ready!(socket.poll_accept(context))?;
        // Under the same lock, so that `refuse` closes every connection.
        state.connections.spawn(connection::serve(stream, Arc::clone(service)));
        while state.connections.try_join_next().is_some() {}
        Poll::Ready(Ok(()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close(&mut self) {
        self.socket = ListenState::Closed;
        self.connections = JoinSet::new();
    }
}
