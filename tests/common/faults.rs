//! Damage to responses below HTTP, which a user of the simulator would not order.

use agentgate::simulator::Fault;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";

/// Each kind of damage with a name. The service carries out the request, except where the port is one for TLS.
pub fn wire_faults() -> Vec<(&'static str, Fault)> {
    let body = r#"{"id":"run_000001"}"#;
    let length = body.len();
    let bytes = |bytes: String| Fault::bytes(bytes).after_acting();
    vec![
        ("tls_alert", Fault::bytes([0x15, 3, 3, 0, 2, 2, 10])),
        ("cut_status_line", bytes("HTTP/1.1 20".to_owned())),
        ("cut_headers", bytes("HTTP/1.1 200 OK\r\ncontent-type: appli".to_owned())),
        ("cut_chunks", bytes(format!("{HEAD}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n"))),
        ("halve_body", Fault::response(200, "application/json", &body[..length / 2]).after_acting()),
        ("understate_length", bytes(format!("{HEAD}content-length: {}\r\n\r\n{body}", length / 2))),
        ("overstate_length", bytes(format!("{HEAD}content-length: {}\r\n\r\n{body}", length + 1))),
    ]
}
