//! The extractors for actix-web, in its test service and in a server that listens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, HttpServer, web};
use agentgate::webhook::{Delivery, Error, VerifiedBody, Verifier};
use bytes::Bytes;
use common::delivery::{
    LIMIT, ReceiverResponse, SECRET, Sent, binary, body, break_off, exchange, refused, send_without_end, verifier,
};
use common::logs::Logs;

/// The number of requests that reached a handler.
type Handled = web::Data<AtomicUsize>;

async fn event(Delivery(event): Delivery, handled: Handled) -> String {
    handled.fetch_add(1, Ordering::SeqCst);
    format!("{} {} {}", event.id, event.kind, event.run_id().unwrap())
}

async fn raw(VerifiedBody(body): VerifiedBody, handled: Handled) -> Bytes {
    handled.fetch_add(1, Ordering::SeqCst);
    body
}

async fn decide(delivery: Result<Delivery, Error>) -> (String, StatusCode) {
    match delivery {
        Ok(Delivery(event)) => (event.id.to_string(), StatusCode::ACCEPTED),
        Err(error) => (format!("{error:?}"), StatusCode::IM_A_TEAPOT),
    }
}

/// Counts what it handles.
fn routes(handled: &Handled) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let handled = handled.clone();
    move |config: &mut web::ServiceConfig| {
        config
            .app_data(handled)
            .route("/events", web::post().to(event))
            .route("/bodies", web::post().to(raw))
            .route("/decide", web::post().to(decide));
    }
}

/// Runs this where actix-web can.
fn run(test: impl Future<Output = ()>) {
    actix_web::rt::System::new().block_on(test);
}

fn nobody() -> Handled {
    web::Data::new(AtomicUsize::new(0))
}

fn request(delivery: &Sent, path: &str) -> TestRequest {
    let request = TestRequest::post().uri(path).set_payload(delivery.body.clone());
    delivery.headers.iter().fold(request, |request, (name, value)| request.append_header((*name, value.as_str())))
}

/// A server whose applications have this verifier.
fn start(verifier: &Verifier, handled: &Handled) -> SocketAddr {
    let (verifier, handled) = (verifier.clone(), handled.clone());
    serve(move |config| {
        config.app_data(verifier.clone()).configure(routes(&handled));
    })
}

