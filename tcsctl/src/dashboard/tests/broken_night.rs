//! Sixty services on three hosts, and a night in which much goes wrong: for the pictures.

use std::sync::Arc;

use serde_json::json;
use tcs_core::observer::Observed;

use super::fixture::Messages;

/// A service, its status and its message.
type Says = (&'static str, &'static str, &'static str);
/// A launcher and its host.
type Place = (&'static str, &'static str);
const SRV01: Place = ("launcher.Kx1xDO.srv01-process-launcher", "srv01.oca.lan");
const SRV02: Place = ("launcher.b81QpL.srv02-process-launcher", "srv02.oca.lan");
const SRV03: Place = ("launcher.r0TzW4.srv03-process-launcher", "srv03.oca.lan");

/// Of each telescope: what it does, and says.
const TELESCOPE: [Says; 12] = [
    ("mount", "busy", "tracking, airmass 1.21"),
    ("camera", "busy", "exposing 12 of 40, B, 120 s"),
    ("guider", "busy", "guiding on HD 12345, rms 0.42\""),
    ("focuser", "idle", "at 12 480 steps"),
    ("filterwheel", "ok", "B"),
    ("rotator", "ok", "at 31.4 deg"),
    ("mirror_cover", "ok", "open"),
    ("dome_follower", "ok", "following"),
    ("sequencer", "busy", "NGC 253, block 3 of 7"),
    ("cooler", "ok", "-60.1 C"),
    ("derotator", "ok", "locked"),
    ("tertiary", "ok", "port 2"),
];

/// Of each host: what else runs there.
const OTHERS: [(Place, [Says; 8]); 3] = [
    (
        SRV01,
        [
            ("tic_bridge.jk15", "ok", "connected"),
            ("scheduler.main", "ok", "queue of 41 blocks"),
            ("catalog.gaia", "idle", "1.8 G stars"),
            ("archiver.main", "busy", "uploading 3 of 12"),
            ("plate_solver.a", "idle", "queue empty"),
            ("plate_solver.b", "ok", "running"),
            ("flat_field.jk15", "idle", "waiting for dawn"),
            ("pipeline.quick", "busy", "reducing 1 204"),
        ],
    ),
    (
        SRV02,
        [
            ("weather.main", "ok", "wind 4 m/s, humidity 31 %"),
            ("allsky.cam1", "ok", "clear"),
            ("seeing.dimm", "ok", "0.9\""),
            ("cloud_watch.main", "ok", "clear to 12 deg"),
            ("power.main", "ok", "mains, 3.1 kW"),
            ("ups.a", "ok", "100 %"),
            ("door.dome2", "ok", "closed"),
            ("time_server.main", "ok", "offset 3 us"),
        ],
    ),
    (
        SRV03,
        [
            ("spectrograph.main", "busy", "exposing, 1 800 s"),
            ("calibration.lamps", "idle", "off"),
            ("fiber_guider.main", "ok", "on target"),
            ("vacuum.main", "ok", "2.1e-6 mbar"),
            ("etalon.main", "ok", "stable"),
            ("reducer.spec", "idle", "queue empty"),
            ("thermal.main", "ok", "11.02 C"),
            ("exposure_meter.main", "ok", "counting"),
        ],
    ),
];
/// How long the night has lasted, in seconds.
const NIGHT: f64 = 11_400.0;
/// Since when the third host is silent.
const SILENT: f64 = 1130.0;

/// All that was published.
pub(super) fn messages() -> Vec<Arc<Observed>> {
    let mut m = Messages::default();
    for (place, others) in OTHERS {
        let telescope = match place.1 {
            host if host.starts_with("srv01") => "jk15",
            host if host.starts_with("srv02") => "wk06",
            _ => "zb08",
        };
        let own =
            TELESCOPE.map(|(kind, status, says)| (format!("{kind}.{telescope}"), status, says));
        let others = others.map(|(id, status, says)| (id.to_owned(), status, says));
        host(&mut m, place, own.into_iter().chain(others));
    }
    troubles(&mut m);
    let mut all = m.take();
    all.sort_by_key(|message| message.stamp.stored);
    all
}

fn host(
    m: &mut Messages,
    place: Place,
    services: impl Iterator<Item = (String, &'static str, &'static str)>,
) {
    let (launcher, host) = place;
    let last = if place == SRV03 { SILENT } else { 3.0 };
    m.send(
        NIGHT + 120.0,
        &format!("status.{launcher}"),
        json!({"name": launcher, "status": "ok", "message": "20 services", "pid": 7001,
            "hostname": host}),
    );
    let figures = json!({"host_load1": 1.4, "host_cpus": 8, "host_mem_total_bytes": 33_000_000_000_u64,
        "host_mem_available_bytes": 12_400_000_000_u64});
    beats(m, launcher, last, &figures);
    for (i, (id, status, says)) in services.enumerate() {
        let more = match &*id {
            "camera.jk15" | "camera.wk06" => json!({"enabled": true, "after": [
                format!("cooler.{}", &id[7..])]}),
            "guider.jk15" | "guider.wk06" => json!({"enabled": true, "after": [
                format!("camera.{}", &id[7..]), format!("mount.{}", &id[7..])]}),
            _ => json!({"enabled": true}),
        };
        m.send(
            NIGHT + 100.0,
            &format!("registry.declared.{id}"),
            json!({"event": "declared", "service_id": id, "restart_policy": "on-failure",
                "restart_max": 5, "restart_window": 60.0, "parent": launcher, "declared": more}),
        );
        m.runs(NIGHT - i as f64, &id, place, (status, says));
        let last = match &*id {
            "allsky.cam1" => 200.0,
            // until its trouble began
            "tic_bridge.jk15" => 1502.0,
            "plate_solver.b" => 2952.0,
            _ => last + (i * 17 % 53) as f64,
        };
        beats(m, &id, last, &json!({}));
    }
}

/// Heartbeats of the last hour and a half, the last one so many seconds ago.
fn beats(m: &mut Messages, id: &str, last: f64, metrics: &serde_json::Value) {
    let mut ago = last;
    while ago < 5400.0 {
        let rest = json!({"service_id": id, "status": "ok", "interval_seconds": 60.0,
            "metrics": metrics});
        m.send(ago, &format!("heartbeat.{id}"), rest);
        ago += 60.0;
    }
}

fn troubles(m: &mut Messages) {
    let reports = |m: &mut Messages, ago: f64, id: &str, place: Place, status: &str, says: &str| {
        m.send(
            ago,
            &format!("status.{id}"),
            json!({"name": id, "status": status, "message": says, "hostname": place.1,
                "parent": place.0}),
        );
    };
    reports(m, 1284.0, "dome_follower.jk15", SRV01, "warning", "shutter slower than usual: 48 s");
    reports(m, 2210.0, "weather.main", SRV02, "warning", "gusts of 14 m/s");
    reports(m, 1700.0, "weather.main", SRV02, "ok", "wind 6 m/s, humidity 34 %");
    reports(m, 96.0, "camera.wk06", SRV02, "error", "cooler at -41 C, wanted -60 C");
    // a program that fails each time, and is given up
    for (ago, attempt) in [(2950.0, 1), (2935.0, 2), (2915.0, 3), (2890.0, 4), (2860.0, 5)] {
        crash(
            m,
            ago,
            "plate_solver.b",
            SRV01,
            &json!({"exit_code": 1, "will_restart": attempt < 5,
            "restart_attempt": attempt, "max_restarts": 5, "uptime_seconds": 3.2,
            "error": "no index files in /data/index"}),
        );
    }
    m.send(
        2859.5,
        "registry.failed.plate_solver.b",
        json!({"event": "failed", "service_id": "plate_solver.b", "restart_count": 5,
            "reason": "restart_limit_reached", "parent": SRV01.0}),
    );
    // one that runs out of memory again and again
    for (ago, attempt) in [(1500.0, 1), (760.0, 1), (131.0, 1), (52.0, 2), (6.0, 3)] {
        crash(
            m,
            ago,
            "tic_bridge.jk15",
            SRV01,
            &json!({"exit_code": -9, "signal": "SIGKILL",
            "will_restart": true, "restart_attempt": attempt, "max_restarts": 5,
            "uptime_seconds": 41.5,
            "resources": {"peak_rss_bytes": 3_800_000_000_u64, "cpu_seconds": 38.4, "oom": "killed"}}),
        );
        if attempt != 3 {
            m.send(
                ago - 2.0,
                "registry.start.tic_bridge.jk15",
                json!({"event": "start", "service_id": "tic_bridge.jk15", "hostname": SRV01.1,
                    "pid": 8000 + attempt, "parent": SRV01.0}),
            );
            reports(m, ago - 3.0, "tic_bridge.jk15", SRV01, "ok", "connected");
            m.beats(ago - 20.0, 1, "tic_bridge.jk15", |_| json!({}));
        }
    }
}

fn crash(m: &mut Messages, ago: f64, id: &str, place: Place, more: &serde_json::Value) {
    let mut data = json!({"event": "crashed", "service_id": id, "parent": place.0});
    if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
        data.extend(more.clone());
    }
    m.send(ago, &format!("registry.crashed.{id}"), data);
}
