//! `tcsd install` and `tcsd uninstall`: what has to be done on this host, computed from what is there.
//!
//! [`plan`] and [`removal`] are pure: they get [`Facts`] and give steps, which [`apply`] shows and carries
//! out. Existing files of configuration are never changed.

pub(crate) mod apply;
mod facts;
mod files;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use facts::{Facts, Passwords};

/// The users of an installation for the whole host: of `tcsd`, and of the broker.
const USERS: [&str; 2] = ["tcs", "tcs-nats"];

/// Who owns a file, as `user:group`; `None`: whoever runs the command.
type Owner = Option<&'static str>;

/// What was asked for on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// For this user only, without root.
    pub(crate) user: bool,
    /// Where programs go: `<prefix>/bin`.
    pub(crate) prefix: Option<PathBuf>,
    /// Add the drop-in for devices.
    pub(crate) cameras: bool,
    /// Add the drop-in for `launch.user`.
    pub(crate) launch_user: bool,
}

/// One thing that is done, in the order of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A system user with a group of the same name.
    User {
        name: &'static str,
        home: &'static str,
    },
    Folder {
        path: PathBuf,
        mode: u32,
        owner: Owner,
    },
    /// A program.
    Copy {
        from: PathBuf,
        to: PathBuf,
    },
    Write {
        path: PathBuf,
        text: String,
        mode: u32,
        owner: Owner,
        what: &'static str,
    },
    /// A file that is there, and stays as it is.
    Keep {
        path: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    Run {
        command: Vec<String>,
    },
}

/// What is done, and what then is to be known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// What to do next; what was left alone and why.
    pub(crate) notes: Vec<String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights = |mode: &u32, owner: &Owner| match owner {
            Some(owner) => format!("{mode:04o}, {owner}"),
            None => format!("{mode:04o}"),
        };
        match self {
            Self::User { name, .. } => write!(f, "create the system user {name}"),
            Self::Folder { path, mode, owner } => {
                write!(f, "create {}/ ({})", path.display(), rights(mode, owner))
            }
            Self::Copy { from, to } => {
                write!(f, "copy   {} to {}", from.display(), to.display())
            }
            Self::Write { path, mode, owner, what, .. } => {
                write!(f, "write  {} ({}): {what}", path.display(), rights(mode, owner))
            }
            Self::Keep { path } => write!(f, "keep   {}, which exists", path.display()),
            Self::Remove { path } => write!(f, "remove {}", path.display()),
            Self::Run { command } => write!(f, "run    {}", command.join(" ")),
        }
    }
}

/// The folders of an installation.
#[derive(Debug)]
struct Layout {
    bin: PathBuf,
    config: PathBuf,
    state: PathBuf,
    units: PathBuf,
    /// Of the broker.
    store: PathBuf,
}

impl Layout {
    fn new(options: &Options, facts: &Facts) -> Self {
        let prefix = |default: PathBuf| options.prefix.clone().unwrap_or(default).join("bin");
        if options.user {
            Self {
                bin: prefix(facts.home.join(".local")),
                config: facts.config_home.join("tcs"),
                state: facts.state_home.join("tcs"),
                units: facts.config_home.join("systemd/user"),
                store: facts.state_home.join("tcs-nats"),
            }
        } else {
            Self {
                bin: prefix("/usr/local".into()),
                config: "/etc/tcs".into(),
                state: "/var/lib/tcs".into(),
                units: "/etc/systemd/system".into(),
                store: "/var/lib/tcs-nats".into(),
            }
        }
    }

    /// All that an installation may write.
    fn paths(&self) -> Vec<PathBuf> {
        let config = ["services.yaml", "nats-server.conf"].map(|name| self.config.join(name));
        let units = ["tcsd.service", "tcs-nats.service", "tcsd.service.d"]
            .into_iter()
            .chain(["tcsd.service.d/cameras.conf", "tcsd.service.d/launch-user.conf"])
            .map(|name| self.units.join(name));
        let programs = ["tcsd", "tcsctl"].map(|name| self.bin.join(name));
        let folders = [&self.bin, &self.config, &self.state, &self.store].map(Clone::clone);
        config.into_iter().chain(units).chain(programs).chain(folders).collect()
    }
}

fn systemctl(options: &Options, arguments: &[&str]) -> Step {
    let scope = options.user.then_some("--user");
    let command = ["systemctl"].into_iter().chain(scope).chain(arguments.iter().copied());
    Step::Run { command: command.map(str::to_owned).collect() }
}

