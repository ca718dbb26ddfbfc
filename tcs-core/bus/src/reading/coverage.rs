//! What of a site's messages could be read, and what not: the facts behind what the picture says of
//! itself (`docs/spec/truth.md#what-the-picture-says-of-itself`).

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::ApiError;
use crate::denial::Denial;
use tcs_wire::Kind;

/// How the reading of one kind of message stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Not known yet which streams there are.
    Pending,
    /// From these streams, by name.
    Streams(BTreeMap<String, Progress>),
    /// No stream holds the subjects, so nothing is read, and nothing listened to: a mere listener
    /// would slow Python publishers down to 15 s a message.
    NoStream {
        /// All the same, because it was asked for (`--core`).
        listening: bool,
    },
    /// JetStream is not there, or not for this account.
    NoJetStream {
        /// Which of the two.
        why: ApiError,
        /// Listened to all the same, because it was asked for (`--core`).
        listening: bool,
    },
    /// The streams could not be found out.
    Failed(ApiError),
}

/// How far one stream has been read.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The newest message of each subject is on its way.
    Reading,
    /// All that was there has come, and what comes is followed.
    Complete(ReadMode),
    /// It cannot be read.
    Failed(ApiError),
}

/// By what means a stream is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadMode {
    /// The server pushes.
    Push,
    /// We pull, because that right is missing.
    Pull(Denial),
    /// Message by message, and listening beside it, because that right is missing.
    Gets(Denial),
    /// The same for as long as no consumer can be made: a cluster has no leader, or no node to
    /// spare.
    Meanwhile(ApiError),
}

impl Reading {
    /// Whether nothing more is to be waited for.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Pending => false,
            Self::Streams(streams) => streams.values().all(|p| *p != Progress::Reading),
            Self::NoStream { .. } | Self::NoJetStream { .. } | Self::Failed(_) => true,
        }
    }

    /// Whether all that the site keeps of this kind has been read.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Streams(streams) => streams.values().all(|p| matches!(p, Progress::Complete(_))),
            Self::Pending | Self::NoStream { .. } | Self::NoJetStream { .. } | Self::Failed(_) => {
                false
            }
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("looking for streams"),
            Self::Streams(streams) => {
                for (index, (name, progress)) in streams.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match progress {
                        Progress::Reading => write!(f, "{comma}{name} (reading)")?,
                        Progress::Complete(_) => write!(f, "{comma}{name}")?,
                        Progress::Failed(error) => write!(f, "{comma}{name}: {error}")?,
                    }
                }
                Ok(())
            }
            Self::NoStream { .. } => f.write_str("no stream"),
            Self::NoJetStream { why, .. } | Self::Failed(why) => write!(f, "{why}"),
        }
    }
}

/// The readings of all kinds that are read, shared by the tasks that read them.
pub(super) struct Coverage(Mutex<BTreeMap<Kind, Reading>>);

impl Coverage {
    pub(super) fn new(kinds: &[Kind]) -> Self {
        Self(Mutex::new(kinds.iter().map(|kind| (*kind, Reading::Pending)).collect()))
    }

    /// Changes one kind's reading; the new one, if it is another.
    pub(super) fn change(&self, kind: Kind, change: impl FnOnce(&mut Reading)) -> Option<Reading> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = all.entry(kind).or_insert(Reading::Pending);
        let before = reading.clone();
        change(reading);
        (*reading != before).then(|| reading.clone())
    }

    /// A stream made progress; the kind's reading, if that is news.
    pub(super) fn progress(&self, kind: Kind, stream: &str, progress: Progress) -> Option<Reading> {
        self.change(kind, |reading| {
            if let Reading::Streams(streams) = reading
                && let Some(known) = streams.get_mut(stream)
            {
                *known = progress;
            }
        })
    }
}

