//! The shim that waits for the next start: killed or stopped meanwhile, nothing waits for it for long.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcs_supervisor::{Exit, Report};
use tcs_testkit::programs::badchild;
use tempfile::TempDir;

use super::{Lab, Process, is_alive, wait_for};

/// The child that waits to be told what to become.
fn waiting(helper: &Path) -> i32 {
    let begins = format!("{}\0__exec", helper.display());
    let own = std::process::id().cast_signed();
    let mut found = None;
    wait_for("a shim that waits", || {
        let is_it = |process: &Process| {
            let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            process.parent == own && line.starts_with(begins.as_bytes())
        };
        found = Process::all().into_iter().find(is_it).map(|process| process.pid);
        found.is_some()
    });
    found.unwrap()
}

/// A runner that has run something, its helper, and the shim that waits for the next order.
async fn idle(dir: &TempDir) -> (Lab, PathBuf, i32) {
    // a name that no other test's children have
    let helper = dir.path().join("helper");
    std::os::unix::fs::symlink(badchild(), &helper).unwrap();
    let mut lab = Lab::with_helper(&helper);
    lab.run(&["exit", "3"]);
    lab.spawned().await;
    lab.ends(Exit::code(3)).await;
    let waits = waiting(&helper);
    (lab, helper, waits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_waits_for_the_next_start_which_does_not_need_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lab, helper, waits) = idle(&dir).await;
    lab.run(&["exit", "4"]);
    assert_eq!(lab.spawned().await, waits);
    lab.ends(Exit::code(4)).await;
    let killed = waiting(&helper);
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    wait_for("its end", || !is_alive(killed));
    lab.run(&["exit", "5"]);
    assert_ne!(lab.spawned().await, killed);
    lab.ends(Exit::code(5)).await;
    let last = waiting(&helper);
    drop(lab);
    wait_for("its end", || !is_alive(last));
}

/// A runner whose spare shim is stopped, and that shim.
async fn frozen(dir: &TempDir) -> (Lab, i32) {
    let (lab, _, waits) = idle(dir).await;
    kill(Pid::from_raw(waits), Signal::SIGSTOP).unwrap();
    (lab, waits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lab, frozen) = frozen(&dir).await;
    lab.run(&["exit", "4"]);
    assert_ne!(lab.spawned().await, frozen);
    assert!(!is_alive(frozen));
    lab.ends(Exit::code(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_end_ends_a_start_that_is_frozen() {
    for end in [super::Handle::stop, super::Handle::kill] {
        let dir = tempfile::tempdir().unwrap();
        let (mut lab, frozen) = frozen(&dir).await;
        let started = lab.run(&["exit", "4"]);
        end(&started);
        let report = lab.report().await;
        assert!(matches!(&report, Report::NotSpawned { transient: false, .. }), "{report:?}");
        assert!(!is_alive(frozen));
    }
}
