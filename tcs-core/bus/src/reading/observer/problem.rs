//! What keeps a picture from being the whole truth, each in one line, with what to do about it.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use super::hearing::Unanswered;
use crate::{ApiError, Failure, Progress, Reading};
use tcs_fleet::{Fleet, format_duration};
use tcs_wire::Kind;

/// Maximum number of streams and reasons reported: they come from the network.
const MAX_NOT_STORED: usize = 8;

/// One reason why a picture is incomplete, or the record that it shows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// The link is down.
    NotConnected {
        /// Why.
        why: Option<Failure>,
    },
    /// The link is up, and somebody behind it does not answer.
    NoAnswer(Unanswered),
    /// No stream holds these subjects.
    NoStreams {
        /// Subjects' prefix.
        prefix: String,
        /// Which kinds; all three: there is nothing at all.
        kinds: Vec<Kind>,
        /// Listened to all the same.
        listening: bool,
    },
    /// The broker keeps nothing at all.
    NoJetStream {
        /// In what way.
        why: ApiError,
        /// Listened to all the same.
        listening: bool,
    },
    /// A stream, or the list of streams, cannot be read.
    Unreadable {
        /// What it holds.
        kind: Kind,
        /// Its name, once it is known.
        stream: Option<String>,
        /// Why not.
        why: ApiError,
    },
    /// It was not all there when the time was up.
    Unfinished {
        /// What was still on its way.
        kinds: Vec<Kind>,
        /// The streams are there, and nothing at all came of them.
        nothing: bool,
    },
    /// There was no room for all that came.
    Dropped {
        /// How many.
        messages: u64,
    },
    /// What a stream held back then is no longer in it.
    HistoryBegins {
        /// What it holds.
        kind: Kind,
        /// Its oldest message.
        at: DateTime<Utc>,
    },
    /// More history than is read at once.
    HistoryCut {
        /// Of what.
        kind: Kind,
    },
    /// Events of a launcher are in no stream: the record has a hole.
    EventsMissing {
        /// The launcher's monitored name.
        launcher: String,
        /// How many.
        count: u64,
    },
    /// A stream does not take what a program publishes.
    NotStored {
        /// Who says so.
        by: String,
        /// `registry`, `status` or `heartbeat`.
        stream: String,
        /// Why not.
        reason: String,
        /// Others that say the same.
        others: usize,
    },
}

impl Problem {
    /// The code, as in `--json`: it never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotConnected { .. } => "not_connected",
            Self::NoAnswer(Unanswered::Broker { .. }) => "no_answer",
            Self::NoAnswer(Unanswered::JetStream { .. }) => "jetstream_no_answer",
            Self::NoStreams { .. } => "no_streams",
            Self::NoJetStream { .. } => "no_jetstream",
            Self::Unreadable { .. } => "unreadable",
            Self::Unfinished { .. } => "unfinished",
            Self::Dropped { .. } => "dropped",
            Self::HistoryBegins { .. } => "history_begins",
            Self::HistoryCut { .. } => "history_cut",
            Self::EventsMissing { .. } => "events_missing",
            Self::NotStored { .. } => "not_stored",
        }
    }

    pub(super) fn of_readings(
        readings: &BTreeMap<Kind, Reading>,
        prefix: &str,
        messages: u64,
    ) -> Vec<Self> {
        let mut problems: Vec<Self> = Vec::new();
        let mut missing: (Vec<Kind>, bool) = (Vec::new(), false);
        let mut unfinished = Vec::new();
        for (kind, reading) in readings {
            match reading {
                Reading::Pending => unfinished.push(*kind),
                Reading::NoStream { listening } => {
                    missing.0.push(*kind);
                    missing.1 |= listening;
                }
                Reading::NoJetStream { why, listening } => {
                    let problem = Self::NoJetStream { why: why.clone(), listening: *listening };
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
                Reading::Failed(why) => {
                    problems.push(Self::Unreadable { kind: *kind, stream: None, why: why.clone() });
                }
                Reading::Streams(streams) => {
                    for (name, progress) in streams {
                        match progress {
                            Progress::Complete(_) => {}
                            Progress::Reading if unfinished.contains(kind) => {}
                            Progress::Reading => unfinished.push(*kind),
                            Progress::Failed(why) => problems.push(Self::Unreadable {
                                kind: *kind,
                                stream: Some(name.clone()),
                                why: why.clone(),
                            }),
                        }
                    }
                }
            }
        }
        if !missing.0.is_empty() {
            let (kinds, listening) = missing;
            problems.push(Self::NoStreams { prefix: prefix.to_owned(), kinds, listening });
        }
        if !unfinished.is_empty() {
            let is_found = |kind| matches!(readings.get(kind), Some(Reading::Streams(_)));
            let nothing = messages == 0 && unfinished.iter().all(is_found);
            problems.push(Self::Unfinished { kinds: unfinished, nothing });
        }
        problems
    }

    /// What of a fleet's record is known not to be in the streams.
    pub fn of_record(fleet: &Fleet) -> Vec<Self> {
        let missing = fleet.missing_events().into_iter();
        let mut problems: Vec<Self> = missing
            .map(|(launcher, count)| Self::EventsMissing { launcher: launcher.to_string(), count })
            .collect();
        let mut refused: BTreeMap<(&str, &str), (&str, usize)> = BTreeMap::new();
        for (name, it) in fleet.not_stored() {
            refused.entry((&it.stream, &it.reason)).or_insert((name, 0)).1 += 1;
        }
        problems.extend(refused.into_iter().take(MAX_NOT_STORED).map(
            |((stream, reason), (by, count))| Self::NotStored {
                by: by.to_owned(),
                stream: stream.to_owned(),
                reason: reason.to_owned(),
                others: count - 1,
            },
        ));
        problems
    }

    /// Whether all was read, and what was read has a fault: a warning, not a picture that is
    /// incomplete.
    pub fn is_of_record(&self) -> bool {
        matches!(self, Self::EventsMissing { .. } | Self::NotStored { .. })
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotConnected { why } => why.as_ref()?.hint().map(str::to_owned),
            Self::NoStreams { listening: true, .. } | Self::NoJetStream { listening: true, .. } => {
                None
            }
            Self::NoStreams { kinds, .. } => Some(if kinds.len() < Kind::FLEET.len() {
                "a launcher (tcsd) creates missing streams when it starts; if it cannot, its log \
                 says why"
                    .to_owned()
            } else {
                "is the prefix right (--prefix)? a launcher creates the streams when it starts: \
                 tcsd check --connect shows what it would find"
                    .to_owned()
            }),
            Self::NoJetStream { why: ApiError::NoDomain { .. }, .. } => Some(
                "is the JetStream domain or API prefix right (--domain, --api-prefix), and is the \
                 leaf node connected?"
                    .to_owned(),
            ),
            Self::NoJetStream { why: ApiError::NotEnabled, .. } => Some(
                "log in to an account that has JetStream, name the domain that has it (--domain) \
                 or the prefix under which it is imported (--api-prefix), or enable it for this \
                 account in the server's configuration"
                    .to_owned(),
            ),
            Self::NoJetStream { .. } => {
                Some("start nats-server with JetStream (-js), name the domain of the leaf node or hub that has \
                     it (--domain), or listen with --core".to_owned())
            }
            Self::Unreadable { why: ApiError::Denied(_), .. } => {
                Some("ask for that right, or use another login (--user, --creds)".to_owned())
            }
            Self::NoAnswer(Unanswered::JetStream { .. }) => {
                Some("does the cluster have a quorum? nats server report jetstream".to_owned())
            }
            Self::Unfinished { nothing: true, .. } => Some(
                "allow more time with --timeout; if JetStream is imported from another account as \
                 `$JS.API`, streams deliver to that account: import it under another prefix and \
                 name that with --api-prefix"
                    .to_owned(),
            ),
            Self::Unfinished { .. } => Some("allow more time with --timeout".to_owned()),
            Self::NotStored { stream, .. } => Some(format!(
                "is the stream of `{stream}` full, or the disk? nats stream info; tcsctl \
                 --verbose shows its name"
            )),
            Self::NoAnswer(Unanswered::Broker { .. })
            | Self::Unreadable { .. }
            | Self::Dropped { .. }
            | Self::HistoryBegins { .. }
            | Self::HistoryCut { .. }
            | Self::EventsMissing { .. } => None,
        }
    }
}

