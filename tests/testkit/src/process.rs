//! Signals to processes that a test has started.

use std::process::Command;
use std::time::Duration;

use tcs_core::clock;

use crate::nats::LIMIT;

/// A signal by name, to a process. `STOP` is carried out when this returns: the threads of the process
/// go on for a moment after it has been sent.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
    let begin = clock::monotonic();
    while name == "STOP" && works(pid) {
        assert!(begin.elapsed() < LIMIT, "{pid} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether one of its threads is neither stopped nor at its end.
fn works(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let told =
        threads.flatten().filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok());
    let letter = |stat: &str| stat.rsplit(')').next().and_then(|it| it.trim().chars().next());
    told.filter_map(|stat| letter(&stat)).any(|it| !matches!(it, 'T' | 'Z' | 'X'))
}
