//! Metrics, printed once and served.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use tcs_testkit::port::Port;
use tcs_testkit::programs::program;
use tcs_testkit::root;
use tcs_testkit::tcsd::Site;

use super::*;

/// What `promtool` says of a text; `None`, which is told: there is no `promtool` here.
fn promtool(args: &[&str], text: &str) -> Option<(bool, String)> {
    let mut command = Command::new("promtool");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("\n!!! NOT TESTED with promtool: apt-get install prometheus\n");
        return None;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

fn assert_is_clean(text: &str) {
    if let Some((is_clean, said)) = promtool(&["check", "metrics"], text) {
        assert!(is_clean && said.is_empty(), "{said}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_told_to_prometheus() {
    on_each_server(async |binary| {
        let server = filled(&binary, "process-launcher").await;
        let text = at(&server.url(), &["metrics"]).expect(0).out;
        assert_is_clean(&text);
        for line in [
            "tcs_up 1",
            "tcs_picture_complete 1",
            "tcs_service_verdict{service=\"hello_world.main\",verdict=\"failed\"} 1",
            "tcs_service_verdict{service=\"hello_world.main\",verdict=\"ok\"} 0",
            "tcs_series_dropped 0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        let one = at(&server.url(), &["metrics", "hello_world"]).expect(0).out;
        assert!(one.contains("hello_world.main") && !one.contains("examples."), "{one}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_replaced_and_says_so_when_nothing_is_seen() {
    let server = filled(&server(), "process-launcher").await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tcs.prom");
    let args = ["metrics", "--output", path.to_str().unwrap(), "--timeout", "10s"];
    let output = at(&server.url(), &args).expect(0);
    assert_eq!(output.out, "");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("tcs_up 1\n") && text.contains("hello_world.main"), "{text}");
    // node_exporter runs as another user
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);

    let url = server.url();
    drop(server);
    at(&url, &args).expect(3);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("tcs_up 0\n") && !text.contains("hello_world"), "{text}");
    assert_is_clean(&text);
    // nothing else is left in the folder
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    at(&url, &["metrics", "--timeout", "1s", "--output", "/nowhere/tcs.prom"]).expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_sent_in_gzip_to_who_takes_it() {
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let plain = http::get(serve.port, "/metrics").await.expect(200);
    let takes = [("accept-encoding", "gzip;q=0.9")];
    let packed = http::open(serve.port, "GET", "/metrics", &takes).await;
    let header = |name: &str| packed.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-encoding"), "gzip");
    assert_eq!(header("content-type"), plain.header("content-type"));
    assert_eq!(
        (header("vary").as_str(), plain.header("vary")),
        ("accept-encoding", "accept-encoding")
    );
    let length: usize = header("content-length").parse().unwrap();
    let body = packed.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len(), length);
    let mut text = String::new();
    GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
    assert!(length < text.len() / 4, "{length} of {}", text.len());
    assert_is_clean(&text);
    assert_eq!(series(&text), series(&plain.body));
    for refused in ["gzip;q=0", "br", "", "gzip;q=x"] {
        let asked = [("accept-encoding", refused)];
        let reply = http::request(serve.port, "GET", "/metrics", &asked).await.expect(200);
        assert_eq!(reply.header("content-encoding"), "", "{refused}");
        assert_eq!(series(&reply.body), series(&text), "{refused}");
    }
    let head = http::request(serve.port, "HEAD", "/metrics", &takes).await.expect(200);
    assert_eq!((head.body.as_str(), head.header("content-encoding")), ("", "gzip"));
    // all else is sent as it is
    let fleet = http::request(serve.port, "GET", "/api/v1/fleet", &takes).await.expect(200);
    assert_eq!(fleet.header("content-encoding"), "");
}

/// The names and labels of all samples of services.
fn series(text: &str) -> BTreeSet<&str> {
    let samples = text.lines().filter(|line| line.starts_with("tcs_service_"));
    samples.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series).collect()
}

const CONFIG: &str = "launch: {heartbeat: 1}\nservices:\n  - {type: dome, variant: main, launch: \
    {exec: [sleep, '1000']}}\n";

fn contrib(name: &str) -> String {
    std::fs::read_to_string(root().join("contrib").join(name)).unwrap()
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("tcs_")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_and_dashboards_ask_for_is_told() {
    let mut site =
        Site::at(Server::start(&server()).await, &program("tcsd"), "process", CONFIG).await;
    site.tcsd.run();
    site.pid("dome.main").await;
    let serve = Serve::ready(&site.server.url(), &[]).await;
    let files = ["prometheus/alerts.yml", "prometheus/alerts_test.yml", "grafana/tcs-fleet.json"];
    let asked = files.map(contrib).concat();
    let asked = names(&asked);
    assert!(asked.len() > 15, "{asked:?}");
    let start = tcs_core::clock::monotonic();
    loop {
        let text = http::get(serve.port, "/metrics").await.expect(200).body;
        let told = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let told: BTreeSet<&str> = told.collect();
        let missing: Vec<_> = asked.difference(&told).collect();
        if missing.is_empty() {
            assert_is_clean(&text);
            return;
        }
        assert!(start.elapsed() < nats::LIMIT, "nobody tells {missing:?}\n{text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn the_rules_do_what_their_tests_say() {
    let folder = root().join("contrib/prometheus");
    let file = |name: &str| folder.join(name).display().to_string();
    if let Some((is_well, said)) = promtool(&["check", "rules", &file("alerts.yml")], "") {
        assert!(is_well, "{said}");
    }
    if let Some((is_well, said)) = promtool(&["test", "rules", &file("alerts_test.yml")], "") {
        assert!(is_well, "{said}");
    }
    if let Some((is_well, said)) = promtool(&["check", "config", &file("prometheus.yml")], "") {
        assert!(is_well, "{said}");
    }
}

/// All expressions of the dashboard, with the title of their panel.
fn expressions() -> Vec<(String, String)> {
    let dashboard: serde_json::Value =
        serde_json::from_str(&contrib("grafana/tcs-fleet.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    let of = |panel: &serde_json::Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().unwrap().clone();
        targets.into_iter().map(move |it| (title.clone(), it["expr"].as_str().unwrap().to_owned()))
    };
    let found: Vec<_> = panels.iter().flat_map(of).collect();
    assert!(found.len() >= panels.len(), "{found:?}");
    found
}

#[test]
fn what_the_dashboard_asks_for_is_promql() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    let rule = |(i, (_, asked)): (usize, (String, String))| serde_json::json!({"record": format!("panel:{i}"), "expr": asked});
    let rules: Vec<_> = expressions().into_iter().enumerate().map(rule).collect();
    let count = rules.len();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(&file, rules.to_string()).unwrap();
    if let Some((is_well, said)) = promtool(&["check", "rules", file.to_str().unwrap()], "") {
        assert!(is_well && said.contains(&format!("{count} rules found")), "{said}");
    }
}

/// Ended with the test.
struct Prometheus(std::process::Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_it() {
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let dir = tempfile::tempdir().unwrap();
    let config = contrib("prometheus/prometheus.yml");
    let config = config.replace("127.0.0.1:8765", &format!("127.0.0.1:{}", serve.port));
    let config = config.replace("scrape_interval: 15s", "scrape_interval: 1s");
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    std::fs::write(dir.path().join("alerts.yml"), contrib("prometheus/alerts.yml")).unwrap();
    let held = Port::free();
    let free = held.number();
    let mut command = Command::new("prometheus");
    command.arg(format!("--web.listen-address=127.0.0.1:{free}"));
    command.arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
    let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        eprintln!("\n!!! NOT TESTED with Prometheus: apt-get install prometheus\n");
        return;
    };
    let _prometheus = Prometheus(child);
    wait_for("Prometheus is up", || std::net::TcpStream::connect(("127.0.0.1", free)).is_ok())
        .await;
    let query = "/api/v1/query?query=tcs_service_verdict%7Bservice%3D%22hello_world.main%22%2C\
        verdict%3D%22failed%22%7D";
    let start = tcs_core::clock::monotonic();
    loop {
        let reply = http::get(free, query).await;
        if reply.body.contains("\"value\":[") && reply.body.contains(",\"1\"]") {
            break;
        }
        assert!(start.elapsed() < nats::LIMIT, "{reply:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // what is known of the site can be drawn
    for (panel, asked) in expressions() {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("query", &asked);
        let reply = http::get(free, &format!("/api/v1/query?{}", query.finish())).await;
        let answer: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(answer["status"], "success", "{panel}: {asked}: {answer:#}");
        let always = ["Connected", "Everything read", "Failed or lost", "Services"];
        let is_empty = answer["data"]["result"].as_array().is_none_or(Vec::is_empty);
        assert!(!is_empty || !always.contains(&&*panel), "{panel}: {asked}: {answer:#}");
    }
}
