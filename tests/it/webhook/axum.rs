//! The extractors for axum, in a server that listens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agentgate::http::StatusCode;
use agentgate::webhook::{Delivery, Error, MemoryReplayGuard, VerifiedBody, Verifier, once};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRef, Request};
use axum::middleware::map_request;
use axum::routing::post;
use bytes::Bytes;
use common::delivery::{
    LIMIT, ReceiverResponse, SECRET, Sent, binary, body, break_off, exchange, refused, send_without_end, verifier,
};
use common::logs::Logs;
use http_body_util::{BodyExt as _, Limited};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The state of a bigger application.
#[derive(Clone)]
struct App {
    verifier: Verifier,
    /// The number of requests that reached a handler.
    handled: Arc<AtomicUsize>,
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}

impl App {
    fn new(verifier: Verifier) -> Self {
        Self { verifier, handled: Arc::default() }
    }

    fn router(&self) -> Router {
        let (events, bodies) = (Arc::clone(&self.handled), Arc::clone(&self.handled));
        let event = async move |Delivery(event): Delivery| {
            events.fetch_add(1, Ordering::SeqCst);
            format!("{} {} {}", event.id, event.kind, event.run_id().unwrap())
        };
        let body = async move |VerifiedBody(body): VerifiedBody| {
            bodies.fetch_add(1, Ordering::SeqCst);
            body
        };
        Router::new().route("/events", post(event)).route("/bodies", post(body)).with_state(self.clone())
    }

    async fn start(&self) -> SocketAddr {
        serve(self.router()).await
    }

    fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

// Accepted

#[tokio::test]
async fn a_genuine_delivery_is_an_event() {
    let app = App::new(verifier());
    let receiver = app.start().await;
    let delivery = Sent::of("evt_1");
    for bytes in [delivery.bytes("/events"), delivery.chunked("/events")] {
        let response = exchange(receiver, &bytes).await;
        assert_eq!((response.status, response.text()), (200, "evt_1 run.completed run_1"));
    }
    assert_eq!(app.handled(), 2);
}

#[tokio::test]
async fn an_http_client_receives_the_response_and_keeps_its_connection() {
    let receiver = App::new(verifier()).start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for id in ["evt_1", "evt_2", "evt_3"] {
        let body = body(id);
        let request = client.post(format!("http://{receiver}/events"));
        let request = request.header("x-agentgate-signature", verifier().sign(body.as_bytes())).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), format!("{id} run.completed run_1"));
    }
}

#[tokio::test]
async fn a_verified_body_is_the_received_bytes() {
    let receiver = App::new(verifier()).start().await;
    for body in [binary(LIMIT), binary(256), b"\0".to_vec(), Vec::new(), b"{ \"id\" : 1 }\r\n".to_vec()] {
        let response = Sent::signed("binary", body.clone()).send(receiver, "/bodies").await;
        assert_eq!((response.status, response.body), (200, body));
    }
}

#[tokio::test]
async fn one_valid_signature_of_several_is_enough() {
    let receiver = App::new(verifier()).start().await;
    let right = verifier().sign(body("evt_1").as_bytes());
    let wrong = format!("sha256={}", "0".repeat(64));
    let delivery = |values: &[&str]| {
        let unsigned = Sent::unsigned("several", body("evt_1"));
        values.iter().fold(unsigned, |delivery, value| delivery.header("X-AgentGate-Signature", *value))
    };
    for values in
        [&[&wrong, "v1=nonsense", &right][..], &[&right, &wrong], &[&format!("{wrong}, {right}")], &["", &right]]
    {
        assert_eq!(delivery(values).send(receiver, "/events").await.status, 200, "{values:?}");
    }
    assert_eq!(delivery(&[&wrong, &wrong, "v1=nonsense"]).send(receiver, "/events").await.status, 401);
}

