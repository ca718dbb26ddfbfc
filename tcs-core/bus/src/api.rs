//! Requests to the JetStream API, with an answer in every case: a reply, or the reason why there
//! is none. A refused subject shows only as a server's remark while the request goes unanswered,
//! so both are waited for.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, Request};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::bytes::Bytes;

use super::connect::{Bus, since};
use super::denial::{Action, Denial};
use super::link::{self, LinkState};
use super::settings::DEFAULT_API;
use crate::clock;

/// Headers that JetStream puts on a message that it hands out, and that no sender writes.
pub(super) const OF_JETSTREAM: [&str; 3] = ["Nats-Stream", "Nats-Subject", "Nats-Sequence"];

/// Whether these headers are those of a message that JetStream has handed out.
pub(super) fn is_copy(headers: &HeaderMap) -> bool {
    OF_JETSTREAM.iter().any(|name| headers.get(*name).is_some())
}

/// Why a request to JetStream brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The link is down, or went down meanwhile.
    #[error("not connected")]
    Disconnected,
    /// The server runs without JetStream.
    #[error("the server has no JetStream")]
    NoJetStream,
    /// Nothing answers behind the JetStream domain or API prefix of the settings.
    #[error("no JetStream answers to `{prefix}`{}", domain_of_server(domain.as_deref()))]
    NoDomain {
        /// The prefix that was asked.
        prefix: String,
        /// The domain of the server that we are connected to.
        domain: Option<String>,
    },
    /// The server has JetStream, this account has not.
    #[error("JetStream is not enabled for this account")]
    NotEnabled,
    /// A right is missing.
    #[error("{0}")]
    Denied(Denial),
    /// No answer.
    #[error("no answer to `{subject}` in {:.1} s", after.as_secs_f64())]
    TimedOut {
        /// Where the request went.
        subject: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The server answered with an error.
    #[error("`{subject}`: {description} ({code})")]
    Refused {
        /// Where the request went.
        subject: String,
        /// JetStream's own code, like 10059 (stream not found).
        code: u64,
        /// The server's description of the error.
        description: String,
    },
    /// An answer that is none.
    #[error("`{subject}`: the answer cannot be read: {why}")]
    Unreadable {
        /// Where the request went.
        subject: String,
        /// What is wrong with it.
        why: String,
    },
}

/// JetStream's code for a stream that is not there.
pub(super) const STREAM_NOT_FOUND: u64 = 10059;
pub(super) const CONSUMER_NOT_FOUND: u64 = 10014;
/// The server has less storage than a stream may need.
const NO_STORAGE: u64 = 10047;
/// The account has less storage than a stream may need.
const NO_ACCOUNT_STORAGE: u64 = 10002;
const NOT_ENABLED: u64 = 10076;
const NOT_ENABLED_FOR_ACCOUNT: u64 = 10039;

/// After so long without an answer a question is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

fn domain_of_server(domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!(" (this server is in the domain `{domain}`)"),
        None => " (this server is in no domain)".to_owned(),
    }
}

impl ApiError {
    /// Whether a cluster has no leader or no free node at present: this passes without action.
    pub(super) fn is_of_cluster(&self) -> bool {
        // no peers for it, cluster not available, not the leader, stream or consumer offline
        const OF_CLUSTER: [u64; 5] = [10005, 10008, 10009, 10118, 10119];
        matches!(self, Self::Refused { code, .. } if OF_CLUSTER.contains(code))
    }

    /// Whether the same request may succeed soon, without anything being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Disconnected | Self::TimedOut { .. } => true,
            Self::NoJetStream
            | Self::NoDomain { .. }
            | Self::NotEnabled
            | Self::Denied(_)
            | Self::Refused { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    /// Whether the server, or the account, has not as much storage as a stream may need.
    pub fn is_short_of_storage(&self) -> bool {
        matches!(self, Self::Refused { code: NO_STORAGE | NO_ACCOUNT_STORAGE, .. })
    }
}

/// The first answer to a question, which is asked again after a while without any. `overtaken` ends
/// once the server has answered something that was asked later: what it had sent before that is here.
async fn until_answered<T, Asked, Overtaken>(
    ask: impl Fn() -> Asked,
    overtaken: impl Fn() -> Overtaken,
) -> T
where
    Asked: Future<Output = T>,
    Overtaken: Future<Output = ()>,
{
    let mut asked = FuturesUnordered::from_iter([ask()]);
    loop {
        let lost = async {
            tokio::time::sleep(ASKED_AGAIN).await;
            overtaken().await;
        };
        tokio::select! {
            biased;
            Some(answer) = asked.next() => return answer,
            () = lost => asked.push(ask()),
        }
    }
}

/// A reply and when its request was sent and it came.
pub(super) struct Answer<T> {
    pub(super) value: T,
    pub(super) sent: Instant,
    pub(super) received: Instant,
}

#[derive(serde::Deserialize)]
struct ErrorReply {
    error: Option<ErrorBody>,
}

#[derive(serde::Deserialize)]
struct ErrorBody {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    code: u64,
    #[serde(default)]
    description: String,
}

impl Bus {
    /// Asks `<api prefix>.<what>` for something that asking does not change.
    pub(super) async fn look_up<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, ApiError> {
        self.look_up_within(what, body, self.timeout()).await
    }

