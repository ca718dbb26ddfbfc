//! What a configuration would run, and how, without running it: what `tcsd check` prints.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::environment::Environment;
use super::launch::{Launch, Mode, Ready};
use super::nearest::nearest;
use super::problem::{ConfigErrors, Problem, Report};
use super::services::Entry;
use super::{Config, Secrets, ServiceSettings};

/// A Rust service type of this binary.
#[derive(Clone, Copy)]
pub struct KnownType<'a> {
    /// As an entry's `type` names it.
    pub name: &'a str,
    /// Whether settings fit it: [`check_settings`](super::check_settings) of its settings' type.
    pub settings: fn(&ServiceSettings) -> Result<Report, ConfigErrors>,
}

/// What [`check()`] found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Check {
    /// Errors and warnings of the file, and of its settings where a type can judge them.
    pub report: Report,
    /// What would run, in the file's order; empty when the file cannot be read.
    pub plan: Vec<Planned>,
    /// What must not be shown.
    pub secrets: Secrets,
}

/// One service, and how it would run.
#[derive(Debug, Clone)]
pub struct Planned {
    /// As the file has it.
    pub entry: Entry,
    /// How.
    pub how: How,
}

impl Planned {
    /// A problem that keeps it from being started: an error, unless nobody starts it by itself.
    pub fn cannot_start(&self, why: impl Into<String>) -> Problem {
        cannot_start(&self.entry, why)
    }
}

fn cannot_start(entry: &Entry, why: impl Into<String>) -> Problem {
    if entry.launch.enabled {
        Problem::error(entry.at, why)
    } else {
        Problem::warning(entry.at, why)
    }
}

/// Which program a service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// A service type of this binary; `None`: as `tcsd --launcher` sets.
    Rust(Option<Mode>),
    /// A module for an interpreter.
    Python {
        /// A path, or a name that is looked for in `PATH`.
        interpreter: PathBuf,
        /// With dots.
        module: String,
    },
    /// Any program and its arguments; never empty.
    Program(Vec<String>),
    /// A service that `tcsctl` runs: this command of it.
    BuiltIn(&'static str),
}

/// The service types that `tcsctl` runs, and by which of its commands.
const BUILT_IN: [(&str, &str); 3] =
    [("sentinel", "sentinel"), ("report", "report-service"), ("serve", "serve-service")];

impl How {
    /// What the file says is done: `launch.exec`, then `launch.rust`, then `launch.python` or a
    /// module that it names. Where it says nothing it is a Rust type of that name, else a built-in
    /// one, else Python's usual module.
    pub fn of(entry: &Entry, rust_types: &[KnownType<'_>], environment: &Environment) -> Self {
        let is_rust = || rust_types.iter().any(|known| known.name == entry.service_type.as_str());
        match &entry.launch.exec {
            Some(exec) => Self::Program(exec.clone()),
            None if entry.launch.rust => Self::Rust(entry.launch.mode),
            None if entry.launch.python.is_none() && entry.module.is_none() && is_rust() => {
                Self::Rust(entry.launch.mode)
            }
            None => match BUILT_IN.into_iter().find(|it| it.0 == entry.service_type.as_str()) {
                Some((_, command)) if entry.launch.python.is_none() && entry.module.is_none() => {
                    Self::BuiltIn(command)
                }
                Some(_) | None => Self::python(entry, environment),
            },
        }
    }

    fn python(entry: &Entry, environment: &Environment) -> Self {
        Self::Python {
            interpreter: interpreter(&entry.launch, environment, Path::is_file),
            module: entry.python_module(),
        }
    }
}

impl How {
    /// What says that a service is up, in words: `ready at its first heartbeat`.
    pub fn readiness(&self, ready: Option<&Ready>) -> String {
        match (ready, self) {
            (Some(Ready::Started), _) | (None, Self::Program(_)) => "ready once started".to_owned(),
            (Some(Ready::Notify), _) => "ready at READY=1 on its notify socket".to_owned(),
            (Some(Ready::Log(pattern)), _) => format!("ready when its output matches /{pattern}/"),
            (Some(Ready::Tcp { host, port }), _) => {
                format!("ready when {host}:{port} accepts connections")
            }
            (Some(Ready::Heartbeat), _) => "ready at its first heartbeat".to_owned(),
            (None, Self::Rust(_) | Self::BuiltIn(_)) => {
                "ready when its start-up has ended".to_owned()
            }
            (None, Self::Python { .. }) => {
                "ready at its first status other than startup".to_owned()
            }
        }
    }
}

/// The text for people: `Rust, as a task`, `Python, python3 -m my.module`, `program, sleep 10`.
impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust(None) => f.write_str("Rust"),
            Self::Rust(Some(Mode::Async)) => f.write_str("Rust, as a task"),
            Self::Rust(Some(Mode::Process)) => f.write_str("Rust, as a process"),
            Self::Python { interpreter, module } => {
                write!(f, "Python, {} -m {module}", interpreter.display())
            }
            Self::Program(exec) => write!(f, "program, {}", exec.join(" ")),
            Self::BuiltIn(command) => write!(f, "built in, tcsctl {command}"),
        }
    }
}

