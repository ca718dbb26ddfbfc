//! Backups: a folder with a manifest, and for each stream a file with one message a line, as JSON
//! (`docs/spec/wire.md#backups`). Pure: lines and places; files are read and written by the commands.
//!
//! Each line carries a checksum of its message, and the manifest, which is written last, how many
//! messages a file has: so damage is found, and where.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tcs_core::wire::{Subjects, Timestamp};

/// The file that makes a folder a backup.
pub const MANIFEST: &str = "manifest.json";

/// The form of backups that is written; another one is refused.
pub const FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that wrote it.
    pub written_by: String,
    /// When.
    pub taken_at: DateTime<Utc>,
    /// Prefix of the subjects.
    pub prefix: String,
    /// In the order in which they are restored.
    pub streams: Vec<SavedStream>,
}

impl Manifest {
    /// Why it must not be restored. Who restores may publish anything, so that a backup from elsewhere
    /// must not choose what: it has the subjects of a site, and files of its own folder.
    pub fn check(&self) -> Result<(), String> {
        let subjects = Subjects::new(&self.prefix).map_err(|error| error.to_string())?;
        let known = subjects.stored();
        let mut files = BTreeSet::new();
        for SavedStream { file, filter, stream, .. } in &self.streams {
            if !known.iter().any(|(_, known)| known == filter) {
                return Err(format!("subjects `{filter}` are not among those of a site"));
            }
            let is_unfit = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
            if stream.is_empty() || stream.contains(is_unfit) {
                return Err(format!("`{stream}` is not the name of a stream"));
            }
            let name = file.strip_suffix(".jsonl").unwrap_or_default();
            if name.is_empty() || name.contains(is_unfit) || !files.insert(file) {
                return Err(format!("`{file}` is not the name of a file of its own"));
            }
        }
        Ok(())
    }
}

/// One stream, as far as it held subjects of the site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedStream {
    /// The file's name.
    pub file: String,
    /// Subjects that were saved.
    pub filter: String,
    /// The stream's name.
    pub stream: String,
    /// When it was created: records of alarms name messages by it.
    pub created: DateTime<Utc>,
    /// Its configuration, as the server had it.
    pub config: Map<String, Value>,
    /// Messages in the file.
    pub messages: u64,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedMessage {
    /// Its sequence number.
    pub seq: u64,
    /// When it was stored.
    pub stored: DateTime<Utc>,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Its body, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Its body, where it is none, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl SavedMessage {
    /// A message as a stream holds it.
    pub fn new(
        seq: u64,
        stored: DateTime<Utc>,
        subject: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> Self {
        let (text, base64) = match str::from_utf8(body) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(body))),
        };
        Self { seq, stored, subject: subject.to_owned(), headers, text, base64 }
    }

    /// Its body; `None`: the line has none.
    pub fn body(&self) -> Option<Cow<'_, [u8]>> {
        match (&self.text, &self.base64) {
            (Some(text), None) => Some(Cow::Borrowed(text.as_bytes())),
            (None, Some(base64)) => STANDARD.decode(base64).ok().map(Cow::Owned),
            _ => None,
        }
    }
}

/// A line: what it holds, and the checksum of that text.
#[derive(Serialize, Deserialize)]
struct Checked<'a> {
    sum: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// What is wrong with a file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The text of a line is not what was written.
    Changed,
    /// The line has no end.
    CutOff,
    /// It cannot be read.
    Unreadable(String),
    /// The lines are not in the order in which they were written.
    OutOfOrder,
    /// The message has a subject that the stream cannot have held.
    Foreign(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the checksum differs"),
            Self::CutOff => f.write_str("the line is cut off"),
            Self::Unreadable(why) => f.write_str(why),
            Self::OutOfOrder => f.write_str("it is not in the order of the stream"),
            Self::Foreign(subject) => write!(f, "`{subject}` is not a subject of this stream"),
        }
    }
}

