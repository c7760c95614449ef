//! The door to the simulator: where connections come in, or are refused.
//!
//! While connections are refused, nobody listens, so that the operating system refuses them as it does for a service
//! that is down. The port stays taken all the while: a socket that is bound but does not listen holds it, lest another
//! program gets it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;

use crate::simulator::server::connection::{Connection, Connections};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Accepts the connections, and can be told not to.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    runtime: Handle,
    connections: Connections,
    door: Arc<Mutex<Door>>,
}

#[derive(Debug)]
struct Door {
    state: DoorState,
    /// The task to wake when the door opens.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum DoorState {
    Open(TcpListener),
    /// The port is taken, but nobody listens.
    Shut(TcpSocket),
    /// Not even the port is taken.
    Gone,
}

impl Listener {
    /// Listens on this address, on the current runtime.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self {
            address: socket.local_addr()?,
            runtime: Handle::current(),
            connections: Connections::default(),
            door: Arc::new(Mutex::new(Door { state: DoorState::Open(socket), waker: None })),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses connections from now on, and cuts those that there are.
    pub(crate) fn refuse(&self) -> io::Result<()> {
        let mut door = self.door();
        if let DoorState::Open(_) = door.state {
            // The old socket has to go before a new one can have its port.
            door.state = DoorState::Gone;
            // What waits to be accepted goes with it; what was accepted is cut. Nothing comes in between.
            self.connections.cut();
            door.state = DoorState::Shut(self.take_port()?);
        }
        Ok(())
    }

    /// Accepts connections again.
    pub(crate) fn admit(&self) -> io::Result<()> {
        let mut door = self.door();
        let socket = match std::mem::replace(&mut door.state, DoorState::Gone) {
            DoorState::Shut(socket) => socket,
            DoorState::Gone => self.take_port()?,
            open @ DoorState::Open(_) => {
                door.state = open;
                return Ok(());
            }
        };
        let _runtime = self.runtime.enter();
        door.state = DoorState::Open(socket.listen(BACKLOG)?);
        if let Some(waker) = door.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// Leaves the port, and cuts all connections.
    pub(crate) fn close(&self) {
        self.door().state = DoorState::Gone;
        self.connections.cut();
    }

    fn take_port(&self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        // The connections that were cut may linger on the port. On Windows, this would let strangers share it.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(socket)
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Connection, SocketAddr)>> {
        let mut door = self.door();
        door.waker = Some(context.waker().clone());
        let DoorState::Open(socket) = &door.state else { return Poll::Pending };
        // While the door is held, so that it cannot be shut between here and the list of connections.
        socket.poll_accept(context).map_ok(|(stream, address)| (self.connections.accept(stream), address))
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        loop {
            match poll_fn(|context| self.poll_accept(context)).await {
                Ok(accepted) => return accepted,
                // The client has gone already.
                Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
                // Most likely, there are too many open files. That may pass, but not at once.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
