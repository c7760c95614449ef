//! Sends a request once, and reads the whole response.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Method, Request, Response, StatusCode};

use super::Transport;
use super::body::Unsent;
#[cfg(feature = "test-util")]
use super::replay::replayed;
use super::submission_state::SentState;
use crate::Error;
use crate::error::KEPT_BODY;
use crate::platform;
use crate::redact::redact;
use crate::response::RawResponse;

/// Memory that is set aside for a body before it arrives.
const FIRST_BUFFER: u64 = 64 * 1024;

impl Transport {
    /// Reading the body belongs to the attempt: a connection cut in the middle of a body is as lost as one cut before
    /// it.
    pub(super) async fn attempt(&self, request: Request, sent: Option<&Arc<SentState>>) -> Result<RawResponse, Error> {
        let timeout = request.timeout().copied();
        let is_head = request.method() == Method::HEAD;
        #[cfg(feature = "test-util")]
        let mut response = match &self.replay {
            Some(replay) => replayed(replay, &request, sent)?,
            None => self.send(request, timeout, sent).await?,
        };
        #[cfg(not(feature = "test-util"))]
        let mut response = self.send(request, timeout, sent).await?;
        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        for value in headers.values_mut().filter(|value| matches!(redact(value.as_bytes(), self.key()), Cow::Owned(_)))
        {
            value.set_sensitive(true);
        }
        let head = RawResponse { status, headers, body: Bytes::new() };
        let expected = response.content_length().unwrap_or(0);
        // A failure is known by its status, even if its body is too long or breaks off.
        let must_be_whole = status.is_success();
        let limit = if must_be_whole { self.max_body_size } else { self.max_body_size.min(KEPT_BODY) };
        if must_be_whole && expected > limit as u64 {
            return Err(Error::body_too_large(limit, head));
        }
        let mut chunks = platform::chunks(response);
        let mut body = BytesMut::with_capacity(usize::try_from(expected.min(FIRST_BUFFER)).unwrap_or_default());
        loop {
            let chunk = match chunks.chunk().await {
                Ok(Some(chunk)) => chunk,
                Err(error) if must_be_whole => {
                    let error = Error::from_network(error, timeout, true);
                    return Err(error.with_partial_response(RawResponse { body: body.freeze(), ..head }));
                }
                Ok(None) | Err(_) => break,
            };
            let room = limit.saturating_sub(body.len());
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                if must_be_whole {
                    return Err(Error::body_too_large(limit, head));
                }
                break;
            }
        }
        let response = RawResponse { body: body.freeze(), ..head };
        // Over HTTP/1.1, the HTTP client has checked it. Over HTTP/2, it accepts a stream that the server ends early.
        let has_body = !is_head && status != StatusCode::NO_CONTENT && response.coding().is_none();
        if must_be_whole && has_body && (response.body.len() as u64) < expected {
            return Err(Error::cut_response(expected, response));
        }
        Ok(response)
    }

    async fn send(
        &self,
        mut request: Request,
        timeout: Option<Duration>,
        sent: Option<&Arc<SentState>>,
    ) -> Result<Response, Error> {
        let unsent = Unsent::replace_body(&mut request, sent);
        let url = unsent.is_some().then(|| request.url().clone());
        let mut response = self.http.execute(request).await.map_err(|error| {
            let was_sent = !unsent.is_some_and(|unsent| unsent.withdraw());
            Error::from_network(error, timeout, was_sent).with_proxy(self.proxy.as_deref())
        })?;
        if url.is_some_and(|url| url != *response.url()) {
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            return Err(Error::followed_redirect(RawResponse { status, headers, body: Bytes::new() }));
        }
        Ok(response)
    }
}
