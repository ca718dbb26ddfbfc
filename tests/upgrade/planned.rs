//! Schedules, planned work and the profile go on under the program that takes over.

use serde_json::json;

use super::*;

const CONFIG: &str = "
launch:
  profiles: {night: [dome.a], day: [archive.a]}
services:
  - {type: job, variant: a, launch: {exec: [sh, -c, 'echo ran >> runs'], schedule: {every: 1s}}}
  - {type: dome, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: archive, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: mirror, variant: a, launch: {exec: [sleep, '1000']}}
";

fn runs(site: &Site) -> usize {
    fs::read_to_string(site.tcsd.path("runs")).unwrap_or_default().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_planned_work_and_the_profile_go_on() {
    let installed = Installed::new();
    let mut site = Site::of(&installed.path(), "process", CONFIG).await;
    let dome = site.pid("dome.a").await;
    site.ask_with("profile", json!({"name": "night"})).await.unwrap();
    site.ask_with("stop.mirror.a", json!({"comment": "washing"})).await.unwrap();
    wait_for("it runs by its schedule", || runs(&site) > 0).await;

    installed.install_tcsd();
    site.tcsd.signal("HUP");
    upgraded(&site, 1).await;
    let before = runs(&site);
    wait_for("and goes on", || runs(&site) >= before + 3).await;
    assert_eq!(site.pid("dome.a").await, dome);
    site.until("archive.a", |it| it["status"] == "stopped").await;
    let profiles = site.ask("profile").await.unwrap();
    assert_eq!(profiles["current"], "night");
    // nothing of that is a change to a file that is read again
    let reloaded = site.ask("reload").await.unwrap();
    assert_eq!(reloaded["changed"], false, "{reloaded:?}");
    site.until("mirror.a", |it| it["status"] == "stopped").await;

    // and for the launcher after it
    site.tcsd.stop().await;
    site.tcsd.run();
    site.pid("dome.a").await;
    site.until("mirror.a", |it| it["status"] == "stopped").await;
    site.until("archive.a", |it| it["status"] == "declared").await;
    site.tcsd.stop().await;
}
