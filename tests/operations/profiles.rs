//! Sets of services: what is shown before a launcher moves to one, and what runs afterwards.

use serde_json::Value;
use tcs_core::observer::Observation;
use tcs_core::wire::Kind;
use tcs_testkit::nats;
use tcs_testkit::tcsctl::{at, watch};
use tcs_testkit::tcsd::Site;

use super::listed;

const CONFIG: &str = "
launch:
  heartbeat: 1
  profiles: {night: [guider.a, weather.a], day: [weather.a, archive.a]}
services:
  - {type: guider, variant: a, launch: {exec: [sleep, '1000'], enabled: false}}
  - {type: weather, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: archive, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: other, variant: a, launch: {exec: [sleep, '1000']}}
";

/// Which services run, by the launcher.
async fn running(site: &Site, expected: &[&str]) {
    let is_so = |list: &serde_json::Value| {
        let all = list["services"].as_array().unwrap();
        let up = all.iter().filter(|it| it["status"] == "running");
        up.map(|it| it["service_id"].as_str().unwrap()).collect::<Vec<_>>() == expected
    };
    site.answer("list", is_so).await;
}

/// A heartbeat of this name is in the stream.
async fn beat_is_stored(site: &Site, name: &str) {
    let since = tcs_core::clock::wall() - chrono::TimeDelta::hours(1);
    let is_it = |it: &Observation| matches!(it, Observation::Message(it) if it.decoded.message.name() == Some(name));
    loop {
        let past = site.observer.since(since, &[Kind::Heartbeat]).await;
        if past.observations.iter().any(is_it) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_moves_from_one_profile_to_another() {
    let mut site = Site::start("process", CONFIG).await;
    let url = site.server.url();
    running(&site, &["archive.a", "other.a", "weather.a"]).await;
    let (other, weather) = (site.pid("other.a").await, site.pid("weather.a").await);
    listed(&site, "other.a", |it| it["verdict"] == "ok").await;
    // a move is known by a heartbeat before it and one after it
    let name = site.tcsd.name.to_string();
    nats::within_limit("a heartbeat is stored", beat_is_stored(&site, &name)).await;
    let all = at(&url, &["profile"]).expect(0).out;
    assert!(all.contains("no profile chosen; its file has day (2 services), night (2 "), "{all}");

    // the difference is shown, and without a yes nothing is done
    let asked = at(&url, &["profile", "night"]).expect(2);
    let line = |what: &str| asked.err.lines().any(|it| it.contains(what));
    assert!(line("guider.a  starts") || line("guider.a") && line("starts"), "{asked:#?}");
    assert!(line("archive.a") && line("stops") && line("nothing was done"), "{asked:#?}");
    assert!(!line("weather.a"), "{asked:#?}");
    running(&site, &["archive.a", "other.a", "weather.a"]).await;
    let wrong = at(&url, &["profile", "nihgt"]).expect(1).err;
    assert!(wrong.contains("did you mean `night`?"), "{wrong}");

    at(&url, &["profile", "night", "--yes"]).expect(0);
    running(&site, &["guider.a", "other.a", "weather.a"]).await;
    assert_eq!((site.pid("other.a").await, site.pid("weather.a").await), (other, weather));
    let events = site.events_with("guider.a", "start").await;
    let place = |id: &str, name: &str| {
        events.iter().position(|it| it.service_id == id && it.event.name() == name).unwrap()
    };
    assert!(place("archive.a", "stop") < place("guider.a", "start"), "stops come first");

    // what people have done meanwhile is undone by the next move, planned work apart
    at(&url, &["stop", "weather.a"]).expect(0);
    at(&url, &["stop", "guider.a", "-m", "new camera"]).expect(0);
    at(&url, &["start", "archive.a"]).expect(0);
    at(&url, &["profile", "night", "--yes"]).expect(0);
    running(&site, &["other.a", "weather.a"]).await;
    at(&url, &["start", "guider.a"]).expect(0);

    // it holds for the next launcher, and is told
    site.tcsd.stop().await;
    site.tcsd.run();
    running(&site, &["guider.a", "other.a", "weather.a"]).await;
    listed(&site, &name, |it| it["metrics"]["profile"] == "night").await;
    for page in [&["list"][..], &["report", "--since", "1h"]] {
        nats::wait_for("the profile", || at(&url, page).out.contains("profile night")).await;
    }
    let mut terminal = watch(&url, &[], (130, 40));
    terminal.see("profile night");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);

    at(&url, &["profile", "--clear", "--yes"]).expect(0);
    running(&site, &["archive.a", "other.a", "weather.a"]).await;

    // each move is in the events, and in the report in each of its forms
    let told = || at(&url, &["events", &name, "--since", "1h"]).expect(0).out;
    nats::wait_for("the last move is told", || told().contains("left profile night")).await;
    let events = told();
    assert!(events.contains("moved to profile night  by tcsctl"), "{events}");
    for form in ["text", "md", "html"] {
        let report = at(&url, &["report", "--since", "1h", "--format", form]).expect(0).out;
        let plain = report.replace("\\_", "_");
        assert!(plain.contains("moved to profile night, requested by"), "{form}: {report}");
        assert!(plain.contains("left profile night, requested by"), "{form}: {report}");
    }
    let report = at(&url, &["report", "--since", "1h", "--format", "json"]).expect(0).json();
    let changes = report["changes"].as_array().unwrap();
    let moves: Vec<_> = changes.iter().filter(|it| it["what"] == "profile").collect();
    // the second move to it is told where it came more than a second after the first
    let (last, before) = moves.split_last().unwrap();
    assert_eq!(last["profile"], Value::Null, "{report:#}");
    assert!(matches!(before.len(), 1 | 2), "{report:#}");
    assert!(before.iter().all(|it| it["profile"] == "night"), "{report:#}");
    assert!(moves.iter().all(|it| it["launcher"] == name && it["by"].is_string()), "{moves:#?}");
}