fn list(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.token()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected { why: Some(why) } => write!(f, "not connected: {why}"),
            Self::NotConnected { why: None } => f.write_str("not connected"),
            Self::NoAnswer(Unanswered::Broker { lasted }) => {
                write!(f, "no answer for {}", format_duration(*lasted))
            }
            Self::NoAnswer(Unanswered::JetStream { lasted }) => {
                write!(f, "JetStream: no answer for {}", format_duration(*lasted))
            }
            Self::NoStreams { prefix, kinds, .. } if kinds.len() == Kind::FLEET.len() => {
                write!(f, "no streams on {prefix}")
            }
            Self::NoStreams { prefix, kinds, .. } => {
                write!(f, "no stream on {prefix} for: {}", list(kinds))
            }
            Self::NoJetStream { why, .. } => write!(f, "no history: {why}"),
            Self::Unreadable { kind, stream: Some(stream), why } => {
                write!(f, "{kind} (stream {stream}) cannot be read: {why}")
            }
            Self::Unreadable { kind, stream: None, why } => {
                write!(f, "{kind} cannot be read: {why}")
            }
            Self::Unfinished { kinds, .. } => write!(f, "not read to the end: {}", list(kinds)),
            Self::Dropped { messages } => write!(f, "{messages} messages were left out: too many"),
            Self::HistoryBegins { kind, at } => write!(
                f,
                "{kind} messages are stored only from {} on",
                at.to_rfc3339_opts(SecondsFormat::Secs, true)
            ),
            Self::EventsMissing { launcher, count: 1 } => {
                write!(f, "1 event of {launcher} is missing")
            }
            Self::EventsMissing { launcher, count } => {
                write!(f, "{count} events of {launcher} are missing")
            }
            Self::NotStored { by, stream, reason, others } => {
                write!(f, "{stream} messages of {by}")?;
                if *others > 0 {
                    write!(f, " and {others} other{}", if *others == 1 { "" } else { "s" })?;
                }
                write!(f, " are not stored: {reason}")
            }
            Self::HistoryCut { kind } => {
                write!(f, "the history of {kind} was too long to be read to the end")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_without_a_stream_are_one_problem() {
        let none = || Reading::NoStream { listening: false };
        let readings = BTreeMap::from(Kind::FLEET.map(|kind| (kind, none())));
        let problems = Problem::of_readings(&readings, "ocm.svc", 0);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "no streams on ocm.svc");
        assert!(problems[0].hint().unwrap().contains("tcsd check --connect"));
        let one = BTreeMap::from([(Kind::Status, none())]);
        let text = Problem::of_readings(&one, "svc", 0)[0].to_string();
        assert_eq!(text, "no stream on svc for: status");
    }

    #[test]
    fn no_jetstream_is_told_once() {
        let off = || Reading::NoJetStream { why: ApiError::NoJetStream, listening: false };
        let readings = BTreeMap::from(Kind::FLEET.map(|kind| (kind, off())));
        let problems = Problem::of_readings(&readings, "svc", 0);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "no history: the server has no JetStream");
    }
}
