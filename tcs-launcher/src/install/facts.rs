//! What an installation has to know of the host.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Layout, OPERATORS, Options, PROGRAMS, UNITS, USERS, files, is_plain};

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
    /// The folders of PATH, in its order.
    pub(super) path: Vec<PathBuf>,
    /// A `nats-server` program.
    pub(super) broker: Option<PathBuf>,
    /// Something listens on the broker's port.
    pub(super) broker_listens: bool,
    /// systemd is the service manager, or the user's.
    pub(super) has_systemd: bool,
    /// A package has installed the unit of `tcsd`.
    pub(super) has_packaged_unit: bool,
    /// A package of the distribution has installed a unit of `nats-server`, which it starts.
    pub(super) has_distribution_broker: bool,
    /// The user's services outlive the session.
    pub(super) lingers: bool,
    /// Those of `tcs` and `tcs-nats` that exist.
    pub(super) users: BTreeSet<&'static str>,
    /// The group of operators exists.
    pub(super) has_operators: bool,
    /// Those paths of an installation that exist.
    pub(super) existing: BTreeSet<PathBuf>,
    /// Of those, programs and units that no installation wrote.
    pub(super) foreign: BTreeSet<PathBuf>,
    /// Drop-ins as an installation writes them.
    pub(super) own_drop_ins: BTreeSet<PathBuf>,
    /// There are other ones.
    pub(super) has_other_drop_ins: bool,
    /// What the installed unit starts.
    pub(super) unit_program: Option<PathBuf>,
    /// A login for `tcsd` is there which no installation wrote.
    pub(super) has_other_login: bool,
    /// Generated for this installation, or for one that was not finished.
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
        let home = home(options, var("HOME"))?;
        let below_home = |name: &str, default: &str| {
            var(name).filter(|it| it.is_absolute()).unwrap_or_else(|| home.join(default))
        };
        // a folder that depends on where one is now is nothing for a unit
        let path: Vec<PathBuf> = std::env::split_paths(&var("PATH").unwrap_or_default())
            .filter(|folder| folder.is_absolute())
            .collect();
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
                .find(|it| is_plain(it) && it.is_file()),
            broker_listens: !is_elsewhere && TcpStream::connect_timeout(&address, LOOPBACK).is_ok(),
            has_systemd: !is_elsewhere && Path::new("/run/systemd/system").exists(),
            has_packaged_unit: has_packaged_unit("tcsd.service"),
            has_distribution_broker: has_packaged_unit("nats-server.service"),
            lingers: user
                .is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user.name).exists()),
            users: USERS.into_iter().filter(|name| is_elsewhere || user_exists(name)).collect(),
            has_operators: is_elsewhere || group_exists(OPERATORS),
            existing: BTreeSet::new(),
            foreign: BTreeSet::new(),
            own_drop_ins: BTreeSet::new(),
            has_other_drop_ins: false,
            unit_program: None,
            has_other_login: false,
            passwords: Passwords::generate()?,
            home,
            path,
            program,
        };
        facts.look_at(root, &Layout::new(options, &facts));
        Ok(facts)
    }

    /// What is there of an installation, and whose it is.
    fn look_at(&mut self, root: &Path, layout: &Layout) {
        let is_there = |path: &PathBuf| below(root, path).symlink_metadata().is_ok();
        let text = |path: &Path| fs::read_to_string(below(root, path)).ok();
        self.existing = layout.paths().into_iter().filter(is_there).collect();
        let units = UNITS.map(|name| layout.units.join(name));
        let [unit, _] = &units;
        for path in &units {
            if text(path).is_some_and(|text| !files::is_own_unit(&text)) {
                self.foreign.insert(path.clone());
            }
        }
        if !self.foreign.contains(unit) {
            self.unit_program = text(unit).as_deref().and_then(files::program_of);
        }
        let old = self.unit_program.as_deref().and_then(Path::parent);
        let folders = [Some(&*layout.bin), old];
        for path in folders.into_iter().flatten().flat_map(|bin| PROGRAMS.map(|it| bin.join(it))) {
            if is_script(&below(root, &path)) {
                self.foreign.insert(path.clone());
            }
            self.existing.extend(Some(path).filter(is_there));
        }
        let own =
            layout.drop_ins().into_iter().filter(|(path, own)| text(path).as_deref() == Some(*own));
        self.own_drop_ins = own.map(|(path, _)| path).collect();
        let all = fs::read_dir(below(root, &layout.units.join("tcsd.service.d")));
        self.has_other_drop_ins = all.is_ok_and(|all| all.count() > self.own_drop_ins.len());
        self.has_other_login = self.take_logins(&layout.config, text);
    }

    /// Takes the passwords of an installation that was not finished. True: the login of `tcsd` is none.
    fn take_logins(&mut self, config: &Path, text: impl Fn(&Path) -> Option<String>) -> bool {
        let Passwords { launcher, service, operator, viewer } = &mut self.passwords;
        let text = |name: &str| text(&config.join(name));
        for (name, user, password) in
            [("tcsd.env", "launcher", launcher), ("service.env", "service", service)]
        {
            let known = text(name).and_then(|text| files::password_of(&text, user));
            *password = known.unwrap_or_else(|| password.clone());
        }
        for (user, password) in [("operator", operator), ("viewer", viewer)] {
            let known = text(&format!("{user}.json"));
            let known = known.and_then(|text| files::password_of_context(&text, user));
            *password = known.unwrap_or_else(|| password.clone());
        }
        text("tcsd.env").is_some_and(|text| files::password_of(&text, "launcher").is_none())
    }
}

/// Needed for an installation of one user, whose it must be.
fn home(options: &Options, told: Option<PathBuf>) -> Result<PathBuf, String> {
    if !options.user {
        return Ok(told.unwrap_or_else(|| "/".into()));
    }
    let home = told.filter(|it| it.is_absolute());
    let home = home.ok_or("HOME is not set, or not to an absolute path")?;
    let about = home.metadata().map_err(|error| format!("{}: {error}", home.display()))?;
    if about.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(home);
    }
    let home = home.display();
    Err(format!("HOME is {home}, which belongs to another user\nhint: run it without sudo"))
}

/// Whether a file is a script, as the Python system installs its programs.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok_and(|()| start == *b"#!")
}

/// An absolute path below another root.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Whether a package of the distribution has installed this unit.
fn has_packaged_unit(name: &str) -> bool {
    let folders = ["/usr/lib/systemd/system", "/lib/systemd/system"];
    folders.iter().any(|folder| Path::new(folder).join(name).exists())
}

fn user_exists(name: &str) -> bool {
    nix::unistd::User::from_name(name).ok().flatten().is_some()
}

fn group_exists(name: &str) -> bool {
    nix::unistd::Group::from_name(name).ok().flatten().is_some()
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
