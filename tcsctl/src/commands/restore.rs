//! `tcsctl restore`: a backup, into a broker whose streams are empty.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;

use tcs_core::bus::Bus;
use tcs_core::bus::copy::{OldMessage, StoreError};

use super::session::{Ended, Session};
use crate::backup::{self, FORMAT, Lines, MANIFEST, Manifest, Moves, SavedMessage, SavedStream};
use crate::cli::RestoreArgs;
use crate::exit::Exit;
use crate::output::{Screen, Word};

/// After a restore that has written something.
const DELETE: &str = "hint: stop tcsd everywhere, delete the streams, and repeat";
/// A line is never longer: the largest message of NATS, 64 MiB, in which each byte takes six.
const MAX_LINE: u64 = 400 << 20;

pub(super) async fn run(session: &Session, args: &RestoreArgs) -> Result<ExitCode, Ended> {
    let manifest = manifest(&args.folder)?;
    for stream in &manifest.streams {
        each(&args.folder, stream, |_| Ok(()))?;
    }
    let (count, streams) = (manifest.streams.iter().map(|it| it.messages).sum(), &manifest.streams);
    if args.check {
        let taken = session.screen.look.times.stamp(manifest.taken_at, tcs_core::clock::wall());
        let text = format!("backup of {taken} is whole: {}", summary(count, streams.len()));
        session.screen.tell(Word::Note, &text);
        return Ok(Exit::Done.into());
    }
    let bus = session.connect().await?;
    if bus.subjects().prefix() != manifest.prefix {
        let (theirs, own) = (&manifest.prefix, bus.subjects().prefix());
        let mut message = format!("the backup is of prefix `{theirs}`, not `{own}`");
        // a command is to be copied as it is: what a shell would act on stays out of it
        if theirs.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            let folder = args.folder.display();
            let _ = write!(message, "\nhint: tcsctl restore {folder} --prefix {theirs}");
        }
        return Err(Ended::new(Exit::Usage, message));
    }
    let targets = targets(&bus, &manifest, args).await?;
    let mut moves = Moves::default();
    let mut part = Part { screen: &session.screen, is_whole: false };
    for stream in streams {
        let target = &targets[&stream.filter];
        restore(&bus, &args.folder, stream, target, &mut moves, !args.force).await?;
        session.screen.tell(Word::Note, &format!("{target}: {} messages", stream.messages));
    }
    part.is_whole = true;
    session.screen.tell(Word::Note, &format!("restored {}", summary(count, streams.len())));
    Ok(Exit::Done.into())
}

/// Tells, however a restore ends, that it has not written all.
struct Part<'a> {
    screen: &'a Screen,
    is_whole: bool,
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            let text = "the restore was interrupted: the streams may hold a part of the backup";
            self.screen.tell(Word::Warning, text);
        }
    }
}

fn summary(messages: u64, streams: usize) -> String {
    let s = if streams == 1 { "" } else { "s" };
    format!("{messages} messages of {streams} stream{s}")
}

fn damaged(path: &Path, what: &str) -> Ended {
    Ended::new(Exit::No, format!("{}: {what}\nnothing was restored", path.display()))
}

/// A file of the folder. What is no file (a pipe, a device) might never end.
fn open(path: &Path) -> io::Result<File> {
    if path.metadata()?.is_file() { File::open(path) } else { Err(io::Error::other("not a file")) }
}

fn manifest(folder: &Path) -> Result<Manifest, Ended> {
    let path = folder.join(MANIFEST);
    let mut text = Vec::new();
    let read = open(&path).and_then(|file| file.take(MAX_LINE).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {
            let what = "no such file: the backup was not finished, or this is no backup";
            return Err(damaged(&path, what));
        }
        Err(error) => return Err(damaged(&path, &format!("cannot read it: {error}"))),
    }
    let manifest: Manifest = backup::read(&text)
        .map_err(|damage| damaged(&path, &format!("line 1 is damaged: {damage}")))?;
    if manifest.format != FORMAT {
        let what = format!("format {}, written by a newer tcsctl", manifest.format);
        return Err(damaged(&path, &what));
    }
    manifest.check().map_err(|why| damaged(&path, &why))?;
    Ok(manifest)
}

/// Reads all messages of a file, each checked.
fn each(
    folder: &Path,
    stream: &SavedStream,
    mut take: impl FnMut(SavedMessage) -> Result<(), Ended>,
) -> Result<(), Ended> {
    let mut reader = FileReader::open(folder, stream)?;
    while let Some(message) = reader.next()? {
        take(message)?;
    }
    Ok(())
}

/// The messages of one file.
struct FileReader<'a> {
    path: std::path::PathBuf,
    stream: &'a SavedStream,
    file: BufReader<File>,
    lines: Lines,
    offset: u64,
}

