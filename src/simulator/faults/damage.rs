//! Answers that are damaged on their way: what of them is written, and how it ends.

use std::time::Duration;

use axum::http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{Method, StatusCode};

use crate::simulator::model::response::Answer;
use crate::simulator::server::wire::{End, Script};

/// What happens to an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// It ends within its status line.
    StatusLineCut,
    /// It ends within its headers.
    HeadersCut,
    /// It ends after half of its body.
    BodyCut,
    /// Its body comes in chunks, and the last one, which says that it is the last, is missing.
    ChunksCut,
    /// After half of its body, nothing more comes.
    BodyStalled,
    /// It comes byte by byte.
    Drip { pause: Duration },
    /// Its body is half of what it was, and `Content-Length` agrees.
    BodyHalved,
    /// `Content-Length` is half of what comes.
    LengthUnderstated,
    /// `Content-Length` is one byte more than what comes.
    LengthOverstated,
}

/// What of an answer is written.
enum Part {
    StatusLine,
    Headers,
    All,
}

impl Damage {
    /// What is left of the answer to a request of this method.
    ///
    /// An answer that has no body by definition (204, or one to `HEAD`) suffers nothing that needs one.
    pub(crate) fn script(self, method: &Method, mut answer: Answer) -> Script {
        let has_body =
            method != Method::HEAD && !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if !has_body {
            answer.body.clear();
        }
        let (length, half) = (answer.body.len(), answer.body.len() / 2);

        let (part, framing) = match self {
            Self::StatusLineCut => (Part::StatusLine, None),
            Self::HeadersCut => (Part::Headers, Some(length)),
            Self::ChunksCut => (Part::All, None),
            Self::BodyHalved | Self::LengthUnderstated => (Part::All, Some(half)),
            Self::LengthOverstated => (Part::All, Some(length + 1)),
            Self::BodyCut | Self::BodyStalled | Self::Drip { .. } => (Part::All, Some(length)),
        };
        let framing = framing
            .map_or_else(|| "transfer-encoding: chunked".to_owned(), |length| format!("content-length: {length}"));
        let head = head(&answer, &framing, has_body);
        let mut bytes = match part {
            // "HTTP/1.1 20"
            Part::StatusLine => head.get(..11).unwrap_or_default().to_vec(),
            // The date alone makes them longer than the status line.
            Part::Headers => head.get(..head.len() / 2).unwrap_or_default().to_vec(),
            Part::All => head,
        };
        if matches!(part, Part::All) && length > 0 {
            match self {
                Self::ChunksCut => {
                    bytes.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                    bytes.extend_from_slice(&answer.body);
                    bytes.extend_from_slice(b"\r\n");
                }
                Self::BodyCut | Self::BodyStalled | Self::BodyHalved => {
                    bytes.extend_from_slice(answer.body.get(..half).unwrap_or_default());
                }
                _ => bytes.extend_from_slice(&answer.body),
            }
        }
        let end = if self == Self::BodyStalled && has_body { End::Stall } else { End::Close };
        let pause = if let Self::Drip { pause } = self { Some(pause) } else { None };
        Script { bytes, pause, end }
    }
}

/// The status line and the headers, with the empty line after them.
fn head(answer: &Answer, framing: &str, has_body: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }
    if has_body {
        head.extend_from_slice(framing.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    // The connection is of no more use, and no later request may have to suffer for this one.
    head.extend_from_slice(b"connection: close\r\n\r\n");
    head
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn play(damage: Damage, method: &Method, answer: Answer) -> (String, End) {
        let script = damage.script(method, answer);
        (String::from_utf8(script.bytes).unwrap(), script.end)
    }

    #[test]
    fn each_damage_leaves_of_an_answer_what_it_says() {
        let head = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n";
        let close = "connection: close\r\n\r\n";
        for (damage, left, end) in [
            (Damage::StatusLineCut, "HTTP/1.1 20".to_owned(), End::Close),
            (Damage::HeadersCut, "HTTP/1.1 201 Created\r\ncontent-type: application".to_owned(), End::Close),
            (Damage::BodyCut, format!("{head}content-length: 11\r\n{close}{{\"id\""), End::Close),
            (
                Damage::ChunksCut,
                format!("{head}transfer-encoding: chunked\r\n{close}b\r\n{{\"id\":\"wo\"}}\r\n"),
                End::Close,
            ),
            (Damage::BodyStalled, format!("{head}content-length: 11\r\n{close}{{\"id\""), End::Stall),
            (Damage::BodyHalved, format!("{head}content-length: 5\r\n{close}{{\"id\""), End::Close),
            (Damage::LengthUnderstated, format!("{head}content-length: 5\r\n{close}{{\"id\":\"wo\"}}"), End::Close),
            (Damage::LengthOverstated, format!("{head}content-length: 12\r\n{close}{{\"id\":\"wo\"}}"), End::Close),
            (
                Damage::Drip { pause: Duration::ZERO },
                format!("{head}content-length: 11\r\n{close}{{\"id\":\"wo\"}}"),
                End::Close,
            ),
        ] {
            let answer = Answer::created(&json!({ "id": "wo" }));
            assert_eq!(play(damage, &Method::POST, answer), (left, end), "{damage:?}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_whole_after_its_head() {
        let whole = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned();
        for damage in [Damage::BodyCut, Damage::ChunksCut, Damage::BodyStalled, Damage::LengthOverstated] {
            assert_eq!(play(damage, &Method::DELETE, Answer::no_content()), (whole.clone(), End::Close), "{damage:?}");
        }
        let (head, _) = play(Damage::BodyCut, &Method::HEAD, Answer::ok(&json!({})));
        assert!(head.ends_with("connection: close\r\n\r\n"), "{head}");
    }
}
