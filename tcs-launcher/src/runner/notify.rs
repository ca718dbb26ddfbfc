//! `NOTIFY_SOCKET` for a child: the protocol of `sd_notify(3)`, as the receiver.
//!
//! Each run has a socket of its own, which only the run's user can write to. A message is believed
//! if the kernel says that a process of the run has sent it, and if that process is still there to
//! be looked at: `systemd-notify` waits until it was read. Not taken: `MAINPID` (the process we started is the one we supervise), file
//! descriptors.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{chown, geteuid};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::group::{Mark, Process};
use super::{private_dir, shim};
use crate::fd::copy;
use tcs_supervisor::Watchdog;

/// Name of the environment variable.
pub const VARIABLE: &str = "NOTIFY_SOCKET";

/// The longest message that is read.
const MAX_MESSAGE: usize = 4096;

/// The most messages that are read after the end of the main process: what it sent waits in the
/// socket's queue, and processes that outlive it may send without end.
const MAX_REST: usize = 1024;

/// What a child can say here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// `READY=1`
    Ready,
    /// `STOPPING=1`
    Stopping,
    /// `STATUS=`
    Status(String),
    /// `X_TCS_ERROR=`: why it is about to exit, from a service of our own framework
    Error(String),
    /// `WATCHDOG=1`, `WATCHDOG=trigger`, `WATCHDOG_USEC=`
    Watchdog(Watchdog),
}

/// Where the sockets of one launcher are. Their names are numbers: a path has 108 bytes at most,
/// whatever the service is called.
#[derive(Debug)]
pub struct SocketDir {
    path: PathBuf,
    opened: AtomicU64,
}

impl SocketDir {
    /// `path` is made when a socket is opened, and made again should somebody have removed it.
    pub fn new(path: PathBuf) -> Self {
        Self { path, opened: AtomicU64::new(0) }
    }

    /// The same, with so many that were opened before.
    pub(crate) fn resumed(path: PathBuf, opened: u64) -> Self {
        Self { path, opened: AtomicU64::new(opened) }
    }

    /// How many have been opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a socket for processes that carry `mark` and run as `user`; `None`: as we do.
    pub fn open(&self, mark: Mark, user: Option<&str>) -> io::Result<Socket> {
        let user = user.map(shim::find_user).transpose();
        let user = user.map_err(|failure| io::Error::other(failure.error))?;
        let other = user.map(|user| user.uid).filter(|uid| !uid.is_root() && *uid != geteuid());
        private_dir::make(&self.path, other.is_some())?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let path = self.path.join(number.to_string());
        let datagrams = UnixDatagram::bind(&path)?;
        // from here on its file goes with it
        let socket = Socket { datagrams, path, mark };
        setsockopt(&socket.datagrams, sockopt::PassCred, &true)?;
        std::fs::set_permissions(&socket.path, PermissionsExt::from_mode(0o600))?;
        if let Some(uid) = other {
            chown(&socket.path, Some(uid), None)?;
        }
        Ok(socket)
    }
}

