//! `tcsctl backup` and `restore`: a fleet in another broker is the same fleet, and a backup that is
//! damaged changes nothing.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tcs_core::clock;
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats::{Binary, Server, on_each_server};
use tcs_testkit::tcsctl::{self, at, recording};

/// A broker with the streams of a fleet.
async fn source(binary: &Binary) -> Server {
    let server = Server::start(binary).await;
    let file = recording("process-launcher");
    at(&server.url(), &["replay", "--instant", "--create-streams", &file]).expect(0);
    server
}

/// What a site shows of one moment, times and all.
fn shown(url: &str, moment: &str) -> Value {
    let list = at(url, &["--all", "--json", "--at", moment]).expect(0).json();
    let events = at(url, &["events", "--since", "1h", "--all", "--json"]).expect(0).objects();
    let timeline = ["timeline", "--since", "1h", "--until", moment, "--json"];
    let timeline = at(url, &timeline).expect(0).json();
    assert!(!events.is_empty() && !list["services"].as_array().unwrap().is_empty());
    json!({"services": list["services"], "counts": list["counts"], "events": events,
        "source": list["source"]["problems"], "timeline": timeline["services"]})
}

fn now() -> String {
    clock::wall().to_rfc3339()
}

async fn streams(url: &str) -> usize {
    let client = async_nats::connect(url).await.unwrap();
    let reply = client.request("$JS.API.STREAM.NAMES", "".into()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    reply["streams"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_into_a_cluster_of_three_shows_the_same_fleet() {
    on_each_server(async |binary| {
        let server = source(&binary).await;
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("deep/backup");
        let backup = backup.to_str().unwrap();
        let moment = now();
        let before = shown(&server.url(), &moment);
        let output = at(&server.url(), &["backup", backup]).expect(0);
        assert!(output.err.contains("svc_registry: ") && output.err.contains(" messages in "));
        let again = at(&server.url(), &["backup", backup]).expect(2);
        assert!(again.err.contains("is not empty"), "{again:#?}");
        let whole = tcsctl::run(&["restore", backup, "--check"]).expect(0);
        assert!(whole.err.contains("is whole"), "{whole:#?}");

        let cluster = Cluster::start(&binary).await;
        at(&cluster.urls(), &["restore", backup]).expect(0);
        for node in &cluster.nodes {
            assert_eq!(shown(&node.url(), &moment), before, "{}", node.url());
        }
        cluster
            .ask("STREAM.INFO.svc_registry", &json!({}), |it| it["config"]["num_replicas"] == 3)
            .await;

        // what is there already is not written over
        let refused = at(&cluster.urls(), &["restore", backup]).expect(1);
        let why = "stream svc_registry already holds ";
        assert!(refused.err.contains(why) && refused.err.contains("--force"), "{refused:#?}");
        assert_eq!(shown(&cluster.nodes[0].url(), &moment), before);
        at(&cluster.urls(), &["restore", backup, "--force"]).expect(0);

        // a backup of what was restored is the same backup
        let copy = folder.path().join("copy");
        let other = Server::start(&binary).await;
        at(&other.url(), &["restore", backup]).expect(0);
        at(&other.url(), &["backup", copy.to_str().unwrap()]).expect(0);
        let third = Server::start(&binary).await;
        at(&third.url(), &["restore", copy.to_str().unwrap()]).expect(0);
        assert_eq!(shown(&third.url(), &moment), before);
    })
    .await;
}

/// What a restore of the backup says with one file changed so; the file is as before afterwards.
fn damaged(url: &str, backup: &Path, file: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let path = backup.join(file);
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let output = at(url, &["restore", backup.to_str().unwrap()]).expect(1);
    fs::write(&path, whole).unwrap();
    assert!(output.err.contains(&format!("{}: ", path.display())), "{output:#?}");
    assert!(output.err.contains("nothing was restored"), "{output:#?}");
    output.err
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_named_by_file_and_line_and_changes_nothing() {
    let binary = tcs_testkit::nats::server();
    let server = source(&binary).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("b");
    at(&server.url(), &["backup", backup.to_str().unwrap()]).expect(0);
    let other = Server::start(&binary).await;
    let url = other.url();
    let file = "status.jsonl";
    let text = fs::read_to_string(backup.join(file)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let start = lines[0].len() + lines[1].len();

    let said = damaged(&url, &backup, file, |bytes| bytes[start + 80] ^= 1);
    assert!(said.contains(&format!("line 3 (byte {start}) is damaged: the checksum")), "{said}");
    let said = damaged(&url, &backup, file, |bytes| bytes.truncate(start + 80));
    assert!(said.contains(&format!("line 3 (byte {start}) is damaged: the line is cut")), "{said}");
    let said = damaged(&url, &backup, file, |bytes| bytes.truncate(start));
    let count = lines.len();
    assert!(said.contains(&format!("ends after line 2 (byte {start}) and should have {count}")));
    let said = damaged(&url, &backup, file, |bytes| bytes.extend_from_slice(lines[0].as_bytes()));
    assert!(said.contains(&format!("line {}: it should have {count} lines", count + 1)), "{said}");
    let said = damaged(&url, &backup, file, |bytes| {
        let swapped = [&[lines[1], lines[0]], &lines[2..]].concat().concat();
        *bytes = swapped.into_bytes();
    });
    assert!(said.contains("line 2 (byte ") && said.contains("order of the stream"), "{said}");
    let said = damaged(&url, &backup, "manifest.json", |bytes| bytes[100] ^= 1);
    assert!(said.contains("line 1 is damaged"), "{said}");

    let path = backup.to_str().unwrap();
    let refused = at(&url, &["restore", path, "--prefix", "ocm.svc"]).expect(2);
    assert!(refused.err.contains("of prefix `svc`, not `ocm.svc`"), "{refused:#?}");

    // one that was not finished has no manifest
    let manifest = backup.join("manifest.json");
    fs::rename(&manifest, folder.path().join("away")).unwrap();
    let partial = at(&url, &["restore", backup.to_str().unwrap()]).expect(1);
    assert!(partial.err.contains("the backup was not finished"), "{partial:#?}");
    fs::rename(folder.path().join("away"), &manifest).unwrap();
    fs::remove_file(backup.join(file)).unwrap();
    let partial = at(&url, &["restore", backup.to_str().unwrap()]).expect(1);
    assert!(partial.err.contains("status.jsonl: cannot read it"), "{partial:#?}");
    assert_eq!(streams(&url).await, 0, "something was created");
}
