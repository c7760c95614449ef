//! The connections to the simulator: TCP connections that can all be cut at once.
//!
//! The server handles each connection in a task of its own and keeps no hold on it. A dropped simulator must not go on
//! answering on connections that a client keeps open, so each connection looks here whether it still may.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// All connections of a simulator.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    closed: bool,
    next_id: u64,
    /// The tasks to wake when the connections are cut.
    wakers: HashMap<u64, Waker>,
}

impl Connections {
    /// Cuts every connection, those still to come included.
    pub(super) fn close(&self) {
        let mut open = self.open();
        open.closed = true;
        let wakers = std::mem::take(&mut open.wakers);
        drop(open);
        wakers.into_values().for_each(Waker::wake);
    }

    fn accept(&self, stream: TcpStream) -> Connection {
        let mut open = self.open();
        open.next_id += 1;
        Connection { id: open.next_id, stream, all: self.clone() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts the connections.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) connections: Connections,
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Not the listener's own `accept`: this one deals with failures.
        let (stream, address) = axum::serve::Listener::accept(&mut self.socket).await;
        // Without it, answers may wait 40 ms for the client's acknowledgement. A failure costs only that.
        let _ = stream.set_nodelay(true);
        (self.connections.accept(stream), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    stream: TcpStream,
    all: Connections,
}

impl Connection {
    /// Fails if the connections were cut; otherwise this task will be woken when they are.
    fn check(&self, context: &Context<'_>) -> io::Result<()> {
        let mut open = self.all.open();
        if open.closed {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        open.wakers.insert(self.id, context.waker().clone());
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.open().wakers.remove(&self.id);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
