//! `tcsd new`: what it makes builds, passes its test, and runs.

use std::process::Command;

use tcs_testkit::tcsctl::finish;

use super::outside::{built, target};

#[test]
fn a_new_workspace_passes_its_test_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let mut tcsd = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        tcsd.args(["new", name]).current_dir(dir.path());
        finish(tcsd)
    };
    let output = make("my_services").expect(0);
    assert!(output.out.contains("make test"), "{output:?}");
    assert!(make("my_services").expect(1).err.contains("exists"), "nothing is written over");
    assert!(make("My Services").expect(2).err.contains("hint: tcsd new my_services"));
    let folder = dir.path().join("my_services");
    let text = built(&folder, &["test", "--workspace"]);
    assert!(text.contains("it_corrects_once_an_interval ... ok"), "{text}");
    built(&folder, &["build", "--workspace"]);
    let mut check = Command::new(target().join("debug/my_services-launcher"));
    check.args(["check", "services.yaml"]).current_dir(&folder);
    let checked = finish(check).expect(0);
    assert!(checked.out.contains("guider.main: Rust"), "{checked:?}");
}
