//! Beside serverish: its monitor and ours say the same, its reader reads ours, and requests go
//! both ways.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tcs_core::bus::Bus;
use tcs_core::monitor::Monitor;
use tcs_core::wire::Status;
use tcs_testkit::nats::LIMIT;
use tcs_testkit::python;

use super::{Held, Site, on_each_site};

/// Runs a script with the broker's port, and gives what it printed.
async fn python(script: &'static str, site: &Site) -> String {
    let mut command = Command::new(python::interpreter());
    command.args(["-c", script, &site.server.port().to_string()]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the Python side failed:\n{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// The same small story, told by `serverish`.
const STORY: &str = r"
import asyncio, sys
from serverish.messenger import Messenger
from serverish.monitoring import create_monitor, MonitoredObject, Status

async def main():
    async with Messenger().context('127.0.0.1', int(sys.argv[1])):
        m = await create_monitor('story.python', heartbeat_interval=0.1, parent_name='launcher.x')
        camera = MonitoredObject('camera', m)
        mount = MonitoredObject('mount', m)
        m.add_metric_cb(lambda: {'rms': 0.5, 'exposures': 12, 'filter': 'V'})
        async with m:
            async def pause(): await asyncio.sleep(0.3)
            camera.set_status(Status.OK, 'cooled')
            mount.set_status(Status.OK, 'tracking')
            m.set_status(Status.STARTUP, 'Starting'); await pause()
            m.set_status(Status.OK, 'Guiding'); await pause()
            m.set_status(Status.OK, 'Guiding again'); await pause()
            async with m.track_task('exposure'):
                await pause()
            await asyncio.sleep(1.5)
            m.set_status(Status.ERROR, 'Lost star'); await pause()
            m.cancel_error_status(); await pause()
            m.set_status(Status.SHUTDOWN, 'bye'); await pause()
asyncio.run(main())
";

async fn ours(site: &Site) {
    let reporter = site.reporter();
    let monitor = Monitor::builder("story.rust")
        .unwrap()
        .parent("launcher.x")
        .heartbeat(Duration::from_millis(100))
        .start(&reporter);
    monitor.add_metrics(|| {
        let metrics = json!({"rms": 0.5, "exposures": 12, "filter": "V"});
        metrics.as_object().cloned().unwrap_or_default()
    });
    monitor.submonitor("camera").set_status(Status::Ok, "cooled");
    monitor.submonitor("mount").set_status(Status::Ok, "tracking");
    monitor.set_status(Status::Startup, "Starting");
    monitor.set_status(Status::Ok, "Guiding");
    monitor.set_status(Status::Ok, "Guiding again");
    drop(monitor.track_task("exposure"));
    let idle = |held: &[Held]| held.last().is_some_and(|one| one.text("status") == "idle");
    site.wait_until("status", "story.rust", idle).await;
    monitor.set_status(Status::Error, "Lost star");
    monitor.cancel_error_status();
    monitor.set_status(Status::Shutdown, "bye");
    let ended = |held: &[Held]| held.last().is_some_and(|one| one.text("status") == "shutdown");
    site.wait_until("heartbeat", "story.rust", ended).await;
    monitor.finish(LIMIT).await;
    assert!(reporter.settled(LIMIT).await);
}

/// With times, process and host as what they are, and the name as one.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let rename = |(key, value): (&String, &Value)| {
                let value = match key.as_str() {
                    "timestamp" | "ts" => json!(format!("{} integers", integers(value))),
                    "pid" => json!(value.is_u64()),
                    "name" | "service_id" => {
                        json!(value.as_str().unwrap().replace("python", "rust"))
                    }
                    _ => plain(value),
                };
                (key.clone(), value)
            };
            // ours alone
            let shared = map.iter().filter(|(key, _)| *key != "status_age_s");
            Value::Object(shared.map(rename).collect())
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn integers(value: &Value) -> usize {
    let list = value.as_array().unwrap();
    assert!(list.iter().all(Value::is_u64), "{list:?}");
    list.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn side_by_side_with_serverish_field_for_field() {
    on_each_site(async |site| {
        tokio::join!(python(STORY, &site), ours(&site));

        let theirs = site.held("status", "story.python").await;
        let ours = site.held("status", "story.rust").await;
        // theirs is built when it is sent, ours at the change; so of theirs what is said twice counts once
        let plainly = |held: &[Held]| held.iter().map(|one| plain(&one.data)).collect::<Vec<_>>();
        let mut theirs_plain = plainly(&theirs);
        theirs_plain.dedup();
        assert_eq!(plainly(&ours), theirs_plain);

        // envelope: the same keys, and ours more
        let keys = |meta: &Value| {
            meta.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        assert!(keys(&ours[0].meta).is_superset(&keys(&theirs[0].meta)));
        assert_eq!(ours[0].meta["ts"].as_array().unwrap().len(), 7);
        assert_eq!(ours[0].meta["trace_level"], theirs[0].meta["trace_level"]);
        assert_eq!(ours[0].msg_id.matches(':').count(), theirs[0].msg_id.matches(':').count());

        let beat = |held: Vec<Held>| plain(&held.last().unwrap().data);
        let theirs = beat(site.held("heartbeat", "story.python").await);
        let ours = beat(site.held("heartbeat", "story.rust").await);
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(ours[key], *value, "{key}");
        }
    })
    .await;
}

/// Reads a whole stream, prints the data of each message; then asks ours, and answers it.
const READER: &str = r"
import asyncio, json, sys
from serverish.messenger import Messenger, get_reader, request
from serverish.base.status import StatusReport

async def main():
    async with Messenger().context('127.0.0.1', int(sys.argv[1])):
        out = {'status': [], 'heartbeat': []}
        for kind in out:
            reader = get_reader(f'svc.{kind}.>', deliver_policy='all', nowait=True)
            async for data, meta in reader:
                out[kind].append(data)
        for data in out['status']:
            StatusReport.from_dict(data)
        out['health'] = (await request('svc.rpc.story.rust.v1.health', {}))[0]
        data, meta = await request('svc.rpc.story.rust.v1.broken', {})
        out['error'] = [data, meta['status'], meta['error']]
        print(json.dumps(out), flush=True)
asyncio.run(main())
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serverish_reads_and_asks_ours() {
    on_each_site(async |site| {
        let reporter = site.reporter();
        let monitor = Monitor::builder("story.rust")
            .unwrap()
            .heartbeat(Duration::from_millis(100))
            .start(&reporter);
        monitor.submonitor("camera").set_status(Status::Degraded, "warm");
        monitor.set_status(Status::Ok, "here");
        monitor.add_health_check("camera", || Some(Status::Warning));
        monitor.serve(tcs_core::bus::rpc::Command::new("broken", |_| async {
            Err::<Map<String, Value>, _>("no film".to_owned())
        }));
        site.wait_until("heartbeat", "story.rust", |held| !held.is_empty()).await;
        let bus = Bus::connect(&site.settings(), "test", LIMIT).await.unwrap();
        let start = tcs_core::clock::monotonic();
        while bus.request("story.rust", "broken", &json!({}), LIMIT).await
            != Err(tcs_core::bus::rpc::RequestError::Refused("no film".to_owned()))
        {
            assert!(start.elapsed() < LIMIT, "it does not answer");
        }
        let told = python(READER, &site).await;
        let told: BTreeMap<String, Value> = serde_json::from_str(&told).unwrap();
        let statuses = told["status"].as_array().unwrap();
        assert_eq!(statuses[0]["name"], "story.rust");
        assert_eq!(statuses[0]["status"], "degraded");
        assert_eq!(statuses.last().unwrap()["status"], "warning", "by the question");
        assert!(
            told["heartbeat"].as_array().unwrap().iter().all(|beat| beat["status"].is_string())
        );
        assert_eq!(told["health"]["checks"]["camera"], "warning");
        assert_eq!(told["error"], json!([{}, "error", "no film"]));
    })
    .await;
}
