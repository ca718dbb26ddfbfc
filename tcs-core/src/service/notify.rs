//! Reports to tcsd or systemd, whichever started this program, that it is ready, as
//! `sd_notify(3)` does. Readiness therefore needs no broker.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tokio::sync::watch;

use super::host::Progress;

/// The field with which a failed service reports why: its launcher gets the reason without a
/// broker, and before the process ends.
pub const ERROR: &str = "X_TCS_ERROR";

/// `$NOTIFY_SOCKET`: a path, or `@` and an abstract name. Nothing in it waits: a manager that does
/// not listen loses words.
#[derive(Debug)]
pub struct NotifySocket(UnixDatagram);

impl NotifySocket {
    /// `None`: `$NOTIFY_SOCKET` is not set.
    ///
    /// # Errors
    /// The socket is not there; the error names it.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let path = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        let Some(path) = path else { return Ok(None) };
        let socket = Self::connect(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("NOTIFY_SOCKET={}: {error}", path.display()))
        })?;
        Ok(Some(Self(socket)))
    }

    fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
        let address = match address.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => return Err(io::Error::other("neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(socket)
    }

    /// Sends `words`, a line each: `READY=1`.
    ///
    /// # Errors
    /// The manager does not receive them.
    pub fn send(&self, words: &str) -> io::Result<()> {
        self.0.send(words.as_bytes()).map(|_| ())
    }
}

/// Sends `words` to `$NOTIFY_SOCKET`; without one it does nothing.
///
/// # Errors
/// There is a socket, and it does not take the words.
pub fn notify(words: &str) -> io::Result<()> {
    NotifySocket::from_environment()?.map_or(Ok(()), |socket| socket.send(words))
}

/// Tells how far a service is, until it has ended.
pub(super) async fn relay(mut progress: watch::Receiver<Progress>) {
    while progress.changed().await.is_ok() {
        let words = match *progress.borrow_and_update() {
            Progress::Starting => continue,
            Progress::Running(_) => "READY=1",
            Progress::Stopping => "STOPPING=1",
        };
        if let Err(error) = notify(words) {
            tracing::warn!("{words} did not reach NOTIFY_SOCKET: {error}");
        }
    }
}