/// The Python that runs a module: `launch.python`, else `$VIRTUAL_ENV/bin/python`, else
/// `.venv/bin/python` in the service's working directory, else `python3` from `PATH`. A relative
/// path counts from the launcher's working directory: make it absolute before the child changes
/// into its own.
pub fn interpreter(
    launch: &Launch,
    environment: &Environment,
    exists: impl Fn(&Path) -> bool,
) -> PathBuf {
    if let Some(python) = &launch.python {
        return python.clone();
    }
    let variable =
        |name: &str| launch.env.get(name).map(String::as_str).or_else(|| environment.get(name));
    let active = variable("VIRTUAL_ENV")
        .filter(|path| !path.is_empty())
        .map(|path| Path::new(path).join("bin/python"));
    let local = launch.cwd.as_deref().unwrap_or(Path::new("")).join(".venv/bin/python");
    active
        .into_iter()
        .chain([local])
        .find(|path| exists(path))
        .unwrap_or_else(|| PathBuf::from("python3"))
}

/// Reads a file and says everything about it. `rust_types` are those of this binary.
pub fn check(
    path: &Path,
    explicit: bool,
    environment: &Environment,
    rust_types: &[KnownType<'_>],
) -> Check {
    let config = match Config::load(path, explicit, environment) {
        Ok(config) => config,
        Err(errors) => {
            let (plan, secrets) = (Vec::new(), Secrets::default());
            return Check { report: errors.report, plan, secrets };
        }
    };
    let mut problems = config.warnings.problems.clone();
    let mut plan = Vec::new();
    for entry in &config.services {
        let how = How::of(entry, rust_types, environment);
        let known = rust_types.iter().find(|known| known.name == entry.service_type.as_str());
        if let (How::Rust(_), Some(known)) = (&how, known) {
            problems.extend(match (known.settings)(&entry.settings) {
                Ok(report) => report.problems,
                Err(errors) => errors.report.problems,
            });
        }
        problems.extend(advice(entry, &how, rust_types, environment));
        plan.push(Planned { entry: entry.clone(), how });
    }
    let secrets = config.secrets(environment);
    Check { report: Report::new(config.warnings.source, problems), plan, secrets }
}

/// What is odd about the way in which a service would run.
fn advice(
    entry: &Entry,
    how: &How,
    rust_types: &[KnownType<'_>],
    environment: &Environment,
) -> Vec<Problem> {
    let name = entry.service_type.as_str();
    let warning = |message: String| Problem::warning(entry.at, message);
    let mut found = Vec::new();
    match how {
        How::BuiltIn(_) => {}
        How::Rust(_) => {
            let names = || rust_types.iter().map(|known| known.name);
            if !names().any(|known| known == name) {
                let message = format!("no Rust service `{name}` in this program");
                let problem = cannot_start(entry, message);
                found.push(match nearest(name, names()) {
                    Some(near) => problem.suggest(Some(near)),
                    None => problem.hint("is its crate linked? (`use my_services as _;`)"),
                });
            }
        }
        How::Python { interpreter, .. } => {
            // like every path of the file, from the launcher's working directory
            found.extend(missing(interpreter, "interpreter", Path::new(""), entry, environment));
            if entry.module.is_none()
                && let Some(near) = nearest(name, rust_types.iter().map(|known| known.name))
                && near != name
            {
                let message = format!(
                    "no Rust service `{name}` in this program: the Python module of that name is \
                     used"
                );
                found.push(warning(message).suggest(Some(near)));
            }
        }
        How::Program(exec) => {
            // as `execve` has it, from the program's own working directory
            let cwd = entry.launch.cwd.as_deref().unwrap_or(Path::new(""));
            found.extend(missing(Path::new(&exec[0]), "program", cwd, entry, environment));
            if let Some(module) = &entry.module {
                let message =
                    format!("module `{}` is not used, because `launch.exec` is set", module.name);
                found.push(warning(message).hint("keep one of the two"));
            }
        }
    }
    if let Some(cwd) = entry.launch.cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
        let message = format!("no directory `{}` (`launch.cwd`)", cwd.display());
        found.push(cannot_start(entry, message));
    }
    found.extend(entry.launch.user.as_deref().and_then(|user| nobody(user, entry)));
    found
}

/// A user that does not exist, or that only root can become.
fn nobody(name: &str, entry: &Entry) -> Option<Problem> {
    let found = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    let ours = Uid::effective();
    match found {
        Ok(None) => Some(cannot_start(entry, format!("no user `{name}` (`launch.user`)"))),
        Ok(Some(user)) if user.uid != ours && !ours.is_root() => {
            let message = format!("only root can run it as `{name}` (`launch.user`)");
            Some(Problem::warning(entry.at, message))
        }
        Ok(Some(_)) => None,
        Err(error) => {
            Some(Problem::warning(entry.at, format!("user `{name}` cannot be looked up: {error}")))
        }
    }
}

/// What is wrong with the interpreter that a script names in its first line, as the kernel reads
/// it: the script is there, and yet "No such file or directory".
pub fn missing_interpreter(script: &Path) -> Option<String> {
    // as much as the kernel reads
    let mut head = Vec::new();
    File::open(script).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    // blanks of the kernel's: a carriage return belongs to the name
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !is_blank(byte))?;
    let name = line[start..].split(is_blank).next()?;
    let name = String::from_utf8_lossy(name);
    let why = match Path::new(&*name).metadata() {
        Ok(about) if about.is_file() => return None,
        Ok(_) => "is not a file".to_owned(),
        Err(_) if name.ends_with('\r') => {
            "does not exist: the file has Windows line ends".to_owned()
        }
        Err(_) => "does not exist".to_owned(),
    };
    Some(format!("its interpreter `{}` {why}", name.trim_end()))
}

