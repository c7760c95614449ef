//! Sending one delivery over HTTP.

use std::future::poll_fn;
use std::pin::pin;

use axum::http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::simulator::delivery::destination::Destination;
use crate::simulator::delivery::signed_request::Parcel;

/// Posts a parcel, and tells the status of the answer, or why there was none.
///
/// The answer has to arrive as a whole: one that is cut off may come from a receiver that has crashed. Redirects are not
/// followed.
pub(crate) async fn post(destination: &Destination, parcel: &Parcel) -> Result<StatusCode, String> {
    let stream = TcpStream::connect(&destination.addresses[..]).await;
    let stream = stream.map_err(|error| format!("could not connect: {error}"))?;
    // Without it, the body may wait for the receiver to acknowledge the head. A failure costs only that.
    let _ = stream.set_nodelay(true);
    exchange(stream, destination, parcel).await.map_err(|error| describe(&error))
}

async fn exchange(stream: TcpStream, destination: &Destination, parcel: &Parcel) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(parcel.body.clone()));
    *request.method_mut() = Method::POST;
    // It was a part of a URL that could be read.
    *request.uri_mut() = destination.path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    *request.headers_mut() = parcel.headers.clone();

    let mut answer = pin!(async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    });
    // The connection moves the bytes, so both have to go on. What goes wrong with it, the answer tells too.
    let (mut connection, mut over) = (pin!(connection), false);
    poll_fn(|context| {
        over = over || connection.as_mut().poll(context).is_ready();
        answer.as_mut().poll(context)
    })
    .await
}

/// An error with what caused it, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
