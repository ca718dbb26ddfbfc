//! `NOTIFY_SOCKET` for a child: the protocol of `sd_notify(3)`, as the receiver.
//!
//! Each run has a socket of its own, so that it is clear who speaks; who is not of the run is not
//! listened to. Not taken: `MAINPID` (the process we started is the one we supervise), file
//! descriptors.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::group::{Mark, Process};
use crate::supervisor::Watchdog;

/// Name of the environment variable.
pub const VARIABLE: &str = "NOTIFY_SOCKET";

/// The longest message that is read.
const MAX_MESSAGE: usize = 4096;

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
    /// Opens it at `path`, for those that carry `mark`. Any user may write to it: who speaks is
    /// told by the kernel, not by the file's rights.
    pub fn open(path: PathBuf, mark: Mark) -> io::Result<Self> {
        let _ = std::fs::remove_file(&path);
        let datagrams = UnixDatagram::bind(&path)?;
        setsockopt(&datagrams, sockopt::PassCred, &true)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        Ok(Self { datagrams, path, mark })
    }

    /// For the child's environment.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The words of the next message from a process of the run whose group is `group`. Safe to
    /// cancel.
    pub async fn receive(&self, group: i32) -> io::Result<Vec<Word>> {
        loop {
            let (text, sender) =
                self.datagrams.async_io(Interest::READABLE, || self.receive_now()).await?;
            if sender.is_some_and(|pid| self.is_of_the_run(pid, group)) {
                return Ok(words(&text));
            }
            tracing::debug!(?sender, "a notification from outside the run");
        }
    }

    /// What has come already, after the end of the run: then nobody else can have written it.
    pub fn rest(&self) -> Vec<Word> {
        let mut rest = Vec::new();
        while let Ok((text, _)) = self.receive_now() {
            rest.extend(words(&text));
        }
        rest
    }

    fn receive_now(&self) -> io::Result<(String, Option<i32>)> {
        let mut buffer = [0; MAX_MESSAGE];
        let mut control = nix::cmsg_space!(UnixCredentials);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let message =
            recvmsg::<UnixAddr>(self.datagrams.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
        let sender = message.cmsgs()?.find_map(|it| match it {
            ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
            _ => None,
        });
        let count = message.bytes;
        Ok((String::from_utf8_lossy(&buffer[..count]).into_owned(), sender))
    }

    /// `systemd-notify` and the like may be gone before we look: then the socket's name, which
    /// only the run was told, must do.
    fn is_of_the_run(&self, pid: i32, group: i32) -> bool {
        Process::of(pid)
            .is_none_or(|it| it.is_zombie() || it.group == group || self.mark.is_on(pid))
    }
}

fn words(text: &str) -> Vec<Word> {
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
    use super::super::group::Marks;
    use super::*;
    use crate::supervisor::Run;

    #[test]
    fn words_are_read_and_the_rest_is_left() {
        let text = "READY=1\nSTATUS=cooling: -20 C\nMAINPID=1\nWATCHDOG_USEC=1500000\nWATCHDOG=1\n\
            WATCHDOG=trigger\nREADY=0\nnonsense\nWATCHDOG_USEC=x\nSTOPPING=1";
        assert_eq!(
            words(text),
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
        let socket = Socket::open(dir.path().join("1"), mark).unwrap();
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
}
