//! `tcsctl why` of services that are really killed, fail, and are stopped.

use serde_json::Value;
use tcs_testkit::nats::wait_for;
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::{Site, signal};

pub(super) const ID: &str = "guider.main";
pub(super) const CAMERA: &str = "camera.main";

/// A guider that ends once its file is gone, started after a camera.
pub(super) async fn site() -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run");
    std::fs::write(&file, "").unwrap();
    let guider = format!(
        "while [ -e {} ]; do sleep 0.05; done; echo reading; echo no camera >&2; exit 3",
        file.display()
    );
    let config = format!(
        "launch: {{heartbeat: 1}}
services:
  - {{type: camera, variant: main, restart: \"no\", launch: {{exec: [sleep, \"1000\"]}}}}
  - type: guider
    variant: main
    restart: \"no\"
    launch: {{after: [camera.main], exec: [sh, -c, {guider:?}]}}
  - {{type: dome, variant: main, restart: \"no\", launch: {{exec: [sleep, \"1000\"]}}}}
"
    );
    let site = Site::start("process", &config).await;
    let url = site.server.url();
    for id in [CAMERA, ID, "dome.main"] {
        site.pid(id).await;
        // the launcher knows it before the streams, which it makes first, hold it
        wait_for("the streams hold it", || tcsctl::at(&url, &["why", id]).code == Some(0)).await;
    }
    (site, folder)
}

fn why(site: &Site, args: &[&str]) -> Value {
    let url = site.server.url();
    tcsctl::at(&url, &[&["why", "--json"], args].concat()).expect(0).json()
}

/// The texts of one section.
fn texts(document: &Value, section: &str) -> Vec<String> {
    let lines = document["lines"].as_array().unwrap();
    let of = lines.iter().filter(|line| line["section"] == section);
    of.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

/// The answer, once the service has this verdict.
pub(super) async fn once(site: &Site, id: &str, verdict: &str) -> Value {
    let mut document = Value::Null;
    wait_for("the verdict", || {
        document = why(site, &[id]);
        document["verdict"] == verdict
    })
    .await;
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_by_nobody_we_know_of_and_memory_is_not_guessed() {
    let (site, _folder) = site().await;
    once(&site, ID, "ok").await;
    signal("KILL", site.pid(ID).await);
    let mut document = once(&site, ID, "failed").await;
    let end = &document["last_end"];
    assert_eq!((&end["reason"], &end["signal"]), (&"crashed".into(), &"SIGKILL".into()));
    // the next heartbeat of the launcher tells whether the kernel did it, where the kernel says it
    let counts = std::fs::read_to_string("/proc/vmstat").unwrap_or_default().contains("oom_kill ");
    if counts {
        wait_for("the heartbeat after it", || {
            document = why(&site, &[ID]);
            !document["last_end"]["host_out_of_memory"].is_null()
        })
        .await;
    }
    let told = texts(&document, "last_end");
    let killed = told.iter().find(|it| it.contains("from an unknown sender"));
    let killed = killed.unwrap_or_else(|| panic!("{document:#}"));
    let memory = match document["last_end"]["host_out_of_memory"].as_bool() {
        Some(false) => "; the host was not out of memory",
        Some(true) => "; its host ran out of memory at that time, and the kernel killed processes",
        None => "; whether the host was out of memory is not known",
    };
    assert_eq!(*killed, format!("killed by SIGKILL from an unknown sender{memory}"));
    assert_eq!(document["crashes"]["last_hour"], 1);
    assert!(texts(&document, "next").iter().any(|it| it.starts_with("tcsctl restart guider.main")));
    // each line says where it is known from
    for line in document["lines"].as_array().unwrap() {
        assert!(line["source"]["kind"].is_string(), "{line:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_is_after_stands_first_and_who_restarted_it_is_told() {
    let (site, folder) = site().await;
    let url = site.server.url();
    once(&site, ID, "ok").await;
    let before = tcs_core::clock::wall();
    signal("KILL", site.pid("dome.main").await);
    signal("KILL", site.pid(CAMERA).await);
    once(&site, CAMERA, "failed").await;
    once(&site, "dome.main", "failed").await;
    std::fs::remove_file(folder.path().join("run")).unwrap();
    let document = once(&site, ID, "failed").await;
    let lines = document["lines"].as_array().unwrap();
    let first = lines.iter().find(|line| line["section"] == "before").unwrap();
    assert_eq!(first["relation"], "after", "{document:#}");
    assert_eq!(first["source"]["id"], CAMERA);
    let told = texts(&document, "before");
    assert!(told[0].contains("camera.main  crashed after"), "{told:?}");
    assert!(told.iter().skip(1).any(|it| it.contains("dome.main")), "{told:?}");
    let told = texts(&document, "last_end");
    assert!(told.iter().any(|it| it == "output  no camera"), "{told:?}");
    let next = texts(&document, "next");
    assert!(next[0].starts_with("tcsctl why camera.main") && next[0].ends_with("the cause"));
    // for people
    let out = tcsctl::at(&url, &["why", ID]).expect(0).out;
    assert!(out.starts_with("× guider.main\n"), "{out}");
    assert!(out.contains("exit code 3") && out.contains("(cause: it starts after this)"), "{out}");
    // before all that
    let at = before.to_rfc3339();
    assert_eq!(why(&site, &[ID, "--at", &at])["verdict"], "ok");

    std::fs::write(folder.path().join("run"), "").unwrap();
    tcsctl::at(&url, &["start", ID]).expect(0);
    let document = once(&site, ID, "ok").await;
    let told = texts(&document, "tried");
    assert!(told.iter().any(|it| it.contains("requested by")), "{document:#}");
    tcsctl::at(&url, &["stop", ID]).expect(0);
    let document = once(&site, ID, "stopped").await;
    let told = texts(&document, "last_end");
    assert!(told.iter().any(|it| it.starts_with("requested by")), "{told:?}");
    assert!(texts(&document, "next").iter().any(|it| it.starts_with("tcsctl start guider.main")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_at_the_same_time_is_not_called_the_cause() {
    let (site, _folder) = site().await;
    once(&site, ID, "ok").await;
    // nothing starts after the dome, and it starts after nothing
    let (dome, camera) = (site.pid("dome.main").await, site.pid(CAMERA).await);
    signal("KILL", camera);
    signal("KILL", dome);
    once(&site, CAMERA, "failed").await;
    let document = once(&site, "dome.main", "failed").await;
    let lines = document["lines"].as_array().unwrap();
    let before: Vec<_> = lines.iter().filter(|line| line["section"] == "before").collect();
    assert!(before[0]["text"].as_str().unwrap().starts_with("none of this is known to be the"));
    let other = before.iter().find(|line| line["source"]["id"] == CAMERA);
    let other = other.unwrap_or_else(|| panic!("{document:#}"));
    assert_eq!(other["bearing"], "coincidence", "{document:#}");
    assert!(other["text"].as_str().unwrap().ends_with("(same launcher; no connection is known)"));
    let next = texts(&document, "next");
    assert!(!next[0].contains(CAMERA), "it does not come first: {next:?}");
    let told = next.iter().find(|it| it.starts_with("tcsctl why camera.main")).unwrap();
    assert!(told.ends_with("happened at about the same time; no connection is known"), "{told}");
    assert!(!texts(&document, "before").join("; ").contains("(cause"), "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_must_be_meant() {
    let (site, _folder) = site().await;
    let url = site.server.url();
    let several = tcsctl::at(&url, &["why", "main"]).expect(2);
    assert!(several.err.contains("matches 3 services: name one"), "{several:?}");
    let none = tcsctl::at(&url, &["why", "spectrograph"]).expect(1);
    assert!(none.err.contains("no service matches `spectrograph`"), "{none:?}");
    assert_eq!(why(&site, &["guider"])["id"], ID);
}
