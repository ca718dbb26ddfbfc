//! Subjects: the only place that joins or splits them (`docs/spec/wire.md#subjects`).

use std::fmt;
use std::sync::Arc;

use crate::id::{IdError, check_name};

/// The prefix if none is configured.
pub const DEFAULT_PREFIX: &str = "svc";

/// Whether a received subject is one that our own publishers could have sent. NATS itself carries
/// any bytes but blanks; those that are no UTF-8 arrive as U+FFFD.
pub fn is_clean_subject(subject: &str) -> bool {
    !subject.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\u{fffd}')
}

/// What a subject carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Life cycle events, from launchers.
    Registry,
    /// The status that a service reports.
    Status,
    /// Heartbeats.
    Heartbeat,
    /// Log lines.
    Journal,
}

impl Kind {
    /// The three kinds that streams hold and the fleet is made of.
    pub const FLEET: [Self; 3] = [Self::Registry, Self::Status, Self::Heartbeat];

    /// The token after the prefix.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Status => "status",
            Self::Heartbeat => "heartbeat",
            Self::Journal => "journal",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.token())
    }
}

/// One received subject, split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What it carries.
    pub kind: Kind,
    /// The registry event's name; `None` for the other kinds.
    pub event: Option<&'a str>,
    /// The monitored object's name, as the subject says; the body names the same.
    pub name: &'a str,
}

/// All subjects under one prefix. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    prefix: Arc<str>,
}

impl Default for Subjects {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.into() }
    }
}

impl Subjects {
    /// `prefix` may hold dots (`ocm.svc`); an error if NATS could not carry it.
    pub fn new(prefix: &str) -> Result<Self, IdError> {
        check_name("subject prefix", prefix)?;
        Ok(Self { prefix: prefix.into() })
    }

    /// The prefix as given.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `<prefix>.<kind>.>`: all of one kind.
    pub fn all(&self, kind: Kind) -> String {
        format!("{}.{kind}.>", self.prefix)
    }

    /// What a site stores, each as its name and its subjects: the four kinds, and alarms.
    pub fn stored(&self) -> [(&'static str, String); 5] {
        let [registry, status, heartbeat, journal] =
            [Kind::Registry, Kind::Status, Kind::Heartbeat, Kind::Journal]
                .map(|kind| (kind.token(), self.all(kind)));
        [registry, status, heartbeat, journal, ("alarm", self.alarm(">"))]
    }

    /// `<prefix>.registry.<event>.<name>`
    pub fn registry(&self, event: &str, name: &str) -> String {
        format!("{}.registry.{event}.{name}", self.prefix)
    }

    /// `<prefix>.registry.*.<name>`: all events of one service.
    pub fn registry_of(&self, name: &str) -> String {
        self.registry("*", name)
    }

    /// `<prefix>.status.<name>`
    pub fn status(&self, name: &str) -> String {
        format!("{}.status.{name}", self.prefix)
    }

    /// `<prefix>.heartbeat.<name>`
    pub fn heartbeat(&self, name: &str) -> String {
        format!("{}.heartbeat.{name}", self.prefix)
    }

    /// `<prefix>.journal.<name>`
    pub fn journal(&self, name: &str) -> String {
        format!("{}.journal.{name}", self.prefix)
    }

    /// `<prefix>.rpc.<name>.v1.<command>`; for a launcher's command on one of its services the
    /// command is `start.<service id>` and the like.
    pub fn rpc(&self, name: &str, command: &str) -> String {
        format!("{}.rpc.{name}.v1.{command}", self.prefix)
    }

    /// `<prefix>.alarm.<rest>`: where the records of alarms are.
    pub fn alarm(&self, rest: &str) -> String {
        format!("{}.alarm.{rest}", self.prefix)
    }

    /// What follows `<prefix>.alarm.`; `None` for any other subject.
    pub fn alarm_part<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&*self.prefix)?.strip_prefix(".alarm.")
    }

    /// The object that a subject of requests belongs to; `None` for any other subject.
    pub fn responder<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let rest = subject.strip_prefix(&*self.prefix)?.strip_prefix(".rpc.")?;
        // commands have no version of their own, names may
        let (name, command) = rest.rsplit_once(".v1.")?;
        (!name.is_empty() && !command.is_empty()).then_some(name)
    }

    /// The name a stream for `kind` is given when we create it: `svc_status`; a dotted prefix
    /// `ocm.svc` gives `ocm_svc_status`.
    pub fn stream_name(&self, kind: Kind) -> String {
        format!("{}_{kind}", self.prefix.replace('.', "_"))
    }

    /// Splits a received subject; `None` if it is not one of ours.
    pub fn parse<'a>(&self, subject: &'a str) -> Option<Subject<'a>> {
        let rest = subject.strip_prefix(&*self.prefix)?.strip_prefix('.')?;
        let (kind, rest) = rest.split_once('.')?;
        let (kind, event, name) = match kind {
            "registry" => {
                let (event, name) = rest.split_once('.')?;
                (Kind::Registry, Some(event), name)
            }
            "status" => (Kind::Status, None, rest),
            "heartbeat" => (Kind::Heartbeat, None, rest),
            "journal" => (Kind::Journal, None, rest),
            _ => return None,
        };
        (!name.is_empty()).then_some(Subject { kind, event, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split_again_also_under_a_dotted_prefix() {
        for prefix in ["svc", "ocm.svc"] {
            let subjects = Subjects::new(prefix).unwrap();
            let registry = subjects.registry("start", "examples.minimal.tutorial");
            assert_eq!(
                subjects.parse(&registry),
                Some(Subject {
                    kind: Kind::Registry,
                    event: Some("start"),
                    name: "examples.minimal.tutorial",
                })
            );
            for (text, kind) in [
                (subjects.status("a.b"), Kind::Status),
                (subjects.heartbeat("a.b"), Kind::Heartbeat),
                (subjects.journal("a.b"), Kind::Journal),
            ] {
                assert_eq!(
                    subjects.parse(&text),
                    Some(Subject { kind, event: None, name: "a.b" }),
                    "{text}"
                );
            }
        }
        assert_eq!(Subjects::new("ocm.svc").unwrap().stream_name(Kind::Status), "ocm_svc_status");
    }

    #[test]
    fn what_is_not_ours_is_not_split() {
        let subjects = Subjects::default();
        for other in [
            "svc",
            "svc.",
            "svc.status",
            "svc.status.",
            "svcx.status.a",
            "test.ping",
            "svc.rpc.a.v1.health",
            "svc.registry.start",
        ] {
            assert_eq!(subjects.parse(other), None, "{other}");
        }
        assert!(Subjects::new("a b").is_err());
        assert!(Subjects::new("svc.>").is_err());
    }
}
