//! `tcsd install` and `tcsd uninstall`: what has to be done on this host, computed from what is there.
//!
//! [`plan`] and [`removal()`] are pure: they get [`Facts`] and give steps, which [`apply`] shows and carries
//! out. Existing files of configuration are never changed, nor units and programs of others.

pub(crate) mod apply;
mod facts;
mod files;
mod removal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use facts::{Facts, Passwords};
pub(crate) use removal::removal;

/// The users of an installation for the whole host: of `tcsd`, and of the broker.
const USERS: [&str; 2] = ["tcs", "tcs-nats"];

/// Its members may read the login that sends requests to launchers and services. Services are not in it.
const OPERATORS: &str = "tcs-operators";

const PROGRAMS: [&str; 2] = ["tcsd", "tcsctl"];
const UNITS: [&str; 2] = ["tcsd.service", "tcs-nats.service"];
/// Files with the passwords of the broker's users.
const LOGINS: [&str; 4] = ["tcsd.env", "service.env", "operator.json", "viewer.json"];

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
    /// A system group.
    Group {
        name: &'static str,
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
            Self::Group { name } => write!(f, "create the system group {name}"),
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
        let config = ["services.yaml", "nats-server.conf"].into_iter().chain(LOGINS);
        let config = config.map(|name| self.config.join(name));
        let units = UNITS.into_iter().chain(["tcsd.service.d"]).map(|name| self.units.join(name));
        let units = units.chain(self.drop_ins().map(|(path, _)| path));
        let programs = PROGRAMS.map(|name| self.bin.join(name));
        let folders = [&self.bin, &self.config, &self.state, &self.store].map(Clone::clone);
        config.chain(units).chain(programs).chain(folders).collect()
    }

    /// The drop-ins of the unit, with their texts.
    fn drop_ins(&self) -> [(PathBuf, &'static str); 2] {
        let folder = self.units.join("tcsd.service.d");
        [("cameras.conf", files::CAMERAS), ("launch-user.conf", files::LAUNCH_USER)]
            .map(|(name, text)| (folder.join(name), text))
    }
}