/// The first half of the SHA-256 of a text.
fn sum(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A line for a file of a backup, with its end.
pub fn line(content: &impl Serialize) -> Result<String, serde_json::Error> {
    let content = serde_json::value::to_raw_value(content)?;
    let checked = Checked { sum: sum(content.get()).into(), content: &content };
    Ok(serde_json::to_string(&checked)? + "\n")
}

/// What a line holds.
pub fn read<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, Damage> {
    let Some(line) = line.strip_suffix(b"\n") else { return Err(Damage::CutOff) };
    // bytes that are no text, or no JSON: something has changed them
    let checked: Checked<'_> = serde_json::from_slice(line).map_err(|_| Damage::Changed)?;
    if checked.sum != sum(checked.content.get()) {
        return Err(Damage::Changed);
    }
    serde_json::from_str(checked.content.get())
        .map_err(|error| Damage::Unreadable(error.to_string()))
}

/// Reads the lines of one file: each message must follow the one before.
#[derive(Debug)]
pub struct Lines {
    /// How many were read.
    pub count: u64,
    last: u64,
    /// What all subjects begin with.
    start: String,
}

impl Lines {
    /// Of messages of a filter (`svc.status.>`).
    pub fn of(filter: &str) -> Self {
        let start = filter.strip_suffix('>').unwrap_or(filter).to_owned();
        Self { count: 0, last: 0, start }
    }

    fn holds(&self, subject: &str) -> bool {
        // servers store other oddities: `svc.status.*` as it is, and what is no UTF-8
        subject.strip_prefix(&self.start).is_some_and(|rest| !rest.is_empty())
            && !subject.contains([' ', '\t', '\r', '\n'])
    }

    /// The message of the next line.
    pub fn next(&mut self, line: &[u8]) -> Result<SavedMessage, Damage> {
        self.count += 1;
        let message: SavedMessage = read(line)?;
        if message.seq <= self.last {
            return Err(Damage::OutOfOrder);
        }
        if !self.holds(&message.subject) {
            return Err(Damage::Foreign(message.subject));
        }
        if message.body().is_none() {
            return Err(Damage::Unreadable("it has no body".to_owned()));
        }
        self.last = message.seq;
        Ok(message)
    }
}

/// Where the messages of one stream were, and where they are now.
#[derive(Debug)]
struct Move {
    old: Timestamp,
    new: Timestamp,
    /// Sequence numbers, before and now.
    seqs: Vec<(u64, u64)>,
}

/// Where restored messages are now. Records of alarms name others by the time at which their stream
/// was created and their sequence number; in a new stream both are others.
#[derive(Debug, Default)]
pub struct Moves(Vec<Move>);

impl Moves {
    /// Messages of a stream that was created at `old` are now in one created at `new`. `seqs`: their
    /// sequence numbers, before (growing) and now.
    pub fn add(&mut self, old: DateTime<Utc>, new: DateTime<Utc>, seqs: Vec<(u64, u64)>) {
        let (old, new) = (old.into(), new.into());
        match self.0.last_mut().filter(|it| it.old == old && it.new == new) {
            Some(last) => last.seqs.extend(seqs),
            None => self.0.push(Move { old, new, seqs }),
        }
    }

    fn of(&self, created: Timestamp, seq: u64) -> Option<(Timestamp, u64)> {
        self.0.iter().filter(|it| it.old == created).find_map(|it| {
            let at = it.seqs.binary_search_by_key(&seq, |(old, _)| *old).ok()?;
            Some((it.new, it.seqs[at].1))
        })
    }

    /// The body of a record with each place that it names as it is now. A body that is no JSON, or
    /// names no place that is known, stays as it is.
    pub fn apply<'a>(&self, body: &'a [u8]) -> Cow<'a, [u8]> {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return body.into() };
        if !self.replace(&mut value) {
            return body.into();
        }
        serde_json::to_vec(&value).map_or(Cow::Borrowed(body), Cow::Owned)
    }

    fn replace(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => {
                let created = fields.get("created").cloned();
                let created = created.and_then(|it| serde_json::from_value(it).ok());
                let seq = fields.get("seq").and_then(Value::as_u64);
                let moved = created.zip(seq).and_then(|(created, seq)| self.of(created, seq));
                if let Some((created, seq)) = moved {
                    fields.insert("created".to_owned(), serde_json::json!(created));
                    fields.insert("seq".to_owned(), seq.into());
                }
                let below = fields.values_mut().map(|value| self.replace(value));
                below.fold(moved.is_some(), |any, it| any | it)
            }
            Value::Array(all) => {
                all.iter_mut().map(|value| self.replace(value)).fold(false, |any, it| any | it)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64, body: &[u8]) -> SavedMessage {
        let stored = "2026-11-23T02:13:00.123456789Z".parse().unwrap();
        let headers = vec![("Nats-Msg-Id".to_owned(), "a:1".to_owned())];
        SavedMessage::new(seq, stored, "svc.status.a.b", headers, body)
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for body in [&br#"{"data": {"m": NaN, "t": "\u00e9 \n"}}"#[..], b"", b"\xff\x00binary"] {
            let message = message(7, body);
            let line = line(&message).unwrap();
            assert_eq!(line.matches('\n').count(), 1);
            let back: SavedMessage = read(line.as_bytes()).unwrap();
            assert_eq!(back, message);
            assert_eq!(back.body().unwrap(), body);
        }
    }

    #[test]
    fn no_byte_of_a_line_changes_unnoticed() {
        let line = line(&message(7, br#"{"data": {"name": "a.b"}}"#)).unwrap().into_bytes();
        for at in 0..line.len() {
            for flip in [1, 0x20, 0x80] {
                let mut other = line.clone();
                other[at] ^= flip;
                let read = read::<SavedMessage>(&other);
                // a key of the envelope in other letters is as good as none
                assert!(read.is_err(), "byte {at} ^ {flip}: {read:?}");
            }
            assert_eq!(read::<SavedMessage>(&line[..at]), Err(Damage::CutOff));
        }
    }

    #[test]
    fn lines_that_are_missing_twice_or_in_another_order_are_found() {
        let line = |seq| line(&message(seq, b"{}")).unwrap().into_bytes();
        let mut lines = Lines::of("svc.status.>");
        assert_eq!(lines.next(&line(3)).unwrap().seq, 3);
        assert_eq!(lines.next(&line(9)).unwrap().seq, 9);
        assert_eq!(lines.next(&line(9)), Err(Damage::OutOfOrder));
        assert_eq!(lines.next(&line(4)), Err(Damage::OutOfOrder));
        assert_eq!(lines.count, 4);
    }

    #[test]
    fn a_message_that_the_stream_cannot_have_held_is_found() {
        let read = |subject: &str| {
            let message = SavedMessage { subject: subject.to_owned(), ..message(7, b"{}") };
            Lines::of("svc.status.>").next(line(&message).unwrap().as_bytes())
        };
        for fit in ["svc.status.a.b", "svc.status.*", "svc.status.a..b", "svc.status.\u{fffd}"] {
            assert_eq!(read(fit).unwrap().subject, fit);
        }
        for foreign in [
            "svc.rpc.launcher.tcsd.srv01.v1.stop",
            "$JS.API.STREAM.DELETE.svc_status",
            "svc.statuses.a.b",
            "svc.status",
            "svc.status.",
            "svc.status.a.b 5\r\nhello\r\nPUB svc.rpc.x 0\r\n",
        ] {
            assert_eq!(read(foreign), Err(Damage::Foreign(foreign.to_owned())));
        }
    }

    #[test]
    fn a_manifest_names_only_what_belongs_to_a_site() {
        let stream = |file: &str, filter: &str, stream: &str| SavedStream {
            file: file.to_owned(),
            filter: filter.to_owned(),
            stream: stream.to_owned(),
            created: DateTime::UNIX_EPOCH,
            config: Map::new(),
            messages: 0,
        };
        let manifest = |prefix: &str, streams: &[SavedStream]| Manifest {
            format: FORMAT,
            written_by: String::new(),
            taken_at: DateTime::UNIX_EPOCH,
            prefix: prefix.to_owned(),
            streams: streams.to_vec(),
        };
        let status = stream("status.jsonl", "svc.status.>", "svc_status");
        let second = stream("status-2.jsonl", "svc.status.>", "old");
        let alarm = stream("alarm.jsonl", "svc.alarm.>", "svc_alarm");
        manifest("svc", &[status.clone(), second, alarm]).check().unwrap();
        for (prefix, wrong) in [
            ("svc", stream("a.jsonl", ">", "a")),
            ("svc", stream("a.jsonl", "$JS.API.>", "a")),
            ("svc", stream("a.jsonl", "svc.rpc.>", "a")),
            ("ocm", stream("a.jsonl", "svc.status.>", "a")),
            ("svc; rm -rf ~", stream("a.jsonl", "svc.status.>", "a")),
            ("svc", stream("../a.jsonl", "svc.status.>", "a")),
            ("svc", stream("/etc/a.jsonl", "svc.status.>", "a")),
            ("svc", stream("status.jsonl", "svc.status.>", "a")),
            ("svc", stream("a.jsonl", "svc.status.>", "")),
            ("svc", stream("a.jsonl", "svc.status.>", "a.b")),
            ("svc", stream("a.jsonl", "svc.status.>", "a 0\r\nPUB x")),
        ] {
            let wrong = manifest(prefix, &[status.clone(), wrong]);
            assert!(wrong.check().is_err(), "{wrong:#?}");
        }
    }

    #[test]
    fn places_are_those_of_the_new_stream() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (old, new) = (time("2026-01-02T03:04:05.000006789Z"), time("2026-11-26T18:00:00Z"));
        let mut moves = Moves::default();
        moves.add(old, new, vec![(5, 1)]);
        moves.add(old, new, vec![(9, 2)]);
        let body = r#"{"data":{"raised":{"created":[2026,1,2,3,4,5,6],"seq":9},
            "evidence":{"status":{"created":[2026,1,2,3,4,5,6],"seq":7}},
            "other":{"created":[2026,1,2,3,4,5,7],"seq":9},"seq":9},"meta":{"id":"x"}}"#;
        let renamed: Value = serde_json::from_slice(&moves.apply(body.as_bytes())).unwrap();
        let mut expected: Value = serde_json::from_str(body).unwrap();
        expected["data"]["raised"] =
            serde_json::json!({"created": [2026, 11, 26, 18, 0, 0, 0], "seq": 2});
        assert_eq!(renamed, expected);
        let strange = b"{\"created\": [2026,1,2], \"seq\": NaN}";
        assert_eq!(moves.apply(strange), &strange[..]);
    }
}
