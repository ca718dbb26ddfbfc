//! Several launchers move to another profile: what stops is stopped before anything starts.

use tcs_testkit::programs::program;
use tcs_testkit::tcsctl::at;
use tcs_testkit::tcsd::{Site, Tcsd};

use super::listed;

fn config(host: &str) -> String {
    let one = |name: &str, more: &str| {
        format!("  - {{type: {name}, variant: {host}, launch: {{exec: [sleep, '1000']{more}}}}}\n")
    };
    format!(
        "launch: {{profiles: {{night: [guider.{host}, camera.{host}], day: [archive.{host}]}}}}\n\
         services:\n{}{}{}",
        one("camera", ""),
        one("guider", &format!(", after: [camera.{host}]")),
        one("archive", ", enabled: false")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stops_come_before_all_starts_whatever_launcher_they_are_on() {
    let site = Site::start("process", &config("a")).await;
    let url = site.server.url();
    let mut second = Tcsd::new(&program("tcsd"), &url, "process", &config("b"));
    second.run();
    for id in ["guider.a", "camera.a", "guider.b", "camera.b"] {
        listed(&site, id, |it| it["verdict"] == "ok").await;
    }
    let told = at(&url, &["profile", "day", "--yes"]).expect(0).out;
    assert!(told.contains("guider.a  stopped") && told.contains("camera.b  stopped"), "{told}");
    for id in ["archive.a", "archive.b"] {
        listed(&site, id, |it| it["verdict"] == "ok").await;
    }
    let events = site.events(None).await;
    // of two launchers, whose events may be stored in another order
    let time = |id: &str, name: &str| {
        let it = events.iter().rfind(|it| it.service_id == id && it.event.name() == name);
        it.unwrap().timestamp.unwrap().time()
    };
    for host in ["a", "b"] {
        let [camera, guider] =
            ["camera", "guider"].map(|name| time(&format!("{name}.{host}"), "stop"));
        assert!(guider <= camera, "in the reverse of their order");
        for started in ["archive.a", "archive.b"] {
            assert!(camera <= time(started, "start"), "camera.{host}, {started}");
        }
    }
}
