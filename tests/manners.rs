//! `tcsd` as a daemon: its words to a service manager, signals, exit codes.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Generous: the machine may be busy.
const LIMIT: Duration = Duration::from_mins(1);

/// No broker, and none needed.
const ALONE: &str = "nats: {host: 127.0.0.1, port: 1, required: false}\n";

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = tcs_core::clock::monotonic();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} in vain: {what}");
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
    /// and writes the file `deaf` as soon as that is so.
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

    fn end(&mut self) -> Option<i32> {
        wait_for("its end", || self.child.try_wait().unwrap()).code()
    }
}

fn write_config(dir: &Path, services: &str) {
    let deaf = "[sh, -c, 'trap \"\" TERM INT HUP; echo deaf > deaf; while :; do sleep 1000; done']";
    let services = services.replace("$DEAF", deaf);
    std::fs::write(dir.join("services.yaml"), format!("{ALONE}services:\n{services}")).unwrap();
}

/// A service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    said: Vec<String>,
}

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, said: Vec::new() }
    }

    /// Waits for a word that begins so; what was said before it is passed over.
    fn hears(&mut self, word: &str) -> String {
        wait_for(&format!("{word}, after {:?}", self.said), || {
            let mut buffer = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                self.said.extend(text.lines().map(str::to_owned));
            }
            let at = self.said.iter().position(|it| it.starts_with(word))?;
            self.said.drain(..=at).next_back()
        })
    }
}

#[test]
fn a_service_manager_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let mut manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let services = "
  - {type: child, variant: a, launch: {exec: [sh, -c, 'echo $NOTIFY_SOCKET,$WATCHDOG_USEC > seen; exec sleep 1000']}}
  - {type: slow, variant: a, launch: {stop_timeout: 2, exec: $DEAF}}
";
    let mut tcsd = Tcsd::start(services, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "500000");
    });
    manager.hears("READY=1");
    manager.hears("STATUS=2 running");
    wait_for("deafness", || (!tcsd.read("deaf").is_empty()).then_some(()));
    // not once only
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    // a child gets a socket of its own, and no watchdog
    let seen = wait_for("the child", || Some(tcsd.read("seen")).filter(|it| it.ends_with('\n')));
    let (socket, watchdog) = seen.trim().split_once(',').unwrap();
    assert!(socket.starts_with(tcsd.dir.path().to_str().unwrap()), "{seen}");
    assert_eq!(watchdog, "");

    let one = services.lines().skip(2).collect::<Vec<_>>().join("\n");
    write_config(tcsd.dir.path(), &one);
    tcsd.signal(Signal::SIGHUP);
    manager.hears("RELOADING=1");
    let at = manager.hears("MONOTONIC_USEC=");
    let at: u128 = at.split_once('=').unwrap().1.parse().unwrap();
    assert!(at > 0 && at <= tcs_core::clock::since_boot().as_micros());
    manager.hears("READY=1");
    manager.hears("STATUS=1 running");

    write_config(tcsd.dir.path(), &format!("{one}\n  - {{type: slow, variant: a.b}}\n"));
    tcsd.signal(Signal::SIGHUP);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    let status = manager.hears("STATUS=1 running; not reloaded: ");
    assert!(status.contains("services.yaml:4:"), "where: {status}");

    tcsd.signal(Signal::SIGTERM);
    manager.hears("STOPPING=1");
    // as long as it takes
    manager.hears("STATUS=1 stopping");
    manager.hears("EXTEND_TIMEOUT_USEC=");
    manager.hears("STATUS=all services have ended");
    assert_eq!(tcsd.end(), Some(0), "killed after its grace, as agreed");
}

#[test]
fn a_service_manager_behind_an_abstract_socket_is_told_why_nothing_starts() {
    let name = format!("tcs-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let mut manager = Manager::new(UnixDatagram::bind_addr(&address).unwrap());
    let services = "  - {type: a, variant: b.c}\n";
    let mut tcsd = Tcsd::start(services, |command| {
        command.env("NOTIFY_SOCKET", format!("@{name}"));
    });
    let status = manager.hears("STATUS=");
    assert!(status.contains("services.yaml:3:"), "where: {status}");
    assert_eq!(tcsd.end(), Some(1));
}

#[test]
fn a_manager_that_is_not_there_keeps_nobody_from_working() {
    let mut tcsd =
        Tcsd::start("  - {type: a, variant: b, launch: {exec: [sleep, '1000']}}\n", |command| {
            command.env("NOTIFY_SOCKET", "/nowhere/notify");
        });
    tcsd.logged("the service manager is not told anything: NOTIFY_SOCKET=/nowhere/notify");
    tcsd.logged("a.b started");
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
}
