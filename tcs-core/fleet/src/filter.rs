//! Which services a person wants to see.
//!
//! A filter has one or more words, separated by blanks; a service matches if it matches each word.
//! A word is a part of the id (in any case), `/regex/`, `host:srv01`, `status:busy`,
//! `verdict:lost`, `phase:backoff`, `launcher:Kx1x` or `is:fault` (any problem). A key may have
//! several values, of which one must match: `verdict:failed,lost`. `!` before a word negates it.

use std::fmt;

use regex::{Regex, RegexBuilder};

use tcs_wire::Status;

use super::verdict::{Phase, Verdict};
use super::view::ServiceView;

/// A filter as it was typed, and what it means. The empty one lets everything through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    not: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Id(String),
    Regex(Regex),
    Host(Vec<String>),
    Status(Vec<String>),
    Verdict(Vec<String>),
    Phase(Vec<String>),
    Launcher(Vec<String>),
    Fault,
}

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The text between the slashes is no regular expression.
    #[error("`{term}` is not a regular expression: {reason}")]
    Regex {
        /// As typed.
        term: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A word with a colon whose first part is not known.
    #[error(
        "`{key}:` is not a filter: one of host:, status:, verdict:, phase:, launcher:, is:fault"
    )]
    Key {
        /// As typed.
        key: String,
    },
    /// A value that no service can have.
    #[error("`{value}` is not a {what}: one of {known}")]
    Value {
        /// As typed.
        value: String,
        /// What it would be.
        what: &'static str,
        /// The values that there are.
        known: String,
    },
    /// A word that would let everything through: a script's variable was empty.
    #[error("`{word}` has no value: it would match every service")]
    NoValue {
        /// As typed.
        word: String,
    },
}

impl Filter {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let terms = text.split_whitespace().map(term).collect::<Result<_, _>>()?;
        Ok(Self { text: text.trim().to_owned(), terms })
    }

    /// A part of the id, taken as it is: no word of the filter language in it.
    pub fn id(part: &str) -> Self {
        let test = Test::Id(part.to_lowercase());
        Self { text: part.to_owned(), terms: vec![Term { not: false, test }] }
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a service is let through.
    pub fn matches(&self, service: &ServiceView) -> bool {
        self.terms.iter().all(|term| term.test.matches(service) != term.not)
    }

    /// Whether something is let through of which only the name and the host are known: words about
    /// anything else do not hold.
    pub fn matches_name(&self, name: &str, host: Option<&str>) -> bool {
        self.terms.iter().all(|term| {
            let known = term.test.matches_name(name, host);
            known.is_some_and(|holds| holds != term.not)
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Where a service can be in its life.
const PHASES: [Phase; 9] = [
    Phase::Declared,
    Phase::Waiting,
    Phase::Starting,
    Phase::Running,
    Phase::Stopping,
    Phase::Stopped,
    Phase::Completed,
    Phase::Backoff,
    Phase::Failed,
];

/// What may stand before a colon.
pub const KEYS: [&str; 6] = ["host", "status", "verdict", "phase", "launcher", "is"];

/// Accepted for `launcher`.
const OLD_LAUNCHER_KEY: &str = "parent";

/// What may stand behind a key, where it does not depend on the fleet.
pub fn words(key: &str) -> Option<Vec<&'static str>> {
    let verdicts = Verdict::ALL.map(Verdict::as_str);
    match key {
        "status" => Some([&verdicts[..], &Status::ALL.map(Status::as_str)].concat()),
        "verdict" => Some(verdicts.into()),
        "phase" => Some(PHASES.map(Phase::as_str).into()),
        "is" => Some(vec!["fault"]),
        _ => None,
    }
}

fn term(word: &str) -> Result<Term, FilterError> {
    let (not, word) = match word.strip_prefix('!') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, word),
    };
    let no_value = || FilterError::NoValue { word: word.to_owned() };
    if let Some(pattern) = word.strip_prefix('/') {
        let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
        if pattern.is_empty() {
            return Err(no_value());
        }
        let regex =
            RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build().map_err(
                |error| FilterError::Regex {
                    term: word.to_owned(),
                    reason: error.to_string().lines().last().unwrap_or_default().to_owned(),
                },
            )?;
        return Ok(Term { not, test: Test::Regex(regex) });
    }
    let test = match word.split_once(':') {
        None => Test::Id(word.to_lowercase()),
        Some((key, value)) => {
            let value = value.to_lowercase();
            let values: Vec<String> = value.split(',').map(str::to_owned).collect();
            let lower = key.to_lowercase();
            let is_key = KEYS.contains(&lower.as_str()) || lower == OLD_LAUNCHER_KEY;
            if values.iter().any(String::is_empty) && is_key {
                return Err(no_value());
            }
            let known = |what| {
                let words = words(what).unwrap_or_default();
                match values.iter().find(|value| !words.contains(&value.as_str())) {
                    None => Ok(values.clone()),
                    Some(value) => {
                        let (value, known) = (value.clone(), words.join(", "));
                        Err(FilterError::Value { value, what, known })
                    }
                }
            };
            match lower.as_str() {
                "host" => Test::Host(values),
                "status" => Test::Status(known("status")?),
                "verdict" => Test::Verdict(known("verdict")?),
                "phase" => Test::Phase(known("phase")?),
                "launcher" | OLD_LAUNCHER_KEY => Test::Launcher(values),
                "is" if value.starts_with("fault") => Test::Fault,
                _ => return Err(FilterError::Key { key: key.to_owned() }),
            }
        }
    };
    Ok(Term { not, test })
}

/// Whether a text has this part, in any case.
fn has(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(part)
}

fn has_any(text: &str, parts: &[String]) -> bool {
    parts.iter().any(|part| has(text, part))
}

impl Test {
    /// `None`: it is about neither name nor host.
    fn matches_name(&self, name: &str, host: Option<&str>) -> Option<bool> {
        match self {
            Self::Id(wanted) => Some(has(name, wanted)),
            Self::Regex(regex) => Some(regex.is_match(name)),
            Self::Host(wanted) => Some(host.is_some_and(|host| has_any(host, wanted))),
            Self::Status(_)
            | Self::Verdict(_)
            | Self::Phase(_)
            | Self::Launcher(_)
            | Self::Fault => None,
        }
    }

    fn matches(&self, service: &ServiceView) -> bool {
        match self {
            Self::Id(_) | Self::Regex(_) | Self::Host(_) => {
                self.matches_name(&service.id, service.host.as_deref()) == Some(true)
            }
            // what people call status is the verdict as often as the service's own word
            Self::Status(wanted) => {
                let is_wanted = |word: &str| wanted.iter().any(|it| it == word);
                is_wanted(service.verdict.as_str())
                    || service.status.is_some_and(|status| is_wanted(status.as_str()))
            }
            Self::Verdict(wanted) => wanted.iter().any(|it| it == service.verdict.as_str()),
            Self::Phase(wanted) => wanted.iter().any(|it| it == service.phase.as_str()),
            Self::Launcher(wanted) => {
                service.parent.as_deref().is_some_and(|parent| has_any(parent, wanted))
            }
            Self::Fault => service.verdict.is_fault(),
        }
    }
}
