//! What comes in the way of an upgrade: nothing is stopped by it, nothing runs twice, and no signal is
//! lost.

use tcs_testkit::tcsd::{Tcsd, can_name_hosts};

use super::*;

const CONFIG: &str = "
services:
  - {type: sleeper, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: hello_world, variant: a, launch: {mode: async}}
";

/// A task that blocks its thread for some seconds, again and again.
const BLOCKS: &str = "
  - {type: examples.hanging, variant: a, works: 0.1, hangs: 5, launch: {mode: async}}
";

/// Answers that it can take over, after what `first` does with the configuration file.
fn answers(first: &str) -> String {
    let answer = r#"{"takes_over": 1, "version": "9.9.9"}"#;
    format!("#!/bin/sh\nconfig=$3\n{first}\necho '{answer}'\n")
}

/// Signals that the process ignores, as a mask; and its standard input.
fn surroundings(pid: u32) -> (String, PathBuf) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ignored = status.lines().find(|line| line.starts_with("SigIgn:")).unwrap().to_owned();
    (ignored, fs::read_link(format!("/proc/{pid}/fd/0")).unwrap())
}

async fn refused(site: &Site, why: &str) {
    let refused = ask(site).await.unwrap().unwrap_err();
    assert!(refused.contains("nothing was stopped") && refused.contains(why), "{refused}");
}

async fn runs(site: &Site, id: &str) {
    site.until(id, |it| it["status"] == "running").await;
}

