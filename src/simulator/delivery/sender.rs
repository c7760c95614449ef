//! The HTTP client of deliveries.

use std::pin::pin;

use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::simulator::delivery::destination::Destination;
use crate::simulator::delivery::signed_request::SignedRequest;

/// Sends a request. Returns the status of the response, or the reason why there is none.
///
/// The response has to be complete: an incomplete one may come from a receiver that has crashed. Redirects are not
/// followed.
pub(crate) async fn post(destination: &Destination, request: &SignedRequest) -> Result<StatusCode, String> {
    let stream = TcpStream::connect(&destination.addresses[..]).await;
    let stream = stream.map_err(|error| format!("could not connect: {error}"))?;
    // Without it, the body may wait for the acknowledgement of the head.
    let _ = stream.set_nodelay(true);
    exchange(stream, destination, request).await.map_err(|error| describe(&error))
}

async fn exchange(stream: TcpStream, destination: &Destination, signed: &SignedRequest) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(signed.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = destination.path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    request.headers_mut().clone_from(&signed.headers);

    let mut response = pin!(async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    });
    // The connection may end before the response has been read. The response reports its errors, too.
    tokio::select! {
        biased;
        status = &mut response => status,
        _ = connection => response.await,
    }
}

/// Returns an error and its sources in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
