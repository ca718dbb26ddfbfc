//! `tcsd` as an operator has it: a configuration, a broker, and what is then so.
#![expect(clippy::unwrap_used, reason = "a test")]

use serde_json::{Value, json};
use tcs_core::fleet::Verdict;
use tcs_testkit::nats::LIMIT;
use tcs_testkit::python;
use tcs_testkit::tcsd::{self, Site};

const CONFIG: &str = "
services:
  - {type: left, variant: a, launch: {exec: [sh, -c, 'exit 1']}}
  - {type: failure, variant: a, restart: on-failure, restart_max: 2, restart_sec: 0.1, launch: {exec: [sh, -c, 'exit 1']}}
  - {type: abnormal, variant: a, restart: on-abnormal, restart_max: 2, restart_sec: 0.1, launch: {exec: [sh, -c, 'exit 137']}}
  - {type: always, variant: a, restart: always, restart_max: 2, restart_sec: 0.1, launch: {exec: [sh, -c, 'exit 0']}}
  - {type: lives, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: hello_world, variant: a}
";

async fn crash_test(mode: &str) {
    let mut site = Site::start(mode, CONFIG).await;
    let expected = [
        ("left.a", "failed"),
        ("failure.a", "failed"),
        ("abnormal.a", "failed"),
        ("always.a", "failed"),
        ("lives.a", "running"),
        ("hello_world.a", "running"),
    ];
    for (id, status) in expected {
        let it = site.until(id, |it| it["status"] == status).await;
        let restarts = match id {
            "failure.a" | "abnormal.a" | "always.a" => 2,
            _ => 0,
        };
        assert_eq!(it["restarts"], restarts, "{mode}: {it:#}");
    }
    // each answer comes after the effect; the same again changes nothing
    let stopped = site.ask("stop.lives.a").await.unwrap();
    assert_eq!((&stopped["result"], &stopped["changed"]), (&json!("stopped"), &json!(true)));
    assert_eq!(site.ask("stop.lives.a").await.unwrap()["changed"], false);
    let started = site.ask("start.lives.a").await.unwrap();
    let restarted = site.ask("restart.lives.a").await.unwrap();
    assert!(started["pid"].is_u64() && started["pid"] != restarted["pid"]);
    assert!(site.ask("start.nobody.a").await.unwrap_err().to_string().contains("no such service"));

    let status = site.tcsd.stop().await;
    assert_eq!(status.code(), Some(1), "wanted services had failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_test_in_processes() {
    crash_test("process").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_test_with_tasks() {
    crash_test("async").await;
}

/// Python services of the field: one whose start fails, which it says and then exits with 0; one
/// that runs, with a heart that its launcher waits for.
#[tokio::test(flavor = "multi_thread")]
async fn unchanged_python_services() {
    let site = Site::start("process", &format!(
        "
services:
  - type: field
    variant: failing
    restart: on-failure
    restart_max: 1
    restart_sec: 0.1
    module: field_service
    launch: {{env: {{TCS_TEST_FIELD: failing}}}}
  - {{type: field, variant: steady, restart: always, restart_sec: 0.1, module: field_service, launch: {{ready: heartbeat}}}}
launch: {{python: {:?}, env: {{PYTHONPATH: {:?}}}}}
",
        python::interpreter(),
        python::script("")
    ))
    .await;
    // exit code 0, and still a crash: restarted once, then given up
    let failing = site.until("field.failing", |it| it["status"] == "failed").await;
    assert_eq!((&failing["restarts"], &failing["last_exit_code"]), (&json!(1), &json!(0)));

    let first = site.until("field.steady", |it| it["status"] == "running").await;
    tcsd::signal("KILL", u32::try_from(first["pid"].as_u64().unwrap()).unwrap());
    let again = |it: &Value| it["status"] == "running" && it["pid"] != first["pid"];
    let second = site.until("field.steady", again).await;
    assert_eq!(second["restarts"], 1);
    let at_work = |logs: &Value| logs["lines"].to_string().contains("at work");
    site.answer("logs.field.steady", at_work).await;

    // and this is the picture
    let mut watch = site.watch();
    watch.sees("failed", "field.failing", |it| it.verdict == Verdict::Failed).await;
    watch.sees("ok", "field.steady", |it| it.verdict == Verdict::Ok).await;
}

/// A service of this program with a health check, which fails long after the one at its start, and
/// one that no program has.
const CHECKED: &str = "
services:
  - {type: examples.monitoring, variant: often, interval: 0.1, fails_every: 30, launch: {healthcheck: 0.1}}
  - {type: examples.monitoring, variant: seldom, interval: 0.1, fails_every: 30, launch: {healthcheck: 3600}}
  - {type: forgotten, variant: a}
";

#[tokio::test(flavor = "multi_thread")]
async fn health_is_checked_as_often_as_the_file_says() {
    for mode in ["async", "process"] {
        let site = Site::start(mode, CHECKED).await;
        let said = async |id: &str| -> Vec<String> {
            let said = site.statuses(id).await.into_iter();
            said.map(|said| said.message.unwrap_or_default()).collect()
        };
        let checked = |said: &[String]| said.iter().any(|words| words.ends_with(" failures"));
        let begin = tcs_core::clock::monotonic();
        while !checked(&said("examples.monitoring.often").await) {
            assert!(begin.elapsed() < LIMIT, "{:?}", said("examples.monitoring.often").await);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let seldom = said("examples.monitoring.seldom").await;
        assert!(!checked(&seldom), "{mode}: {seldom:?}");
    }
}

/// Its crate was not linked, or its name is misspelt: told beside what was tried then.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_this_program_does_not_have_is_told() {
    let site = Site::start("process", CHECKED).await;
    site.until("forgotten.a", |it| it["status"] == "failed").await;
    let log = site.tcsd.log();
    let told = "no Rust service `forgotten` in this program";
    assert!(log.contains(told), "{log}");
}
