//! Signals, terminals, exit codes.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{Tcsd, wait_for, write_config};

fn is_there(pid: Pid) -> bool {
    nix::sys::signal::kill(pid, None).is_ok()
}

/// As `pgrep` and `ps` show them: by the name of the program, whatever it was started through.
#[test]
fn its_processes_go_by_its_name() {
    let mut tcsd = Tcsd::start("  - {type: hello_world, variant: a}\n", |_| {});
    let service = tcsd.started("hello_world.a");
    tcsd.logged("svc|hello_world.a: Service running");
    let read =
        |pid: i32, name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    for pid in [tcsd.child.id().cast_signed(), service.as_raw()] {
        assert_eq!(read(pid, "comm"), "tcsd\n");
        assert!(read(pid, "cmdline").starts_with(env!("CARGO_BIN_EXE_tcsd")));
    }
    assert!(read(service.as_raw(), "cmdline").contains("\0__service\0hello_world\0"));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
}

#[test]
fn a_second_signal_kills_what_does_not_stop() {
    let services = "  - {type: slow, variant: a, launch: {stop_timeout: 3600, exec: $DEAF}}\n";
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGINT, Signal::SIGTERM)] {
        let mut tcsd = Tcsd::start(services, |_| {});
        let pid = tcsd.deaf("slow.a");
        tcsd.signal(first);
        tcsd.logged("slow.a stopping: shutdown");
        assert!(is_there(pid));
        // within the same moment it is the same signal: `timeout` sends two
        tcsd.signal(second);
        assert_eq!(tcsd.insist(second), Some(1), "something was killed");
        assert!(!is_there(pid));
        tcsd.logged("slow.a stopped: force killed, SIGKILL");
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
    tcsd.logged("short.a stopped: force killed, SIGKILL");
    assert!(is_there(long));
    assert_eq!(tcsd.insist(Signal::SIGTERM), Some(1));
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
    assert!(line.contains("tcs"), "{line}");
    wait_for("the listener", || tcsd.read("heard").contains("listening").then_some(()));
    // this is logged, too
    tcsd.signal(Signal::SIGHUP);
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
    assert_eq!(tcsd.read("heard"), "listening\nTERM\n");
}
