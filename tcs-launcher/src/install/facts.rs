//! What an installation has to know of the host.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Layout, Options, USERS};

/// One for each user of the broker.
#[derive(Debug, Default, Clone)]
pub(crate) struct Passwords {
    pub(super) launcher: String,
    pub(super) service: String,
    pub(super) operator: String,
    pub(super) viewer: String,
}

/// What is there.
#[derive(Debug, Default, Clone)]
pub(crate) struct Facts {
    pub(super) is_root: bool,
    pub(super) home: PathBuf,
    pub(super) config_home: PathBuf,
    pub(super) state_home: PathBuf,
    /// This program.
    pub(super) program: PathBuf,
    /// `tcsctl` beside it.
    pub(super) console: Option<PathBuf>,
    /// Folders of PATH.
    pub(super) path: BTreeSet<PathBuf>,
    /// A `nats-server` program.
    pub(super) broker: Option<PathBuf>,
    /// Something listens on the broker's port.
    pub(super) broker_listens: bool,
    /// systemd is the service manager, or the user's.
    pub(super) has_systemd: bool,
    /// A package has installed the unit of `tcsd`.
    pub(super) has_packaged_unit: bool,
    /// The user's services outlive the session.
    pub(super) lingers: bool,
    /// Those of `tcs` and `tcs-nats` that exist.
    pub(super) users: BTreeSet<&'static str>,
    /// Those paths of an installation that exist.
    pub(super) existing: BTreeSet<PathBuf>,
    /// Generated for this installation.
    pub(super) passwords: Passwords,
}

/// How long a connection on this host may take.
const LOOPBACK: Duration = Duration::from_secs(1);

impl Facts {
    pub(super) fn exists(&self, path: &Path) -> bool {
        self.existing.contains(path)
    }

    /// Whether this program came by a package of the distribution.
    pub(super) fn is_packaged(&self) -> bool {
        self.program.parent() == Some(Path::new("/usr/bin"))
    }

    /// Looks around. Paths of the installation are looked for below `root`.
    pub(super) fn gather(root: &Path, options: &Options) -> Result<Self, String> {
        let var =
            |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        // nothing is asked of this host, and nothing is done to it
        let is_elsewhere = root != Path::new("/");
        let program = std::env::current_exe()
            .map_err(|error| format!("the path of this program is not known: {error}"))?;
        let home = var("HOME").ok_or("HOME is not set")?;
        let below_home = |name: &str, default: &str| {
            var(name).filter(|it| it.is_absolute()).unwrap_or_else(|| home.join(default))
        };
        let path: BTreeSet<PathBuf> =
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
        let beside = |name: &str| program.parent().map(|folder| folder.join(name));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4222));
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let mut facts = Self {
            is_root: is_elsewhere || nix::unistd::geteuid().is_root(),
            config_home: below_home("XDG_CONFIG_HOME", ".config"),
            state_home: below_home("XDG_STATE_HOME", ".local/state"),
            console: beside("tcsctl").filter(|it| it.is_file()),
            broker: beside("nats-server")
                .into_iter()
                .chain(path.iter().map(|folder| folder.join("nats-server")))
                .chain(["/usr/sbin/nats-server", "/usr/local/bin/nats-server"].map(PathBuf::from))
                .find(|it| it.is_file()),
            broker_listens: TcpStream::connect_timeout(&address, LOOPBACK).is_ok(),
            has_systemd: !is_elsewhere && Path::new("/run/systemd/system").exists(),
            has_packaged_unit: ["/usr/lib/systemd/system", "/lib/systemd/system"]
                .iter()
                .any(|folder| Path::new(folder).join("tcsd.service").exists()),
            lingers: user
                .is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user.name).exists()),
            users: USERS.into_iter().filter(|name| is_elsewhere || user_exists(name)).collect(),
            existing: BTreeSet::new(),
            passwords: Passwords::generate()?,
            home,
            path,
            program,
        };
        let is_there = |path: &PathBuf| below(root, path).symlink_metadata().is_ok();
        facts.existing =
            Layout::new(options, &facts).paths().into_iter().filter(is_there).collect();
        Ok(facts)
    }
}

/// An absolute path below another root.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn user_exists(name: &str) -> bool {
    nix::unistd::User::from_name(name).ok().flatten().is_some()
}

impl Passwords {
    fn generate() -> Result<Self, String> {
        Ok(Self {
            launcher: password()?,
            service: password()?,
            operator: password()?,
            viewer: password()?,
        })
    }
}

/// 128 bits. It begins with a letter, so that nothing reads it as a number.
fn password() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(format!("p{:032x}", u128::from_ne_bytes(bytes)))
}
