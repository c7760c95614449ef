//! The connections to the simulator: TCP connections that can be cut, all at once or one by one.
//!
//! The server handles each connection in a task of its own and keeps no hold on it. A dropped simulator must not go on
//! answering on connections that a client keeps open, so each connection looks here whether it still may.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::simulator::server::wire::Wire;

/// All connections of a simulator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    /// Connections below this id were cut.
    first_alive: u64,
    /// The tasks to wake when the connections are cut.
    wakers: HashMap<u64, Waker>,
}

impl Connections {
    /// Cuts every connection that was accepted so far.
    pub(crate) fn cut(&self) {
        let mut open = self.open();
        open.first_alive = open.next_id;
        let wakers = std::mem::take(&mut open.wakers);
        drop(open);
        wakers.into_values().for_each(Waker::wake);
    }

    pub(crate) fn accept(&self, stream: TcpStream) -> Connection {
        // Without it, answers may wait 40 ms for the client's acknowledgement. A failure costs only that.
        let _ = stream.set_nodelay(true);
        let mut open = self.open();
        let hold = Hold { id: open.next_id, all: self.clone() };
        open.next_id += 1;
        drop(open);
        let (reader, writer) = stream.into_split();
        Connection { reader, wire: Wire::new(writer, hold) }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place among all of them.
#[derive(Debug)]
pub(crate) struct Hold {
    id: u64,
    all: Connections,
}

impl Hold {
    /// Fails if the connection was cut; otherwise this task will be woken when it is.
    pub(crate) fn check(&self, context: &Context<'_>) -> io::Result<()> {
        let mut open = self.all.open();
        if self.id < open.first_alive {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        open.wakers.insert(self.id, context.waker().clone());
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.open().wakers.remove(&self.id);
    }
}

/// One connection, as the server uses it.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: OwnedReadHalf,
    wire: Wire,
}

impl Connection {
    /// What a fault needs to answer past the server.
    pub(crate) fn wire(&self) -> Wire {
        self.wire.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.check(context)?;
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.poll(context, |writer, context| writer.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll(context, |writer, context| writer.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll(context, AsyncWrite::poll_shutdown)
    }
}
