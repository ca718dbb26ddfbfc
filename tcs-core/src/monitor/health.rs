//! What a health check may answer.

use crate::wire::Status;

/// A check's opinion of what it looks at: a status, with or without words for people.
///
/// Made from a [`Status`], or from a status and a text: `(Status::Degraded, "2 of 5 cameras")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// How it is.
    pub status: Status,
    /// In words.
    pub message: Option<String>,
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

/// The gravest opinion; of several equally grave ones the first.
pub(crate) fn gravest(opinions: impl IntoIterator<Item = Opinion>) -> Option<Opinion> {
    opinions.into_iter().reduce(|a, b| if b.status > a.status { b } else { a })
}
