//! What one tcsd leaves to the program that takes its place in the same process: a table, as JSON,
//! and open files that it names by number (`docs/spec/supervision.md#upgrade`).
//!
//! `exec` keeps the process, and with it its children, their tie to its life, its environment and
//! directory. All else goes over a socket, which is the new program's standard input: first the file
//! with the table, then the others. They are in the socket's hands meanwhile, so that none has to be
//! left open by mistake, and none is lost where `exec` fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tcs_supervisor::{Run, ServiceId, Supervisor};

use crate::runner::group::Mark;
use crate::runner::orders::Order;
use crate::runner::output::{OutputEntry, PendingLine, Stream};

/// The form of the table. A program takes over only what it knows whole.
pub(crate) const FORMAT: u32 = 1;

/// In the environment of a program that is to take over: the process that it runs in.
pub(crate) const VARIABLE: &str = "TCS_TAKE_OVER";

/// First argument of a program that is to say whether it could.
pub(crate) const CHECK: &str = "__takeover-check";

/// Files in one message; the kernel takes 253.
const FILES: usize = 200;

/// An open file, by its place among all that are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handed(usize);

/// All that is known of services and their processes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) format: u32,
    /// The version of the program that hands over.
    pub(crate) version: String,
    /// How often a program has taken over in this process, this time included.
    pub(crate) upgrades: u64,
    /// Who asked for it.
    pub(crate) requested_by: Option<String>,
    pub(crate) launcher_id: String,
    /// When the run began, on `CLOCK_BOOTTIME`.
    pub(crate) began: Duration,
    /// The supervisor's time, and `CLOCK_BOOTTIME` then.
    pub(crate) now: (Duration, Duration),
    pub(crate) supervisor: Supervisor,
    pub(crate) published: Published,
    /// How many runs have been marked, and notify sockets opened.
    pub(crate) marked: u32,
    pub(crate) sockets: u64,
    pub(crate) stdin: Option<Handed>,
    pub(crate) locks: Vec<Handed>,
    pub(crate) journal: Option<Handed>,
    pub(crate) guard: Option<(i32, Handed)>,
    /// Services that run, and are of the program that leaves: the next one is to have them too.
    #[serde(default)]
    pub(crate) rust: BTreeSet<ServiceId>,
    /// Scheduled services of which another run is to follow the present one.
    #[serde(default)]
    pub(crate) queued: BTreeSet<ServiceId>,
    pub(crate) runs: BTreeMap<ServiceId, RunEntry>,
    pub(crate) outputs: BTreeMap<ServiceId, OutputEntry>,
}

/// How far the launcher's messages have come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) seq: u64,
    pub(crate) batch: u64,
    /// The last event of each life: its subject and body, and when it happened.
    pub(crate) last: Vec<LastEvent>,
}

/// An event that may have to be sent again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastEvent {
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) happened: tcs_core::bus::publish::HappenedAt,
}

/// A run that is under way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunEntry {
    pub(crate) run: Run,
    pub(crate) at: DateTime<Utc>,
    pub(crate) beat_at: Option<Duration>,
    pub(crate) assume_at: Option<Duration>,
    pub(crate) speaks: bool,
    /// A status word, and its message.
    pub(crate) said: Option<(String, Option<String>)>,
    /// `None`: a task, which ends with the program.
    pub(crate) process: Option<ProcessEntry>,
}

/// A process that runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProcessEntry {
    pub(crate) pid: i32,
    pub(crate) mark: Mark,
    /// Its line in the run journal.
    pub(crate) entry: u64,
    pub(crate) socket: Option<(PathBuf, Handed)>,
    pub(crate) pipes: Vec<PipeEntry>,
    pub(crate) order: Option<Order>,
    pub(crate) error: Option<String>,
    pub(crate) awaits_ready: bool,
}

/// One of its outputs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PipeEntry {
    pub(crate) stream: Stream,
    pub(crate) pipe: Handed,
    pub(crate) pending: PendingLine,
}

/// What a program says that could take over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CanTakeOver {
    pub(crate) takes_over: u32,
    pub(crate) version: String,
}

/// Open files, collected.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<OwnedFd>);

impl Files {
    pub(crate) fn add(&mut self, file: OwnedFd) -> Handed {
        self.0.push(file);
        Handed(self.0.len() - 1)
    }
}

/// Open files, received.
#[derive(Debug, Default)]
pub(crate) struct Received(Vec<Option<OwnedFd>>);

impl Received {
    /// Each is taken once.
    pub(crate) fn take(&mut self, Handed(place): Handed) -> io::Result<OwnedFd> {
        let file = self.0.get_mut(place).and_then(Option::take);
        file.ok_or_else(|| io::Error::other("a file of the table is missing"))
    }
}

/// A table that was handed to this program, and the files that it names.
#[derive(Debug)]
pub(crate) struct TakenOver {
    pub(crate) table: Table,
    pub(crate) files: Received,
}

impl Table {
    /// As a file without a name, to be read from its beginning.
    pub(crate) fn to_file(&self) -> io::Result<File> {
        let file = rustix::fs::memfd_create("tcsd-takeover", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = io::BufWriter::new(File::from(file));
        serde_json::to_writer(&mut file, self)?;
        file.flush()?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }

    /// Reads one; the error says what it is that this program does not know.
    pub(crate) fn read(file: impl io::Read) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            version: String,
        }
        let mut text = String::new();
        io::BufReader::new(file).read_to_string(&mut text)?;
        let Head { format, version } = serde_json::from_str(&text)?;
        if format != FORMAT {
            return Err(io::Error::other(format!(
                "tcsd {version} hands over in format {format}; this program knows format {FORMAT}"
            )));
        }
        Ok(serde_json::from_str(&text)?)
    }
}

