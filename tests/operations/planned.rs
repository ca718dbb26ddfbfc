//! Services that are stopped for planned work: who and why stays with them.

use serde_json::Value;
use tcs_testkit::tcsctl::at;
use tcs_testkit::tcsd::Site;

use super::listed;

const CONFIG: &str = "
services:
  - type: dome
    variant: main
    launch: {exec: [sleep, '1000']}
  - type: broken
    variant: main
    launch: {exec: [sh, -c, 'exit 3']}
";

#[tokio::test(flavor = "multi_thread")]
async fn who_and_why_stay_with_a_stopped_service_until_somebody_starts_it() {
    let mut site = Site::start("process", CONFIG).await;
    let url = site.server.url();
    site.pid("dome.main").await;
    listed(&site, "broken.main", |it| it["verdict"] == "failed").await;
    at(&url, &["stop", "dome.main", "-m", " "]).expect(2);
    let work = "mirror washing \u{1b}[31m";
    at(&url, &["stop", "dome.main", "broken.main", "-m", work]).expect(0);
    let is_planned = |it: &Value| it["reasons"][0] == "planned";
    let stopped = listed(&site, "dome.main", is_planned).await;
    assert_eq!((&stopped["verdict"], &stopped["phase"]), (&"stopped".into(), &"stopped".into()));
    assert!(stopped["planned"]["comment"].as_str().unwrap().starts_with("mirror washing"));
    assert!(stopped["planned"]["by"].as_str().unwrap().contains("tcsctl"), "{stopped:#}");
    // what had failed is no fault any more
    listed(&site, "broken.main", is_planned).await;
    for page in [&["list"][..], &["why", "dome.main"], &["events", "dome.main", "--since", "1h"]] {
        let text = at(&url, page).out;
        assert!(text.contains("planned work: mirror washing"), "{page:?}: {text}");
        assert!(!text.contains('\u{1b}'), "{page:?}: {text:?}");
    }
    // what failed before it has not caused what somebody wanted
    let why = at(&url, &["why", "dome.main"]).expect(0).out;
    assert!(why.contains("broken.main") && !why.contains("most likely cause"), "{why}");
    let report = at(&url, &["report", "--since", "1h"]).expect(0).out;
    assert!(report.contains("dome.main stopped by ") && report.contains(": mirror"), "{report}");

    // also after tcsd has been started again
    let since = stopped["planned"]["since"].clone();
    site.tcsd.stop().await;
    site.tcsd.run();
    let again = |it: &Value| is_planned(it) && it["declared"] == true;
    let stopped = listed(&site, "dome.main", again).await;
    assert_eq!(stopped["planned"]["since"], since);
    site.until("dome.main", |it| it["status"] == "stopped" && it["pid"].is_null()).await;

    at(&url, &["start", "dome.main"]).expect(0);
    listed(&site, "dome.main", |it| it["verdict"] == "ok" && it["planned"].is_null()).await;
    site.tcsd.stop().await;
    site.tcsd.run();
    site.pid("dome.main").await;
}
