//! One launcher of a configuration on a host, wherever each keeps its files.
//!
//! A lock file does not see a launcher with another runtime directory, and is gone with its
//! directory. An abstract socket has a name and no file: the kernel gives it to one process of the
//! host, tells others who that is, and frees it when the process ends, however it ends.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Uid, User};

use crate::hash::fnv1a;
use crate::runner::group::Process;

/// How often, and with which pause, a name is tried for that a process has which is ending.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// The right to run a configuration on this host, as long as it lives.
#[derive(Debug)]
pub(super) struct Claim {
    _listener: Option<UnixListener>,
}

impl Claim {
    /// Takes it for the configuration file of this path, which leads over no link.
    pub(super) fn take(config: &Path) -> anyhow::Result<Self> {
        // the path itself may be longer than a name
        let name = format!("tcsd/{:016x}", fnv1a(&config.to_string_lossy()));
        let address = SocketAddr::from_abstract_name(name).context("naming the claim")?;
        let config = config.display();
        for _ in 0..TRIES {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Ok(Self { _listener: Some(listener) }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    tracing::warn!("a second tcsd of {config} would not be noticed: {error}");
                    return Ok(Self { _listener: None });
                }
            }
            // it may end between the two
            let Ok(peer) = UnixStream::connect_addr(&address) else { continue };
            let holder = getsockopt(&peer, sockopt::PeerCredentials)
                .context("asking who runs the configuration")?;
            // a container on the host's network, with files of its own
            if holder.pid() == 0 {
                tracing::warn!("a tcsd in another container has a file of the same path: {config}");
                return Ok(Self { _listener: None });
            }
            if let Some(process) = Process::of(holder.pid()).filter(|it| !it.is_zombie()) {
                let user = User::from_uid(Uid::from_raw(holder.uid())).ok().flatten();
                let user = user.map_or_else(|| holder.uid().to_string(), |user| user.name);
                let name = process.name().unwrap_or_default();
                bail!(
                    "{config} is already supervised on this host: {name}, pid {}, user {user}\n\
                     hint: tcsctl list; to end it: kill {}",
                    process.pid,
                    process.pid
                );
            }
            std::thread::sleep(PAUSE);
        }
        bail!("{config} is already supervised on this host, by a process that is ending");
    }
}
