//! Somebody has stopped the process that is to become the next program: nobody waits for it for
//! long, and a stop does not wait at all.

use tcs_launcher::runner::group::Process;
use tcs_testkit::nats;
use tcs_testkit::tcsd::signal;

use super::{BEATS, Site, bad};

/// Stops the process that waits to become the next program; returns it.
async fn freeze(site: &Site) -> i32 {
    let launcher = site.tcsd.pid().cast_signed();
    let is_it = |process: &Process| {
        let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        process.parent == launcher && line.ends_with(b"\0__exec\0")
    };
    let waiting = || Process::all().into_iter().find(is_it).map(|process| process.pid);
    nats::wait_for("a process that waits", || waiting().is_some()).await;
    let pid = waiting().unwrap();
    signal("STOP", pid.cast_unsigned());
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_restart_use_another_process_and_a_stop_ends_the_start() {
    let forever = bad(&["forever"]);
    let config = format!(
        "{BEATS}services:
  - {{type: it, variant: first, launch: {{exec: {forever}}}}}
  - {{type: it, variant: a, launch: {{exec: {forever}, enabled: false}}}}
"
    );
    let mut site = Site::start("process", &config).await;
    let first = site.pid("it.first").await;

    let frozen = freeze(&site).await;
    let started = site.ask("start.it.a").await.unwrap();
    assert_eq!(started["result"], "started", "{started:?}");
    let log = site.tcsd.log();
    let told =
        format!("it.a: process {frozen} (tcsd __exec) cannot start it: no answer within 5 s");
    assert!(log.contains(&told), "{log}");

    let frozen = freeze(&site).await;
    let restarted = site.ask("restart.it.first").await.unwrap();
    assert_ne!(restarted["pid"], first, "{restarted:?}");
    assert!(Process::of(frozen).is_none());

    site.ask("stop.it.a").await.unwrap();
    let frozen = freeze(&site).await;
    let start = site.ask("start.it.a");
    let stop = async {
        site.until("it.a", |it| it["status"] == "starting").await;
        site.ask("stop.it.a").await
    };
    let (start, stop) = tokio::join!(start, stop);
    start.unwrap_err();
    assert_eq!(stop.unwrap()["result"], "stopped");
    assert!(Process::of(frozen).is_none());
    let log = site.tcsd.log();
    assert!(!log.contains(&format!("process {frozen} (tcsd __exec)")), "the stop waited:\n{log}");
    assert!(site.tcsd.stop().await.success());
}