/// The socket of one run. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    datagrams: UnixDatagram,
    path: PathBuf,
    mark: Mark,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Socket {
    /// One that was opened before, for a run that goes on.
    pub(crate) fn resumed(socket: OwnedFd, path: PathBuf, mark: Mark) -> io::Result<Self> {
        let datagrams = std::os::unix::net::UnixDatagram::from(socket);
        datagrams.set_nonblocking(true)?;
        Ok(Self { datagrams: UnixDatagram::from_std(datagrams)?, path, mark })
    }

    /// For another program that goes on with it.
    pub(crate) fn parts(&self) -> io::Result<(PathBuf, OwnedFd)> {
        Ok((self.path.clone(), copy(&self.datagrams)?))
    }

    /// For the child's environment.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The words of the next message from a process of the run whose main process is `main`. Safe
    /// to cancel.
    pub async fn receive(&self, main: i32) -> io::Result<Vec<Word>> {
        loop {
            let (text, sender) =
                self.datagrams.async_io(Interest::READABLE, || self.receive_now()).await?;
            if self.is_believed(sender, main) {
                return Ok(parse(&text));
            }
        }
    }

    /// What has come already, right after the end of the main process.
    pub fn rest(&self, main: i32) -> Vec<Word> {
        let mut rest = Vec::new();
        for _ in 0..MAX_REST {
            let Ok((text, sender)) = self.receive_now() else { break };
            if self.is_believed(sender, main) {
                rest.extend(parse(&text));
            }
        }
        rest
    }

    fn receive_now(&self) -> io::Result<(String, Option<i32>)> {
        let mut buffer = [0; MAX_MESSAGE];
        // no room for file descriptors: the kernel closes what a message brings
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let count = recvmsg(&self.datagrams, &mut parts, &mut control, flags)?.bytes;
        let sender = control.drain().find_map(|part| match part {
            RecvAncillaryMessage::ScmCredentials(credentials) => {
                Some(credentials.pid.as_raw_nonzero().get())
            }
            _ => None,
        });
        Ok((String::from_utf8_lossy(&buffer[..count]).into_owned(), sender))
    }

    fn is_believed(&self, sender: Option<i32>, main: i32) -> bool {
        let is_believed = sender.is_some_and(|pid| pid == main || self.is_of_the_run(pid, main));
        if !is_believed {
            tracing::debug!(
                ?sender,
                "a notification from outside the run, or its sender has ended"
            );
        }
        is_believed
    }

    /// Everybody can carry a mark, but descends from the launcher only if it has started him.
    fn is_of_the_run(&self, pid: i32, main: i32) -> bool {
        let own = std::process::id().cast_signed();
        Process::of(pid).is_some_and(|process| {
            process.group == main
                || process.descends_from(main)
                || (process.descends_from(own) && self.mark.is_on(pid))
        })
    }
}

/// The words of one datagram; what we do not know is left out.
pub fn parse(text: &str) -> Vec<Word> {
    text.lines().filter_map(word).collect()
}

