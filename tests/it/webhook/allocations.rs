//! Verification allocates no memory, so forged deliveries take no memory beyond that of their bodies.

use std::hint::black_box;

use agentgate::http::HeaderMap;
use agentgate::webhook::{SIGNATURE_HEADER, Verifier};

const BODY: &[u8] = br#"{"id": "evt_1", "type": "run.completed", "data": {"runId": "run_1"}}"#;

/// Returns the number of allocations of an action.
fn allocations(action: impl FnOnce()) -> u64 {
    allocation_counter::measure(action).count_total
}

fn verifier() -> Verifier {
    Verifier::new(["whsec_0123456789", "whsec_abcdefghij", "whsec_ABCDEFGHIJ"]).unwrap()
}

/// The signature with the last of the secrets.
fn signature() -> String {
    Verifier::new(["whsec_ABCDEFGHIJ"]).unwrap().sign(BODY)
}

#[test]
fn the_counter_counts() {
    let verifier = verifier();
    assert_ne!(allocations(|| drop(black_box(Box::new(1)))), 0);
    assert_ne!(allocations(|| drop(black_box(verifier.sign(BODY)))), 0);
    assert_eq!(allocations(|| ()), 0);
}

#[test]
fn a_genuine_delivery_is_verified_without_an_allocation() {
    let (verifier, signature) = (verifier(), signature());
    let list = format!("v1=abc, sha256={}, {signature}", "0".repeat(64));
    let large = vec![b'x'; 256 * 1024];
    let large_signature = verifier.sign(&large);
    assert_eq!(allocations(|| verifier.verify(BODY, &signature).unwrap()), 0);
    assert_eq!(allocations(|| verifier.verify(BODY, &list).unwrap()), 0);
    assert_eq!(allocations(|| verifier.verify_any(BODY, &["", &list]).unwrap()), 0);
    assert_eq!(allocations(|| verifier.verify(&large, &large_signature).unwrap()), 0);
}

#[test]
fn a_delivery_is_refused_without_an_allocation() {
    let (verifier, signature) = (verifier(), signature());
    let many = [&*signature; 100].join(",");
    let limited = verifier.clone().max_body_size(BODY.len() - 1);
    let refused = |body: &[u8], signature: &str| assert!(verifier.verify(body, signature).is_err());
    for value in ["", " , ,", "sha1=00", "sha256=00", &signature[7..], &signature.replace("sha256", "SHA256")] {
        assert_eq!(allocations(|| refused(BODY, value)), 0, "{value:?}");
    }
    assert_eq!(allocations(|| refused(b"another", &signature)), 0);
    assert_eq!(allocations(|| refused(b"another", &many)), 0);
    assert_eq!(allocations(|| assert!(verifier.verify_any::<&str>(BODY, &[]).is_err())), 0);
    assert_eq!(allocations(|| assert!(limited.verify(BODY, &signature).is_err())), 0);
}

#[test]
fn a_forged_delivery_is_not_parsed() {
    let verifier = verifier();
    let forged = Verifier::new(["whsec_forged"]).unwrap().sign(BODY);
    let headers = HeaderMap::from_iter([(SIGNATURE_HEADER.parse().unwrap(), forged.parse().unwrap())]);
    assert_eq!(allocations(|| assert!(verifier.unwrap(BODY, &headers).is_err())), 0);
}
