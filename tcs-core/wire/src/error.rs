//! Why a message cannot be read.

/// Why a body was dropped whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Neither strict JSON nor Python's.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// An object is expected at the top, with an object `data` in it.
    #[error("no `data` object in the body")]
    NoData,
    /// `service_id` (`name` in a status) is missing, empty, no text or over [`MAX_NAME`](crate::MAX_NAME) bytes.
    #[error("names no service: `{field}` is missing or unusable")]
    NoName {
        /// The field that should name it.
        field: &'static str,
    },
    /// The body is about another object, or another event, than the subject: who may publish what
    /// is a matter of subjects.
    #[error("its body is about another {what} than its subject: `{body}`")]
    OtherSubject {
        /// `service`, `event` or `alarm`.
        what: &'static str,
        /// What the body names, the beginning of it.
        body: String,
    },
    /// It carries headers that JetStream adds when it hands a message out: nobody has sent it to
    /// this subject; it came here as the answer to a request with this subject for replies.
    #[error("a copy of a stored message, not sent by its sender")]
    Copy,
}