fn word(line: &str) -> Option<Word> {
    match line.split_once('=')? {
        ("READY", "1") => Some(Word::Ready),
        ("STOPPING", "1") => Some(Word::Stopping),
        ("STATUS", text) => Some(Word::Status(text.to_owned())),
        (tcs_core::service::ERROR, text) => Some(Word::Error(text.to_owned())),
        ("WATCHDOG", "1") => Some(Word::Watchdog(Watchdog::Alive)),
        ("WATCHDOG", "trigger") => Some(Word::Watchdog(Watchdog::Trigger)),
        ("WATCHDOG_USEC", micros) => {
            let every = Duration::from_micros(micros.parse().ok()?);
            Some(Word::Watchdog(Watchdog::Every(every)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

    use super::super::group::Marks;
    use super::*;
    use tcs_supervisor::Run;

    /// The most file descriptors that a message can bring (`SCM_MAX_FD`).
    const MAX_FILES: usize = 253;

    #[test]
    fn words_are_read_and_the_rest_is_left() {
        let text = "READY=1\nSTATUS=cooling: -20 C\nMAINPID=1\nWATCHDOG_USEC=1500000\nWATCHDOG=1\n\
            WATCHDOG=trigger\nREADY=0\nnonsense\nWATCHDOG_USEC=x\nSTOPPING=1";
        assert_eq!(
            parse(text),
            [
                Word::Ready,
                Word::Status("cooling: -20 C".into()),
                Word::Watchdog(Watchdog::Every(Duration::from_millis(1500))),
                Word::Watchdog(Watchdog::Alive),
                Word::Watchdog(Watchdog::Trigger),
                Word::Stopping,
            ]
        );
    }

    #[tokio::test]
    async fn strangers_are_not_listened_to() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Marks::new("test").service(&"a.x".parse().unwrap(), Run(1));
        let socket = SocketDir::new(dir.path().join("sockets")).open(mark, None).unwrap();
        let own_group = nix::unistd::getpgrp().as_raw();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"STATUS=one", socket.path()).await.unwrap();
        let words = socket.receive(own_group).await.unwrap();
        assert_eq!(words, [Word::Status("one".into())]);
        assert!(!socket.is_of_the_run(1, own_group), "init is of no run");
        let path = socket.path().to_owned();
        drop(socket);
        assert!(!path.exists());
    }

    /// So does `systemd-notify`, and waits until the descriptor is closed.
    #[tokio::test]
    async fn a_message_that_brings_file_descriptors_is_read_and_they_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Marks::new("test").service(&"a.x".parse().unwrap(), Run(1));
        let socket = SocketDir::new(dir.path().join("sockets")).open(mark, None).unwrap();
        let own_group = nix::unistd::getpgrp().as_raw();
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.connect(socket.path()).unwrap();
        for count in [1, MAX_FILES] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let files = vec![writer.as_raw_fd(); count];
            let parts = [std::io::IoSlice::new(b"BARRIER=1\nSTATUS=here")];
            let rights = [ControlMessage::ScmRights(&files)];
            let to = sender.as_raw_fd();
            sendmsg::<UnixAddr>(to, &parts, &rights, MsgFlags::empty(), None).unwrap();
            drop(writer);
            let words = socket.receive(own_group).await.unwrap();
            assert_eq!(words, [Word::Status("here".into())]);
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
        }
        sender.send(b"WATCHDOG=1").unwrap();
        let words = socket.receive(own_group).await.unwrap();
        assert_eq!(words, [Word::Watchdog(Watchdog::Alive)]);
    }

    /// Descriptors for which there is no room would stay open: tcsd would soon have none left.
    #[tokio::test]
    async fn descriptors_that_a_message_brings_need_no_room() {
        const INNER: &str = "TCS_TEST_FEW_DESCRIPTORS";
        if std::env::var_os(INNER).is_none() {
            let name = "runner::notify::tests::descriptors_that_a_message_brings_need_no_room";
            let script = "ulimit -n 64; exec \"$0\" --exact \"$1\"";
            let mut inner = std::process::Command::new("sh");
            inner.args(["-c", script]).arg(std::env::current_exe().unwrap()).arg(name);
            let output = inner.env(INNER, "1").output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mark = Marks::new("test").service(&"a.x".parse().unwrap(), Run(1));
        let socket = SocketDir::new(dir.path().join("sockets")).open(mark, None).unwrap();
        let own_group = nix::unistd::getpgrp().as_raw();
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.connect(socket.path()).unwrap();
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        let files = [sender.as_raw_fd(); MAX_FILES];
        let parts = [std::io::IoSlice::new(b"STATUS=here")];
        let rights = [ControlMessage::ScmRights(&files)];
        let to = sender.as_raw_fd();
        sendmsg::<UnixAddr>(to, &parts, &rights, MsgFlags::empty(), None).unwrap();
        let words = socket.receive(own_group).await.unwrap();
        assert_eq!(words, [Word::Status("here".into())]);
        assert_eq!(open(), before);
    }

    /// They have left its group, so that it takes a while to find out whose they are.
    #[tokio::test]
    async fn processes_that_go_on_notifying_hold_up_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Marks::new("test").service(&"a.x".parse().unwrap(), Run(1));
        let socket = SocketDir::new(dir.path().join("sockets")).open(mark, None).unwrap();
        let path = socket.path().to_owned();
        // until the socket is gone
        let began = std::sync::Barrier::new(9);
        let flood = || {
            let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
            sender.send_to(b"WATCHDOG=1", &path).unwrap();
            began.wait();
            while sender.send_to(b"WATCHDOG=1", &path).is_ok() {}
        };
        std::thread::scope(|scope| {
            let (done, waits) = std::sync::mpsc::channel();
            let began = &began;
            scope.spawn(move || {
                began.wait();
                done.send(socket.rest(i32::MAX)).ok();
            });
            (0..8).for_each(|_| drop(scope.spawn(flood)));
            let words = waits.recv_timeout(Duration::from_mins(1));
            std::fs::remove_file(&path).ok();
            assert_eq!(words, Ok(Vec::new()));
        });
    }
}
