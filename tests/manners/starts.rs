//! Whatever started tcsd: signals that were blocked or ignored, and those that come at once.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tcs_core::service::signals::SAME_REQUEST;
use tcs_testkit::programs::badchild;

use super::{Tcsd, wait_for};

/// Started through another program, which becomes tcsd.
fn through(services: &str, program: &mut Command) -> Tcsd {
    Tcsd::start(services, |tcsd| {
        program.arg(tcsd.get_program()).args(tcsd.get_args());
        program.current_dir(tcsd.get_current_dir().unwrap()).stdin(Stdio::null());
        for (name, value) in tcsd.get_envs() {
            program.env(name, value.unwrap());
        }
        let log = tcsd.get_current_dir().unwrap().join("log");
        program.stderr(std::fs::File::create(log).unwrap());
        std::mem::swap(tcsd, program);
    })
}

/// Of a process: `SigBlk`, `SigIgn` or `SigCgt`, a bit for each signal from 1.
fn mask(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let mask = u64::from_str_radix(line.trim_start_matches(':').trim(), 16).ok()?;
    // the C library keeps 32 and 33 for itself
    Some(mask & !(0b11 << 31))
}

/// A process that runs, and one that ends well.
const SERVICES: &str = "
  - {type: stays, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: ends, variant: a, restart: no, launch: {exec: ['true']}}
";

#[test]
fn signals_that_its_parent_ignores_are_not_ignored() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' CHLD HUP INT QUIT USR1 USR2 TERM; exec \"$@\"", "sh"]);
    let mut tcsd = through(SERVICES, &mut shell);
    tcsd.logged("ends.a stopped: completed");
    let child = tcsd.started("stays.a").as_raw().cast_unsigned();
    wait_for("the program", || {
        std::fs::read_to_string(format!("/proc/{child}/comm")).ok().filter(|it| it == "sleep\n")
    });
    assert_eq!((mask(child, "SigIgn"), mask(child, "SigBlk")), (Some(0), Some(0)));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
    tcsd.logged("stays.a stopped: terminated, SIGTERM");
}

#[test]
fn signals_that_its_parent_blocks_are_heard_and_reach_children() {
    let mut blocking = Command::new(badchild());
    // one waits already
    blocking.args(["deaf", "die", "SIGHUP", "exec"]);
    let mut tcsd = through(SERVICES, &mut blocking);
    tcsd.logged("nothing has changed (2 services)");
    tcsd.started("stays.a");
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
    tcsd.logged("stays.a stopped: terminated, SIGTERM");
}

/// From the moment at which it has a handler, a signal never has its usual effect again.
#[test]
fn signals_that_come_while_it_starts_do_not_end_it() {
    let bit = |signal: Signal| 1_u64 << (signal as i32 - 1);
    for _ in 0..10 {
        let mut tcsd = Tcsd::start(SERVICES, |_| {});
        let pid = tcsd.child.id();
        // that it is blocked says nothing: whoever starts a thread, such as the allocator before
        // `main`, blocks all signals meanwhile
        let answered =
            |signal: Signal| mask(pid, "SigCgt").is_some_and(|mask| mask & bit(signal) != 0);
        while !answered(Signal::SIGHUP) {
            assert_eq!(tcsd.child.try_wait().unwrap(), None);
        }
        while !tcsd.read("log").contains("nothing has changed") {
            tcsd.signal(Signal::SIGHUP);
            assert_eq!(tcsd.child.try_wait().unwrap(), None, "SIGHUP has ended it");
        }
        tcsd.signal(Signal::SIGTERM);
        assert_eq!(tcsd.end(), Some(0));
    }
}

/// In a PID namespace of its own, as in a container: with its own `/proc` it is the first process,
/// and reaps whatever ends there; with another's it would look after the wrong processes.
#[test]
fn a_pid_namespace_needs_its_own_proc() {
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork"]).args(args);
        command
    };
    let tried = unshare(&["--mount-proc", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return eprintln!("not tried: a PID namespace needs rights that are not here");
    }
    let mut tcsd = through(SERVICES, &mut unshare(&[]));
    assert_eq!(tcsd.end(), Some(1));
    tcsd.logged("/proc belongs to another PID namespace");

    for mode in ["process", "async"] {
        // neither its child nor a run's: started by somebody else in the namespace
        let foreign = "(setsid sh -c 'sleep 0.2 & echo $! > foreign; exit 0'); exec \"$@\"";
        let mut tcsd = Tcsd::start(SERVICES, |tcsd| {
            tcsd.args(["--launcher", mode]);
            let mut first = unshare(&["--mount-proc", "sh", "-c", foreign, "sh"]);
            first.arg(tcsd.get_program()).args(tcsd.get_args());
            first.current_dir(tcsd.get_current_dir().unwrap()).stdin(Stdio::null());
            for (name, value) in tcsd.get_envs() {
                first.env(name, value.unwrap());
            }
            let log = tcsd.get_current_dir().unwrap().join("log");
            first.stderr(std::fs::File::create(log).unwrap());
            *tcsd = first;
        });
        tcsd.logged("ends.a stopped: completed");
        // pids there are not those here
        let children = |pid: u32| -> Vec<u32> {
            let path = format!("/proc/{pid}/task/{pid}/children");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
        };
        let first = children(tcsd.child.id())[0];
        wait_for("the orphan to be reaped", || {
            let is_done = children(first).iter().all(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
                stat.is_ok_and(|stat| !stat.contains(") Z "))
            });
            let names: Vec<_> = children(first)
                .iter()
                .map(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default())
                .collect();
            let sleeps = names.iter().filter(|name| name.starts_with("sleep")).count();
            (is_done && sleeps == 1).then_some(())
        });
        nix::sys::signal::kill(Pid::from_raw(first.cast_signed()), Signal::SIGTERM).unwrap();
        assert_eq!(tcsd.end(), Some(0), "{mode}");
    }
}

#[test]
fn a_signal_that_reaches_it_twice_is_one_request() {
    let services = "
  - {type: slow, variant: a, launch: {exec: [sh, -c, 'trap \"sleep 1; exit 0\" TERM; echo up > up; while :; do sleep 0.1; done']}}
";
    let twice = || {
        let mut tcsd = Tcsd::start(services, |_| {});
        wait_for("the service", || tcsd.read("up").contains("up").then_some(()));
        let begin = tcs_core::clock::monotonic();
        tcsd.signal(Signal::SIGTERM);
        tcsd.logged("stopping all services");
        tcsd.signal(Signal::SIGTERM);
        let took = begin.elapsed();
        let ended = (tcsd.end(), tcsd.read("log"));
        (took, ended)
    };
    // what comes later is another request: on a busy machine it may come too late
    let (code, log) = wait_for("the second in time", || {
        let (took, ended) = twice();
        (took < SAME_REQUEST / 2).then_some(ended)
    });
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("slow.a stopped: terminated"), "{log}");
}
