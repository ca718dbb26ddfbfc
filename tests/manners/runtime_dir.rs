//! What tcsd has on disk: who may read it, what becomes of it when somebody removes it, and that
//! one launcher runs a configuration wherever each keeps its files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::{Tcsd, wait_for};

/// Writes its log into files, and is restarted whenever it ends.
const SERVICES: &str = "
  - type: keeps
    variant: a
    restart: always
    restart_sec: 0.05
    restart_max: 0
    launch: {exec: [sh, -c, 'echo hello; ls -l $NOTIFY_SOCKET; exec sleep 1000'], log: {dir: logs}}
";

/// All that is below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        files.extend(files_in(&path));
        files.push(path);
    }
    files
}

fn files_in(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { files(path) } else { Vec::new() }
}

#[test]
fn nobody_else_reads_its_files_whatever_the_umask() {
    for mask in ["000", "022"] {
        let mut tcsd = Tcsd::start(SERVICES, |command| {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &format!("umask {mask}; exec \"$@\""), "sh"]);
            shell.arg(command.get_program()).args(command.get_args());
            let dir = command.get_current_dir().unwrap();
            shell.current_dir(dir).stderr(fs::File::create(dir.join("log")).unwrap());
            shell.env("RUNTIME_DIRECTORY", dir.join("run"));
            *command = shell;
        });
        tcsd.started("keeps.a");
        let logs = tcsd.dir.path().join("logs");
        wait_for("its log file", || (!files(&logs).is_empty()).then_some(()));
        let run = tcsd.dir.path().join("run");
        let mut seen = Vec::new();
        for path in files(&run).into_iter().chain(files(&logs)).chain([run, logs]) {
            // what is written anew has another name for a moment
            let Ok(about) = fs::metadata(&path) else { continue };
            let rights = about.permissions().mode() & 0o777;
            // with passage for services of other users, which only root can start
            let most = match path.extension().and_then(|it| it.to_str()) {
                _ if path.ends_with("logs") => 0o750,
                _ if about.is_dir() => 0o711,
                Some("log") => 0o640,
                Some(_) | None => 0o600,
            };
            assert_eq!(rights & !most, 0, "{}: {rights:o}", path.display());
            seen.push(path);
        }
        assert!(seen.len() >= 7, "lock, journal, socket, log, directories: {seen:?}");
        tcsd.signal(Signal::SIGTERM);
        assert_eq!(tcsd.end(), Some(0));
    }
}

#[test]
fn a_runtime_directory_that_is_removed_is_made_again() {
    let mut tcsd = Tcsd::start(SERVICES, |_| {});
    let first = tcsd.started("keeps.a");
    let run = tcsd.dir.path().join("run");
    // something may be written there just now
    wait_for("its removal", || fs::remove_dir_all(&run).ok());
    nix::sys::signal::kill(first, Signal::SIGKILL).unwrap();
    let names = || {
        let mut names: Vec<_> = files(&run)
            .iter()
            .filter_map(|it| it.extension()?.to_str().map(str::to_owned))
            .collect();
        names.sort_unstable();
        names
    };
    // and, once an event waits to be sent, the note of it
    wait_for("lock and journal", || {
        names().iter().filter(|it| *it != "events").eq(["journal", "lock"]).then_some(())
    });
    wait_for("another process", || {
        (tcsd.read("log").matches("keeps.a started, pid").count() >= 2).then_some(())
    });
    tcsd.logged("was removed; it is created again");
    assert!(!tcsd.read("log").contains("without a notify socket"));
    let journal =
        files(&run).into_iter().find(|it| it.extension().is_some_and(|it| it == "journal"));
    wait_for("the new process in the journal", || {
        let text = fs::read_to_string(journal.as_ref().unwrap()).unwrap_or_default();
        text.contains("keeps.a").then_some(())
    });
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
}

#[test]
fn a_second_launcher_of_a_configuration_is_refused_wherever_its_files_are() {
    let mut tcsd = Tcsd::start(SERVICES, |_| {});
    tcsd.started("keeps.a");
    let second = |config: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tcsd"));
        command.arg("--config").arg(config).current_dir("/");
        let output = command.env("RUNTIME_DIRECTORY", tcsd.dir.path().join("other")).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let config = tcsd.dir.path().join("services.yaml");
    let link = tcsd.dir.path().join("link.yaml");
    std::os::unix::fs::symlink(&config, &link).unwrap();
    for config in [config, link] {
        let (code, log) = second(&config);
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("is already supervised on this host: launcher "), "{log}");
        assert!(log.contains(&format!(", pid {}, since ", tcsd.child.id())), "{log}");
        assert!(!log.contains("started, pid"), "{log}");
    }
    tcsd.signal(Signal::SIGKILL);
    tcsd.end();
    // the kernel frees the name with the process
    let mut next = std::process::Command::new(env!("CARGO_BIN_EXE_tcsd"));
    next.arg("--config").arg(tcsd.dir.path().join("services.yaml")).current_dir(tcsd.dir.path());
    next.env("RUNTIME_DIRECTORY", tcsd.dir.path().join("third"));
    next.stderr(fs::File::create(tcsd.dir.path().join("log")).unwrap());
    tcsd.child = next.spawn().unwrap();
    tcsd.started("keeps.a");
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
}

#[test]
fn a_runtime_directory_with_a_long_path_is_no_obstacle() {
    let long = "a".repeat(120);
    let mut tcsd = Tcsd::start(SERVICES, |command| {
        let dir = command.get_current_dir().unwrap().join(&long).join("run");
        command.env("RUNTIME_DIRECTORY", dir);
    });
    tcsd.started("keeps.a");
    // `ls` prints what it has found
    tcsd.logged("/1");
    assert!(!tcsd.read("log").contains("without a notify socket"));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
}
