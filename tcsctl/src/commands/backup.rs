//! `tcsctl backup`: the streams of a site, into a folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use tcs_core::bus::{Budget, Bus, Completeness, HistoryQuery, RawMessage, Stored};
use tcs_core::clock;
use tcs_core::wire::Kind;
use tokio_util::sync::CancellationToken;

use super::session::{Ended, Session};
use crate::backup::{FORMAT, MANIFEST, Manifest, SavedMessage, SavedStream, line};
use crate::cli::BackupArgs;
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &BackupArgs) -> Result<ExitCode, Ended> {
    let folder = &args.folder;
    let cannot = |error: &io::Error| cannot_write(folder, error);
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        let folder = folder.display();
        let message = format!("{folder} is not empty\nhint: tcsctl backup {folder}/NAME");
        return Err(Ended::new(Exit::Usage, message));
    }
    let bus = session.connect().await?;
    let failed = |error: &dyn std::fmt::Display| Ended::new(Exit::NoContact, error.to_string());
    let found = bus.site_streams().await.map_err(|error| failed(&error))?;
    if found.is_empty() {
        let prefix = bus.subjects().prefix();
        return Err(Ended::new(Exit::No, format!("no streams on {prefix}: nothing to back up")));
    }
    let mut made = fs::DirBuilder::new();
    made.recursive(true).mode(0o700).create(folder).map_err(|error| cannot(&error))?;
    let mut streams = Vec::new();
    for (name, filter, stream) in found {
        let config = bus.stream_config(&stream).await.map_err(|error| failed(&error))?;
        let facts = bus.stream(&stream).await.map_err(|error| failed(&error))?;
        let file = format!("{name}.jsonl");
        let messages = save(&bus, folder, &file, (&stream, &filter)).await?;
        let text = format!("{stream}: {messages} messages");
        session.screen.tell(Word::Note, &text);
        streams.push(SavedStream {
            file,
            filter,
            stream,
            created: facts.created,
            config,
            messages,
        });
    }
    let count: u64 = streams.iter().map(|stream| stream.messages).sum();
    let manifest = Manifest {
        format: FORMAT,
        written_by: format!("tcsctl {}", env!("CARGO_PKG_VERSION")),
        taken_at: clock::wall(),
        prefix: bus.subjects().prefix().to_owned(),
        streams,
    };
    let mut file = Unfinished::create(folder, MANIFEST).map_err(|error| cannot(&error))?;
    let text = line(&manifest).map_err(|error| cannot(&error.into()))?;
    let written = file.write(text.as_bytes()).and_then(|()| file.finish());
    written.map_err(|error| cannot(&error))?;
    let text = format!("backup of {count} messages in {}", folder.display());
    session.screen.tell(Word::Note, &text);
    Ok(Exit::Done.into())
}

fn cannot_write(folder: &Path, error: &io::Error) -> Ended {
    Ended::new(Exit::No, format!("cannot write the backup to {}: {error}", folder.display()))
}

/// Writes what a stream holds of a filter; how many messages that were.
async fn save(
    bus: &Bus,
    folder: &Path,
    name: &str,
    (stream, filter): (&str, &str),
) -> Result<u64, Ended> {
    let cannot = |error: &io::Error| cannot_write(folder, error);
    let mut file = Unfinished::create(folder, name).map_err(|error| cannot(&error))?;
    let (mut count, mut failure) = (0, None);
    // of which kind the messages are plays no part here
    let query = HistoryQuery::whole(stream, Kind::Registry, filter);
    let budget = Budget::new(u64::MAX);
    // a full disk takes nothing more, however much is read
    let full = CancellationToken::new();
    let read = bus.read_piece(&query, &budget, |message| {
        if failure.is_none() {
            count += 1;
            failure = saved(&message)
                .and_then(|message| Ok(line(&message)?))
                .and_then(|text| file.write(text.as_bytes()))
                .inspect_err(|_| full.cancel())
                .err();
        }
    });
    let read = full.run_until_cancelled(read).await;
    if let Some(error) = failure {
        return Err(cannot(&error));
    }
    let lost = |why: String| Ended::new(Exit::NoContact, format!("reading {stream}: {why}"));
    match read.transpose().map_err(|error| lost(error.to_string()))? {
        Some(Completeness::Whole) => {}
        _ => return Err(lost("not all of it could be read".to_owned())),
    }
    file.finish().map_err(|error| cannot(&error))?;
    Ok(count)
}

fn saved(message: &RawMessage) -> io::Result<SavedMessage> {
    let (seq, at): (u64, DateTime<Utc>) = match message.stored {
        Stored::Stream { seq, at, .. } => (seq, at),
        Stored::Core { .. } => return Err(io::Error::other("a message that no stream holds")),
    };
    let headers = message.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(SavedMessage::new(seq, at, message.subject(), headers.collect(), message.payload()))
}

/// A file under another name, until it is whole and on the disk. What is not finished is removed: a
/// disk that is full is not to stay so.
struct Unfinished {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        fs::remove_file(part(&self.path)).ok();
    }
}

impl Unfinished {
    fn create(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        let mut options = File::options();
        // a link that somebody has laid there is not followed
        options.write(true).create_new(true).mode(0o600);
        Ok(Self { file: BufWriter::new(options.open(part(&path))?), path })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(part(&self.path), &self.path)?;
        // the name, too
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

fn part(path: &Path) -> PathBuf {
    path.with_extension("part")
}
