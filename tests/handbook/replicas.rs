//! Replicas of streams: of those that were made on one broker, and while a server of the cluster is
//! still missing.

use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::{Value, json};
use tcs_core::bus::settings::NatsSection;
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats::{on_each_server, wait_within};
use tcs_testkit::tcsctl;

use super::{AGREED, blocks, connect, make_streams, section, tcsd};

/// Killed, not asked, should the test fail; then its log is printed.
struct Running(Child, PathBuf);

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "the report of a test that failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- tcsd\n{}", std::fs::read_to_string(&self.1).unwrap_or_default());
        }
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Streams that were made on one broker: the warnings, and the block that gives them replicas.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_broker_get_three_replicas() {
    let block = blocks::of("docs/handbook/growing.md", "yaml");
    let block = block.iter().find(|block| block.contains("replicas: 3")).unwrap();
    on_each_server(async |binary| {
        let cluster = Cluster::start(&binary).await;
        let one = NatsSection { replicas: Some(1), ..section(&cluster.urls(), None) };
        let bus = connect(&one).await;
        let streams = make_streams(&bus).await;
        let (dir, urls) = (tempfile::tempdir().unwrap(), cluster.urls());
        let alone = format!("nats: {{url: '{urls}'}}\nservices: []\n");
        let warning = "has one replica in a cluster";
        // whoever asks while the cluster elects a leader may learn less
        wait_within(AGREED, "tcsd check warns of each", || {
            let check = tcsd(dir.path(), &alone, &["check", "--connect"]).output().unwrap();
            let told = String::from_utf8(check.stderr).unwrap();
            // a warning is no error
            check.status.success() && told.matches(warning).count() == 3
        })
        .await;
        wait_within(AGREED, "tcsctl warns of each", || {
            tcsctl::at(&urls, &["--verbose"]).err.matches(warning).count() == 3
        })
        .await;
        let offline = tcsd(dir.path(), &alone, &["check"]).output().unwrap();
        assert!(!String::from_utf8(offline.stderr).unwrap().contains(warning), "nobody is asked");

        let tcsd = launcher_with_replicas(dir.path(), block, &urls);
        let log = &tcsd.1;
        let grown = |stream: &String| says(log, stream, "now has 3 replicas");
        wait_within(AGREED, "three replicas", || streams.iter().all(grown)).await;
        for stream in &streams {
            let has_three = |it: &Value| it["config"]["num_replicas"] == 3;
            cluster.ask(&format!("STREAM.INFO.{stream}"), &json!({}), has_three).await;
        }
    })
    .await;
}

/// The services file with this block, as a launcher that writes `log` beside it.
fn launcher_with_replicas(dir: &Path, block: &str, urls: &str) -> Running {
    let names = "nats://srv01:4222,nats://srv02:4222,nats://srv03:4222";
    let service = "services: [{type: x, variant: a, launch: {exec: [sleep, '1000']}}]\n";
    let config = format!("{}{service}", block.replace(names, urls));
    let log = dir.join("log");
    let file = std::fs::File::create(&log).unwrap();
    Running(tcsd(dir, &config, &[]).stderr(file).spawn().unwrap(), log)
}

/// Whether a line of the log says this of a stream.
fn says(log: &Path, stream: &str, what: &str) -> bool {
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().any(|line| line.contains(stream) && line.contains(what))
}

/// After a power cut a launcher may be up before the last server of the cluster is.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_added_once_there_are_servers_for_them() {
    let block = blocks::of("docs/handbook/growing.md", "yaml");
    let block = block.iter().find(|block| block.contains("replicas: 3")).unwrap();
    on_each_server(async |binary| {
        let mut cluster = Cluster::start(&binary).await;
        // whose facts tell when the cluster knows that a server is gone
        let probe = json!({ "name": "probe", "subjects": ["probe"], "num_replicas": 3 });
        cluster.ask("STREAM.CREATE.probe", &probe, |it| it["config"].is_object()).await;
        cluster.nodes[2].stop();
        let is_gone = |it: &Value| it["name"] == "node2" && it["offline"] == true;
        let knows = |it: &Value| {
            it["cluster"]["replicas"].as_array().is_some_and(|all| all.iter().any(is_gone))
        };
        cluster.ask("STREAM.INFO.probe", &json!({}), knows).await;
        cluster.quorum().await;
        let one = NatsSection { replicas: Some(1), ..section(&cluster.urls(), None) };
        make_streams(&connect(&one).await).await;
        let dir = tempfile::tempdir().unwrap();
        let tcsd = launcher_with_replicas(dir.path(), block, &cluster.urls());
        let log = &tcsd.1;
        let all = ["svc_status", "svc_registry", "svc_heartbeat"];
        let has_three = |stream: &&str| says(log, stream, "now has 3 replicas");
        let is_refused = |stream: &&str| says(log, stream, "it is tried again each 10 s");
        // a current server takes one that is not there yet, an old one refuses
        let is_asked = |it: &&str| has_three(it) || is_refused(it);
        wait_within(AGREED, "asked", || all.iter().all(is_asked)).await;
        cluster.nodes[2].run().await;
        wait_within(AGREED, "three replicas", || all.iter().all(has_three)).await;
    })
    .await;
}