    /// The same, for an answer that is waited for no longer than `limit`. What one leader of a
    /// cluster has lost its successor answers, so it is asked again meanwhile; not while an answer
    /// may be on its way, which on a slow line takes its time, and each further one as much again.
    pub(super) async fn look_up_within<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &(impl Serialize + Sync),
        limit: Duration,
    ) -> Result<Answer<T>, ApiError> {
        until_answered(|| self.api_within(what, body, limit), || self.ask_server(limit)).await
    }

    /// Asks `<api prefix>.<what>` once, JSON in both directions.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer<T>, ApiError> {
        self.api_within(what, body, self.timeout()).await
    }

    /// The same, for an answer that is waited for no longer than `limit`.
    pub(super) async fn api_within<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &(impl Serialize + Sync),
        limit: Duration,
    ) -> Result<Answer<T>, ApiError> {
        let subject = self.api_subject(what);
        let unreadable = |why: String| ApiError::Unreadable { subject: subject.clone(), why };
        let body = serde_json::to_vec(body).map_err(|error| unreadable(error.to_string()))?;
        let sent = clock::monotonic();
        let request = Request::new().payload(body.into());
        let message = match self.ask_within(&subject, request, limit).await {
            Ok(message) => message,
            Err(ApiError::NoJetStream) => return Err(self.no_jetstream()),
            Err(error) => return Err(error),
        };
        let received = clock::monotonic();
        if let Ok(ErrorReply { error: Some(error) }) = serde_json::from_slice(&message.payload) {
            return Err(match error.err_code {
                NOT_ENABLED_FOR_ACCOUNT => ApiError::NotEnabled,
                NOT_ENABLED => ApiError::NoJetStream,
                _ => ApiError::Refused {
                    subject,
                    code: if error.err_code == 0 { error.code } else { error.err_code },
                    description: error.description,
                },
            });
        }
        let value = serde_json::from_slice(&message.payload)
            .map_err(|error| unreadable(error.to_string()))?;
        Ok(Answer { value, sent, received })
    }

    /// Nobody answers to the API: with the default prefix there is none, with another one it may
    /// be mistyped, or the way to it down.
    fn no_jetstream(&self) -> ApiError {
        let prefix = &self.settings().api_prefix.value;
        if prefix == DEFAULT_API {
            return ApiError::NoJetStream;
        }
        let domain = self.client().server_info().domain;
        ApiError::NoDomain { prefix: prefix.clone(), domain }
    }

    /// One request to the server itself, raced against its remarks and the loss of the link.
    pub(super) async fn ask(&self, subject: &str, request: Request) -> Result<Message, ApiError> {
        self.ask_within(subject, request, self.timeout()).await
    }

    /// The same, for an answer that may take longer or shorter than JetStream's.
    pub(super) async fn ask_within(
        &self,
        subject: &str,
        request: Request,
        limit: Duration,
    ) -> Result<Message, ApiError> {
        let link = self.link_core();
        let mut denials = self.denials();
        if !self.is_connected() {
            return Err(ApiError::Disconnected);
        }
        if let Some(denial) = link.no_reply_rights() {
            return Err(ApiError::Denied(denial));
        }
        let start = clock::monotonic();
        let request = request.timeout(Some(limit));
        let reply = self.client().send_request(subject.to_owned(), request);
        let refused = async {
            loop {
                match denials.recv().await {
                    Ok(denial) if denial.action == Action::Publish && denial.subject == subject => {
                        return denial;
                    }
                    Ok(denial) if link.no_reply_rights().as_ref() == Some(&denial) => {
                        return denial;
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let lost = link::until(self.link(), |s| matches!(s, LinkState::Disconnected { .. }));
        tokio::select! {
            reply = reply => match reply {
                Ok(message) => {
                    link.note_rtt(since(start));
                    Ok(message)
                }
                Err(error) => Err(match error.kind() {
                    async_nats::RequestErrorKind::NoResponders => {
                        link.note_rtt(since(start));
                        ApiError::NoJetStream
                    }
                    async_nats::RequestErrorKind::TimedOut => {
                        link.doubt();
                        ApiError::TimedOut { subject: subject.to_owned(), after: limit }
                    }
                    _ => ApiError::Unreadable {
                        subject: subject.to_owned(),
                        why: error.to_string(),
                    },
                }),
            },
            denial = refused => {
                link.note_rtt(since(start));
                Err(ApiError::Denied(denial))
            }
            () = lost => Err(ApiError::Disconnected),
        }
    }

    /// Asks the server itself, whatever JetStream does: nobody listens to a fresh reply subject, and
    /// the server says so, or that it may not be used. Either shows that it answers, and how fast.
    pub(super) async fn ask_server(&self, limit: Duration) {
        let subject = self.client().new_inbox();
        self.ask_within(&subject, Request::new(), limit).await.ok();
    }
}

/// The answers to one request that brings several.
pub(super) struct Answers {
    bus: Bus,
    subject: String,
    subscriber: async_nats::Subscriber,
    denials: tokio::sync::broadcast::Receiver<Denial>,
}

impl Bus {
    /// One request whose answers come one after the other.
    pub(super) async fn ask_many(&self, subject: &str, body: Bytes) -> Result<Answers, ApiError> {
        let denials = self.denials();
        if !self.is_connected() {
            return Err(ApiError::Disconnected);
        }
        if let Some(denial) = self.link_core().no_reply_rights() {
            return Err(ApiError::Denied(denial));
        }
        // one word more than a subscription of the library's, as its own requests have
        let inbox = format!("{}.many", self.client().new_inbox());
        let subscriber =
            self.client().subscribe(inbox.clone()).await.map_err(|_| ApiError::Disconnected)?;
        self.send(subject.to_owned(), Some(inbox), body).await;
        Ok(Answers { bus: self.clone(), subject: subject.to_owned(), subscriber, denials })
    }
}

impl Answers {
    /// The next one; waits for it as long as for any answer.
    pub(super) async fn next(&mut self) -> Result<Message, ApiError> {
        let after = self.bus.timeout();
        let refused = async {
            loop {
                match self.denials.recv().await {
                    Ok(denial)
                        if denial.subject == self.subject
                            || self.bus.link_core().no_reply_rights().as_ref() == Some(&denial) =>
                    {
                        return denial;
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let lost = link::until(self.bus.link(), |s| matches!(s, LinkState::Disconnected { .. }));
        tokio::select! {
            biased;
            message = self.subscriber.next() => match message {
                Some(message) if message.status == Some(async_nats::StatusCode::NO_RESPONDERS) => {
                    Err(ApiError::NoJetStream)
                }
                Some(message) => Ok(message),
                None => Err(ApiError::Disconnected),
            },
            denial = refused => Err(ApiError::Denied(denial)),
            () = lost => Err(ApiError::Disconnected),
            () = tokio::time::sleep(after) => {
                Err(ApiError::TimedOut { subject: self.subject.clone(), after })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Instant, sleep, sleep_until};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_on_its_way_is_not_asked_for_again() {
        let asked = Cell::new(0);
        let arrives = Instant::now() + Duration::from_secs(5);
        let ask = async || {
            asked.set(asked.get() + 1);
            sleep_until(arrives).await;
            asked.get()
        };
        // what comes behind it takes as long
        assert_eq!(until_answered(&ask, || sleep_until(arrives)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_is_lost_is_asked_again() {
        let (begin, asked) = (Instant::now(), Cell::new(0));
        let ask = async || {
            asked.set(asked.get() + 1);
            if asked.get() < 3 {
                std::future::pending::<()>().await;
            }
            asked.get()
        };
        assert_eq!(until_answered(&ask, || sleep(Duration::from_millis(1))).await, 3);
        assert!(begin.elapsed() < ASKED_AGAIN * 3);
    }
}
