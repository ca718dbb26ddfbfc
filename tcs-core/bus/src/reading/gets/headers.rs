//! A message's headers: as they travel, and apart from those of the answer that brings it.

use async_nats::{HeaderMap, HeaderName, HeaderValue};

use crate::api::OF_JETSTREAM;

/// Headers as they travel: a line `NATS/1.0`, then `Name: value` lines. What is no such line is
/// passed over.
pub(super) fn parse(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(bytes).split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim().parse::<HeaderName>();
        let value = value.trim().parse::<HeaderValue>();
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// The message's own headers, without those of the answer: one of each.
pub(super) fn own(headers: &HeaderMap) -> HeaderMap {
    const ONLY_OF_ANSWER: [&str; 4] =
        ["Nats-Time-Stamp", "Nats-Last-Sequence", "Nats-Num-Pending", "Nats-UpTo-Sequence"];
    let mut own = HeaderMap::new();
    for (name, values) in headers.iter() {
        let text: &str = name.as_ref();
        if ONLY_OF_ANSWER.contains(&text) {
            continue;
        }
        let of_answer = usize::from(OF_JETSTREAM.contains(&text));
        for value in values.iter().take(values.len() - of_answer.min(values.len())) {
            own.append(name.clone(), value.clone());
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_they_travel() {
        let headers = parse(b"NATS/1.0\r\nNats-Msg-Id: a:1\r\nnonsense\r\nX:y:z\r\n\r\n");
        assert_eq!(headers.get("Nats-Msg-Id").map(HeaderValue::as_str), Some("a:1"));
        assert_eq!(headers.get("X").map(HeaderValue::as_str), Some("y:z"));
        assert_eq!(headers.len(), 2);
        assert!(parse(b"").is_empty());
    }

    #[test]
    fn the_headers_of_an_answer_are_not_the_messages() {
        let mut headers = HeaderMap::new();
        headers.append("Nats-Msg-Id", "a");
        for name in ["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"] {
            headers.append(name, "answer");
        }
        assert_eq!(own(&headers).len(), 1);
        // a stored answer has them itself
        let mut stored = HeaderMap::new();
        stored.append("Nats-Sequence", "7");
        stored.append("Nats-Sequence", "9");
        let own = own(&stored);
        assert_eq!(own.get("Nats-Sequence").map(HeaderValue::as_str), Some("7"));
    }
}
