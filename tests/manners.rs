//! `tcsd` as a daemon: its words to a service manager, signals, exit codes.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{Parcel, Publisher, hostname};
use tcs_core::bus::rpc::RequestError;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::id::{LauncherId, ObjectName};
use tcs_core::wire::Timestamp;

#[path = "support/nats.rs"]
mod nats;

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
            log.split_once(&line)?.1.lines().next()?.parse().ok()
        });
        Pid::from_raw(pid)
    }

    /// The pid of a service that hears no signal, once that is so.
    fn deaf(&self, id: &str) -> Pid {
        let pid = self.started(id);
        wait_for(id, || Some(self.read(&format!("deaf.{pid}"))).filter(|it| !it.is_empty()));
        pid
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
    tcsd.deaf("slow.a");
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

fn is_there(pid: Pid) -> bool {
    nix::sys::signal::kill(pid, None).is_ok()
}

#[test]
fn a_second_signal_kills_what_does_not_stop() {
    let services = "  - {type: slow, variant: a, launch: {stop_timeout: 3600, exec: $DEAF}}\n";
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGINT, Signal::SIGTERM)] {
        let mut tcsd = Tcsd::start(services, |_| {});
        let pid = tcsd.deaf("slow.a");
        tcsd.signal(first);
        tcsd.logged("slow.a is stopped: shutdown");
        assert!(is_there(pid));
        tcsd.signal(second);
        assert_eq!(tcsd.end(), Some(1), "something was killed");
        assert!(!is_there(pid));
        tcsd.logged("slow.a stopped: force_killed, code -9");
    }
}

#[test]
fn the_terminate_delay_is_the_grace_of_entries_that_name_none() {
    let services = "
  - {type: short, variant: a, launch: {exec: $DEAF}}
  - {type: long, variant: a, launch: {stop_timeout: 3600, exec: $DEAF}}
";
    let mut tcsd = Tcsd::start(services, |command| {
        command.args(["--terminate-delay", "0.3"]);
    });
    let (_, long) = (tcsd.deaf("short.a"), tcsd.deaf("long.a"));
    tcsd.signal(Signal::SIGTERM);
    tcsd.logged("short.a stopped: force_killed, code -9");
    assert!(is_there(long));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(1));
}

#[test]
fn the_exit_code_says_whether_all_that_was_wanted_ran() {
    let cases = [
        ("[sleep, '1000']", "no", "x.a ready", 0),
        ("['true']", "no", "x.a stopped: completed", 0),
        ("['false']", "no", "x.a crashed", 1),
        // it is being tried again and again
        ("['false']", "always", "x.a crashed", 1),
        ("[/nowhere/program]", "no", "x.a failed", 1),
    ];
    for (exec, restart, seen, code) in cases {
        let services = format!(
            "  - {{type: x, variant: a, restart: {restart}, restart_sec: 3600, launch: {{exec: {exec}}}}}\n"
        );
        let mut tcsd = Tcsd::start(&services, |_| {});
        tcsd.logged(seen);
        tcsd.signal(Signal::SIGINT);
        assert_eq!(tcsd.end(), Some(code), "{exec}, {restart}");
    }
}

/// A launcher in a terminal; its log is what stands on it.
struct Terminal {
    master: Option<Box<dyn portable_pty::MasterPty + Send>>,
    tcsd: Box<dyn portable_pty::Child + Send + Sync>,
    shown: Arc<Mutex<String>>,
    closed: Arc<AtomicBool>,
    dir: tempfile::TempDir,
}

impl Terminal {
    fn start(services: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_config(dir.path(), services);
        let pair = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default());
        let pair = pair.unwrap();
        let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_tcsd"));
        command.args(["--config", "services.yaml"]);
        command.cwd(dir.path());
        command.env("RUNTIME_DIRECTORY", dir.path().join("run"));
        let tcsd = pair.slave.spawn_command(command).unwrap();
        let (shown, closed) = (Arc::<Mutex<String>>::default(), Arc::<AtomicBool>::default());
        let (to, is_closed) = (Arc::clone(&shown), Arc::clone(&closed));
        let mut output = pair.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut output, &mut buffer) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
                if is_closed.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        Self { master: Some(pair.master), tcsd, shown, closed, dir }
    }

    fn shows(&self, text: &str) {
        wait_for(text, || self.shown.lock().unwrap().contains(text).then_some(()));
    }

    fn end(&mut self) -> u32 {
        wait_for("its end", || self.tcsd.try_wait().unwrap()).exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tcsd.kill();
        let _ = self.tcsd.wait();
        if std::thread::panicking() {
            eprintln!("--- on the terminal\n{}", self.shown.lock().unwrap());
        }
    }
}

