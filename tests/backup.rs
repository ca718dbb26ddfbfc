//! `tcsctl backup` and `restore`: a fleet in another broker is the same fleet, and a backup that is
//! damaged changes nothing.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tcs_core::clock;
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats::{Binary, Server, on_each_server};
use tcs_testkit::raw::Client;
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

/// A line of a backup with another content, and the checksum of that.
fn resigned(line: &str, change: impl FnOnce(&mut Value)) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let mut content = line["content"].clone();
    change(&mut content);
    tcsctl_line(&content)
}

fn tcsctl_line(content: &Value) -> String {
    let content = content.to_string();
    let sum = Command::new("sh")
        .args(["-c", "printf %s \"$1\" | sha256sum | cut -c 1-32", "sh", &content])
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    format!("{{\"sum\":\"{}\",\"content\":{content}}}\n", sum.trim())
}

/// Who restores may publish anything. A backup that somebody else wrote must not use that.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_backup_gives_no_orders() {
    let binary = tcs_testkit::nats::server();
    let server = source(&binary).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("b");
    at(&server.url(), &["backup", backup.to_str().unwrap()]).expect(0);
    let text = fs::read_to_string(backup.join("status.jsonl")).unwrap();
    let first = text.lines().next().unwrap();
    let other = Server::start(&binary).await;
    let url = other.url();
    let mut listener = Client::connect(other.port());
    listener.subscribe(">");
    let with_first = |line: &str| {
        let rest = text.split_once('\n').unwrap().1;
        format!("{line}{rest}")
    };
    for subject in [
        "svc.rpc.launcher.tcsd.srv01.v1.stop",
        "$JS.API.STREAM.DELETE.svc_status",
        "svc.registry.stop.a.b",
        "svc.status.a 2\r\n{}\r\nPUB svc.rpc.a.b.v1.stop",
    ] {
        let line = resigned(first, |content| content["subject"] = subject.into());
        let said = damaged(&url, &backup, "status.jsonl", |bytes| {
            *bytes = with_first(&line).into_bytes();
        });
        assert!(said.contains("line 1 (byte 0) is damaged: `"), "{said}");
        assert!(said.contains("is not a subject of this stream"), "{said}");
    }
    let manifest = fs::read_to_string(backup.join("manifest.json")).unwrap();
    for (field, value, why) in [
        ("filter", "svc.rpc.>", "are not among those of a site"),
        ("filter", ">", "are not among those of a site"),
        ("file", "../../b/status.jsonl", "is not the name of a file"),
        ("stream", "a 0\r\nPUB x", "is not the name of a stream"),
    ] {
        let line = resigned(&manifest, |it| it["streams"][1][field] = value.into());
        let change = |bytes: &mut Vec<u8>| *bytes = line.clone().into_bytes();
        let said = damaged(&url, &backup, "manifest.json", change);
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(streams(&url).await, 0, "something was created");

    // headers that are orders to the server are left out
    let line = resigned(first, |content| {
        content["headers"] = json!([["Nats-Rollup", "all"], ["Nats-Expected-Last-Sequence", "9"]]);
    });
    fs::write(backup.join("status.jsonl"), with_first(&line)).unwrap();
    at(&url, &["restore", backup.to_str().unwrap()]).expect(0);
    listener.publish("test.end", None, b"");
    let orders = ["svc.rpc.", "$JS.API.STREAM.DELETE", "$JS.API.STREAM.PURGE", "svc.status.a 2"];
    loop {
        let message = listener.receive();
        if message.subject == "test.end" {
            break;
        }
        assert!(!orders.iter().any(|it| message.subject.starts_with(it)), "{message:?}");
    }
}

#[test]
fn what_is_no_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let check = || tcsctl::run(&["restore", folder.path().to_str().unwrap(), "--check"]).expect(1);
    // none of these ends
    for endless in ["/dev/zero", "fifo"] {
        if endless == "fifo" {
            nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        std::os::unix::fs::symlink(endless, at("manifest.json")).unwrap();
        let said = check();
        assert!(said.err.contains("manifest.json: cannot read it: not a file"), "{said:#?}");
        fs::remove_file(at("manifest.json")).unwrap();
    }
    let manifest = json!({"format": 1, "written_by": "x", "taken_at": "2026-11-26T00:00:00Z",
        "prefix": "svc", "streams": [{"file": "status.jsonl", "filter": "svc.status.>",
        "stream": "svc_status", "created": "2026-11-26T00:00:00Z", "config": {}, "messages": 1}]});
    fs::write(at("manifest.json"), tcsctl_line(&manifest)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("status.jsonl")).unwrap();
    let said = check();
    assert!(said.err.contains("status.jsonl: cannot read it: not a file"), "{said:#?}");
}

/// A limit on the size of files acts like a full disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_backup_and_is_left_as_it_was() {
    let server = source(&tcs_testkit::nats::server()).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("b");
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let command = tcsctl::command(&["backup", backup.to_str().unwrap(), "--server", &server.url()]);
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write the backup to ") && said.contains("too large"), "{said}");
    let left: Vec<_> = fs::read_dir(&backup).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().contains("part")), "{left:?}");
    assert!(!backup.join("manifest.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_ends_early_says_that_a_part_may_be_there() {
    let binary = tcs_testkit::nats::server();
    let server = source(&binary).await;
    let long = json!({"data": {"name": "a.b", "status": "ok", "message": "x".repeat(8000)}});
    let mut client = Client::connect(server.port());
    client.publish("svc.status.a.b", None, long.to_string().as_bytes());
    client.flush();
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("b");
    let backup = backup.to_str().unwrap();
    at(&server.url(), &["backup", backup]).expect(0);
    let config = "max_payload: 6000\njetstream { store_dir: \"STORE\" }\n";
    let small = Server::start_with(&binary, config).await;
    let failed = at(&small.url(), &["restore", backup]).expect(3);
    assert!(failed.err.contains("is larger than the server's max_payload, 6000"), "{failed:#?}");
    assert!(failed.err.contains("warning: the restore was interrupted"), "{failed:#?}");
}
