//! Planned work and profiles in the dashboard, in a real terminal.

use serde_json::Value;
use tcs_testkit::tcsctl::{at, watch};
use tcs_testkit::tcsd::{Site, Tcsd};

use super::listed;

const CONFIG: &str = "
launch:
  heartbeat: 1
  profiles: {night: [guider.a], day: [archive.a]}
services:
  - {type: guider, variant: a, launch: {exec: [sleep, '1000'], after: [weather.a]}}
  - {type: weather, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: archive, variant: a, launch: {exec: [sleep, '1000'], enabled: false}}
";

/// Another launcher, with the same profiles.
const SECOND: &str = "
launch:
  heartbeat: 1
  profiles: {night: [camera.b], day: [writer.b]}
services:
  - {type: camera, variant: b, launch: {exec: [sleep, '1000'], enabled: false}}
  - {type: writer, variant: b, launch: {exec: [sleep, '1000']}}
";

async fn is(site: &Site, id: &str, verdict: &str) -> Value {
    listed(site, id, |it| it["verdict"] == verdict).await
}

fn short_host() -> String {
    let host = tcs_core::bus::publish::hostname();
    host.split('.').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_stopped_for_a_reason_and_a_host_for_maintenance() {
    let site = Site::start("process", CONFIG).await;
    let url = site.server.url();
    for id in ["guider.a", "weather.a"] {
        is(&site, id, "ok").await;
    }
    for size in [(80, 24), (160, 50)] {
        let mut terminal = watch(&url, &[], size);
        terminal.wait("both run", |text| text.matches("● ok").count() >= 3);
        terminal.keys("/weather\rGX");
        terminal.see("stop weather.a for planned work");
        terminal.keys("mirror washing\r");
        terminal.see("guider.a is started after it and keeps running");
        terminal.see("for planned work: mirror washing");
        terminal.keys("y");
        let stopped = listed(&site, "weather.a", |it| it["planned"].is_object()).await;
        assert_eq!(stopped["planned"]["comment"], "mirror washing");
        terminal.see("stop weather.a: stopped");
        at(&url, &["start", "weather.a"]).expect(0);
        is(&site, "weather.a", "ok").await;

        terminal.keys(&format!("\x1b:maintenance {}\r", short_host()));
        terminal.see("how long and why: 30m new disk");
        terminal.keys("30m new disk\r");
        let asked = terminal.see("stop 2 services?");
        assert!(asked.contains("guider.a") && asked.contains("weather.a"), "{asked}");
        assert!(asked.contains("no alarms are shelved"), "{asked}");
        terminal.keys("y");
        terminal.see("stop: 2 done");
        for id in ["guider.a", "weather.a"] {
            let stopped = listed(&site, id, |it| it["planned"].is_object()).await;
            let comment = stopped["planned"]["comment"].as_str().unwrap();
            assert!(comment.starts_with("maintenance of host:"), "{comment}");
            assert!(comment.ends_with(": new disk"), "{comment}");
        }
        // what is after the other stopped first, and starts last
        let place = |events: &[tcs_core::wire::RegistryMessage], id: &str, name: &str| {
            events.iter().rposition(|it| it.service_id == id && it.event.name() == name).unwrap()
        };
        let events = site.events(None).await;
        assert!(place(&events, "guider.a", "stop") < place(&events, "weather.a", "stop"));
        terminal.keys("\x1b");
        terminal.see_no("stop: 2 done");
        terminal.keys(":end-maintenance \r");
        terminal.see("start 2 services?");
        terminal.keys("y");
        terminal.see("start: 2 done");
        for id in ["guider.a", "weather.a"] {
            is(&site, id, "ok").await;
        }
        let events = site.events(None).await;
        assert!(place(&events, "weather.a", "start") < place(&events, "guider.a", "start"));
        terminal.keys("\x1bq");
        assert_eq!(terminal.end(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_moves_to_another_profile_stops_first() {
    let site = Site::start("process", CONFIG).await;
    let url = site.server.url();
    let program = tcs_testkit::programs::program("tcsd");
    let mut second = Tcsd::new(&program, &url, "process", SECOND);
    second.run();
    for id in ["guider.a", "weather.a", "writer.b"] {
        is(&site, id, "ok").await;
    }
    let mut terminal = watch(&url, &[], (120, 40));
    terminal.wait("all run", |text| text.matches("● ok").count() >= 5);
    terminal.keys(":profile ");
    terminal.see("2 services on 2 launchers");
    terminal.keys("day\r");
    terminal.see("move to profile day?");
    let asked = terminal.see("guider.a  stops");
    assert!(asked.contains("archive.a  starts"), "{asked}");
    assert!(!asked.contains("on all launchers"), "each keeps the order by itself: {asked}");
    terminal.keys("n");
    terminal.see("nothing was done");
    terminal.keys(":profile night\r");
    let asked = terminal.see("writer.b  stops");
    assert!(asked.contains("camera.b  starts") && !asked.contains("guider.a  stops"), "{asked}");
    terminal.keys("y");
    terminal.see("profile night: 2 done");
    is(&site, "camera.b", "ok").await;
    is(&site, "writer.b", "stopped").await;
    terminal.keys("\x1b");
    terminal.see("profile night");
    // on another launcher something starts: what stops is stopped before
    terminal.keys(":profile day\r");
    let asked = terminal.see("on all launchers; then the rest starts");
    assert!(asked.contains("camera.b  stops") && asked.contains("guider.a  stops"), "{asked}");
    terminal.keys("y");
    terminal.see("profile day: 4 done");
    for id in ["archive.a", "writer.b"] {
        is(&site, id, "ok").await;
    }
    let events = site.events_with("camera.b", "stop").await;
    // of two launchers, whose events may be stored in another order
    let time = |id: &str, name: &str| {
        let it = events.iter().rfind(|it| it.service_id == id && it.event.name() == name);
        it.unwrap().timestamp.unwrap().time()
    };
    for stopped in ["guider.a", "camera.b"] {
        for started in ["archive.a", "writer.b"] {
            assert!(time(stopped, "stop") <= time(started, "start"), "{stopped}, {started}");
        }
    }
    terminal.keys("\x1bq");
    assert_eq!(terminal.end(), 0);
    // without rights to operate nothing is asked
    let mut terminal = watch(&url, &["--read-only"], (120, 40));
    terminal.see("archive.a");
    terminal.keys(":profile\r");
    terminal.see("read-only");
    terminal.keys("\x1bq");
    assert_eq!(terminal.end(), 0);
}