impl<'a> FileReader<'a> {
    fn open(folder: &Path, stream: &'a SavedStream) -> Result<Self, Ended> {
        let path = folder.join(&stream.file);
        let file =
            open(&path).map_err(|error| damaged(&path, &format!("cannot read it: {error}")))?;
        let (file, lines) = (BufReader::new(file), Lines::of(&stream.filter));
        Ok(Self { path, stream, file, lines, offset: 0 })
    }

    fn next(&mut self) -> Result<Option<SavedMessage>, Ended> {
        let mut line = Vec::new();
        let read = self.file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        read.map_err(|error| damaged(&self.path, &format!("cannot read it: {error}")))?;
        let (count, expected) = (self.lines.count, self.stream.messages);
        if line.is_empty() {
            if count == expected {
                return Ok(None);
            }
            let what = format!(
                "it ends after line {count} (byte {}) and should have {expected} lines",
                self.offset
            );
            return Err(damaged(&self.path, &what));
        }
        if count == expected {
            let what = format!("line {}: it should have {expected} lines", count + 1);
            return Err(damaged(&self.path, &what));
        }
        let message = self.lines.next(&line).map_err(|damage| {
            let what = format!("line {} (byte {}) is damaged: {damage}", count + 1, self.offset);
            damaged(&self.path, &what)
        })?;
        self.offset += line.len() as u64;
        Ok(Some(message))
    }
}

fn no_answer(error: &dyn std::fmt::Display) -> Ended {
    Ended::new(Exit::NoContact, error.to_string())
}

/// Which stream takes each filter: one that is there and empty, or one that is created now. Before
/// anything is created all are looked at.
async fn targets(
    bus: &Bus,
    manifest: &Manifest,
    args: &RestoreArgs,
) -> Result<BTreeMap<String, String>, Ended> {
    let mut targets = BTreeMap::new();
    for stream in &manifest.streams {
        let found = bus.streams_of(&stream.filter).await.map_err(|error| no_answer(&error))?;
        let Some(name) = found.into_iter().next() else { continue };
        let facts = bus.stream(&name).await.map_err(|error| no_answer(&error))?;
        if facts.messages > 0 && !args.force {
            let message = format!(
                "stream {name} already holds {} messages; nothing was restored\n\
                 hint: stop tcsd everywhere, delete the streams (nats stream rm {name}), and \
                 repeat; --force adds the backup to what they hold",
                facts.messages
            );
            return Err(Ended::new(Exit::No, message));
        }
        targets.insert(stream.filter.clone(), name);
    }
    for stream in &manifest.streams {
        if targets.contains_key(&stream.filter) {
            continue;
        }
        let SavedStream { stream: name, filter, config, .. } = stream;
        let is_made = targets.values().any(|target| target == name);
        if !is_made {
            let made = bus.create_stream_like(name, filter, config).await;
            made.map_err(|error| no_answer(&format!("cannot create stream {name}: {error}")))?;
        }
        targets.insert(filter.clone(), name.clone());
    }
    Ok(targets)
}

async fn restore(
    bus: &Bus,
    folder: &Path,
    stream: &SavedStream,
    target: &str,
    moves: &mut Moves,
    alone: bool,
) -> Result<(), Ended> {
    let failed = |error: StoreError| match error {
        StoreError::NotAlone(_) => {
            Ended::new(Exit::No, format!("{error} during the restore\n{DELETE}"))
        }
        error => no_answer(&format!("restoring {target}: {error}")),
    };
    let facts = bus.stream(target).await.map_err(|error| no_answer(&error))?;
    let is_alarm = stream.filter == bus.subjects().alarm(">");
    let mut file = FileReader::open(folder, stream)?;
    let file_name = file.path.clone();
    let mut storing = bus.store_into(target).await.map_err(|error| no_answer(&error))?;
    let mut old = Vec::new();
    // records of alarms name records before them, so that these must have their places
    let mut kept = 0;
    // it was whole a moment ago
    let changed = |_| {
        let what = format!("{} has changed during the restore", file_name.display());
        Ended::new(Exit::No, format!("{what}\n{DELETE}"))
    };
    while let Some(message) = file.next().map_err(changed)? {
        let body = message.body().unwrap_or_default();
        let body = if is_alarm { moves.apply(&body).into_owned() } else { body.into_owned() };
        old.push(message.seq);
        let (subject, headers) = (message.subject.as_str(), message.headers.as_slice());
        let message = OldMessage { subject, headers, body: &body, stored: message.stored };
        storing.store(message).await.map_err(failed)?;
        if is_alarm {
            let new = storing.settled().await.map_err(failed)?;
            let seqs = old[kept..].iter().copied().zip(new[kept..].iter().copied());
            moves.add(stream.created, facts.created, seqs.collect());
            kept = old.len();
        }
    }
    let new = storing.finish(alone).await.map_err(failed)?;
    if !is_alarm {
        moves.add(stream.created, facts.created, old.into_iter().zip(new).collect());
    }
    Ok(())
}
