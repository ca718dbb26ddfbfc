//! What is served of a site.

use serde_json::Value;
use tcs_core::fleet::Verdict;
use tcs_testkit::http::{Events, get, request};
use tcs_testkit::port::Port;
use tcs_testkit::programs::program;
use tcs_testkit::tcsd::Site;

use super::*;

const CONFIG: &str = "launch: {heartbeat: 1}\nservices:\n  - type: dome\n    variant: main\n    \
    restart: 'no'\n    launch: {exec: [sh, -c, 'echo open; exec sleep 1000']}\n  - {type: dome, \
    variant: spare, launch: {exec: [sleep, '1000']}}\n";

const PROFILES: &str = "launch: {heartbeat: 1, profiles: {night: [dome.main], day: [dome.main, \
    dome.spare]}}\nservices:\n  - {type: dome, variant: main, launch: {exec: [sleep, '1000']}}\n  \
    - {type: dome, variant: spare, launch: {exec: [sleep, '1000']}}\n";

async fn site(config: &str) -> Site {
    let server = Server::start(&server()).await;
    let mut site = Site::at(server, &program("tcsd"), "process", config).await;
    site.tcsd.run();
    // as the streams have it, which is after the launcher itself
    let mut watch = site.watch();
    for id in ["dome.main", "dome.spare"] {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
    }
    site
}

fn service(document: &Value, id: &str) -> Value {
    let services = document["services"].as_array().unwrap();
    services.iter().find(|it| it["id"] == id).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_answers_with_its_document() {
    let site = site(CONFIG).await;
    let serve = Serve::ready(&site.server.url(), &["--title", "<Dome> & co"]).await;
    let port = serve.port;
    let fleet = get(port, "/api/v1/fleet").await.expect(200).json();
    assert_eq!(fleet["schema"], "tcsctl.fleet.v1");
    assert_eq!(service(&fleet, "dome.main")["verdict"], "ok", "{fleet:#}");
    let narrowed = get(port, "/api/v1/fleet?filter=spare").await.expect(200).json();
    assert_eq!(narrowed["counts"]["shown"], 1);
    let one = get(port, "/api/v1/fleet?service=dome.main").await.expect(200).json();
    assert_eq!(
        (one["counts"]["shown"].clone(), service(&one, "dome.main")["verdict"].clone()),
        (1.into(), "ok".into())
    );
    let alarms = get(port, "/api/v1/alarms").await.expect(200).json();
    assert_eq!(
        (&alarms["schema"], &alarms["watched_by"]),
        (&"tcsctl.alarms.v1".into(), &Value::Array(vec![]))
    );
    let timeline = get(port, "/api/v1/timeline?since=10m").await.expect(200).json();
    assert!(!service(&timeline, "dome.main")["spans"].as_array().unwrap().is_empty());
    let why = get(port, "/api/v1/why?service=dome.main").await.expect(200).json();
    assert_eq!(why["verdict"], "ok");
    let log = get(port, "/api/v1/logs?service=dome.main").await.expect(200);
    assert_eq!(log.header("content-type"), "application/x-ndjson");
    assert!(log.body.lines().all(|it| it.contains("\"message\":")), "{log:#?}");
    wait_until(port, "/api/v1/logs?service=dome.main", |it| it.contains("\"message\":\"open\""))
        .await;
    // launchers are asked in the background
    wait_until(port, "/api/v1/resources", |it| it.contains("rss_bytes")).await;
    get(port, "/api/v1/resources").await.expect(200).json();
    let text = wait_until(port, "/metrics", |it| it.contains("tcs_service_resident_memory")).await;
    assert!(text.contains("tcs_service_events_total{service=\"dome.main\",event=\"crashed\"} 0"));

    let page = get(port, "/").await.expect(200);
    assert!(page.body.contains("<title>&lt;Dome&gt; &amp; co</title>"), "{page:#?}");
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/api/v1/fleet", "application/json"),
        ("/healthz", "text/plain; charset=utf-8"),
    ] {
        let whole = get(port, path).await.expect(200);
        assert_eq!(whole.header("content-type"), kind, "{path}");
        let head = request(port, "HEAD", path, &[]).await.expect(200);
        assert_eq!((head.body.as_str(), head.header("content-type")), ("", kind), "{path}");
        request(port, "POST", path, &[]).await.expect(405);
        // another format is never negotiated: it would change names of labels
        let asked = [("accept", "application/openmetrics-text; version=1.0.0")];
        assert_eq!(request(port, "GET", path, &asked).await.header("content-type"), kind);
    }
    for (path, status) in [
        ("/none", 404),
        ("/api/v1/why?service=none.none", 404),
        ("/api/v1/fleet?service=none.none", 404),
        ("/api/v1/fleet?service=", 404),
        ("/api/v1/why", 400),
        ("/api/v1/logs?service=%00", 404),
        ("/api/v1/fleet?filter=/%5B/", 400),
        ("/api/v1/timeline?since=9d", 400),
        ("/api/v1/timeline?since=x", 400),
    ] {
        get(port, path).await.expect(status);
    }
    let too_long = format!("/api/v1/fleet?filter={}", "x".repeat(3000));
    get(port, &too_long).await.expect(400);
}