/// A program that is not there: as a path, relative to `from`, or by name in `PATH`.
fn missing(
    program: &Path,
    what: &str,
    from: &Path,
    entry: &Entry,
    environment: &Environment,
) -> Option<Problem> {
    let path = entry.launch.env.get("PATH").map(String::as_str);
    let search = path.or_else(|| environment.get("PATH")).unwrap_or_default();
    let mut places: Vec<PathBuf> = if program.components().count() > 1 {
        vec![from.join(program)]
    } else {
        std::env::split_paths(search).map(|directory| directory.join(program)).collect()
    };
    if let [path] = &places[..]
        && path.is_dir()
    {
        let message = format!("{what} `{}` is a directory: it cannot start", program.display());
        return Some(cannot_start(entry, message));
    }
    places.retain(|path| path.is_file());
    let can_run =
        |path: &PathBuf| path.metadata().is_ok_and(|about| about.permissions().mode() & 0o111 != 0);
    let shown = program.display();
    match places.first() {
        None => Some(cannot_start(entry, format!("no {what} `{shown}`: it cannot start"))),
        Some(path) if places.iter().any(can_run) => missing_interpreter(path).map(|problem| {
            cannot_start(entry, format!("{what} `{}`: {problem}: it cannot start", path.display()))
        }),
        Some(path) => {
            let message = format!("{what} `{}` is not executable: it cannot start", path.display());
            Some(cannot_start(entry, message).hint("chmod +x, or name its interpreter first"))
        }
    }
}
