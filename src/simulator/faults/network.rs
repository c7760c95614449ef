//! Faults below HTTP: what a network, or whatever stands in it, does to a request or its answer.

use std::time::Duration;

use crate::simulator::faults::damage::Damage;
use crate::simulator::faults::{Effect, Fault};
use crate::simulator::server::wire::{End, Script};

/// A fatal alert of TLS 1.2, `unexpected_message`.
const TLS_ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a];

/// The banner of a mail server, on a port where nobody expects one, and bytes that are no text at all.
const GARBAGE: &[u8] = b"220 mail.example.com ESMTP\r\n\x00\xff\xfe\x80garbage\r\n\r\n";

/// # No answer
///
/// Nothing of the API comes back. By default the request has no effect; with [`after_acting`](Self::after_acting) it
/// has, and the client cannot tell.
impl Fault {
    /// The connection is reset before the first byte of the answer.
    ///
    /// The client sees a failed read ("connection reset by peer").
    #[must_use]
    pub fn reset() -> Self {
        Self::no_answer(Vec::new(), End::Reset)
    }

    /// The connection is closed in an orderly way before the first byte of the answer.
    ///
    /// The client sees the end of the stream where it expected a status line.
    #[must_use]
    pub fn close() -> Self {
        Self::no_answer(Vec::new(), End::Close)
    }

    /// Nothing ever comes. The connection stays open until the client hangs up, or the simulator is dropped or
    /// [refuses connections](crate::simulator::Simulator::refuse_connections).
    ///
    /// The client sees nothing, and waits for as long as it is willing to.
    #[must_use]
    pub fn stall() -> Self {
        Self::no_answer(Vec::new(), End::Stall)
    }

    /// These bytes come as they are, in place of an answer; then the connection is closed.
    ///
    /// The client sees whatever it takes them for.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::no_answer(bytes.into(), End::Close)
    }

    /// Something comes that is not HTTP; then the connection is closed.
    ///
    /// The client sees an answer that it cannot read.
    #[must_use]
    pub fn garbage() -> Self {
        Self::bytes(GARBAGE)
    }

    /// A TLS alert comes, as if the port were one for HTTPS; then the connection is closed.
    ///
    /// The client sees seven bytes that are not HTTP.
    #[must_use]
    pub fn tls_alert() -> Self {
        Self::bytes(TLS_ALERT)
    }

    fn no_answer(bytes: Vec<u8>, end: End) -> Self {
        Self::new(Effect::NoAnswer(Script::new(bytes, end)))
    }
}

/// # The answer itself, damaged on its way
///
/// The request is carried out, and its answer gets damaged: the good one, or the error that the request deserves. An
/// answer that has no body (204) suffers nothing that needs one.
impl Fault {
    /// The answer ends within its status line (`HTTP/1.1 20`).
    ///
    /// The client sees the end of the stream before it knows the status.
    #[must_use]
    pub fn cut_status_line() -> Self {
        Self::new(Effect::Damage(Damage::StatusLineCut))
    }

    /// The answer ends within its headers.
    ///
    /// The client sees the end of the stream when it has seen the status and some headers, perhaps half of one.
    #[must_use]
    pub fn cut_headers() -> Self {
        Self::new(Effect::Damage(Damage::HeadersCut))
    }

    /// The answer ends after half of its body.
    ///
    /// The client sees a status, all headers, and the end of the stream before as much came as `Content-Length` says.
    #[must_use]
    pub fn cut_body() -> Self {
        Self::new(Effect::Damage(Damage::BodyCut))
    }

    /// The body comes whole and in chunks, but the last chunk, which would say that it was the last, does not.
    ///
    /// The client sees a status, all headers, a body that looks complete, and the end of the stream where it expected
    /// another chunk.
    #[must_use]
    pub fn cut_chunks() -> Self {
        Self::new(Effect::Damage(Damage::ChunksCut))
    }

    /// After half of the body nothing more comes, as with [`stall`](Self::stall).
    ///
    /// The client sees a status, all headers, half of a body, and waits for the rest for as long as it is willing to.
    #[must_use]
    pub fn stall_body() -> Self {
        Self::new(Effect::Damage(Damage::BodyStalled))
    }

    /// The answer comes byte by byte, without a pause in between other than for the rest of the program to run.
    /// [`pause`](Self::pause) sets one.
    ///
    /// The client sees the answer, whole and slowly.
    #[must_use]
    pub fn drip() -> Self {
        Self::new(Effect::Damage(Damage::Drip { pause: Duration::ZERO }))
    }

    /// The pause after each byte of a [`drip`](Self::drip), in real time. Other faults have none and stay as they are.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        if let Effect::Damage(Damage::Drip { pause: ours }) = &mut self.effect {
            *ours = pause;
        }
        self
    }

    /// The body is half of what it should be, with a `Content-Length` that says so.
    ///
    /// The client sees an answer that HTTP has nothing against, with half a JSON in it.
    #[must_use]
    pub fn halve_body() -> Self {
        Self::new(Effect::Damage(Damage::BodyHalved))
    }

    /// `Content-Length` says half of what the body has. All of the body comes.
    ///
    /// The client sees half a JSON, and bytes after it that belong to no answer.
    #[must_use]
    pub fn understate_length() -> Self {
        Self::new(Effect::Damage(Damage::LengthUnderstated))
    }

    /// `Content-Length` says one byte more than the body has. All of the body comes, then the connection is closed.
    ///
    /// The client sees a body that looks complete, and the end of the stream where it expected one byte more.
    #[must_use]
    pub fn overstate_length() -> Self {
        Self::new(Effect::Damage(Damage::LengthOverstated))
    }
}