pub(super) async fn wait_until(port: u16, path: &str, is_so: impl Fn(&str) -> bool) -> String {
    let start = tcs_core::clock::monotonic();
    loop {
        let reply = get(port, path).await.expect(200);
        if is_so(&reply.body) {
            return reply.body;
        }
        assert!(start.elapsed() < nats::LIMIT, "in vain: {path}: {}", reply.body);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_a_snapshot_and_tells_each_change() {
    let site = site(CONFIG).await;
    let serve = Serve::ready(&site.server.url(), &[]).await;
    let mut events = Events::open(serve.port, "/api/v1/stream").await;
    let (name, snapshot) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &snapshot["kind"]), ("snapshot", &"snapshot".into()));
    assert_eq!(service(&snapshot, "dome.main")["verdict"], "ok");
    assert_eq!(events.next().await.unwrap().0, "tick");
    assert_eq!(events.next().await.unwrap().0, "alarms");
    signal("KILL", site.pid("dome.main").await);
    let change = events
        .until(|name, data| {
            name == "service" && data["id"] == "dome.main" && data["service"]["verdict"] == "failed"
        })
        .await;
    assert_eq!(change["schema"], "tcsctl.change.v1");
    // and goes on to show that it lives
    events.until(|name, _| name == "tick").await;
    let metrics = get(serve.port, "/metrics").await.body;
    let crashed = "tcs_service_events_total{service=\"dome.main\",event=\"crashed\"} 1";
    assert!(metrics.contains(crashed), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_another_profile_is_told_to_the_page() {
    let site = site(PROFILES).await;
    let serve = Serve::ready(&site.server.url(), &[]).await;
    let mut events = Events::open(serve.port, "/api/v1/stream").await;
    let tick = events.until(|name, _| name == "tick").await;
    assert_eq!(tick["profiles"], serde_json::json!([]));
    let move_to = |name| {
        tcs_testkit::tcsctl::at(&site.server.url(), &["profile", name, "--yes"]).expect(0);
    };
    for name in ["night", "day"] {
        move_to(name);
        let tick = events.until(|event, data| event == "tick" && data["profiles"][0] == name).await;
        assert_eq!(tick["profiles"], serde_json::json!([name]));
    }
    // and stands in its header
    let Some(mut browser) = tcs_testkit::browser::Browser::start(1200, 900) else { return };
    browser.visit(&format!("http://127.0.0.1:{}/", serve.port));
    browser.wait("document.getElementById('profile')?.textContent === 'profile day'");
    assert_eq!(browser.said, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_the_broker_is_gone_and_comes_back_by_itself() {
    let mut server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let mut events = Events::open(serve.port, "/api/v1/stream").await;
    server.stop();
    events.until(|name, data| name == "link" && data["connected"] == false).await;
    let reply = http::until(serve.port, "/readyz", 503).await;
    assert!(reply.body.contains("not_connected"), "{reply:#?}");
    get(serve.port, "/healthz").await.expect(200);
    let blind = get(serve.port, "/metrics").await.body;
    assert!(blind.contains("tcs_up 0\n") && !blind.contains("hello_world"), "{blind}");
    server.run().await;
    http::until(serve.port, "/readyz", 200).await;
    events.until(|name, data| name == "link" && data["connected"] == true).await;
    let metrics = get(serve.port, "/metrics").await.body;
    assert!(metrics.contains("tcs_up 1\n") && metrics.contains("tcs_link_reconnects_total 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_before_its_broker() {
    let mut server = filled(&server(), "process-launcher").await;
    server.stop();
    let serve = Serve::start(&server.url(), &[]);
    get(serve.port, "/healthz").await.expect(200);
    get(serve.port, "/readyz").await.expect(503);
    server.run().await;
    http::until(serve.port, "/readyz", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_holds_for_all_that_is_served() {
    let site = site(CONFIG).await;
    // one of another host
    let mut client = tcs_testkit::raw::Client::connect(site.server.port());
    let data = serde_json::json!({"name": "camera.far", "status": "error", "hostname": "srv99"});
    let body = serde_json::json!({"data": data, "meta": {"id": "m", "sender": "s"}}).to_string();
    client.publish("svc.status.camera.far", None, body.as_bytes());
    client.flush();
    let serve = Serve::ready(&site.server.url(), &["spare"]).await;
    let is_of_others =
        |text: &str| ["dome.main", "camera", "srv99"].iter().any(|name| text.contains(name));
    for path in ["/api/v1/fleet", "/metrics", "/api/v1/timeline"] {
        let body = get(serve.port, path).await.expect(200).body;
        assert!(body.contains("dome.spare") && !is_of_others(&body), "{path}: {body}");
    }
    for path in ["/api/v1/alarms", "/api/v1/resources", "/api/v1/fleet?service=dome.spare"] {
        let body = get(serve.port, path).await.expect(200).body;
        assert!(!is_of_others(&body), "{path}: {body}");
    }
    for path in ["/api/v1/why", "/api/v1/logs", "/api/v1/fleet"] {
        get(serve.port, &format!("{path}?service=dome.main")).await.expect(404);
    }
    get(serve.port, "/api/v1/fleet?filter=main").await.expect(400);
    let mut events = Events::open(serve.port, "/api/v1/stream").await;
    let (_, snapshot) = events.next().await.unwrap();
    assert_eq!(snapshot["services"].as_array().unwrap().len(), 1);
    for name in ["tick", "alarms"] {
        let (told, data) = events.next().await.unwrap();
        assert!(told == name && !is_of_others(&data.to_string()), "{told}: {data:#}");
    }
}

const BUILT_IN: &str = "launch: {heartbeat: 1}\nservices:\n  - {type: dome, variant: main, launch: \
    {exec: [sleep, '1000']}}\n  - {type: serve, variant: main, title: Under tcsd, listen: \
    '127.0.0.1:PORT'}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_runs_it_like_any_service() {
    let held = Port::free();
    let free = held.number();
    let config = BUILT_IN.replace("PORT", &free.to_string());
    let server = Server::start(&server()).await;
    let mut site = Site::at(server, &program("tcsd"), "process", &config).await;
    site.tcsd.run();
    let is_up = |it: &Value| it["status"] == "running" && it["pid"].is_u64();
    site.until("serve.main", is_up).await;
    let listens = || std::net::TcpStream::connect(("127.0.0.1", free)).is_ok();
    wait_for("it listens", listens).await;
    http::until(free, "/readyz", 200).await;
    let page = get(free, "/").await.expect(200);
    assert!(page.body.contains("<title>Under tcsd</title>"), "{page:#?}");
    let start = tcs_core::clock::monotonic();
    loop {
        let fleet = get(free, "/api/v1/fleet").await.expect(200).json();
        if service(&fleet, "serve.main")["verdict"] == "ok" {
            break;
        }
        assert!(start.elapsed() < nats::LIMIT, "{fleet:#}");
    }
    let message = format!("\"message\":\"listening on http://127.0.0.1:{free}/\"");
    wait_until(free, "/api/v1/fleet", |it| it.contains(&message)).await;
    // an open stream does not hold it
    let mut events = Events::open(free, "/api/v1/stream").await;
    events.next().await.unwrap();
    at(&site.server.url(), &["stop", "serve.main", "--timeout", "60"]).expect(0);
    let log = site.tcsd.log();
    assert!(!log.contains("killed") && !log.contains("SIGKILL"), "{log}");
}