/// It writes what it hears to the file `heard`.
const LISTENER: &str = "
  - type: x
    variant: a
    launch:
      exec:
        - sh
        - -c
        - |
          trap 'echo INT >> heard' INT
          trap 'echo TERM >> heard; exit 0' TERM
          trap 'echo HUP >> heard' HUP
          echo listening > heard
          while :; do sleep 0.05; done
";

#[test]
fn ctrl_c_in_a_terminal_is_for_the_launcher_alone() {
    let mut terminal = Terminal::start(LISTENER);
    let heard = terminal.dir.path().join("heard");
    let heard = || std::fs::read_to_string(&heard).unwrap_or_default();
    wait_for("the listener", || heard().contains("listening").then_some(()));
    let mut keys = terminal.master.as_ref().unwrap().take_writer().unwrap();
    keys.write_all(b"\x03").unwrap();
    terminal.shows("SIGINT: stopping all services");
    assert_eq!(terminal.end(), 0);
    assert_eq!(heard(), "listening\nTERM\n", "asked once, by the launcher");
}

#[test]
fn a_terminal_that_hangs_up_asks_for_a_stop() {
    let mut terminal = Terminal::start(LISTENER);
    let heard = terminal.dir.path().join("heard");
    let heard = || std::fs::read_to_string(&heard).unwrap_or_default();
    wait_for("the listener", || heard().contains("listening").then_some(()));
    let pid = Pid::from_raw(terminal.tcsd.process_id().unwrap().cast_signed());
    // as long as the terminal is there, the signal is a wish for a reload
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    terminal.shows("nothing has changed (1 service)");
    // the reader lets go of it with the next thing that is written
    terminal.master = None;
    terminal.closed.store(true, Ordering::Relaxed);
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    assert_eq!(terminal.end(), 0);
    assert_eq!(heard(), "listening\nTERM\n", "asked once, by the launcher");
}

#[test]
fn a_reader_that_goes_away_does_not_take_the_launcher_with_it() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut tcsd = Tcsd::start(LISTENER, |command| {
        command.stderr(writer.try_clone().unwrap()).stdout(writer);
    });
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut line).unwrap();
    assert!(line.contains("tcsd"), "{line}");
    wait_for("the listener", || tcsd.read("heard").contains("listening").then_some(()));
    // this is logged, too
    tcsd.signal(Signal::SIGHUP);
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
    assert_eq!(tcsd.read("heard"), "listening\nTERM\n");
}

/// The launcher of a file, asked as `tcsctl` does.
struct Remote {
    bus: Bus,
    launcher: ObjectName,
}

impl Remote {
    async fn new(server: &nats::Server, tcsd: &Tcsd) -> Self {
        let section = NatsSection { port: Some(server.port()), ..NatsSection::default() };
        let settings = Settings::from_process(&section, None).unwrap();
        let bus = Bus::connect(&settings, "test", LIMIT).await.unwrap();
        let cwd = tcsd.dir.path().display().to_string();
        let id = LauncherId::derive("services.yaml", &cwd, &hostname(), "process").unwrap();
        Self { bus, launcher: id.object_name() }
    }

    async fn ask(&self, command: &str, data: &Value) -> Result<Value, RequestError> {
        let answer = self.bus.request(self.launcher.as_str(), command, data, LIMIT).await;
        answer.map(Value::Object)
    }

