//! Programs that go to the background, and those that hide: one instance, ever, and none after the
//! end.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Tcsd, wait_for, wait_within};

/// A file that each instance locks for its life, and a file in which one that finds it locked
/// complains; `$BEFORE` is put before the second fork. The first run ends once its instance is up,
/// all others at once.
fn daemonising(before: &str) -> String {
    let instance = "exec 9> lock; flock -n 9 || echo double >> doubles; echo x >> instances; \
                    exec sleep 1000";
    let up = "until [ -s instances ]; do sleep 0.01; done";
    format!(
        "setsid -f {before} setsid -f sh -c '{instance}' < /dev/null > /dev/null 2>&1; {up}; exit 0"
    )
}

fn service(script: &str, policy: &str) -> String {
    let script: Vec<_> = script.lines().map(|line| format!("          {line}\n")).collect();
    format!(
        "  - type: d\n    variant: a\n    {policy}\n    launch:\n      stop_timeout: 0.5\n      \
         exec:\n        - sh\n        - -c\n        - |\n{}",
        script.concat()
    )
}

/// Living processes whose working directory is the launcher's, itself left out: whatever else they
/// have changed.
fn here(tcsd: &Tcsd) -> Vec<i32> {
    let own = tcsd.child.id().cast_signed();
    let dir = tcsd.dir.path().canonicalize().unwrap();
    let processes = tcs_launcher::runner::group::Process::all();
    let living = processes.into_iter().filter(|it| !it.is_zombie() && it.pid != own);
    let is_here =
        |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|it| it == dir);
    living.map(|it| it.pid).filter(is_here).collect()
}

#[test]
fn a_program_that_daemonises_has_one_instance_and_leaves_none() {
    for before in ["", "env -i"] {
        let policy = "{restart: always, restart_sec: 0.05, restart_max: 0}";
        let policy = policy.trim_matches(['{', '}']).replace(", ", "\n    ");
        let mut tcsd = Tcsd::start(&service(&daemonising(before), &policy), |_| {});
        let restarts = || tcsd.read("log").matches("d.a crashed after").count();
        wait_for("some restarts", || (restarts() >= 5).then_some(()));
        tcsd.logged("exited with code 0 and left process");
        tcsd.logged("running in the background");
        tcsd.logged("run the program in the foreground");
        tcsd.signal(Signal::SIGTERM);
        tcsd.end();
        assert_eq!(tcsd.read("doubles"), "", "{before}");
        wait_for("all to be gone, the guard too", || here(&tcsd).is_empty().then_some(()));
    }
}

/// Each forks, leaves its session and exits, as fast as it can; none hears SIGTERM. As long as one
/// lives, a file is locked. Should nobody end them they end, and say so.
const CHAIN: &str = "
import fcntl, os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.closerange(0, 3)
os.environ.clear()
lock = os.open('chain', os.O_CREAT | os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
open('begun', 'w').close()
end = time.monotonic() + 150
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    os.setsid()
open('expired', 'w').close()
";

fn chain(script: &str) -> Tcsd {
    let tcsd = Tcsd::start(&service(script, "restart: no"), |command| {
        let dir = command.get_current_dir().unwrap().to_owned();
        std::fs::write(dir.join("chain.py"), CHAIN).unwrap();
    });
    wait_for("the chain", || tcsd.dir.path().join("begun").exists().then_some(()));
    tcsd
}

fn no_chain_is_left(tcsd: &Tcsd) {
    // by chance, as it has to be caught: on a busy machine that may take a while
    wait_within(Duration::from_mins(2), "the lock of the chain", || {
        let file = std::fs::File::open(tcsd.dir.path().join("chain")).unwrap();
        nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).ok()
    });
    assert!(!tcsd.dir.path().join("expired").exists(), "nobody has ended it");
}

#[test]
fn a_program_that_only_forks_and_exits_does_not_escape() {
    let mut tcsd = chain("exec env -i python3 chain.py");
    tcsd.logged("running in the background");
    // what is left of it is asked to end, and killed after its time
    no_chain_is_left(&tcsd);
    tcsd.signal(Signal::SIGTERM);
    tcsd.end();
}

#[test]
fn the_death_of_the_launcher_takes_such_programs_along() {
    let script = "env -i python3 chain.py; setsid -f env -i sleep 1000; sleep 1000";
    let mut tcsd = chain(script);
    tcsd.signal(Signal::SIGKILL);
    tcsd.end();
    no_chain_is_left(&tcsd);
    wait_for("all to be gone, the guard too", || here(&tcsd).is_empty().then_some(()));
}
