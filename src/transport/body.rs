//! Request bodies that record whether they were sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::Request;

use super::submission_state::SentState;

/// The bytes of a body until the connection takes them.
///
/// A request that has a body has no effect without it. So an attempt had no effect if its bytes can still be
/// [withdrawn](Self::withdraw) after it failed: in name resolution, in the handshake, in a proxy, or by a time-out.
#[derive(Clone, Debug)]
pub(super) struct Unsent(Arc<Mutex<Option<Bytes>>>);

impl Unsent {
    /// Replaces the body of a request by one that can be withdrawn. Returns `None` if it has no body.
    pub(super) fn replace_body(request: &mut Request, sent: Option<&Arc<SentState>>) -> Option<Self> {
        let bytes = request.body()?.as_bytes().filter(|bytes| !bytes.is_empty()).map(Bytes::copy_from_slice)?;
        let (length, bytes) = (bytes.len() as u64, Self(Arc::new(Mutex::new(Some(bytes)))));
        let body = WithdrawableBody { length, bytes, sent: sent.cloned() };
        let unsent = body.bytes.clone();
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        Some(unsent)
    }

    /// Takes the bytes back. Returns `false` if they were sent.
    pub(super) fn withdraw(&self) -> bool {
        self.take().is_some()
    }

    fn take(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct WithdrawableBody {
    bytes: Unsent,
    /// The number of bytes that are left.
    length: u64,
    /// Records that the bytes are sent.
    sent: Option<Arc<SentState>>,
}

impl Body for WithdrawableBody {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let bytes = self.bytes.take().filter(|_| self.sent.as_ref().is_none_or(|sent| sent.send()));
        // Without an error, the body would end, and over HTTP/2 the request would be whole without it.
        Poll::Ready(match bytes {
            Some(bytes) => {
                self.length = 0;
                Some(Ok(Frame::data(bytes)))
            }
            None => (self.length > 0).then_some(Err("the call has ended")),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use http_body::Body as _;
    use reqwest::{Method, Request};

    use super::Unsent;

    fn request(body: &'static str) -> Request {
        let mut request = Request::new(Method::POST, "http://127.0.0.1/".parse().unwrap());
        *request.body_mut() = Some(body.into());
        request
    }

    /// Returns the next bytes of a body, `None` at its end, or its error.
    fn read(request: &mut Request) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let body = std::pin::Pin::new(request.body_mut().as_mut().unwrap());
        let Poll::Ready(frame) = body.poll_frame(&mut Context::from_waker(Waker::noop())) else { panic!("pending") };
        Ok(frame.transpose()?.map(|frame| frame.into_data().unwrap().to_vec()))
    }

    #[test]
    fn a_body_that_was_read_cannot_be_withdrawn() {
        let mut request = request("abc");
        let unsent = Unsent::replace_body(&mut request, None).unwrap();
        assert_eq!(request.body().unwrap().size_hint().exact(), Some(3));
        assert_eq!(read(&mut request).unwrap().unwrap(), b"abc");
        assert_eq!(read(&mut request).unwrap(), None);
        assert!(request.body().unwrap().is_end_stream());
        assert!(!unsent.withdraw());
    }

    #[test]
    fn a_body_that_was_withdrawn_fails_and_does_not_end() {
        let mut request = request("abc");
        let unsent = Unsent::replace_body(&mut request, None).unwrap();
        assert!(unsent.withdraw());
        read(&mut request).unwrap_err();
        assert!(!request.body().unwrap().is_end_stream());
    }

    #[test]
    fn a_request_without_a_body_is_left_as_it_is() {
        assert!(Unsent::replace_body(&mut request(""), None).is_none());
    }
}
