//! The wall clock jumps, for the launcher and for all that it has started.

use std::path::Path;
use std::time::Duration;

use tcs_core::clock;
use tcs_core::fleet::Verdict;
use tcs_testkit::python;
use tcs_testkit::tcsd::{self, Site};

use super::{BEATS, bad, because, soon};

/// No timer moves: neither a restart that is waited for, nor a heartbeat, nor what counts restarts.
#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_jumps_by_an_hour() {
    const WAIT: Duration = Duration::from_secs(3);
    let config = format!(
        "{BEATS}services:\n  \
         - {{type: hello_world, variant: a}}\n  \
         - {{type: falls, variant: a, restart: always, restart_sec: {}, restart_max: 5, \
         launch: {{exec: {}}}}}\n",
        WAIT.as_secs(),
        bad(&["forever"])
    );
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", &config).await;
    let time = site.tcsd.dir().join("time");
    let jump = |by: &str| std::fs::write(&time, by).unwrap();
    jump("+0");
    site.tcsd.environment = python::changed_clock(&time);
    site.tcsd.run();
    let mut watch = site.watch();
    let well = |it: &tcs_core::fleet::ServiceView| it.verdict == Verdict::Ok;
    watch.sees("ok", "hello_world.a", well).await;
    watch.sees("ok", "falls.a", well).await;
    let pid = site.pid("hello_world.a").await;
    for (by, side) in [("+3600", "ahead"), ("-3600", "behind")] {
        let falls = site.pid("falls.a").await;
        let killed = clock::monotonic();
        tcsd::signal("KILL", falls);
        watch.sees("waiting", "falls.a", |it| it.verdict == Verdict::Restarting).await;
        jump(by);
        watch
            .sees("started again", "falls.a", |it| well(it) && it.pid.is_some_and(|it| it != falls))
            .await;
        let took = killed.elapsed();
        assert!(took >= WAIT, "{took:?}");
        soon("its restart, beyond what it waits", took.saturating_sub(WAIT));
        // all of its last messages are of the new time, and all is as it was
        watch
            .sees("well, its clock wrong", "hello_world.a", |it| {
                let skew = it.reasons.iter().map(ToString::to_string);
                well(it) && because(it, "skew") && skew.clone().any(|it| it.contains(side))
            })
            .await;
    }
    assert_eq!(site.pid("hello_world.a").await, pid, "it is not touched");
    let restarts = site.until("falls.a", |it| it["restarts"].as_u64() == Some(2)).await;
    println!("{restarts}");
    assert!(site.tcsd.stop().await.success());
}
