//! What a health check may answer.

use crate::wire::Status;

/// The result of a health check.
///
/// ```
/// use tcs_core::prelude::*;
///
/// fn healthcheck(errors: u32) -> Health {
///     match errors {
///         0 => Health::no_opinion(), // ends the status that an earlier check had set
///         1..5 => Health::degraded(format!("{errors} errors")),
///         _ => Health::failed(format!("{errors} errors")),
///     }
/// }
/// assert_eq!(healthcheck(2), (Status::Degraded, "2 errors").into());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Health(pub(crate) Option<Opinion>);

/// A check's opinion: a status, with or without words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opinion {
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
}

impl Health {
    /// No opinion: ends the status that an earlier check had set, and leaves any other status as it
    /// is.
    pub fn no_opinion() -> Self {
        Self(None)
    }

    /// All is well: also ends an error that was set with `set_status`.
    pub fn ok() -> Self {
        Status::Ok.into()
    }

    /// It works, but not fully.
    pub fn degraded(words: impl Into<String>) -> Self {
        (Status::Degraded, words).into()
    }

    /// It works, but needs attention.
    pub fn warning(words: impl Into<String>) -> Self {
        (Status::Warning, words).into()
    }

    /// Something went wrong while it runs.
    pub fn error(words: impl Into<String>) -> Self {
        (Status::Error, words).into()
    }

    /// It does not work any more.
    pub fn failed(words: impl Into<String>) -> Self {
        (Status::Failed, words).into()
    }
}

impl From<Status> for Health {
    fn from(status: Status) -> Self {
        Self(Some(status.into()))
    }
}

impl<T: Into<String>> From<(Status, T)> for Health {
    fn from(said: (Status, T)) -> Self {
        Self(Some(said.into()))
    }
}

impl From<Status> for Opinion {
    fn from(status: Status) -> Self {
        Self { status, message: None }
    }
}

impl<T: Into<String>> From<(Status, T)> for Opinion {
    fn from((status, message): (Status, T)) -> Self {
        Self { status, message: Some(message.into()) }
    }
}

impl<T: Into<Self>> From<Option<T>> for Health {
    fn from(opinion: Option<T>) -> Self {
        opinion.map_or_else(Self::no_opinion, Into::into)
    }
}

/// The gravest opinion; of several equally grave ones the first.
pub(crate) fn gravest(opinions: impl IntoIterator<Item = Opinion>) -> Option<Opinion> {
    opinions.into_iter().reduce(|a, b| if b.status > a.status { b } else { a })
}