#[tokio::test]
async fn the_name_of_the_header_and_the_digits_may_be_in_upper_case() {
    let receiver = App::new(verifier()).start().await;
    let signature = verifier().sign(body("evt_1").as_bytes());
    let digits = signature.trim_start_matches("sha256=").to_uppercase();
    for (name, value) in [
        ("X-AGENTGATE-SIGNATURE", signature.clone()),
        ("x-agentgate-signature", signature),
        ("x-AgEnTgAtE-sIgNaTuRe", format!("sha256={digits}")),
    ] {
        let delivery = Sent::unsigned("upper case", body("evt_1")).header(name, value);
        assert_eq!(delivery.send(receiver, "/events").await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn the_verifier_can_be_the_whole_state() {
    let event = async |Delivery(event): Delivery| event.id.to_string();
    let receiver = serve(Router::new().route("/", post(event)).with_state(verifier())).await;
    assert_eq!(Sent::of("evt_1").send(receiver, "/").await.text(), "evt_1");
}

#[tokio::test]
async fn routes_can_have_different_verifiers() {
    let event = async |Delivery(event): Delivery| event.id.to_string();
    let other = Verifier::new(["whsec_of-another-webhook"]).unwrap();
    let router = Router::new()
        .merge(Router::new().route("/ours", post(event)).with_state(verifier()))
        .merge(Router::new().route("/theirs", post(event)).with_state(other));
    let receiver = serve(router).await;
    assert_eq!(Sent::of("evt_1").send(receiver, "/ours").await.status, 200);
    assert_eq!(Sent::of("evt_1").send(receiver, "/theirs").await.status, 401);
}

// Refused

#[tokio::test]
async fn every_refusal_is_a_status_and_a_line_without_details() {
    let app = App::new(verifier());
    let receiver = app.start().await;
    let mut table = String::new();
    for delivery in refused() {
        let response = delivery.send(receiver, "/events").await;
        writeln!(table, "{:<38}{} {}", delivery.name, response.status, response.text()).unwrap();
        response.assert_tells_nothing(delivery.name);
        let chunked = exchange(receiver, &delivery.chunked("/events")).await;
        assert_eq!((chunked.status, chunked.body), (response.status, response.body), "{}", delivery.name);
    }
    insta::assert_snapshot!(table);
    assert_eq!(app.handled(), 0);
}

#[tokio::test]
async fn a_handler_that_takes_a_result_decides_for_itself() {
    async fn decide(delivery: Result<Delivery, Error>) -> (StatusCode, String) {
        match delivery {
            Ok(Delivery(event)) => (StatusCode::ACCEPTED, event.id.to_string()),
            Err(error) => (StatusCode::IM_A_TEAPOT, format!("{error:?}")),
        }
    }
    let receiver = serve(Router::new().route("/", post(decide)).with_state(verifier())).await;
    assert_eq!(Sent::of("evt_1").send(receiver, "/").await.status, 202);
    let mut table = String::new();
    for delivery in refused() {
        let response = delivery.send(receiver, "/").await;
        writeln!(table, "{:<38}{} {}", delivery.name, response.status, response.text()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn every_refusal_is_one_warning_with_its_reason_and_no_secret() {
    let (told, _guard) = Logs::capture();
    let receiver = App::new(verifier()).start().await;
    Sent::of("evt_1").send(receiver, "/events").await;
    assert_eq!(told.take(), [""; 0]);
    let mut table = String::new();
    for delivery in refused() {
        delivery.send(receiver, "/events").await;
        let lines = told.take();
        assert_eq!(lines.len(), 1, "{}: {lines:?}", delivery.name);
        writeln!(table, "{}\n    {}", delivery.name, lines[0]).unwrap();
        let signature = verifier().sign(&delivery.body);
        for secret in [&SECRET[SECRET.len() / 2..], &signature[20..], "run.completed", "evt_1"] {
            assert!(!lines[0].contains(secret), "{secret} is in {}", lines[0]);
        }
    }
    insta::assert_snapshot!(table);
}

// Cut off

/// Each way in which a body can end too early.
fn cut_off(path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let delivery = Sent::of("evt_1");
    let (whole, chunked) = (delivery.bytes(path), delivery.chunked(path));
    let head = whole.len() - delivery.body.len();
    let garbage = chunked.windows(2).rposition(|window| window == b"\r\n").unwrap() - 3;
    vec![
        ("before its first byte", whole[..head].to_vec()),
        ("in the middle", whole[..head + delivery.body.len() / 2].to_vec()),
        ("before its last byte", whole[..whole.len() - 1].to_vec()),
        ("within a chunk", chunked[..chunked.len() - 20].to_vec()),
        ("before the last chunk", chunked[..chunked.len() - 5].to_vec()),
        ("within the last chunk", chunked[..chunked.len() - 2].to_vec()),
        ("by what is no chunk", [&chunked[..garbage], b"no chunk\r\n"].concat()),
    ]
}

#[tokio::test]
async fn an_incomplete_body_is_refused_and_never_handled() {
    let app = App::new(verifier());
    let receiver = app.start().await;
    for path in ["/events", "/bodies"] {
        for (name, bytes) in cut_off(path) {
            let response = break_off(receiver, &bytes).await;
            println!("{name}: {:?}", response.as_ref().map(|response| response.status));
            if let Some(response) = response {
                assert_eq!(response.status, 400, "{name}");
                response.assert_tells_nothing(name);
            }
        }
    }
    assert_eq!(app.handled(), 0);
    // And the receiver is as well as before.
    assert_eq!(Sent::of("evt_1").send(receiver, "/events").await.status, 200);
}

#[tokio::test]
async fn an_incomplete_body_is_an_error_that_says_so() {
    let (sender, mut outcomes) = mpsc::unbounded_channel();
    let note = async move |delivery: Result<Delivery, Error>| sender.send(delivery).unwrap();
    let receiver = serve(Router::new().route("/", post(note)).with_state(verifier())).await;
    for (name, bytes) in cut_off("/") {
        // One disconnects, and one waits for the response.
        let mut leaves = TcpStream::connect(receiver).await.unwrap();
        leaves.write_all(&bytes).await.unwrap();
        drop(leaves);
        assert!(matches!(outcomes.recv().await.unwrap(), Err(Error::IncompleteBody(_))), "{name}");
        break_off(receiver, &bytes).await;
        match outcomes.recv().await.unwrap() {
            Err(error @ Error::IncompleteBody(_)) => {
                println!("{name}: {error}");
                assert!(error.to_string().starts_with("the body of the delivery is incomplete: "), "{error}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_handler_is_dropped_when_the_sender_disconnects_and_its_claim_expires() {
    struct OnDrop(mpsc::UnboundedSender<&'static str>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.send("dropped").unwrap();
        }
    }
    let now = Arc::new(Mutex::new(Instant::now()));
    let clock = Arc::clone(&now);
    let guard = MemoryReplayGuard::new().lease(Duration::from_secs(120)).clock(move || *clock.lock().unwrap());
    let (sender, mut told) = mpsc::unbounded_channel();
    let first = Arc::new(AtomicBool::new(true));
    let receive = async move |Delivery(event): Delivery| {
        let handler = async {
            if first.swap(false, Ordering::SeqCst) {
                let _dropped = OnDrop(sender.clone());
                sender.send("begun").unwrap();
                std::future::pending::<()>().await;
            }
            Ok::<_, std::io::Error>(())
        };
        once(&guard, &event.id, handler).await.unwrap().status()
    };
    let receiver = serve(Router::new().route("/", post(receive)).with_state(verifier())).await;
    let mut impatient = TcpStream::connect(receiver).await.unwrap();
    impatient.write_all(&Sent::of("evt_1").bytes("/")).await.unwrap();
    assert_eq!(told.recv().await, Some("begun"));
    drop(impatient);
    assert_eq!(told.recv().await, Some("dropped"));
    assert_eq!(Sent::of("evt_1").send(receiver, "/").await.status, 503);
    *now.lock().unwrap() += Duration::from_secs(120);
    assert_eq!(Sent::of("evt_1").send(receiver, "/").await.status, 204);
}

// Too large

/// An application that takes a mebibyte, and counts the bytes of bodies that are taken from the connection.
async fn counting(layer: impl FnOnce(Router) -> Router) -> (App, SocketAddr, Arc<AtomicUsize>) {
    let app = App::new(verifier().max_body_size(MEBIBYTE));
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let counted = move |request: Request| {
        let count = Arc::clone(&count);
        let counted = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                count.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::SeqCst);
                frame
            }))
        });
        std::future::ready(counted)
    };
    let receiver = serve(layer(app.router()).layer(map_request(counted))).await;
    (app, receiver, taken)
}

const MEBIBYTE: usize = 1 << 20;
/// More than the server reads from a connection at once.
const PIECE: usize = MEBIBYTE;

fn assert_too_large(response: &ReceiverResponse) {
    assert_eq!((response.status, response.text()), (413, "the body is too large"));
    response.assert_tells_nothing("too large");
}

#[tokio::test]
async fn an_endless_body_is_refused_while_it_is_sent() {
    let (app, receiver, taken) = counting(|router| router).await;
    let delivery = Sent::of("evt_1");
    for head in ["Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 1000000000000\r\n\r\n"] {
        let (response, sent) = send_without_end(receiver, &(delivery.head("/events") + head)).await;
        let taken = taken.swap(0, Ordering::SeqCst);
        println!("{head:?}: {sent} bytes sent, {taken} taken");
        assert_too_large(&response);
        assert!(taken <= MEBIBYTE + PIECE, "{taken} bytes taken");
    }
    assert_eq!(app.handled(), 0);
}

#[tokio::test]
async fn a_body_is_refused_at_the_first_byte_beyond_the_limit() {
    let (_, receiver, _) = counting(|router| router).await;
    let promised = format!("{}Content-Length: 1000000000000\r\n\r\n", Sent::of("evt_1").head("/events"));
    let response = exchange(receiver, &[promised.as_bytes(), &binary(MEBIBYTE + 1)].concat()).await;
    assert_too_large(&response);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_accepted() {
    let (_, receiver, _) = counting(|router| router).await;
    for (length, status) in [(MEBIBYTE, 200), (MEBIBYTE + 1, 413)] {
        let delivery = Sent::signed("large", binary(length));
        assert_eq!(delivery.send(receiver, "/bodies").await.status, status, "{length}");
    }
}

#[tokio::test]
async fn the_default_limit_of_axum_has_no_effect() {
    for layer in [DefaultBodyLimit::disable(), DefaultBodyLimit::max(10), DefaultBodyLimit::max(100 * MEBIBYTE)] {
        let (_, receiver, taken) = counting(|router| router.layer(layer)).await;
        let fits = Sent::signed("fits", binary(MEBIBYTE)).send(receiver, "/bodies").await;
        assert_eq!((fits.status, fits.body.len()), (200, MEBIBYTE));
        assert_eq!(taken.swap(0, Ordering::SeqCst), MEBIBYTE);
        let head = Sent::of("evt_1").head("/events") + "Transfer-Encoding: chunked\r\n\r\n";
        let (response, _) = send_without_end(receiver, &head).await;
        assert_too_large(&response);
        assert!(taken.load(Ordering::SeqCst) <= MEBIBYTE + PIECE);
    }
}

#[tokio::test]
async fn a_limit_above_the_default_limit_of_axum_applies() {
    let receiver = App::new(verifier().max_body_size(4 * MEBIBYTE)).start().await;
    let response = Sent::signed("large", binary(4 * MEBIBYTE)).send(receiver, "/bodies").await;
    assert_eq!((response.status, response.body.len()), (200, 4 * MEBIBYTE));
}

#[tokio::test]
async fn a_lower_limit_of_a_middleware_is_an_error_of_its_own() {
    let (told, _guard) = Logs::capture();
    let limit = |request: Request| std::future::ready(request.map(|body| Body::new(Limited::new(body, 10))));
    let app = App::new(verifier());
    let receiver = serve(app.router().layer(map_request(limit))).await;
    assert_eq!(Sent::of("evt_1").send(receiver, "/events").await.status, 400);
    assert_eq!(app.handled(), 0);
    insta::assert_snapshot!(told.take().join("\n"), @"WARN message=a webhook delivery was refused error=the body of the delivery is incomplete: length limit exceeded status=400");
}
