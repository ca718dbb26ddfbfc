//! What a launcher leaves, however it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcs_launcher::runner::group::{Look, Process};
use tcs_launcher::runner::journal::{EarlierEnd, Journal};
use tcs_testkit::programs::badchild;

use super::{is_alive, read_pid, wait_for};

/// A launcher in a process of its own, with one service of this script.
fn supervise(dir: &Path, script: &[&str]) -> std::process::Child {
    let mut command = Command::new(badchild());
    command.arg("supervise").arg(dir).args(script).stdin(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn nothing_is_left_of_a_launcher_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["main", "near", "far"].map(|name| dir.path().join(name));
    let [main, near, far] = files.each_ref().map(|path| path.to_str().unwrap());
    let mut launcher =
        supervise(dir.path(), &["deaf", "grandchild", near, "escape", far, "pid", main, "forever"]);
    let family = files.map(|path| read_pid(&path));
    let own = launcher.id().cast_signed();
    let mut all: Vec<i32> =
        Look::now().descendants(own).iter().map(|process| process.pid).collect();
    assert!(family.iter().all(|pid| all.contains(pid)), "{all:?}");
    all.extend(family);
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let took = wait_for("all to be gone, the guard too", || !all.iter().copied().any(is_alive));
    println!("{} processes ended in {took:?} after SIGKILL of their launcher", all.len());
}

#[test]
fn what_even_the_guard_missed_is_ended_by_the_next_launcher() {
    let dir = tempfile::tempdir().unwrap();
    let far = dir.path().join("far");
    let mut launcher = supervise(dir.path(), &["deaf", "escape", far.to_str().unwrap(), "forever"]);
    let escaped = read_pid(&far);
    let own = launcher.id().cast_signed();
    let guard = Look::now()
        .descendants(own)
        .into_iter()
        .find(|process| {
            fs::read_to_string(format!("/proc/{}/cmdline", process.pid))
                .is_ok_and(|line| line.contains("__guard"))
        })
        .expect("a guard");
    // neither can act any more
    kill(Pid::from_raw(own), Signal::SIGSTOP).unwrap();
    kill(Pid::from_raw(guard.pid), Signal::SIGKILL).unwrap();
    let held = Journal::open(dir.path(), "test", "next").unwrap_err();
    assert!(held.to_string().contains(&format!("(pid {own})")), "{held}");
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert!(is_alive(escaped));

    let (_journal, earlier) = Journal::open(dir.path(), "test", "next").unwrap();
    let earlier = earlier.unwrap();
    assert_eq!(earlier.end, EarlierEnd::WithoutAWord);
    assert_eq!(earlier.services[0].0, "a.x");
    let ended = earlier.end_leftovers(Duration::from_millis(200));
    assert!(ended.iter().any(|it| it.pid == escaped && it.killed), "{ended:?}");
    assert!(!is_alive(escaped));
}

#[test]
fn an_orderly_end_takes_along_even_what_has_lost_its_marks() {
    let dir = tempfile::tempdir().unwrap();
    let bare = dir.path().join("bare");
    let mut launcher = supervise(dir.path(), &["escape-bare", bare.to_str().unwrap(), "exit", "0"]);
    let escaped = read_pid(&bare);
    let own = launcher.id().cast_signed();
    wait_for("the launcher to adopt it", || {
        Process::of(escaped).is_some_and(|it| it.parent == own)
    });
    let all = Look::now().descendants(own);
    drop(launcher.stdin.take());
    assert!(launcher.wait().unwrap().success());
    assert!(!is_alive(escaped));
    wait_for("the guard to go", || !all.iter().any(|process| is_alive(process.pid)));
}

#[test]
fn orphans_that_end_are_reaped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orphan");
    let mut launcher = supervise(dir.path(), &["orphan", path.to_str().unwrap(), "forever"]);
    let orphan = read_pid(&path);
    wait_for("it to be gone, not a zombie", || Process::of(orphan).is_none());
    drop(launcher.stdin.take());
    assert!(launcher.wait().unwrap().success());
}
