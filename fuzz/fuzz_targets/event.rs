//! Parsing an event from any body does not panic, and a parsed event stays equal after serialization.

#![no_main]

use agentgate::webhook::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(event) = Event::parse_unverified(body) else { return };
    assert!(!event.id.as_str().is_empty() && !event.kind.as_str().is_empty());
    assert_eq!(event.json()["id"], event.id.as_str());
    assert_eq!(event.json()["type"], event.kind.as_str());
    let _ = (event.run(), event.verification(), event.run_id(), event.work_order_id(), event.tenant());
    let _ = format!("{event:?}");

    let queued = agentgate::serde_json::to_vec(&event).unwrap();
    assert_eq!(Event::parse_unverified(&queued).unwrap(), event);
    assert_eq!(agentgate::serde_json::from_slice::<Event>(&queued).unwrap(), event);
    assert_eq!(Event::from_json(event.json().clone()).unwrap(), event);
});
