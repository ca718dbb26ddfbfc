//! Shows the steps, asks, and carries them out.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, User};
use tcs_core::service::log::say;

use super::facts::below;
use super::{Facts, Options, Plan, Step, plan, removal};
use crate::stdout::print;

/// How the command was called.
#[derive(Debug, Clone)]
pub(crate) struct How {
    /// Show the steps only.
    pub(crate) dry_run: bool,
    /// Do not ask.
    pub(crate) yes: bool,
    /// Write below this folder, and run nothing.
    pub(crate) root: Option<PathBuf>,
}

/// `tcsd install`.
pub(crate) fn install(options: &Options, how: &How) -> io::Result<ExitCode> {
    run(options, how, |facts| plan(options, facts))
}

/// `tcsd uninstall`.
pub(crate) fn uninstall(options: &Options, how: &How, purge: bool) -> io::Result<ExitCode> {
    run(options, how, |facts| removal(options, facts, purge))
}

fn run(
    options: &Options,
    how: &How,
    plan: impl FnOnce(&Facts) -> Result<Plan, String>,
) -> io::Result<ExitCode> {
    // `//` is this host, too
    let is_elsewhere = |root: &&Path| root.canonicalize().is_ok_and(|it| it != Path::new("/"));
    let given = how.root.as_deref().filter(|root| !root.exists() || is_elsewhere(root));
    let root = given.unwrap_or(Path::new("/"));
    let plan = match Facts::gather(root, options).and_then(|facts| plan(&facts)) {
        Ok(plan) => plan,
        Err(why) => {
            say(&format!("error: {why}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    if plan.steps.is_empty() {
        print("nothing to do")?;
    }
    for step in &plan.steps {
        print(&step.to_string())?;
    }
    if !how.dry_run && !plan.steps.is_empty() {
        if !how.yes && !confirmed()? {
            say("nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
        // files say which rights they have; folders above them are not to be open to all, nor to nobody
        umask(Mode::from_bits_truncate(0o022));
        fs::create_dir_all(root)?;
        for step in &plan.steps {
            if let Err(error) = carry_out(step, given) {
                say(&format!(
                    "error: {step}: {error}\nhint: run the command again when this is solved"
                ));
                return Ok(ExitCode::FAILURE);
            }
        }
        print("done")?;
    }
    for note in &plan.notes {
        print(&format!("note: {note}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn confirmed() -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        say("error: there is no terminal to ask on\nhint: look at the steps, then add --yes");
        return Ok(false);
    }
    print("Do this? [y/N]")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// With a root of its own users are not made, owners not set and commands not run.
fn carry_out(step: &Step, root: Option<&Path>) -> io::Result<()> {
    let at = |path: &Path| root.map_or_else(|| Ok(path.to_owned()), |root| inside(root, path));
    let own = |path: &Path, owner: Option<&str>| match owner {
        Some(owner) if root.is_none() => chown(path, owner),
        _ => Ok(()),
    };
    match step {
        Step::User { name, home } if root.is_none() => command(&[
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            *home,
            "--shell",
            "/usr/sbin/nologin",
            *name,
        ]),
        Step::Group { name } if root.is_none() => command(&["groupadd", "--system", *name]),
        Step::Run { command: words } if root.is_none() => {
            command(&words.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Step::User { .. } | Step::Group { .. } | Step::Run { .. } | Step::Keep { .. } => Ok(()),
        Step::Folder { path, mode, owner } => {
            let path = at(path)?;
            fs::create_dir_all(&path)?;
            own(&path, *owner)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))
        }
        Step::Copy { from, to } => replace(&at(to)?, 0o755, None, own, |file| {
            io::copy(&mut fs::File::open(from)?, file).map(drop)
        }),
        Step::Write { path, text, mode, owner, .. } => {
            replace(&at(path)?, *mode, *owner, own, |file| file.write_all(text.as_bytes()))
        }
        Step::Remove { path } => {
            let path = at(path)?;
            if path.symlink_metadata()?.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            }
        }
    }
}

/// A path below another root. No link on the way may lead out of it: this host would be changed.
fn inside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let path = below(root, path);
    let is_there = |it: &&Path| it.symlink_metadata().is_ok();
    let above = path.ancestors().skip(1).find(is_there).unwrap_or(root);
    if above.canonicalize()?.starts_with(root.canonicalize()?) {
        return Ok(path);
    }
    Err(io::Error::other(format!("{} leads out of {}", above.display(), root.display())))
}

/// Writes a file beside `path` and puts it in its place: a program that runs can be replaced, and nobody
/// reads a password before the rights are set.
fn replace(
    path: &Path,
    mode: u32,
    owner: Option<&str>,
    own: impl Fn(&Path, Option<&str>) -> io::Result<()>,
    write: impl FnOnce(&mut fs::File) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::remove_file(&new).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    write(&mut file)?;
    file.sync_all()?;
    own(&new, owner)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(&new, path)
}

/// `user:group`.
fn chown(path: &Path, owner: &str) -> io::Result<()> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
    let unknown = || io::Error::other(format!("there is no user or group of {owner}"));
    let uid: Uid = User::from_name(user)?.ok_or_else(unknown)?.uid;
    let gid: Gid = Group::from_name(group)?.ok_or_else(unknown)?.gid;
    Ok(nix::unistd::chown(path, Some(uid), Some(gid))?)
}

fn command(words: &[&str]) -> io::Result<()> {
    let (program, arguments) = words.split_first().expect("a command has a program");
    // after `su` without `-` there are no programs of the system in PATH
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let path = path.chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
    let path = std::env::join_paths(path).map_err(io::Error::other)?;
    let status = Command::new(program).args(arguments).env("PATH", path).status();
    let status =
        status.map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}