impl Coverage {
    /// A stream that holds this kind, the first by name.
    pub(super) fn stream_of(&self, wanted: Kind) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(&wanted) {
            Some(Reading::Streams(streams)) => streams.keys().next().cloned(),
            _ => None,
        }
    }

    /// Some stream that is being read with a consumer, for asking the server the time; who reads
    /// without asks for it all the time.
    pub(super) fn any_stream(&self) -> Option<(Kind, String)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find_map(|(kind, reading)| match reading {
            Reading::Streams(streams) => {
                let consumed = |progress: &Progress| {
                    !matches!(progress, Progress::Complete(ReadMode::Gets(_)))
                };
                let mut streams = streams.iter().filter(|(_, progress)| consumed(progress));
                streams.next().map(|(name, _)| (*kind, name.clone()))
            }
            Reading::Pending
            | Reading::NoStream { .. }
            | Reading::NoJetStream { .. }
            | Reading::Failed(_) => None,
        })
    }
}

/// Whether a snapshot is complete: as many distinct subjects came as were pending when its
/// consumer was made, or 100 ms passed after the first message with nothing pending. (That first
/// one alone can be early where a stream keeps one message a subject and is written to meanwhile.)
///
/// Neither need ever be so: several messages of one subject are pending where a consumer resumes,
/// and what a server counts as pending is off by one where messages are stored while the consumer
/// is made (seen with 2.9.10). So it is complete too 100 ms after a message not older than the
/// stream's newest when we asked, and when the server says that it has nothing to deliver.
#[derive(Debug)]
pub(super) struct Completion {
    expected: u64,
    /// The stream's newest sequence before the consumer was made, where it may be asked.
    newest: Option<u64>,
    subjects: HashSet<u64>,
    nothing_pending: Option<Instant>,
}

const GRACE: Duration = Duration::from_millis(100);

impl Completion {
    pub(super) fn new(expected: u64, newest: Option<u64>) -> Self {
        // A hint of the server's, so not to be trusted with all of our memory.
        let capacity = usize::try_from(expected).unwrap_or(0).min(1 << 20);
        let subjects = HashSet::with_capacity(capacity);
        Self { expected, newest, subjects, nothing_pending: None }
    }

    /// A message came: its subject's hash, its sequence in the stream, what is pending behind it,
    /// and when.
    pub(super) fn note(&mut self, subject: u64, sequence: u64, pending: u64, now: Instant) {
        self.subjects.insert(subject);
        let last = pending == 0 || self.newest.is_some_and(|newest| sequence >= newest);
        if last && self.nothing_pending.is_none() {
            self.nothing_pending = Some(now);
        }
    }

    pub(super) fn is_complete(&self, now: Instant) -> bool {
        self.subjects.len() as u64 >= self.expected
            || self.nothing_pending.is_some_and(|at| now.saturating_duration_since(at) >= GRACE)
    }

    /// When to look again, should no message come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.nothing_pending.map(|at| at + GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn complete_by_count_or_a_while_after_nothing_was_pending() {
        let now = clock::monotonic();
        let later = |ms| now + Duration::from_millis(ms);
        assert!(Completion::new(0, None).is_complete(now));
        let mut some = Completion::new(3, None);
        some.note(1, 11, 1, now);
        some.note(2, 12, 0, now); // early: a third one was replaced while we read
        assert!(!some.is_complete(later(99)));
        assert_eq!(some.deadline(), Some(later(100)));
        some.note(2, 13, 0, later(50));
        assert!(some.is_complete(later(100)));
        some.note(3, 14, 0, later(60));
        assert!(some.is_complete(later(60)));
        // the server counts one too many, and two of one subject
        let mut drift = Completion::new(4, Some(12));
        drift.note(1, 11, 3, now);
        drift.note(1, 12, 1, now);
        assert!(!drift.is_complete(later(99)) && drift.is_complete(later(100)));
    }

    #[test]
    fn only_news_is_told() {
        let coverage = Coverage::new(&Kind::FLEET);
        assert_eq!(coverage.progress(Kind::Status, "s", Progress::Reading), None);
        let streams = BTreeMap::from([("s".to_owned(), Progress::Reading)]);
        let reading = coverage.change(Kind::Status, |r| *r = Reading::Streams(streams)).unwrap();
        assert!(!reading.is_settled());
        let done = || Progress::Complete(ReadMode::Push);
        let reading = coverage.progress(Kind::Status, "s", done()).unwrap();
        assert!(reading.is_settled() && reading.is_complete());
        assert_eq!(coverage.progress(Kind::Status, "s", done()), None);
    }
}
