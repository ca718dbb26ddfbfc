//! `tcsd` as a daemon: its words to a service manager, signals, exit codes, reloads, checks.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

#[path = "manners/check.rs"]
mod check;
#[path = "manners/connecting.rs"]
mod connecting;
#[path = "manners/daemons.rs"]
mod daemons;
#[path = "manners/reload.rs"]
mod reload;
#[path = "manners/runtime_dir.rs"]
mod runtime_dir;
#[path = "manners/signals.rs"]
mod signals;
#[path = "manners/starts.rs"]
mod starts;
#[path = "manners/systemd.rs"]
mod systemd;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Generous: the machine may be busy.
const LIMIT: Duration = Duration::from_mins(1);

/// No broker, and none needed.
const ALONE: &str = "nats: {host: 127.0.0.1, port: 1, required: false}\n";

fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(LIMIT, what, look)
}

fn wait_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = tcs_core::clock::monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A launcher with a folder of its own; killed, not asked, should the test fail.
struct Tcsd {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Tcsd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of tcsd\n{}", self.read("log"));
        }
    }
}

impl Tcsd {
    /// `set` may add to the command; `$DEAF` in the services is a program that hears no signal,
    /// and says so (`Tcsd::deaf`).
    fn start(services: &str, set: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_config(dir.path(), services);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        command.args(["--config", "services.yaml"]).current_dir(dir.path()).stdin(Stdio::null());
        command.env("RUNTIME_DIRECTORY", dir.path().join("run"));
        command.stderr(std::fs::File::create(dir.path().join("log")).unwrap());
        set(&mut command);
        Self { child: command.spawn().unwrap(), dir }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    fn logged(&self, text: &str) {
        wait_for(text, || self.read("log").contains(text).then_some(()));
    }

    fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn started(&self, id: &str) -> Pid {
        let line = format!("{id} started, pid ");
        let pid = wait_for(&line, || {
            let log = self.read("log");
            log.split_once(&line)?.1.split_once(':')?.0.parse().ok()
        });
        Pid::from_raw(pid)
    }

    /// The pid of a service that hears no signal, once that is so.
    fn deaf(&self, id: &str) -> Pid {
        let pid = self.started(id);
        wait_for(id, || Some(self.read(&format!("deaf.{pid}"))).filter(|it| !it.is_empty()));
        pid
    }

    /// Sends a signal until it helps.
    fn insist(&mut self, signal: Signal) -> Option<i32> {
        let ended = wait_for("its end", || {
            self.signal(signal);
            self.child.try_wait().unwrap()
        });
        ended.code()
    }

    fn end(&mut self) -> Option<i32> {
        wait_for("its end", || self.child.try_wait().unwrap()).code()
    }
}

fn write_config(dir: &Path, services: &str) {
    let deaf =
        "[sh, -c, 'trap \"\" TERM INT HUP; echo deaf > deaf.$$; while :; do sleep 1000; done']";
    let services = services.replace("$DEAF", deaf);
    // a whole file, or a list of services
    let whole = services.contains("services:");
    let text = if whole { services } else { format!("{ALONE}services:\n{services}") };
    std::fs::write(dir.join("services.yaml"), text).unwrap();
}
