//! Last and next run of a service with a schedule.

use tcs_testkit::tcsctl::{at, watch};
use tcs_testkit::tcsd::Site;

use super::listed;

const CONFIG: &str = "
services:
  - type: check
    variant: disk
    launch: {exec: ['true'], schedule: {cron: '0 0 29 2 *', zone: Europe/Warsaw}}
  - type: other
    variant: a
    launch: {exec: [sleep, '1000']}
";
const ID: &str = "check.disk";

#[tokio::test(flavor = "multi_thread")]
async fn next_and_last_run_are_shown_and_a_start_runs_it_now() {
    let site = Site::start("process", CONFIG).await;
    let url = site.server.url();
    let waits = listed(&site, ID, |it| it["schedule"]["next_at"].is_string()).await;
    assert_eq!(waits["schedule"]["rule"], "0 0 29 2 * Europe/Warsaw");
    assert_eq!((&waits["verdict"], &waits["reasons"][0]), (&"stopped".into(), &"scheduled".into()));
    assert!(waits["schedule"]["next_at"].as_str().unwrap().ends_with("-02-28T23:00:00Z"));
    assert!(waits["schedule"]["last_at"].is_null());
    // it is to run again, so it is in the list of what runs
    let list = at(&url, &["list"]).expect(0).out;
    assert!(list.contains("next run in "), "{list}");

    at(&url, &["start", ID]).expect(0);
    let ran = listed(&site, ID, |it| it["phase"] == "completed").await;
    assert!(ran["schedule"]["last_at"].is_string());
    let headline = ran["headline"].as_str().unwrap();
    assert!(headline.starts_with("next run in ") && headline.contains("; completed"), "{headline}");
    let detail = at(&url, &["--detailed", ID]).expect(0).out;
    assert!(detail.contains("0 0 29 2 * Europe/Warsaw, next run "), "{detail}");
    let mut terminal = watch(&url, &[], (160, 50));
    terminal.see("next run in ");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);

    // no run to come while it is stopped
    at(&url, &["stop", ID]).expect(0);
    let stopped = listed(&site, ID, |it| it["phase"] == "stopped").await;
    assert_ne!(stopped["reasons"][0], "scheduled");
    let detail = at(&url, &["--detailed", ID]).expect(0).out;
    assert!(detail.contains("not run while it is stopped"), "{detail}");
    assert!(!at(&url, &["list"]).expect(0).out.contains(ID));
}
