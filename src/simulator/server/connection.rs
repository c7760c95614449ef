//! One connection: responses by the HTTP library, or the bytes of a fault.

use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::simulator::faults::script::{End, Script};
use crate::simulator::server::service::{Reply, Service};

pub(crate) async fn serve(stream: TcpStream, service: Arc<Service>) {
    // Without it, responses may wait 40 ms for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let fault = OnceLock::new();
    let respond = service_fn(|request| {
        let (service, fault) = (&service, &fault);
        async move {
            match service.respond(request).await {
                Reply::Response(response) => Ok(response.map(|body| Full::new(Bytes::from(body)))),
                Reply::Script(script) => {
                    let _ = fault.set(script);
                    // The library ends the connection without a response, and leaves the stream open.
                    Err(io::Error::other("fault"))
                }
            }
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), respond);
    // Errors of the connection concern the client only.
    let _ = (&mut connection).await;
    let stream = connection.into_parts().io.into_inner();
    if let Some(script) = fault.into_inner() {
        play(stream, script).await;
    }
}

/// Writes the bytes of a fault and ends the connection. A client that has gone misses the rest.
async fn play(mut stream: TcpStream, script: Script) {
    let written = stream.write_all(&script.bytes).await;
    match script.end {
        End::Close => {}
        End::Reset => drop(stream.set_zero_linger()),
        End::Stall if written.is_err() => {}
        End::Stall => while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {},
    }
}