fn serve(configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> SocketAddr {
    let server = HttpServer::new(move || App::new().configure(&configure));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

// Accepted

#[test]
fn a_genuine_delivery_is_an_event() {
    run(async {
        let handled = nobody();
        let app = init_service(App::new().app_data(verifier()).configure(routes(&handled))).await;
        let response = request(&Sent::of("evt_1"), "/events").send_request(&app).await;
        assert_eq!(response.status(), 200);
        assert_eq!(read_body(response).await, "evt_1 run.completed run_1");

        let receiver = start(&verifier(), &handled);
        for bytes in [Sent::of("evt_1").bytes("/events"), Sent::of("evt_1").chunked("/events")] {
            let response = exchange(receiver, &bytes).await;
            assert_eq!((response.status, response.text()), (200, "evt_1 run.completed run_1"));
        }
        assert_eq!(handled.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_verified_body_is_the_received_bytes() {
    run(async {
        let receiver = start(&verifier(), &nobody());
        for body in [binary(LIMIT), binary(256), b"\0".to_vec(), Vec::new(), b"{ \"id\" : 1 }\r\n".to_vec()] {
            let response = Sent::signed("binary", body.clone()).send(receiver, "/bodies").await;
            assert_eq!((response.status, response.body), (200, body));
        }
    });
}

#[test]
fn one_valid_signature_of_several_is_enough() {
    run(async {
        let receiver = start(&verifier(), &nobody());
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
    });
}

#[test]
fn the_name_of_the_header_may_be_in_upper_case() {
    run(async {
        let receiver = start(&verifier(), &nobody());
        let signature = verifier().sign(body("evt_1").as_bytes());
        for name in ["X-AGENTGATE-SIGNATURE", "x-agentgate-signature", "x-AgEnTgAtE-sIgNaTuRe"] {
            let delivery = Sent::unsigned("upper case", body("evt_1")).header(name, signature.clone());
            assert_eq!(delivery.send(receiver, "/events").await.status, 200, "{name}");
        }
    });
}

#[test]
fn a_verifier_may_be_in_web_data_and_that_of_the_scope_is_preferred() {
    run(async {
        let other = || Verifier::new(["whsec_of-another-webhook"]).unwrap();
        let receiver = serve(move |config| {
            config
                .app_data(web::Data::new(verifier()))
                .route("/decide", web::post().to(decide))
                .service(web::scope("/plain").app_data(verifier()).route("", web::post().to(decide)))
                .service(web::scope("/other").app_data(other()).route("", web::post().to(decide)))
                .service(
                    web::scope("/data").app_data(web::Data::from(Arc::new(other()))).route("", web::post().to(decide)),
                );
        });
        for (path, status) in [("/decide", 202), ("/plain", 202), ("/other", 418), ("/data", 418)] {
            assert_eq!(Sent::of("evt_1").send(receiver, path).await.status, status, "{path}");
        }
    });
}

// Refused

#[test]
fn every_refusal_is_a_status_and_a_line_without_details() {
    run(async {
        let handled = nobody();
        let receiver = start(&verifier(), &handled);
        let app = init_service(App::new().app_data(verifier()).configure(routes(&handled))).await;
        let mut table = String::new();
        for delivery in refused() {
            let response = delivery.send(receiver, "/events").await;
            writeln!(table, "{:<38}{} {}", delivery.name, response.status, response.text()).unwrap();
            response.assert_tells_nothing(delivery.name);
            let chunked = exchange(receiver, &delivery.chunked("/events")).await;
            assert_eq!((chunked.status, chunked.text()), (response.status, response.text()), "{}", delivery.name);
            let in_memory = request(&delivery, "/events").send_request(&app).await;
            assert_eq!(in_memory.status(), response.status, "{}", delivery.name);
            assert_eq!(read_body(in_memory).await, response.body, "{}", delivery.name);
        }
        insta::assert_snapshot!(table);
        assert_eq!(handled.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_handler_that_takes_a_result_decides_for_itself() {
    run(async {
        let receiver = start(&verifier(), &nobody());
        assert_eq!(Sent::of("evt_1").send(receiver, "/decide").await.status, 202);
        let mut table = String::new();
        for delivery in refused() {
            let response = delivery.send(receiver, "/decide").await;
            writeln!(table, "{:<38}{} {}", delivery.name, response.status, response.text()).unwrap();
        }
        insta::assert_snapshot!(table);
    });
}

#[test]
fn every_refusal_is_one_warning_with_its_reason_and_no_secret() {
    run(async {
        let (told, _guard) = Logs::capture();
        let app = init_service(App::new().app_data(verifier()).configure(routes(&nobody()))).await;
        request(&Sent::of("evt_1"), "/events").send_request(&app).await;
        assert_eq!(told.take(), [""; 0]);
        let mut table = String::new();
        for delivery in refused() {
            request(&delivery, "/events").send_request(&app).await;
            let lines = told.take();
            assert_eq!(lines.len(), 1, "{}: {lines:?}", delivery.name);
            writeln!(table, "{}\n    {}", delivery.name, lines[0]).unwrap();
            let signature = verifier().sign(&delivery.body);
            for secret in [&SECRET[SECRET.len() / 2..], &signature[20..], "run.completed", "evt_1"] {
                assert!(!lines[0].contains(secret), "{secret} is in {}", lines[0]);
            }
        }
        insta::assert_snapshot!(table);
    });
}

#[test]
fn without_a_verifier_nothing_is_accepted_and_the_log_says_why() {
    run(async {
        let (told, _guard) = Logs::capture();
        let handled = nobody();
        let app = init_service(App::new().configure(routes(&handled))).await;
        for path in ["/events", "/bodies"] {
            let response = request(&Sent::of("evt_1"), path).send_request(&app).await;
            assert_eq!(response.status(), 500);
            assert_eq!(read_body(response).await, "the receiver is not set up");
            insta::allow_duplicates! { insta::assert_snapshot!(told.take().join("\n"), @"ERROR message=webhook deliveries cannot be verified error=the application has no webhook verifier; add `.app_data(web::Data::new(verifier))` to it"); }
        }
        assert_eq!(handled.load(Ordering::SeqCst), 0);
    });
}

// Cut off

#[test]
fn an_incomplete_body_is_refused_and_never_handled() {
    run(async {
        let handled = nobody();
        let receiver = start(&verifier(), &handled);
        for path in ["/events", "/bodies"] {
            let delivery = Sent::of("evt_1");
            let (whole, chunked) = (delivery.bytes(path), delivery.chunked(path));
            let head = whole.len() - delivery.body.len();
            for (name, bytes) in [
                ("before its first byte", &whole[..head]),
                ("in the middle", &whole[..head + delivery.body.len() / 2]),
                ("before its last byte", &whole[..whole.len() - 1]),
                ("within a chunk", &chunked[..chunked.len() - 20]),
                ("before the last chunk", &chunked[..chunked.len() - 5]),
                ("within the last chunk", &chunked[..chunked.len() - 2]),
                ("by what is no chunk", &[&chunked[..chunked.len() - 5], b"no chunk\r\n"].concat()),
            ] {
                let response = break_off(receiver, bytes).await;
                println!("{name}: {:?}", response.as_ref().map(|response| response.status));
                if let Some(response) = response {
                    assert_eq!(response.status, 400, "{name}");
                    response.assert_tells_nothing(name);
                }
            }
        }
        assert_eq!(handled.load(Ordering::SeqCst), 0);
        // And the receiver is as well as before.
        assert_eq!(Sent::of("evt_1").send(receiver, "/events").await.status, 200);
    });
}

// Too large

const MEBIBYTE: usize = 1 << 20;

fn assert_too_large(response: &ReceiverResponse) {
    assert_eq!((response.status, response.text()), (413, "the body is too large"));
    response.assert_tells_nothing("too large");
}

#[test]
fn an_endless_body_is_refused_while_it_is_sent() {
    run(async {
        let handled = nobody();
        let receiver = start(&verifier().max_body_size(MEBIBYTE), &handled);
        let delivery = Sent::of("evt_1");
        for head in ["Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 1000000000000\r\n\r\n"] {
            let (response, sent) = send_without_end(receiver, &(delivery.head("/events") + head)).await;
            // After the response, actix-web reads a part of the rest, and discards it.
            println!("{head:?}: {sent} bytes sent");
            assert_too_large(&response);
        }
        assert_eq!(handled.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_body_is_refused_at_the_first_byte_beyond_the_limit() {
    run(async {
        let receiver = start(&verifier().max_body_size(MEBIBYTE), &nobody());
        let promised = format!("{}Content-Length: 1000000000000\r\n\r\n", Sent::of("evt_1").head("/events"));
        let response = exchange(receiver, &[promised.as_bytes(), &binary(MEBIBYTE + 1)].concat()).await;
        assert_too_large(&response);
    });
}

#[test]
fn a_body_of_exactly_the_limit_is_accepted() {
    run(async {
        let receiver = start(&verifier().max_body_size(MEBIBYTE), &nobody());
        for (length, status) in [(MEBIBYTE, 200), (MEBIBYTE + 1, 413)] {
            let delivery = Sent::signed("large", binary(length));
            assert_eq!(delivery.send(receiver, "/bodies").await.status, status, "{length}");
        }
    });
}

#[test]
fn the_default_limit_of_actix_web_has_no_effect() {
    run(async {
        for limit in [10, 100 * MEBIBYTE] {
            let receiver = serve(move |config| {
                config
                    .app_data(web::PayloadConfig::new(limit))
                    .app_data(verifier().max_body_size(MEBIBYTE))
                    .configure(routes(&nobody()));
            });
            for (length, status) in [(MEBIBYTE, 200), (MEBIBYTE + 1, 413)] {
                let delivery = Sent::signed("large", binary(length));
                assert_eq!(delivery.send(receiver, "/bodies").await.status, status, "{limit} {length}");
            }
        }
    });
}
