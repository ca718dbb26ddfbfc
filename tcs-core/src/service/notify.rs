//! Tells whoever started this program that it is up, as `sd_notify(3)` does: tcsd, or systemd.
//! So readiness needs no broker.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tokio::sync::watch;

use super::host::Progress;

/// Name of the word by which a service that has failed says why: so its launcher knows it without
/// a broker, and before its process has ended.
pub const ERROR: &str = "X_TCS_ERROR";

/// Sends `words` (`READY=1`) to `$NOTIFY_SOCKET`; without one it does nothing. Never blocks: a
/// manager that does not listen is not waited for.
///
/// # Errors
/// There is a socket, and it does not take the words.
pub fn notify(words: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(words.as_bytes(), &address)?;
    Ok(())
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
