//! Deliveries as requests of the `http` crate, whatever their body is made of.

use std::borrow::Cow;
use std::sync::Arc;

use agentgate::http::{HeaderName, HeaderValue, Method, Request, Version};
use agentgate::webhook::{Error, SIGNATURE_HEADER, Verifier};
use bytes::Bytes;

const BODY: &str = r#"{"id":"evt_1","type":"run.completed","data":{"runId":"run_1"}}"#;

fn verifier() -> Verifier {
    Verifier::new(["whsec_0123456789"]).unwrap()
}

fn request<B>(body: B) -> Request<B> {
    Request::post("/webhooks").header("X-AgentGate-Signature", verifier().sign(BODY.as_bytes())).body(body).unwrap()
}

fn assert_unwraps<B: AsRef<[u8]>>(body: B) {
    let event = verifier().unwrap_request(&request(body)).unwrap();
    assert_eq!(event.id, "evt_1");
    assert_eq!(event.run_id().unwrap(), "run_1");
}

#[test]
fn a_body_may_be_of_any_type_of_bytes() {
    assert_unwraps(Vec::from(BODY));
    assert_unwraps(BODY.as_bytes());
    assert_unwraps(Bytes::from_static(BODY.as_bytes()));
    assert_unwraps(String::from(BODY));
    assert_unwraps(BODY);
    assert_unwraps(Cow::Borrowed(BODY.as_bytes()));
    assert_unwraps(Box::<[u8]>::from(BODY.as_bytes()));
    assert_unwraps(Arc::<[u8]>::from(BODY.as_bytes()));
}

#[test]
fn the_name_of_the_header_may_be_in_any_case_and_its_value_need_not_be_text() {
    for name in ["X-AGENTGATE-SIGNATURE", "x-agentgate-signature", SIGNATURE_HEADER] {
        let mut request = Request::new(BODY);
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name.clone(), HeaderValue::from_bytes(b"v1=\xff").unwrap());
        assert!(matches!(verifier().unwrap_request(&request), Err(Error::MalformedSignature(_))));
        request.headers_mut().append(name, verifier().sign(BODY.as_bytes()).parse().unwrap());
        assert!(verifier().unwrap_request(&request).is_ok());
    }
}

#[test]
fn only_the_body_and_the_signature_matter() {
    let mut request = request(BODY);
    *request.method_mut() = Method::PUT;
    *request.uri_mut() = "https://elsewhere.example.com/?id=evt_2".parse().unwrap();
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().insert("content-type", "text/html; charset=latin1".parse().unwrap());
    request.headers_mut().insert("content-length", "3".parse().unwrap());
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(verifier().unwrap_request(&request).unwrap().id, "evt_1");
}

#[test]
fn a_request_without_a_body_or_a_signature_is_refused() {
    assert!(matches!(verifier().unwrap_request(&request("")), Err(Error::NoMatch { signatures: 1, secrets: 1 })));
    assert!(matches!(verifier().unwrap_request(&Request::new(BODY)), Err(Error::MissingSignature)));
}

#[test]
fn a_body_that_is_not_text_is_verified_as_it_is_and_read_with_replacements() {
    let body = b"{\"id\":\"evt_1\",\"type\":\"run.completed\",\"note\":\"\xff\"}";
    let request = Request::post("/").header(SIGNATURE_HEADER, verifier().sign(body)).body(&body[..]).unwrap();
    assert_eq!(verifier().unwrap_request(&request).unwrap().json()["note"], "\u{fffd}");
}
