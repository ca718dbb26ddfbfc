//! What a service manager is told, over a real socket.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::sys::signal::Signal;
use tcs_testkit::nats;

use super::{Tcsd, wait_for, write_config};

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
  - {type: slow, variant: a, launch: {stop_timeout: 5, exec: $DEAF}}
";
    let mut tcsd = Tcsd::start(services, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    });
    manager.hears("READY=1");
    manager.hears("STATUS=2 running");
    tcsd.deaf("slow.a");
    // not once only, and less often than would fill the queue of a manager that is slow
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

/// A service of ours inherits the variable and not the socket, and one says itself how bad it is.
#[test]
fn the_journal_is_told_how_bad_a_line_is() {
    let services = "
  - {type: hello_world, variant: a}
  - {type: loud, variant: a, launch: {exec: [sh, -c, 'echo \"[ERROR] x: lost\" >&2; exec sleep 1000']}}
  - {type: missing, variant: a, launch: {exec: [/nowhere/program]}}
";
    // as good as the journal's socket
    let journal = tempfile::NamedTempFile::new().unwrap();
    let known = journal.as_file().metadata().unwrap();
    let mut tcsd = Tcsd::start(services, |command| {
        command.env("JOURNAL_STREAM", format!("{}:{}", known.dev(), known.ino()));
        command.stderr(journal.reopen().unwrap());
    });
    let read = || std::fs::read_to_string(journal.path()).unwrap();
    let wanted = ["svc|loud.a: x: lost", "svc|hello_world.a: Service running", "missing.a failed"];
    wait_for("its lines", || wanted.iter().all(|it| read().contains(it)).then_some(()));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(1));
    for line in read().lines() {
        let level = match line.get(..3) {
            Some("<3>") => "[ERROR]",
            Some("<4>") => "[WARNING]",
            Some("<6>") => "[INFO ]",
            _ => panic!("{line}"),
        };
        assert!(line[3..].starts_with(level), "once, and as it is: {line}");
    }
}

#[test]
fn a_manager_that_is_not_there_keeps_nobody_from_working() {
    let mut tcsd =
        Tcsd::start("  - {type: a, variant: b, launch: {exec: [sleep, '1000']}}\n", |command| {
            command.env("NOTIFY_SOCKET", "/nowhere/notify");
        });
    tcsd.logged("cannot notify the service manager: NOTIFY_SOCKET=/nowhere/notify");
    tcsd.logged("a.b started");
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
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
    in_vain.logged("waiting for the broker (connection refused); no service is started yet");
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
