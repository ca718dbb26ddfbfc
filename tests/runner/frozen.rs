//! A shim that was stopped while it waited for its order: nothing waits for it for long.

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcs_supervisor::{Exit, Report};
use tcs_testkit::programs::badchild;
use tempfile::TempDir;

use super::{Lab, is_alive, waiting};

/// A runner whose spare shim is stopped, and that shim.
async fn frozen(dir: &TempDir) -> (Lab, i32) {
    // a name that no other test's children have
    let helper: PathBuf = dir.path().join("helper");
    std::os::unix::fs::symlink(badchild(), &helper).unwrap();
    let mut lab = Lab::with_helper(&helper);
    lab.run(&["exit", "3"]);
    lab.spawned().await;
    lab.ends(Exit::code(3)).await;
    let waits = waiting(&helper);
    kill(Pid::from_raw(waits), Signal::SIGSTOP).unwrap();
    (lab, waits)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_one_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lab, frozen) = frozen(&dir).await;
    lab.run(&["exit", "4"]);
    assert_ne!(lab.spawned().await, frozen);
    assert!(!is_alive(frozen));
    lab.ends(Exit::code(4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_end_ends_the_start() {
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
