//! The way past the server: bytes that HTTP would not allow, and ends that it would not choose.
//!
//! A server library takes care to speak HTTP well. A fault below HTTP has to break it, on the connection that its
//! request came on and on no other. So each request gets hold of its connection's [`Wire`], and may play a [`Script`] on
//! it in place of an answer. After that the connection is of no more use to the server.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use crate::simulator::server::connection::Hold;
use crate::simulator::server::listener::Listener;

/// What happens on a connection in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    /// What is written.
    pub(crate) bytes: Vec<u8>,
    /// If set, the bytes are written one by one, with this pause after each.
    pub(crate) pause: Option<Duration>,
    pub(crate) end: End,
}

impl Script {
    pub(crate) fn new(bytes: Vec<u8>, end: End) -> Self {
        Self { bytes, pause: None, end }
    }
}

/// How a script ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection is closed in an orderly way: the client reads to the end of the stream.
    Close,
    /// The connection is torn down: the client's reads fail.
    Reset,
    /// Nothing more is said, for as long as the client holds on.
    Stall,
}

/// The writing side of a connection, shared between the server and the requests that came on it.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` once the connection has been closed.
    writer: Mutex<Option<OwnedWriteHalf>>,
    hold: Hold,
}

impl Wire {
    pub(crate) fn new(writer: OwnedWriteHalf, hold: Hold) -> Self {
        Self(Arc::new(Inner { writer: Mutex::new(Some(writer)), hold }))
    }

    /// Fails if the connection was cut; otherwise this task will be woken when it is.
    pub(crate) fn check(&self, context: &Context<'_>) -> io::Result<()> {
        self.0.hold.check(context)
    }

    /// Does something with the connection, unless it was cut or closed.
    pub(crate) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut OwnedWriteHalf>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.check(context)?;
        match self.writer().as_mut() {
            Some(writer) => act(Pin::new(writer), context),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    /// Plays a script, to be over when the connection is. A client that has gone misses the rest of it.
    pub(crate) async fn play(&self, script: Script) {
        let written = match script.pause {
            None => self.write(&script.bytes).await,
            Some(pause) => self.drip(&script.bytes, pause).await,
        };
        if written.is_ok() && script.end == End::Stall {
            poll_fn(|context| if self.check(context).is_ok() { Poll::Pending } else { Poll::Ready(()) }).await;
        }
        let writer = self.writer().take();
        if let (Some(writer), End::Reset) = (writer, script.end)
            && writer.as_ref().set_zero_linger().is_ok()
        {
            // Otherwise dropping it would say an orderly goodbye first.
            writer.forget();
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count =
                poll_fn(|context| self.poll(context, |writer, context| writer.poll_write(context, rest))).await?;
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    async fn drip(&self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            self.write(std::slice::from_ref(byte)).await?;
            if pause.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Option<OwnedWriteHalf>> {
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected<IncomingStream<'_, Listener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().wire()
    }
}