/// The steps of an installation; an error says why there is none.
pub(crate) fn plan(options: &Options, facts: &Facts) -> Result<Plan, String> {
    check(options, facts, "install")?;
    let layout = Layout::new(options, facts);
    let mut plan = Plan::default();
    let group: Owner = (!options.user).then_some("root:tcs");
    if !options.user {
        plan.add_user(facts, "tcs", "/var/lib/tcs");
    }
    plan.add_folder(facts, &layout.config, if options.user { 0o700 } else { 0o750 }, group);
    if options.user {
        plan.add_folder(facts, &layout.state, 0o700, None);
    }
    let program = plan.add_programs(facts, &layout);
    plan.add_file(
        facts,
        layout.config.join("services.yaml"),
        0o640,
        group,
        "sample configuration",
        || files::SERVICES.to_owned(),
    );
    let has_broker = plan.add_broker(options, facts, &layout);
    plan.add_units(options, facts, &layout, &program, has_broker);
    Ok(plan)
}

fn check(options: &Options, facts: &Facts, command: &str) -> Result<(), String> {
    if !options.user && !facts.is_root {
        return Err(format!(
            "{command} for the whole host needs root\n\
             hint: sudo {} {command}; for your user only: tcsd {command} --user",
            facts.program.display()
        ));
    }
    if options.user && options.launch_user {
        return Err("`--launch-user` needs root: it does not go with `--user`".to_owned());
    }
    if let Some(prefix) = options.prefix.as_deref().filter(|prefix| !prefix.is_absolute()) {
        return Err(format!("--prefix: `{}` is not an absolute path", prefix.display()));
    }
    Ok(())
}

impl Plan {
    fn add_user(&mut self, facts: &Facts, name: &'static str, home: &'static str) {
        if !facts.users.contains(name) {
            self.steps.push(Step::User { name, home });
        }
    }

    fn add_folder(&mut self, facts: &Facts, path: &Path, mode: u32, owner: Owner) {
        if !facts.exists(path) {
            self.steps.push(Step::Folder { path: path.to_owned(), mode, owner });
        }
    }

    /// Existing files stay.
    fn add_file(
        &mut self,
        facts: &Facts,
        path: PathBuf,
        mode: u32,
        owner: Owner,
        what: &'static str,
        text: impl FnOnce() -> String,
    ) {
        self.steps.push(if facts.exists(&path) {
            Step::Keep { path }
        } else {
            Step::Write { path, text: text(), mode, owner, what }
        });
    }

    /// Copies our programs to a place that outlives an environment of Python or a checkout; those of a
    /// package are there already. Gives the path of `tcsd`.
    fn add_programs(&mut self, facts: &Facts, layout: &Layout) -> PathBuf {
        if facts.is_packaged() {
            return facts.program.clone();
        }
        let to = layout.bin.join("tcsd");
        if facts.program == to {
            return to;
        }
        self.add_folder(facts, &layout.bin, 0o755, None);
        self.steps.push(Step::Copy { from: facts.program.clone(), to: to.clone() });
        if let Some(console) = &facts.console {
            let to = layout.bin.join("tcsctl");
            self.steps.push(Step::Copy { from: console.clone(), to });
        }
        if !facts.path.contains(&layout.bin) {
            self.notes.push(format!("{} is not in PATH", layout.bin.display()));
        }
        to
    }

    /// The broker of this host with its users. False: there is no program for it.
    fn add_broker(&mut self, options: &Options, facts: &Facts, layout: &Layout) -> bool {
        let config = layout.config.join("nats-server.conf");
        let group: Owner = (!options.user).then_some("root:tcs");
        let login = |name: &str| layout.config.join(name);
        if facts.exists(&config) {
            self.steps.push(Step::Keep { path: config });
            return facts.broker.is_some();
        }
        if !options.user {
            self.add_user(facts, "tcs-nats", "/var/lib/tcs-nats");
        }
        let passwords = &facts.passwords;
        let mut write = |path, text, mode, owner, what| {
            self.steps.push(Step::Write { path, text, mode, owner, what });
        };
        let owner = (!options.user).then_some("root:tcs-nats");
        let text = files::broker(&layout.store, passwords);
        write(config, text, 0o640, owner, "broker with generated passwords");
        let root: Owner = (!options.user).then_some("root:root");
        let text = files::environment("launcher", &passwords.launcher);
        write(login("tcsd.env"), text, 0o600, root, "login of tcsd");
        let text = files::environment("service", &passwords.service);
        write(login("service.env"), text, 0o640, group, "login of services that run without tcsd");
        for (user, password) in [("operator", &passwords.operator), ("viewer", &passwords.viewer)] {
            let what = if user == "viewer" { "login to look" } else { "login to act" };
            let (path, text) = (login(&format!("{user}.json")), files::context(user, password));
            write(path, text, 0o640, group, what);
        }
        let viewer = login("viewer.json");
        self.notes.push(format!("look: tcsctl --context {}", viewer.display()));
        if !options.user {
            self.notes.push("who may use these logins: usermod -aG tcs NAME".to_owned());
        }
        facts.broker.is_some()
    }

