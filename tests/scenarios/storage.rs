//! What a broker no longer stores: a stream that is deleted or full, and a full disk. Nothing that
//! happened is lost by that, and the picture says what is not stored.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::fleet::{FleetView, Liveness, Verdict};
use tcs_core::observer::Problem;
use tcs_testkit::{nats, tcsd};

use super::Site;
use super::broker::{AFTER, IDS, WELL, all, assert_whole, logged_pid, services};

/// Somebody deletes a stream while everything runs: it is made again, and tells when things happened,
/// not when they were sent once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted() {
    let site = Site::start("process", &services()).await;
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;
    tcsd::signal("KILL", site.pid("left.a").await);
    watch.see("one is left", |view| all(view, &AFTER)).await;
    let crashed = watch.service("left.a").since.unwrap();
    let begin = clock::monotonic();
    nats::wait_for("a while", || begin.elapsed() > Duration::from_secs(3)).await;
    let streams = async_nats::connect(site.server.url()).await.unwrap();
    let streams = async_nats::jetstream::new(streams);
    streams.delete_stream("svc_registry").await.unwrap();
    nats::wait_for("it to be made again", || {
        site.tcsd.log().matches("created the stream svc_registry").count() == 2
    })
    .await;
    let mut fresh = site.watch();
    fresh.see("everything", |view| all(view, &AFTER)).await;
    let moved = fresh.service("left.a").since.unwrap() - crashed;
    assert!(moved.abs() < chrono::TimeDelta::seconds(1), "its end has moved by {moved}");
}

/// The stream of statuses takes nothing more: events are stored all the same, and the picture says
/// what is not stored, and why.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_full() {
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(tcsd, "process", &services()).await;
    let streams = async_nats::connect(site.server.url()).await.unwrap();
    let streams = async_nats::jetstream::new(streams);
    let mut stream = async_nats::jetstream::stream::Config {
        name: "svc_status".to_owned(),
        subjects: vec!["svc.status.>".to_owned()],
        max_messages: 1,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        ..Default::default()
    };
    streams.create_stream(stream.clone()).await.unwrap();
    let filler = r#"{"data": {"name": "filler.x", "status": "ok"}, "meta": {}}"#;
    streams.publish("svc.status.filler.x", filler.into()).await.unwrap().await.unwrap();
    site.tcsd.run();
    let mut watch = site.watch();
    watch.see("all started", |view| IDS.iter().all(|id| view.get(id).is_some())).await;
    let is_told = |problem: &Problem| {
        matches!(problem, Problem::NotStored { stream, reason, .. }
            if stream == "status" && reason.contains("maximum messages exceeded"))
    };
    let begin = clock::monotonic();
    while !watch.picture.problems("svc").iter().any(is_told) {
        assert!(begin.elapsed() < nats::LIMIT, "{:?}", watch.picture.problems("svc"));
        watch.see("what comes", |_| true).await;
    }
    println!("told: {}", watch.picture.problems("svc").iter().find(|it| is_told(it)).unwrap());
    tcsd::signal("KILL", site.pid("left.a").await);
    watch.sees("its crash", "left.a", |it| it.verdict == Verdict::Failed).await;

    stream.max_messages = -1;
    streams.update_stream(stream).await.unwrap();
    watch.complete().await;
    let steady = |it: &tcs_core::wire::StatusMessage| it.name == "silent.a";
    assert!(site.statuses("silent.a").await.iter().any(steady), "what waited is stored");
    assert_whole(&site.events(None).await);
}

/// A disk in memory, gone at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`: there is no right to mount one.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    /// Takes all room that is left; gives it back when the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// The broker's disk is full, so that nothing is acknowledged: the launcher answers all the same.
/// What happened meanwhile is stored once there is room. Needs the right to mount.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_disk_is_full() {
    nats::on_each_server(disk_is_full).await;
}

async fn disk_is_full(binary: nats::Binary) {
    let Some(disk) = SmallDisk::mount("16m") else {
        return println!("NOT TESTED: no right to mount a small disk");
    };
    let store = disk.0.path().join("store");
    let config =
        format!("jetstream {{ store_dir: \"{}\", max_file_store: 1GB }}\n", store.display());
    let server = nats::Server::start_with(&binary, &config).await;
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::at(server, tcsd, "process", &services()).await;
    site.tcsd.run();
    let mut watch = site.watch();
    watch.see("all well", |view| all(view, &WELL)).await;

    let ballast = disk.fill();
    let waits = || site.tcsd.log().contains("cannot be stored, and are kept");
    nats::wait_for("nothing is stored", waits).await;
    // over a connection that asks JetStream nothing: the server stops reading from those that do
    let section = NatsSection { port: Some(site.server.port()), ..NatsSection::default() };
    let settings = Settings::from_process(&section, None).unwrap();
    let client = Bus::connect(&settings, "asker", nats::LIMIT).await.unwrap();
    let name = site.tcsd.name.as_str();
    let mut slowest = Duration::ZERO;
    let (mut killed, mut kills) = (None, 0);
    for _ in 0..30 {
        let pid = logged_pid(&site, "back.a");
        if killed != Some(pid) {
            tcsd::signal("KILL", pid);
            killed = Some(pid);
            kills += 1;
        }
        let asked = clock::monotonic();
        client.request(name, "list", &serde_json::json!({}), nats::LIMIT).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("the slowest answer while the disk was full: {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");

    // a server that could not write does not store again until it is started again: 2.9 hangs, a
    // current one refuses
    std::fs::remove_file(ballast).unwrap();
    site.server.kill();
    site.server.run().await;
    let begin = clock::monotonic();
    loop {
        let names = site.story("back.a").await;
        let crashes = names.iter().filter(|it| *it == "crashed").count();
        if crashes == kills {
            break;
        }
        assert!(crashes < kills && begin.elapsed() < nats::LIMIT, "{crashes} of {kills} crashes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("all {kills} crashes are stored after {:.1} s", begin.elapsed().as_secs_f64());
    let live = |view: &FleetView| view.services.iter().all(|it| it.liveness == Liveness::Live);
    watch.see("all live again", live).await;
    assert_whole(&site.events(None).await);
}
