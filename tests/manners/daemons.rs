//! Programs that go to the background, and those that hide: one instance, ever, and none after the
//! end.

use nix::sys::signal::Signal;

use super::{Tcsd, wait_for};

/// A file that each instance locks for its life, and a file in which one that finds it locked
/// complains; `$BEFORE` is put before the second fork.
fn daemonising(before: &str) -> String {
    let instance = "exec 9> lock; flock -n 9 || echo double >> doubles; echo x >> instances; \
                    exec sleep 1000";
    format!("setsid -f {before} setsid -f sh -c '{instance}' < /dev/null > /dev/null 2>&1; exit 0")
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
        wait_for("an instance", || (!tcsd.read("instances").is_empty()).then_some(()));
        tcsd.logged("exited with code 0 and left process");
        tcsd.logged("run the program in the foreground");
        tcsd.signal(Signal::SIGTERM);
        tcsd.end();
        assert_eq!(tcsd.read("doubles"), "", "{before}");
        wait_for("all to be gone, the guard too", || here(&tcsd).is_empty().then_some(()));
    }
}

/// Each forks, leaves its session and exits, as fast as it can; none hears SIGTERM.
const CHAIN: &str = "
import os, signal
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.closerange(0, 3)
os.environ.clear()
open('chain', 'w').close()
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
";

#[test]
fn a_program_that_only_forks_and_exits_does_not_escape() {
    let script = "exec env -i python3 chain.py";
    let mut tcsd = Tcsd::start(&service(script, "restart: no"), |command| {
        let dir = command.get_current_dir().unwrap().to_owned();
        std::fs::write(dir.join("chain.py"), CHAIN).unwrap();
    });
    wait_for("the chain", || tcsd.dir.path().join("chain").exists().then_some(()));
    // it is a run of its own: what is left of it is told and ended before tcsd ends
    tcsd.logged("running in the background");
    wait_for("its end", || here(&tcsd).iter().all(|pid| is_guard(*pid)).then_some(()));
    tcsd.signal(Signal::SIGTERM);
    tcsd.end();
    assert_eq!(here(&tcsd).into_iter().filter(|pid| !is_guard(*pid)).count(), 0);
}

#[test]
fn the_death_of_the_launcher_takes_such_programs_along() {
    let script = "env -i python3 chain.py; setsid -f env -i sleep 1000 9>&-; sleep 1000";
    let mut tcsd = Tcsd::start(&service(script, "restart: no"), |command| {
        let dir = command.get_current_dir().unwrap().to_owned();
        std::fs::write(dir.join("chain.py"), CHAIN).unwrap();
    });
    wait_for("the chain", || tcsd.dir.path().join("chain").exists().then_some(()));
    tcsd.signal(Signal::SIGKILL);
    tcsd.end();
    wait_for("all to be gone", || here(&tcsd).is_empty().then_some(()));
}

fn is_guard(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.contains("__guard"))
}
