//! Notify sockets: whom they believe, who can reach them, and where they are.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Uid;
use tcs_core::config::Ready;
use tcs_launcher::runner::{Launch, What};
use tcs_supervisor::{Exit, Report};
use tcs_testkit::programs::badchild;

use super::Lab;

fn socket(lab: &Lab, number: u32) -> PathBuf {
    lab.dir.path().join("sockets").join(number.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_believed_even_after_their_death() {
    let mut lab = Lab::new();
    let go = lab.path("go");
    let script = ["await", &go, "notify", "STATUS=mine", "notify", "READY=1", "forever"];
    let handle = lab.start(Launch { ready: Some(Ready::Notify), ..Lab::launch(&script) });
    lab.spawned().await;
    for number in 0..50 {
        let words = ["READY=1", "WATCHDOG=trigger", "STATUS=forged"][number % 3];
        let mut stranger = Command::new(badchild());
        // it may carry the mark, and is gone by the time at which it is looked at
        stranger.args(["notify", words, "die", "SIGKILL"]).env("NOTIFY_SOCKET", socket(&lab, 1));
        stranger.status().unwrap();
    }
    let own = UnixDatagram::unbound().unwrap();
    own.send_to(b"READY=1", socket(&lab, 1)).unwrap();
    fs::write(&go, "").unwrap();
    // what came before is not told: they are read in their order
    assert_eq!(lab.next().await, What::Status("mine".into()));
    assert_eq!(lab.report().await, Report::Ready);
    handle.kill();
    lab.ends(Exit::signal(9)).await;
}

/// Another user of the host, who may even be the user of the service, and is none of its processes.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_user_forges_nothing() {
    if !Uid::effective().is_root() {
        println!("SKIPPED: only root can start processes of another user");
        return;
    }
    let nobody = 65534;
    let mut lab = Lab::new();
    for (number, user, sent) in [(1, Some(nobody.to_string()), "100\n"), (2, None, "0\n")] {
        let go = lab.path(&format!("go-{number}"));
        let script = ["await", &go, "notify", "STATUS=mine", "notify", "READY=1", "forever"];
        let launch = Launch { ready: Some(Ready::Notify), user, ..Lab::launch(&script) };
        // its own directory may be closed to others
        let handle = lab.start(Launch { program: "/proc/self/exe".into(), ..launch });
        lab.spawned().await;
        let program = File::open(badchild()).unwrap();
        let mut hostile = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        hostile.args(["attack", "100", "READY=1\nWATCHDOG=trigger\nSTATUS=forged"]);
        hostile.uid(nobody).gid(nobody).env("NOTIFY_SOCKET", socket(&lab, number));
        let output = hostile.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), sent, "{output:?}");
        fs::write(&go, "").unwrap();
        assert_eq!(lab.next().await, What::Status("mine".into()));
        assert_eq!(lab.report().await, Report::Ready);
        handle.kill();
        lab.ends(Exit::signal(9)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_the_program_is_believed() {
    let mut lab = Lab::new();
    let program = badchild().display().to_string();
    let script = format!("{program} notify READY=1 sleep 300000 & wait");
    let launch = Launch {
        program: "sh".into(),
        args: vec!["-c".into(), script],
        ready: Some(Ready::Notify),
        ..Lab::launch(&[])
    };
    let handle = lab.start(launch);
    lab.spawned().await;
    assert_eq!(lab.report().await, Report::Ready);
    handle.kill();
    lab.ends(Exit::signal(9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_user_of_the_run_can_reach_its_socket() {
    let mut lab = Lab::new();
    let handle = lab.run(&["forever"]);
    lab.spawned().await;
    let rights = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(rights(&socket(&lab, 1)), 0o600);
    assert_eq!(rights(&lab.dir.path().join("sockets")), 0o700);
    handle.kill();
    lab.ends(Exit::signal(9)).await;
    if !Uid::effective().is_root() {
        return;
    }
    // a program of another user reaches its own, and no other
    let script = "test -w $NOTIFY_SOCKET && echo own; ls ${NOTIFY_SOCKET%/*} 2>&1; exec sleep 1000";
    let launch = Launch {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        user: Some("65534".into()),
        ..Lab::launch(&[])
    };
    let handle = lab.start(launch);
    lab.spawned().await;
    super::wait_for("its lines", || lab.lines().len() >= 2);
    assert_eq!(lab.lines()[0], "own");
    assert!(lab.lines()[1].contains("Permission denied"), "{:?}", lab.lines());
    assert_eq!(fs::metadata(socket(&lab, 2)).unwrap().uid(), 65534);
    handle.kill();
    lab.ends(Exit::signal(9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_id_has_a_socket_that_fits() {
    let mut lab = Lab::new();
    let long = format!("{}.x", "a".repeat(1000));
    for id in ["a/b.x", "/etc/a.x", &long] {
        let mut launch = Lab::launch(&["notify", "READY=1", "exit", "0"]);
        launch.ready = Some(Ready::Notify);
        lab.start_as(id, launch);
        lab.spawned().await;
        assert_eq!(lab.report().await, Report::Ready);
        lab.ends(Exit::code(0)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_removed_is_made_again() {
    let mut lab = Lab::new();
    let sockets = lab.dir.path().join("sockets");
    for turn in 0..2 {
        let launch = Launch { ready: Some(Ready::Notify), ..Lab::launch(&["notify", "READY=1"]) };
        lab.start(launch);
        lab.spawned().await;
        assert_eq!(lab.report().await, Report::Ready, "{turn}");
        lab.ends(Exit::code(0)).await;
        fs::remove_dir_all(&sockets).unwrap();
    }
    // where it cannot be made, only those that need it are kept from starting
    fs::write(&sockets, "in the way").unwrap();
    lab.run(&["exit", "3"]);
    lab.spawned().await;
    lab.ends(Exit::code(3)).await;
    lab.start(Launch { ready: Some(Ready::Notify), ..Lab::launch(&["exit", "3"]) });
    match lab.report().await {
        Report::NotSpawned { error, transient: true } => {
            assert!(error.starts_with("opening its notify socket in "), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