    /// The launcher's list, once it is as wanted.
    async fn list(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = tcs_core::clock::monotonic();
        loop {
            match self.ask("list", &json!({})).await {
                Ok(list) if is_so(&list) => return list,
                other => assert!(start.elapsed() < LIMIT, "in vain: {other:#?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn listed<'a>(list: &'a Value, id: &str) -> &'a Value {
    let services = list["services"].as_array().unwrap();
    services.iter().find(|it| it["service_id"] == id).unwrap_or(&Value::Null)
}

/// `tcsd plan` from anywhere: exit code, standard output, standard error.
fn plan(tcsd: &Tcsd) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
    command.arg("plan").arg("--config").arg(tcsd.dir.path().join("services.yaml"));
    let output = command.current_dir("/").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_it_changes_and_a_plan_what_it_would() {
    let server = nats::Server::start(&nats::server()).await;
    let file = |nats: &str, services: &str| {
        let port = server.port();
        format!("nats: {{host: 127.0.0.1, port: {port}{nats}}}\nservices:\n{services}")
    };
    let sleeps = "exec: [sleep, '1000']";
    let before = format!(
        "  - {{type: stays, variant: a, launch: {{{sleeps}}}}}
  - {{type: env, variant: a, launch: {{{sleeps}, env: {{A: one}}}}}}
  - {{type: level, variant: a, launch: {{{sleeps}}}}}
  - {{type: down, variant: a, gain: 1, launch: {{{sleeps}, enabled: false}}}}
  - {{type: gone, variant: a, launch: {{{sleeps}}}}}
"
    );
    let after = format!(
        "  - {{type: new, variant: a, launch: {{{sleeps}}}}}
  - {{type: stays, variant: a, launch: {{{sleeps}}}}}
  - {{type: env, variant: a, restart: always, launch: {{{sleeps}, env: {{A: two}}}}}}
  - {{type: level, variant: a, launch: {{{sleeps}, level: 1}}}}
  - {{type: down, variant: a, gain: 2, launch: {{{sleeps}, enabled: false}}}}
"
    );
    let mut tcsd = Tcsd::start(&file("", &before), |_| {});
    let remote = Remote::new(&server, &tcsd).await;
    let is = |list: &Value, id: &str, status: &str| listed(list, id)["status"] == status;
    let old = remote
        .list(|list| {
            ["stays.a", "env.a", "level.a", "gone.a"].iter().all(|id| is(list, id, "running"))
        })
        .await;
    assert_eq!(plan(&tcsd).1, "nothing has changed (5 services)\n");

    // it says that it is busy
    let status = json!({"name": "env.a", "status": "busy", "hostname": hostname(),
        "timestamp": Timestamp::new(tcs_core::clock::wall())});
    let parcel = Parcel::new(remote.bus.subjects().status("env.a"), &status).unwrap();
    Publisher::new(remote.bus.clone()).send(&parcel).await.unwrap();
    remote.list(|list| listed(list, "env.a")["busy"] == true).await;

    write_config(tcsd.dir.path(), &file("", &after));
    let (code, planned, told) = plan(&tcsd);
    let lines = "added    new.a  starts
changed  env.a  restarts, BUSY now  (launch.env, restart)
changed  level.a  goes on  (launch.level)
changed  down.a  is not started  (gain)
removed  gone.a  stops
1 unchanged
";
    assert_eq!((code, planned.as_str()), (Some(0), lines), "{told}");
    assert!(told.contains(&format!("{} would, on a reload:", remote.launcher.as_str())), "{told}");
    let list = remote.list(|_| true).await;
    for id in ["stays.a", "env.a", "gone.a"] {
        assert_eq!(listed(&list, id)["pid"], listed(&old, id)["pid"], "nothing was done");
    }

    let answer = remote.ask("reload", &json!({})).await.unwrap();
    let of = |id: &str| listed(&answer, id);
    assert_eq!(answer["unchanged"], 1, "{answer:#}");
    assert_eq!(
        (&of("new.a")["change"], &of("new.a")["result"]),
        (&json!("added"), &json!("started"))
    );
    assert_eq!(of("env.a")["fields"], json!(["launch.env", "restart"]));
    assert_eq!(
        (&of("env.a")["then"], &of("env.a")["result"]),
        (&json!("restarts"), &json!("started"))
    );
    assert_eq!(
        (&of("level.a")["then"], &of("level.a")["result"]),
        (&json!("goes_on"), &json!("updated"))
    );
    assert_eq!(
        (&of("gone.a")["change"], &of("gone.a")["result"]),
        (&json!("removed"), &json!("stopped"))
    );
    let list = remote.list(|_| true).await;
    for (id, same) in [("stays.a", true), ("level.a", true), ("env.a", false)] {
        assert_eq!(listed(&list, id)["pid"] == listed(&old, id)["pid"], same, "{id}");
    }
    // in the log, too
    for line in lines.lines() {
        assert!(tcsd.read("log").contains(line), "{line}");
    }

    // removed, and there again before it has ended
    let deaf = format!(
        "{after}  - {{type: deaf, variant: a, launch: {{stop_timeout: 1, exec: $DEAF}}}}\n"
    );
    write_config(tcsd.dir.path(), &file("", &deaf));
    remote.ask("reload", &json!({})).await.unwrap();
    let pid = tcsd.deaf("deaf.a");
    write_config(tcsd.dir.path(), &file("", &after));
    tcsd.signal(Signal::SIGHUP);
    tcsd.logged("removed  deaf.a  stops");
    write_config(tcsd.dir.path(), &file("", &deaf));
    let answer = remote.ask("reload", &json!({})).await.unwrap();
    assert_eq!(listed(&answer, "deaf.a")["result"], "started", "{answer:#}");
    assert_ne!(listed(&answer, "deaf.a")["pid"], pid.as_raw());

    // what tcsd itself would have to be started again for
    write_config(tcsd.dir.path(), &file(", user: nobody, password: x", &after));
    assert!(plan(&tcsd).1.starts_with("note: `nats` has changed: tcsd itself stays"));
    tcsd.signal(Signal::SIGHUP);
    tcsd.logged("note: `nats` has changed: tcsd itself stays on its broker");

    // a mistake changes nothing, and is said with its place
    write_config(tcsd.dir.path(), &file("", "  - {type: stays, variant: a.b}\n"));
    let (code, planned, told) = plan(&tcsd);
    assert_eq!((code, planned.as_str()), (Some(1), ""));
    assert!(told.contains("services.yaml:3:28: error: "), "{told}");
    let refused = remote.ask("reload", &json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("services.yaml:3:28: error: "), "{refused}");
    assert!(is(&remote.list(|_| true).await, "stays.a", "running"));

    write_config(tcsd.dir.path(), &file("", &before));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
    let (code, planned, told) = plan(&tcsd);
    assert!(told.contains("no launcher of ") && told.contains("what a start would do"), "{told}");
    assert_eq!(code, Some(0));
    assert!(planned.starts_with("added    stays.a  starts\n"), "{planned}");
    assert!(planned.contains("added    down.a  is not started\n"), "{planned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_required_is_waited_for() {
    let mut server = nats::Server::start(&nats::server()).await;
    server.stop();
    let file = format!(
        "nats: {{host: 127.0.0.1, port: {}}}
services: [{{type: x, variant: a, launch: {{exec: [sleep, '1000']}}}}]
",
        server.port()
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let mut manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    // nobody has to wait for its end
    let mut in_vain = Tcsd::start(&file, |_| {});
    in_vain.logged("waiting for the broker (the server cannot be reached), nothing runs yet");
    in_vain.logged("hint: with `nats: {required: false}`");
    in_vain.signal(Signal::SIGTERM);
    assert_eq!(in_vain.end(), Some(1), "what was wanted has not run");
    assert!(!in_vain.read("log").contains("x.a"));

    let mut tcsd = Tcsd::start(&file, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    manager.hears("STATUS=waiting for the broker");
    manager.hears("EXTEND_TIMEOUT_USEC=");
    assert!(!tcsd.read("log").contains("x.a"));
    server.run().await;
    manager.hears("READY=1");
    tcsd.started("x.a");
    // once is enough
    server.kill();
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
}

/// A stand-in for the framework of the Python fleet, which is not on a package index: as there,
/// `@service` leaves the type on the class (ocabox-tcs 1.0, `base_service.py`).
const FRAMEWORK: &str = "
class BaseService:
    @classmethod
    def main(cls):
        pass

def service(type):
    def register(cls):
        cls._service_type = type
        return cls
    return register
";

#[test]
fn a_check_tries_what_would_run() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("framework/ocabox_tcs/__init__.py", "");
    write("framework/ocabox_tcs/base_service.py", FRAMEWORK);
    let registers = |kind: &str| {
        format!(
            "from ocabox_tcs.base_service import BaseService, service
print('noise')
@service('{kind}')
class It(BaseService):
    pass
"
        )
    };
    write("good.py", &registers("good"));
    write("other.py", &registers("renamed"));
    write("nothing.py", "x = 1\n");
    write("broken.py", "import no_such_library\n");
    write("leaves.py", "import sys\nsys.exit(0)\n");
    // it is a program: run at its top level, which only its launcher does
    write("program.py", "open('was_run', 'w')\n");
    write("typo.py", "def f(:\n");
    write("plain", "#!/bin/sh\n");
    let framework = dir.path().join("framework").display().to_string();
    let entry = |kind: &str, module: &str| {
        format!(
            "  - {{type: {kind}, variant: a, module: {module}, launch: {{env: {{PYTHONPATH: '{framework}'}}}}}}\n"
        )
    };
    let good = entry("good", "good");
    let alone = "  - {type: program, variant: a, module: program}\n";
    let check = |services: &str, args: &[&str]| {
        write_config(dir.path(), services);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        command.args(["check", "--config", "services.yaml"]).args(args).current_dir(dir.path());
        command.env_remove("VIRTUAL_ENV");
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };

    let (code, out, told) = check(&format!("{good}{alone}"), &[]);
    assert_eq!((code, told.as_str()), (Some(0), ""));
    assert!(out.contains("good.a: Python, python3 -m good; restart no"), "{out}");
    assert!(!dir.path().join("was_run").exists());

    let (code, _, told) = check(&entry("other", "other"), &[]);
    assert_eq!(code, Some(0));
    assert!(
        told.contains(
            "services.yaml:3:5: warning: module `other` (by python3) registers `renamed`: "
        ),
        "{told}"
    );
    assert!(told.contains("hint: write `type: renamed`"), "{told}");

    let bad = [
        ("broken", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("absent", "ModuleNotFoundError: No module named 'absent'"),
        ("nothing", "registers no service"),
        ("leaves", "SystemExit: 0"),
        ("typo", "SyntaxError: "),
    ];
    let services: String = bad.iter().map(|(module, _)| entry(module, module)).collect();
    let (code, _, told) = check(&services, &[]);
    assert_eq!(code, Some(1), "{told}");
    for (line, (module, why)) in bad.iter().enumerate() {
        let place = format!("services.yaml:{}:5: error: module `{module}` (by python3)", line + 3);
        let found = told.lines().find(|line| line.starts_with(&place));
        assert!(found.is_some_and(|line| line.contains(why)), "{module}: {told}");
    }
    let typo = "  - {type: typo, variant: a, module: typo}\n";
    assert!(check(typo, &[]).2.contains("SyntaxError: "), "without the framework, too");
    assert_eq!(check(&services, &["--no-import"]).0, Some(0));

    let programs = "
  - {type: a, variant: a, launch: {exec: [./plain]}}
  - {type: b, variant: a, launch: {exec: [/nowhere/program]}}
  - {type: c, variant: a, launch: {exec: [sh], cwd: /nowhere}}
  - {type: d, variant: a, launch: {exec: [sh], user: no-such-user}}
  - {type: e, variant: a, launch: {exec: [/nowhere/program], enabled: false}}
";
    let (code, _, told) = check(programs, &[]);
    assert_eq!(code, Some(1));
    for (line, what) in [
        (4, "error: program `./plain` is not executable"),
        (5, "error: no program `/nowhere/program`"),
        (6, "error: no directory `/nowhere`"),
        (7, "error: no user `no-such-user`"),
        (8, "warning: no program `/nowhere/program`"),
    ] {
        assert!(told.contains(&format!("services.yaml:{line}:5: {what}")), "{told}");
    }
}
