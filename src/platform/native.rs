//! Native targets: tokio, and reqwest on hyper.

use std::future::{Future, ready};

pub(crate) use std::time::Instant;
pub(crate) use tokio::runtime::{Handle, Id as RuntimeId};
pub(crate) use tokio::task::{AbortHandle, JoinHandle, JoinSet};
pub(crate) use tokio::time::sleep;

/// Returns the future, which can be sent to another thread as it is.
pub(crate) fn sendable<F: Future>(future: F) -> F {
    future
}

/// Returns the response, whose body is read by its `chunk`.
pub(crate) fn chunks(response: reqwest::Response) -> reqwest::Response {
    response
}

/// Returns an error of reqwest's, without sending anything: a URL that is none gives one at less cost than a response.
pub(crate) fn no_response(
    client: &reqwest::Client,
) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
    ready(client.get("").build().map(|_| http::Response::new("").into()))
}

pub(crate) fn is_connect(error: &reqwest::Error) -> bool {
    error.is_connect()
}

pub(crate) fn is_timeout(error: &reqwest::Error) -> bool {
    error.is_timeout()
}
