//! What others publish, as it comes: nothing that was published before, nothing while the link is
//! down. What streams keep, `Follow` reads.

use std::time::Duration;

use futures_util::StreamExt as _;

use crate::connect::Bus;

/// How long to wait for the server to have taken a subscription.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Messages of one subject; the subscription ends when it is dropped.
#[derive(Debug)]
pub struct Subscriber(async_nats::Subscriber);

/// What cannot be subscribed to.
#[derive(Debug, thiserror::Error)]
#[error("cannot subscribe to `{subject}`: {why}")]
pub struct SubscribeError {
    subject: String,
    why: String,
}

impl Bus {
    /// Subscribes; where there is no connection, as soon as there is one. Else what anybody
    /// publishes from now on is heard: the server has taken it, unless it takes more than 2 s.
    ///
    /// # Errors
    /// What is no subject, or a connection that has ended.
    pub async fn subscribe(&self, subject: &str) -> Result<Subscriber, SubscribeError> {
        let subscriber = self.client().subscribe(subject.to_owned()).await;
        let refused = |why: String| SubscribeError { subject: subject.to_owned(), why };
        let subscriber = subscriber.map_err(|error| refused(error.to_string()))?;
        // one connection's requests are taken in order
        self.ask_server(TAKEN_WITHIN).await;
        Ok(Subscriber(subscriber))
    }
}

impl Subscriber {
    /// The next message: its subject and its bytes. `None` when the program's connection has ended.
    pub async fn next(&mut self) -> Option<(String, Vec<u8>)> {
        let message = self.0.next().await?;
        Some((message.subject.to_string(), message.payload.into()))
    }
}

/// Whether a subject is meant by a pattern: `*` is one part, `>` all that follow.
pub fn is_meant(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(part), Some(other)) if part == "*" || part == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_meant;

    #[test]
    fn patterns() {
        for (pattern, subject) in
            [("a.b", "a.b"), ("a.*", "a.b"), ("a.>", "a.b"), ("a.>", "a.b.c"), (">", "a")]
        {
            assert!(is_meant(pattern, subject), "{pattern} {subject}");
        }
        for (pattern, subject) in
            [("a.b", "a"), ("a", "a.b"), ("a.*", "a.b.c"), ("a.>", "a"), ("a.b", "a.c")]
        {
            assert!(!is_meant(pattern, subject), "{pattern} {subject}");
        }
    }
}
