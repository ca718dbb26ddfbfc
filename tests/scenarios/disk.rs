//! What is to outlive the host is brought to the disk. A page that is only in memory looks the same
//! to every reader, so the system calls are looked at.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tcs_testkit::{nats, programs};

use super::{BEATS, Site, bad};

/// Whether system calls can be traced here.
fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Whether, after the last time that events that wait were noted, the note was brought to the disk,
/// and after that the folder that names it.
fn is_on_disk(trace: &str, state: &str) -> bool {
    let note = |line: &str| line.contains(&format!("<{state}/")) && line.contains(".events>");
    let noted = trace.lines().collect::<Vec<_>>();
    let written = noted.iter().rposition(|line| {
        line.contains("pwrite64(") && note(line) && !line.contains(r#"\"waiting\":0"#)
    });
    let Some(written) = written else { return false };
    let mut rest = noted[written..].iter();
    // a call that is still under way has a later line for its end
    rest.any(|line| line.contains("fdatasync(") && note(line))
        && rest.any(|line| line.contains("fsync(") && line.contains(&format!("<{state}>)")))
}

/// The events of a launcher that has no broker are counted, and the count outlives the host.
#[tokio::test(flavor = "multi_thread")]
async fn the_count_of_events_that_wait_is_brought_to_the_disk() {
    if !can_trace() {
        return println!("not run: there is no strace, or it may not trace");
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let (state, trace) = (dir.join("state"), dir.join("trace"));
    std::fs::create_dir(&state).unwrap();
    // the tracer is its child, so that the process is tcsd
    let traced = dir.join("traced");
    let script = format!(
        "#!/bin/sh\nexec strace -D -f -q -y -s 200 -e trace=pwrite64,fdatasync,fsync -o '{}' '{}' \"$@\"\n",
        trace.display(),
        programs::program("tcsd").display(),
    );
    std::fs::write(&traced, script).unwrap();
    std::fs::set_permissions(&traced, std::fs::Permissions::from_mode(0o755)).unwrap();

    let config = format!(
        "{BEATS}services:\n  - {{type: it, variant: a, launch: {{exec: {}}}}}\n",
        bad(&["forever"])
    );
    let mut site = Site::prepared(&traced, "process", &config).await;
    let state = state.display().to_string();
    site.tcsd.environment.push(("STATE_DIRECTORY".to_owned(), state.clone()));
    site.server.kill();
    site.tcsd.run();
    nats::wait_for("the count on the disk", || {
        let trace = std::fs::read_to_string(&trace).unwrap_or_default();
        is_on_disk(&trace, &state)
    })
    .await;
    let trace = std::fs::read_to_string(&trace).unwrap();
    assert!(!trace.lines().any(|it| it.contains("sync") && it.contains(" = -1")), "{trace}");
    nats::wait_for("all the same it runs", || site.tcsd.log().contains("it.a ready")).await;
    site.tcsd.kill().await;
}
