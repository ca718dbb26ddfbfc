//! Rights that the server says are missing.

use std::fmt;

/// What was to be done on a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send to it.
    Publish,
    /// Listen to it.
    Subscribe,
}

/// A right that the server says is missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Denial {
    /// What was to be done.
    pub action: Action,
    /// On which subject.
    pub subject: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
        };
        write!(f, "no right to {action} `{}`", self.subject)
    }
}

impl Denial {
    /// From `Permissions Violation for Publish to "subject"`, as the server says it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("ermissions Violation for ")?;
        let (action, rest) = match rest.strip_prefix("Publish to \"") {
            Some(rest) => (Action::Publish, rest),
            None => (Action::Subscribe, rest.strip_prefix("Subscription to \"")?),
        };
        let (subject, _) = rest.split_once('"')?;
        Some(Self { action, subject: subject.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_for_a_missing_right() {
        let denial =
            Denial::parse("Permissions Violation for Publish to \"$JS.API.INFO\"").unwrap();
        assert_eq!(denial.to_string(), "no right to publish `$JS.API.INFO`");
        let text = "Permissions Violation for Subscription to \"a.>\" using queue \"q\"";
        let denial = Denial::parse(text).unwrap();
        assert_eq!(denial.to_string(), "no right to subscribe `a.>`");
        assert_eq!(Denial::parse("Stale Connection"), None);
    }
}
