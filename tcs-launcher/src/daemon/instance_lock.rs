//! One launcher for a configuration file on a host, whoever starts it and wherever it keeps its
//! runtime files.
//!
//! The lock is a listening socket with an abstract name: it lies in no directory that can be
//! removed or differ, needs no right to write, is shared by all users of a host (of a network
//! namespace), and is gone with its process. Its name is made of the directory of the file (device
//! and inode, so that two containers with a file of the same path do not meet) and the file's name:
//! once as given, and once as symbolic links lead to it. Who connects is told who holds the lock.

use std::io::{ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Uid, User, geteuid};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;

use crate::fd::copy;
use crate::hash::fnv1a;
use crate::runner::group::Process;

/// How long the holder may take to say who it is.
const ANSWER: Duration = Duration::from_secs(1);

/// Bytes of what it says that are read.
const LONGEST: u64 = 1024;

/// How often, and with which pause, a lock is tried for that a process has which is ending.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct InstanceLock {
    listeners: Vec<UnixListener>,
    answering: Vec<JoinHandle<()>>,
    /// Copies, for a program that takes over.
    held: Vec<OwnedFd>,
}

impl InstanceLock {
    /// Takes the lock of a configuration file. The error names who has it.
    pub(super) fn take(config: &Path) -> anyhow::Result<Self> {
        let mut listeners = Vec::new();
        for name in names(config) {
            listeners.extend(bind(&name, config)?);
        }
        Self::of(listeners)
    }

    /// Goes on with the lock of the program before.
    pub(super) fn resume(listeners: Vec<OwnedFd>) -> anyhow::Result<Self> {
        Self::of(listeners.into_iter().map(UnixListener::from).collect())
    }

    fn of(listeners: Vec<UnixListener>) -> anyhow::Result<Self> {
        let held: std::io::Result<Vec<OwnedFd>> = listeners.iter().map(copy).collect();
        let held = held.context("holding the lock")?;
        Ok(Self { listeners, answering: Vec::new(), held })
    }

    /// Copies of the descriptors, for a program that keeps the lock.
    pub(super) fn copies(&self) -> std::io::Result<Vec<OwnedFd>> {
        self.held.iter().map(copy).collect()
    }

    /// From now on, tells those who ask who holds it: `about` is who.
    pub(super) fn answer(&mut self, about: &str) -> anyhow::Result<()> {
        for listener in self.listeners.drain(..) {
            listener.set_nonblocking(true).context("listening at the lock")?;
            let listener = tokio::net::UnixListener::from_std(listener);
            let (listener, about) = (listener.context("listening at the lock")?, about.to_owned());
            self.answering.push(tokio::spawn(async move {
                loop {
                    match listener.accept().await {
                        Ok((mut asker, _)) => drop(asker.write_all(about.as_bytes()).await),
                        Err(_) => tokio::time::sleep(ANSWER).await,
                    }
                }
            }));
        }
        Ok(())
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        self.answering.iter().for_each(JoinHandle::abort);
    }
}

/// The names under which a file is known: as given, and as it is found.
fn names(config: &Path) -> Vec<String> {
    let mut names = vec![name(config)];
    if let Ok(found) = config.canonicalize() {
        let found = name(&found);
        if !names.contains(&found) {
            names.push(found);
        }
    }
    names
}

fn name(config: &Path) -> String {
    let dir = config.parent().and_then(|dir| dir.metadata().ok());
    let (place, file) = match (dir, config.file_name()) {
        (Some(dir), Some(file)) => (format!("{:x}.{:x}", dir.dev(), dir.ino()), file),
        // not there yet: by its path alone
        (_, _) => ("path".to_owned(), config.as_os_str()),
    };
    // a file's name may be longer than a socket's
    let hash = fnv1a(&file.to_string_lossy());
    format!("tcsd.{place}.{hash:016x}")
}

/// `None`, with a warning, where there are no such names.
fn bind(name: &str, config: &Path) -> anyhow::Result<Option<UnixListener>> {
    let config = config.display();
    let address = SocketAddr::from_abstract_name(name).context("naming the lock")?;
    for _ in 0..TRIES {
        match UnixListener::bind_addr(&address) {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => {
                tracing::warn!("a second tcsd of {config} would not be noticed: {error}");
                return Ok(None);
            }
        }
        if let Some(holder) = holder(&address) {
            bail!(
                "{config} is already supervised on this host: {holder}\n\
                 hint: stop that launcher first, or make it reread the file: tcsctl reload"
            );
        }
        std::thread::sleep(PAUSE);
    }
    bail!("{config} is already supervised on this host, by a process that is ending");
}

/// The lock holder's description of itself, else its process; `None`: the lock is free.
fn holder(address: &SocketAddr) -> Option<String> {
    let stream = UnixStream::connect_addr(address).ok()?;
    let peer = getsockopt(&stream, sockopt::PeerCredentials).ok()?;
    let mut said = Vec::new();
    // one that is stopped, or just starting, says nothing
    stream.set_read_timeout(Some(ANSWER)).ok();
    stream.take(LONGEST).read_to_end(&mut said).ok();
    let said = String::from_utf8_lossy(&said).replace(char::is_control, " ");
    // any user can take the name, and say anything
    let is_trusted = peer.uid() == 0 || peer.uid() == geteuid().as_raw();
    if is_trusted && !said.trim().is_empty() {
        return Some(said.trim().to_owned());
    }
    let user = User::from_uid(Uid::from_raw(peer.uid())).ok().flatten();
    let user = user.map_or_else(|| peer.uid().to_string(), |user| user.name);
    if peer.pid() == 0 {
        return Some(format!("a process in another container, user {user}"));
    }
    let process = Process::of(peer.pid()).filter(|it| !it.is_zombie())?;
    let name = process.name().unwrap_or_default();
    Some(format!("{name}, pid {}, user {user}", process.pid))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tcs_core::clock;

    use super::*;

    /// A child of another test has all that is open here, too, until it becomes its program.
    fn once_free(path: &Path) -> InstanceLock {
        let begin = clock::monotonic();
        loop {
            match InstanceLock::take(path) {
                Ok(lock) => return lock,
                Err(error) => assert!(begin.elapsed().as_secs() < 60, "{error}"),
            }
        }
    }

    #[test]
    fn a_file_is_one_file_by_whatever_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["a.yaml", "b.yaml"] {
            fs::write(path(name), "").unwrap();
        }
        std::os::unix::fs::symlink(path("a.yaml"), path("link.yaml")).unwrap();
        std::os::unix::fs::symlink(dir.path(), path("dir")).unwrap();
        let held = InstanceLock::take(&path("a.yaml")).unwrap();
        for same in ["a.yaml", "link.yaml", "dir/a.yaml"] {
            let error = InstanceLock::take(&path(same)).unwrap_err().to_string();
            let own = format!(", pid {}, user ", std::process::id());
            assert!(error.contains(&own), "{same}: {error}");
        }
        drop(InstanceLock::take(&path("b.yaml")).unwrap());
        // an editor replaces the file
        fs::rename(path("b.yaml"), path("a.yaml")).unwrap();
        InstanceLock::take(&path("a.yaml")).unwrap_err();
        drop(held);
        drop(once_free(&path("link.yaml")));
        // a file that is not there yet
        let held = InstanceLock::take(&path("no/such.yaml")).unwrap();
        InstanceLock::take(&path("no/such.yaml")).unwrap_err();
        drop(held);
    }
}