/// Whether a path can stand in a unit, and in the configuration of the broker, as it is.
fn is_plain(path: &Path) -> bool {
    let is_fit = |c: char| c.is_alphanumeric() || "/._-+@%:~,=".contains(c);
    path.is_absolute() && path.to_str().is_some_and(|text| text.chars().all(is_fit))
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
    let paths = [&layout.bin, &layout.config, &layout.state];
    if let Some(path) = paths.into_iter().find(|path| !is_plain(path)) {
        return Err(format!(
            "`{}` cannot stand in a systemd unit: a path may have letters, digits and ._-+@%:~,= only",
            path.display()
        ));
    }
    let mut plan = Plan::default();
    let group: Owner = (!options.user).then_some("root:tcs");
    if !options.user {
        plan.add_user(facts, "tcs", "/var/lib/tcs");
    }
    plan.add_folder(facts, &layout.config, if options.user { 0o700 } else { 0o750 }, group);
    if options.user {
        plan.add_folder(facts, &layout.state, 0o700, None);
    }
    let program = plan.add_programs(facts, &layout)?;
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
    fn add_programs(&mut self, facts: &Facts, layout: &Layout) -> Result<PathBuf, String> {
        if facts.is_packaged() {
            return Ok(facts.program.clone());
        }
        let to = layout.bin.join("tcsd");
        if facts.program == to {
            return Ok(to);
        }
        if facts.foreign.contains(&to) {
            let to = to.display();
            return Err(format!("{to} is another program, a script\nhint: --prefix FOLDER"));
        }
        self.add_folder(facts, &layout.bin, 0o755, None);
        self.steps.push(Step::Copy { from: facts.program.clone(), to: to.clone() });
        if let Some(console) = &facts.console {
            let to = layout.bin.join("tcsctl");
            if facts.foreign.contains(&to) {
                let text = "is another program (the console of Python?) and is kept; to install this one \
                            beside it, add --prefix FOLDER";
                self.notes.push(format!("{} {text}", to.display()));
                self.steps.push(Step::Keep { path: to });
            } else {
                self.steps.push(Step::Copy { from: console.clone(), to });
            }
        }
        if !facts.path.contains(&layout.bin) {
            self.notes.push(format!("{} is not in PATH", layout.bin.display()));
        }
        Ok(to)
    }

    /// The broker of this host with its users. False: there is none to run.
    fn add_broker(&mut self, options: &Options, facts: &Facts, layout: &Layout) -> bool {
        let config = layout.config.join("nats-server.conf");
        if facts.exists(&config) {
            self.steps.push(Step::Keep { path: config });
        } else if facts.has_other_login {
            let path = layout.config.join("tcsd.env");
            let text = "has a login already: no broker is set up on this host";
            self.notes.push(format!("{} {text}", path.display()));
            self.steps.push(Step::Keep { path });
            return false;
        } else {
            self.add_logins(options, facts, layout, config);
        }
        if facts.broker.is_none() {
            self.notes.push(
                "there is no nats-server program on this host: install one and run this command again, \
                 or name another broker in tcsd.env"
                    .to_owned(),
            );
        }
        facts.broker.is_some()
    }

    /// The broker's configuration comes last: without it, the command can be repeated.
    fn add_logins(&mut self, options: &Options, facts: &Facts, layout: &Layout, config: PathBuf) {
        let of_host = |owner| (!options.user).then_some(owner);
        let (root, group, broker) = ("root:root", "root:tcs", "root:tcs-nats");
        let operators = "root:tcs-operators";
        if !options.user {
            self.add_user(facts, "tcs-nats", "/var/lib/tcs-nats");
            if !facts.has_operators {
                self.steps.push(Step::Group { name: OPERATORS });
            }
        }
        let Passwords { launcher, service, operator, viewer } = &facts.passwords;
        let [own, others, act, look] = LOGINS.map(|name| layout.config.join(name));
        let note = format!("to view the fleet: tcsctl --context {}", look.display());
        let mut add = |path, mode, owner, what, text: String| {
            self.add_file(facts, path, mode, of_host(owner), what, || text);
        };
        add(own, 0o600, root, "login of tcsd", files::environment("launcher", launcher));
        let what = "login of services that run without tcsd";
        add(others, 0o640, group, what, files::environment("service", service));
        add(act, 0o640, operators, "login for operators", files::context("operator", operator));
        add(look, 0o640, group, "login for read access", files::context("viewer", viewer));
        let text = files::broker(&layout.store, &facts.passwords);
        add(config, 0o640, broker, "broker with generated passwords", text);
        self.notes.push(note);
        if !options.user {
            self.notes.push("read access for a user: usermod -aG tcs NAME".to_owned());
            self.notes
                .push("operator access for a user: usermod -aG tcs,tcs-operators NAME".to_owned());
        }
    }

    /// Changes belong into drop-ins, so a unit is replaced, unless others wrote it. False: it is kept.
    fn add_unit(
        &mut self,
        facts: &Facts,
        layout: &Layout,
        name: &str,
        text: String,
        owner: Owner,
    ) -> bool {
        let path = layout.units.join(name);
        if facts.foreign.contains(&path) {
            let text = "was not written by `tcsd install`: it is kept, and not started";
            self.notes.push(format!("{} {text}", path.display()));
            self.steps.push(Step::Keep { path });
            return false;
        }
        self.steps.push(Step::Write { path, text, mode: 0o644, owner, what: "systemd unit" });
        true
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
            let is_ours = self.add_unit(facts, layout, "tcs-nats.service", text, root);
            if facts.broker_listens {
                let scope = if options.user { "--user " } else { "" };
                let stop = if facts.has_distribution_broker {
                    "systemctl disable --now nats-server; "
                } else {
                    "stop the other; "
                };
                self.notes.push(format!(
                    "a broker listens on port 4222 already and is left alone; to use the one with the \
                     generated logins: {stop}systemctl {scope}enable --now tcs-nats"
                ));
            } else if is_ours {
                started.push("tcs-nats.service");
            }
        }
        let is_from_package = facts.is_packaged() && !options.user && facts.has_packaged_unit;
        let is_ours = is_from_package || {
            let text = files::unit(options.user, program, layout);
            self.add_unit(facts, layout, "tcsd.service", text, root)
        };
        if facts.exists(&layout.units.join("tcsd.service")) {
            self.notes.push(
                "a tcsd that runs keeps its program until: systemctl reload tcsd (services keep running)"
                    .to_owned(),
            );
        }
        let wanted = [options.cameras, options.launch_user];
        for ((path, text), _) in layout.drop_ins().into_iter().zip(wanted).filter(|it| it.1) {
            self.add_folder(facts, &layout.units.join("tcsd.service.d"), 0o755, root);
            let what = "drop-in of the unit";
            self.add_file(facts, path, 0o644, root, what, || text.to_owned());
        }
        if is_ours {
            started.push("tcsd.service");
        }
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