/// Puts all into a socket; the other end is for the program that takes over.
pub(crate) fn hand_over(table: &Table, files: &Files) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    // what does not fit is an error, and not waited for: nobody reads yet
    ours.set_nonblocking(true)?;
    let table = OwnedFd::from(table.to_file()?);
    let all: Vec<BorrowedFd<'_>> =
        std::iter::once(table.as_fd()).chain(files.0.iter().map(|file| file.as_fd())).collect();
    for some in all.chunks(FILES) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(io::Error::other("no room for the files"));
        }
        sendmsg(&ours, &[IoSlice::new(b".")], &mut ancillary, SendFlags::empty())?;
    }
    Ok(theirs)
}

/// Whether this program is to take over, and what: to be called before anything else is opened.
pub(crate) fn receive() -> Option<io::Result<TakenOver>> {
    let process = std::env::var(VARIABLE).ok()?;
    if process != std::process::id().to_string() {
        return None;
    }
    Some(receive_from(&io::stdin().as_fd().try_clone_to_owned().ok()?.into()))
}

fn receive_from(socket: &UnixStream) -> io::Result<TakenOver> {
    let mut files = Vec::new();
    loop {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let read = recvmsg(socket, &mut parts, &mut ancillary, flags)?.bytes;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                files.extend(some.map(Some));
            }
        }
        if read == 0 {
            break;
        }
    }
    if files.is_empty() {
        return Err(io::Error::other("no table was handed over"));
    }
    let table = files.remove(0).ok_or(io::ErrorKind::NotFound)?;
    let table = Table::read(File::from(table))?;
    let mut files = Received(files);
    // the program's standard input again
    if let Some(stdin) = table.stdin {
        rustix::stdio::dup2_stdin(files.take(stdin)?)?;
    }
    Ok(TakenOver { table, files })
}

#[cfg(test)]
impl Table {
    /// The handover of a launcher without services.
    pub(crate) fn empty() -> Self {
        serde_json::from_value(serde_json::json!({
            "format": FORMAT, "version": "1", "upgrades": 1, "launcher_id": "x",
            "began": {"secs": 1, "nanos": 2}, "marked": 3, "sockets": 4, "locks": [], "runs": {},
            "now": [{"secs": 5, "nanos": 6}, {"secs": 7, "nanos": 8}], "outputs": {},
            "supervisor": Supervisor::new(16), "published": Published::default(),
        }))
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter};

    use super::*;

    fn table(files: &mut Files, pipes: usize) -> (Table, Vec<PipeWriter>) {
        let mut table = Table::empty();
        let mut writers = Vec::new();
        for _ in 0..pipes {
            let (reader, writer) = io::pipe().unwrap();
            table.locks.push(files.add(reader.into()));
            writers.push(writer);
        }
        (table, writers)
    }

    #[test]
    fn open_files_come_in_their_order_also_where_one_message_cannot_take_them_all() {
        let mut files = Files::default();
        let (table, mut writers) = table(&mut files, 2 * FILES + 3);
        let socket = hand_over(&table, &files).unwrap();
        drop(files);
        let TakenOver { table, mut files } = receive_from(&socket).unwrap();
        assert_eq!((table.marked, table.now.1), (3, Duration::new(7, 8)));
        for (n, (handed, writer)) in table.locks.iter().zip(&mut writers).enumerate() {
            write!(writer, "{n}").unwrap();
            let mut pipe = PipeReader::from(files.take(*handed).unwrap());
            let mut read = [0; 8];
            let count = pipe.read(&mut read).unwrap();
            assert_eq!(str::from_utf8(&read[..count]).unwrap(), n.to_string());
            files.take(*handed).unwrap_err();
        }
    }

    #[test]
    fn what_is_not_received_is_lost_to_nobody() {
        let mut files = Files::default();
        let (table, mut writers) = table(&mut files, 1);
        drop(hand_over(&table, &files).unwrap());
        writers[0].write_all(b"still there").unwrap();
        drop(writers);
        let mut text = String::new();
        let reader = Received(files.0.into_iter().map(Some).collect()).take(Handed(0)).unwrap();
        PipeReader::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "still there");
    }

    #[test]
    fn a_table_of_another_form_is_refused_by_name() {
        let other = br#"{"format": 99, "version": "9.1", "supervisor": 7}"#;
        let error = Table::read(&other[..]).unwrap_err().to_string();
        assert_eq!(error, "tcsd 9.1 hands over in format 99; this program knows format 1");
        for damaged in [&b""[..], b"{", b"\xff", b"[]", b"null", br#"{"format": -1}"#] {
            Table::read(damaged).unwrap_err();
        }
        let mut text = serde_json::to_vec(&Table::empty()).unwrap();
        text.truncate(text.len() - 9);
        Table::read(&*text).unwrap_err();
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        // nothing at all
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        let error = receive_from(&theirs).unwrap_err().to_string();
        assert_eq!(error, "no table was handed over");
        // a table that names a file which is not there
        let mut table = Table::empty();
        table.stdin = Some(Handed(usize::MAX));
        let socket = hand_over(&table, &Files::default()).unwrap();
        let error = receive_from(&socket).unwrap_err().to_string();
        assert_eq!(error, "a file of the table is missing");
    }
}
