//! Of several writers that expect the same last message of a subject, one is taken. A current server
//! ensures that. Servers before 2.10 may take more than one where the stream is replicated, so the
//! stream is read: **of the messages that expected the same, the first counts**; the others stay
//! stored and have no effect. If the stream has dropped all messages of the subject, including the
//! expected one, the next one counts as the first.

use super::{OutgoingMessage, PublishError, Publisher, Sent};
use crate::api::ApiError;
use crate::outgoing::EXPECTED;
use crate::stored::Stored;

/// JetStream's codes for a message whose subject has another last message than is expected: as the
/// stream holds it, and as the leader of a replicated one has just proposed it.
const OVERTAKEN: [u64; 2] = [10_071, 10_164];
/// How many messages that do not count are passed over.
const MOST: usize = 32;

/// What follows a message of a subject.
enum After {
    /// One that counts.
    Another,
    /// None that counts; the last of those that do not, or the message itself.
    Nothing(u64),
}

impl Publisher {
    /// Sends the message if `expected` is still the last one of its subject, else fails as
    /// overtaken.
    pub(super) async fn send_after(
        &self,
        parcel: &OutgoingMessage,
        expected: u64,
    ) -> Result<Sent, PublishError> {
        let unsure = |source| PublishError::Unsure { subject: parcel.subject.clone(), source };
        let mut last = expected;
        for _ in 0..MOST {
            let error = match self.acknowledged(&parcel.clone().expecting(last)).await {
                Ok(Sent::Stored { stream, sequence }) => {
                    let after = self.after(&stream, &parcel.subject, expected, Some(sequence));
                    return match after.await {
                        // without the right to look, trust the server's answer
                        Ok(After::Nothing(_)) | Err(ApiError::Denied(_)) => {
                            Ok(Sent::Stored { stream, sequence })
                        }
                        Ok(After::Another) => Err(overtaken(parcel)),
                        Err(error) => Err(unsure(error)),
                    };
                }
                Err(error) if error.is_overtaken() => error,
                other => return other,
            };
            let streams = self.bus.streams_capturing(&parcel.subject).await.map_err(unsure)?;
            let Some(stream) = streams.first() else { return Err(error) };
            last = match self.after(stream, &parcel.subject, expected, None).await {
                Ok(After::Nothing(found)) if found > last => found,
                Ok(After::Nothing(_)) if last > 0 && self.is_empty(stream, parcel).await => 0,
                Ok(_) | Err(_) => return Err(error),
            };
        }
        Err(overtaken(parcel))
    }

    /// Whether the stream has dropped all messages of its subject: then the next one is the first
    /// again.
    async fn is_empty(&self, stream: &str, parcel: &OutgoingMessage) -> bool {
        matches!(Stored::last(&self.bus, stream, &parcel.subject).await, Ok(None))
    }

    /// What follows the message `expected` of a subject, before `end`.
    async fn after(
        &self,
        stream: &str,
        subject: &str,
        expected: u64,
        end: Option<u64>,
    ) -> Result<After, ApiError> {
        let mut last = expected;
        for _ in 0..MOST {
            let next = Stored::from(&self.bus, stream, subject, last + 1).await?;
            let Some(next) = next.filter(|next| end.is_none_or(|end| next.seq < end)) else {
                break;
            };
            // one that expected nothing counts, and so does one that knew all before it
            let header = next.header(EXPECTED).and_then(|value| value.parse().ok());
            if header.is_none_or(|header: u64| header == expected || header == last) {
                return Ok(After::Another);
            }
            // so does the first one, where the stream has dropped what was expected
            if header == Some(0) {
                let oldest = Stored::from(&self.bus, stream, subject, 1).await?;
                if oldest.is_some_and(|oldest| oldest.seq > expected) {
                    return Ok(After::Another);
                }
            }
            last = next.seq;
        }
        Ok(After::Nothing(last))
    }
}

impl PublishError {
    /// Whether its subject has another last message than was expected: somebody else was faster.
    pub fn is_overtaken(&self) -> bool {
        let Self::Unsure { source, .. } = self else { return false };
        matches!(source, ApiError::Refused { code, .. } if OVERTAKEN.contains(code))
    }
}

fn overtaken(parcel: &OutgoingMessage) -> PublishError {
    refused(&parcel.subject, OVERTAKEN[0])
}

fn refused(subject: &str, code: u64) -> PublishError {
    let description = "another writer was faster".to_owned();
    let source = ApiError::Refused { subject: subject.to_owned(), code, description };
    PublishError::Unsure { subject: subject.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_and_the_leader_of_a_replicated_one_tell_who_was_overtaken() {
        let is_overtaken = |code| refused("a", code).is_overtaken();
        assert!(is_overtaken(10_071) && is_overtaken(10_164));
        assert!(!is_overtaken(10_054));
    }
}