    /// Changes belong into drop-ins, so a unit is replaced.
    fn add_unit(&mut self, layout: &Layout, name: &str, text: String, owner: Owner) {
        let path = layout.units.join(name);
        self.steps.push(Step::Write { path, text, mode: 0o644, owner, what: "systemd unit" });
    }

    fn add_units(
        &mut self,
        options: &Options,
        facts: &Facts,
        layout: &Layout,
        program: &Path,
        has_broker: bool,
    ) {
        let root: Owner = (!options.user).then_some("root:root");
        let mut started = Vec::new();
        if has_broker && let Some(broker) = &facts.broker {
            let text = files::broker_unit(options.user, broker, &layout.config);
            self.add_unit(layout, "tcs-nats.service", text, root);
            if facts.broker_listens {
                self.notes.push(
                    "a broker listens on port 4222 already and is left alone; to use the one with the \
                     generated logins, stop the other and run: systemctl enable --now tcs-nats"
                        .to_owned(),
                );
            } else {
                started.push("tcs-nats.service");
            }
        } else {
            self.notes.push(
                "there is no nats-server program on this host: install one and run this command again, \
                 or name another broker in tcsd.env"
                    .to_owned(),
            );
        }
        let is_from_package = facts.is_packaged() && !options.user && facts.has_packaged_unit;
        if !is_from_package {
            let text = files::unit(options.user, program, layout);
            self.add_unit(layout, "tcsd.service", text, root);
        }
        if facts.exists(&layout.units.join("tcsd.service")) {
            self.notes.push(
                "a tcsd that runs keeps its program until: systemctl reload tcsd (services keep running)"
                    .to_owned(),
            );
        }
        let extra = layout.units.join("tcsd.service.d");
        for (wanted, name, text) in [
            (options.cameras, "cameras.conf", files::CAMERAS),
            (options.launch_user, "launch-user.conf", files::LAUNCH_USER),
        ] {
            if wanted {
                self.add_folder(facts, &extra, 0o755, root);
                let what = "drop-in of the unit";
                self.add_file(facts, extra.join(name), 0o644, root, what, || text.to_owned());
            }
        }
        started.push("tcsd.service");
        if facts.has_systemd {
            self.steps.push(systemctl(options, &["daemon-reload"]));
            for unit in started {
                self.steps.push(systemctl(options, &["enable", "--now", unit]));
            }
            if options.user && !facts.lingers {
                self.notes.push(
                    "services end when you log out, unless you run: loginctl enable-linger"
                        .to_owned(),
                );
            }
        } else {
            self.notes.push("systemd does not run here: nothing is started".to_owned());
        }
    }
}

/// The steps of a removal. Configuration, state and users stay, unless `purge` is set.
pub(crate) fn removal(options: &Options, facts: &Facts, purge: bool) -> Result<Plan, String> {
    check(options, facts, "uninstall")?;
    let layout = Layout::new(options, facts);
    let mut plan = Plan::default();
    let units = ["tcsd.service", "tcs-nats.service"];
    let ours = units.map(|unit| layout.units.join(unit)).into_iter().filter(|it| facts.exists(it));
    let mut paths: Vec<PathBuf> = ours.collect();
    if facts.has_systemd {
        for unit in paths.iter().filter_map(|path| path.file_name()?.to_str()) {
            plan.steps.push(systemctl(options, &["disable", "--now", unit]));
        }
    }
    if !paths.is_empty() && !facts.is_packaged() {
        paths.push(layout.units.join("tcsd.service.d"));
        paths.extend(["tcsd", "tcsctl"].map(|program| layout.bin.join(program)));
    }
    if purge {
        paths.extend([&layout.config, &layout.state, &layout.store].map(Clone::clone));
    }
    let found = paths.into_iter().filter(|path| facts.exists(path));
    plan.steps.extend(found.map(|path| Step::Remove { path }));
    if facts.has_systemd && !plan.steps.is_empty() {
        plan.steps.push(systemctl(options, &["daemon-reload"]));
    }
    if purge && !options.user {
        for user in USERS.into_iter().filter(|user| facts.users.contains(*user)) {
            let command = ["userdel", user].map(str::to_owned).to_vec();
            plan.steps.push(Step::Run { command });
        }
    } else if facts.exists(&layout.config) {
        let (config, state) = (layout.config.display(), layout.state.display());
        plan.notes.push(format!("{config} and {state} are kept; --purge removes them"));
    }
    if facts.is_packaged() {
        plan.notes.push("the programs belong to a package: remove it with apt or dnf".to_owned());
    }
    Ok(plan)
}