/// Waits until the task begins to block its thread once more: it will for some seconds.
async fn hangs(site: &Site) {
    let times = || site.tcsd.log().matches("asks an instrument").count();
    let before = times();
    wait_for("the task blocks", || times() > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_gone_at_the_last_moment_changes_nothing() {
    let installed = Installed::new();
    let site = Site::of(&installed.path(), "process", CONFIG).await;
    let sleeper = site.pid("sleeper.a").await;
    runs(&site, "hello_world.a").await;
    let before = surroundings(site.tcsd.pid());
    for n in 1..=2 {
        installed.install_script(&answers("rm \"$0\""));
        // it has been told that it happens, or is told that it has not
        ask(&site).await;
        let failed = || site.tcsd.log().matches("No such file or directory").count() == n;
        wait_for("it is told", failed).await;
        runs(&site, "hello_world.a").await;
    }
    let again = ["stopping", "stop", "start", "ready"];
    let story = [&["declared", "start", "ready"][..], &again, &again].concat();
    site.tells("hello_world.a", &story).await;
    assert_eq!(surroundings(site.tcsd.pid()), before);
    // and one that works
    installed.install_tcsd();
    ask(&site).await;
    upgraded(&site, 1).await;
    runs(&site, "hello_world.a").await;
    assert_eq!(site.pid("sleeper.a").await, sleeper);
    assert_eq!(surroundings(site.tcsd.pid()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_meanwhile_is_not_what_the_new_program_reads() {
    let installed = Installed::new();
    let site = Site::of(&installed.path(), "process", CONFIG).await;
    let sleeper = site.pid("sleeper.a").await;
    runs(&site, "hello_world.a").await;
    let more = "  - {type: more, variant: a, launch: {exec: [sleep, \"1000\"]}}";
    for (line, why) in
        [("services: [", "services.yaml:"), (more, "the configuration file has changed")]
    {
        installed.install_script(&answers(&format!("echo '{line}' >> \"$config\"")));
        refused(&site, why).await;
        assert_eq!(site.pid("sleeper.a").await, sleeper);
        site.tcsd.configure(CONFIG);
    }
    site.tells("hello_world.a", &["declared", "start", "ready"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_another_name_is_told_before() {
    if !can_name_hosts() {
        return println!("not tried: hosts cannot be named here");
    }
    let installed = Installed::new();
    let mut site = Site::prepared(&installed.path(), "process", CONFIG).await;
    let tcsd = Tcsd::new(&installed.path(), &site.server.url(), "process", CONFIG);
    site.tcsd = tcsd.on_host("first");
    site.tcsd.run();
    let sleeper = site.pid("sleeper.a").await;
    let pid = site.tcsd.pid().to_string();
    let mut rename = std::process::Command::new("nsenter");
    rename.args(["--target", &pid, "--uts", "hostname", "second"]);
    assert!(rename.status().unwrap().success());
    installed.install_tcsd();
    refused(&site, "has the name of the host changed?").await;
    assert_eq!(site.pid("sleeper.a").await, sleeper);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_meanwhile_is_not_lost() {
    let installed = Installed::new();
    let mut site = Site::of(&installed.path(), "process", &format!("{CONFIG}{BLOCKS}")).await;
    site.pid("sleeper.a").await;
    installed.install_tcsd();
    hangs(&site).await;
    // as it is under way, and waits for the task
    site.tcsd.signal("HUP");
    wait_for("tasks are ended", || site.tcsd.log().contains("waiting for tasks to end")).await;
    assert!(site.tcsd.stop().await.code().is_some());
    let log = site.tcsd.log();
    assert!(!log.contains("takes over from") && !log.contains("took over"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_comes_before_an_upgrade() {
    let installed = Installed::new();
    let mut site = Site::prepared(&installed.path(), "process", CONFIG).await;
    site.tcsd.environment.push(("FAILURES_TEST".to_owned(), "end".to_owned()));
    site.tcsd.run();
    site.pid("sleeper.a").await;
    let checking = site.tcsd.path("checking");
    installed.install_script(&answers(&format!("touch '{checking}'; sleep 1000")));
    let stopped = async {
        wait_for("it is asked", || Path::new(&checking).exists()).await;
        site.tcsd.signal("TERM");
    };
    let (answer, ()) = tokio::join!(ask(&site), stopped);
    // the answer may be lost with the connection
    let why = answer.map(Result::unwrap_err).unwrap_or_default();
    assert!(why.is_empty() || why.contains("tcsd is stopping"), "{why}");
    assert!(site.tcsd.end().await.code().is_some());
    let log = site.tcsd.log();
    assert!(log.contains("not upgraded, nothing was stopped: tcsd is stopping"), "{log}");
    wait_for("nothing is left", || marked("FAILURES_TEST=end").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_to_end_is_not_started_by_the_new_program() {
    let installed = Installed::new();
    let site = Site::of(&installed.path(), "process", &format!("{CONFIG}{BLOCKS}")).await;
    site.pid("sleeper.a").await;
    installed.install_tcsd();
    site.tcsd.configure(&format!("{CONFIG}{}", BLOCKS.replace("async}", "async, enabled: false}")));
    hangs(&site).await;
    // the reload ends the task, which takes some seconds
    site.tcsd.signal("HUP");
    upgraded(&site, 1).await;
    runs(&site, "hello_world.a").await;
    let is_down = |it: &Value| it["status"] == "stopped" || it["status"] == "declared";
    site.until("examples.hanging.a", is_down).await;
    let story = site.story("examples.hanging.a").await;
    assert_eq!(story.iter().filter(|it| *it == "start").count(), 1, "{story:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_after_all_leaves_nothing_behind() {
    let installed = Installed::new();
    let children = "  - {type: child, variant: a, launch: {env: {FAILURES_TEST: child}, \
                    exec: [sh, -c, 'setsid sleep 1000 & sleep 1000']}}\n";
    let text = format!("{CONFIG}{children}");
    let mut site = Site::of(&installed.path(), "process", &text).await;
    let (sleeper, child) = (site.pid("sleeper.a").await, site.pid("child.a").await);
    wait_for("it and its child", || marked("FAILURES_TEST=child").len() >= 2).await;
    installed.install_script(&answers("[ \"$1\" = __takeover-check ] || exit 7"));
    ask(&site).await;
    assert_eq!(site.tcsd.end().await.code(), Some(7));
    wait_for("nothing is left", || marked("FAILURES_TEST=child").is_empty()).await;
    let lives = |pid: u32| Path::new(&format!("/proc/{pid}")).exists();
    wait_for("nothing is left", || !lives(sleeper) && !lives(child)).await;
    installed.install_tcsd();
    site.tcsd.run();
    assert_ne!(site.pid("sleeper.a").await, sleeper);
}
