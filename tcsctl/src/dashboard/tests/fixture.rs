//! Fleets for tests and for the pictures of the README.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_core::fleet::transitions::Transitions;
use tcs_core::fleet::{Fleet, Order, Stamp};
use tcs_core::observer::Observed;
use tcs_core::wire::{Subjects, decode};

use crate::dashboard::event::{Event, Heard, LinkFacts};
use crate::dashboard::source::live::happened;
use crate::dashboard::state::{Options, State};

/// A recording of a real fleet.
pub(crate) fn recording(name: &str) -> Vec<Arc<Observed>> {
    let path = format!("{}/../tests/fixtures/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .enumerate()
        .filter_map(|(i, line)| {
            let line: Value = serde_json::from_str(line).unwrap();
            let stored = DateTime::from_timestamp_micros((line["t"].as_f64()? * 1e6) as i64)?;
            let (subject, payload) = (line["subject"].as_str()?, line["payload"].as_str()?);
            observed(subject, payload, stored, i as u64 + 1)
        })
        .collect()
}

fn observed(
    subject: &str,
    payload: &str,
    stored: DateTime<Utc>,
    seq: u64,
) -> Option<Arc<Observed>> {
    let decoded = decode(Subjects::default().parse(subject)?, payload.as_bytes()).unwrap();
    let stamp = Stamp { stored, order: Order::Stream { created: DateTime::UNIX_EPOCH, seq } };
    Some(Arc::new(Observed { subject: subject.to_owned(), decoded, stamp, bytes: payload.len() }))
}

/// A time of the machine's clock to count from.
#[expect(clippy::disallowed_methods, reason = "any time will do")]
pub(crate) fn origin() -> std::time::Instant {
    std::time::Instant::now()
}

/// When the night of the tests is looked at.
pub(crate) fn night() -> DateTime<Utc> {
    "2026-11-23T02:13:07Z".parse().unwrap()
}

/// Messages, written down as they would travel.
#[derive(Default)]
pub(crate) struct Messages {
    list: Vec<Arc<Observed>>,
}

impl Messages {
    /// One message, stored `ago` seconds before [`night`].
    pub(crate) fn send(&mut self, ago: f64, subject: &str, mut data: Value) -> &mut Self {
        use chrono::{Datelike as _, Timelike as _};
        let at = night() - TimeDelta::milliseconds((ago * 1000.0) as i64);
        let time = json!([
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.nanosecond() / 1000
        ]);
        data["timestamp"] = time.clone();
        let meta = json!({"id": "m", "sender": "test", "ts": time, "trace_level": 10,
            "message_type": "", "tags": []});
        let payload = json!({"data": data, "meta": meta}).to_string();
        // as in a stream: what is stored later has the higher number
        let seq = at.timestamp_micros() as u64 + self.list.len() as u64;
        self.list.extend(observed(&format!("svc.{subject}"), &payload, at, seq));
        self
    }

    /// A service that was started `ago` seconds before, and says this.
    pub(crate) fn runs(
        &mut self,
        ago: f64,
        id: &str,
        launcher: (&str, &str),
        says: (&str, &str),
    ) -> &mut Self {
        let (parent, host) = launcher;
        let pid = 7400 + self.list.len();
        self.send(
            ago,
            &format!("registry.start.{id}"),
            json!({"event": "start", "service_id": id,
            "hostname": host, "pid": pid, "parent": parent}),
        );
        self.send(
            ago - 1.0,
            &format!("registry.ready.{id}"),
            json!({"event": "ready", "service_id": id, "parent": parent}),
        );
        self.send(
            ago - 2.0,
            &format!("status.{id}"),
            json!({"name": id, "status": says.0,
            "message": says.1, "pid": pid, "hostname": host, "parent": parent}),
        )
    }

    /// Its last `n` beats of ten seconds, the newest `ago` seconds before.
    pub(crate) fn beats(
        &mut self,
        ago: f64,
        n: usize,
        id: &str,
        metrics: impl Fn(usize) -> Value,
    ) -> &mut Self {
        for i in (0..n).rev() {
            let jitter = [0.0, 0.1, -0.1, 0.05][i % 4];
            self.send(
                ago + 10.0 * i as f64 + jitter,
                &format!("heartbeat.{id}"),
                json!({
                "service_id": id, "status": "ok", "interval_seconds": 10.0, "metrics": metrics(i)}),
            );
        }
        self
    }

    pub(crate) fn declared(&mut self, id: &str, parent: &str) -> &mut Self {
        self.send(
            11_600.0,
            &format!("registry.declared.{id}"),
            json!({"event": "declared",
            "service_id": id, "restart_policy": "on-failure", "restart_max": 5,
            "restart_window": 60.0, "parent": parent}),
        )
    }

    /// All of them.
    pub(crate) fn take(&mut self) -> Vec<Arc<Observed>> {
        std::mem::take(&mut self.list)
    }
}

const SRV01: (&str, &str) = ("launcher.Kx1xDO.srv01-process-launcher", "srv01.oca.lan");
const SRV02: (&str, &str) = ("launcher.b81QpL.srv02-process-launcher", "srv02.oca.lan");
const SRV03: (&str, &str) = ("launcher.r0TzW4.srv03-async-launcher", "srv03.oca.lan");

/// A night with something of everything.
pub(crate) fn observatory() -> Vec<Arc<Observed>> {
    let mut m = Messages::default();
    let none = |_| json!({});
    for ((launcher, host), ago) in [(SRV01, 11_520.0), (SRV02, 11_500.0), (SRV03, 9_000.0)] {
        m.send(
            ago,
            &format!("status.{launcher}"),
            json!({"name": launcher, "status": "ok",
            "message": "launcher running", "pid": 7001, "hostname": host}),
        );
    }
    for (launcher, ids) in [
        (
            SRV01.0,
            &[
                "guider.jk15",
                "camera.jk15",
                "focuser.jk15",
                "filterwheel.jk15",
                "dome_follower.main",
                "tic_bridge.zb08",
                "flat_lamp.jk15",
            ][..],
        ),
        (
            SRV02.0,
            &["weather.main", "allsky.cam1", "plate_solver.a", "plate_solver.b", "archiver.main"],
        ),
        (SRV03.0, &["guider.wk06", "camera.wk06"]),
    ] {
        for id in ids {
            m.declared(id, launcher);
        }
    }
    m.runs(11_400.0, "guider.jk15", SRV01, ("busy", "guiding on HD 12345"));
    m.runs(11_400.0, "camera.jk15", SRV01, ("busy", "exposing 12 of 40, B, 120 s"));
    m.runs(11_400.0, "focuser.jk15", SRV01, ("idle", "at 12 480 steps"));
    m.runs(11_400.0, "filterwheel.jk15", SRV01, ("ok", "B"));
    m.runs(11_400.0, "dome_follower.main", SRV01, ("ok", "following"));
    m.runs(11_400.0, "tic_bridge.zb08", SRV01, ("ok", "connected"));
    m.runs(11_300.0, "weather.main", SRV02, ("ok", "wind 4 m/s, humidity 31 %"));
    m.runs(11_300.0, "allsky.cam1", SRV02, ("ok", "running"));
    m.runs(11_300.0, "plate_solver.a", SRV02, ("idle", "queue empty"));
    m.runs(11_300.0, "plate_solver.b", SRV02, ("ok", "running"));
    m.runs(8_900.0, "guider.wk06", SRV03, ("ok", "idle until focus is done"));
    m.runs(8_900.0, "camera.wk06", SRV03, ("ok", "cooling"));
    m.send(
        240.0,
        "status.camera.jk15",
        json!({"name": "camera.jk15", "status": "busy",
        "message": "exposing 12 of 40, B, 120 s", "pid": 7420, "hostname": SRV01.1,
        "parent": SRV01.0, "details": {"children": [
            {"name": "cooler", "status": "ok", "message": "-60.1 C"},
            {"name": "shutter", "status": "ok"},
            {"name": "link", "status": "warning", "message": "3 retries in the last minute",
             "details": {"children": [{"name": "usb", "status": "ok"}]}}]}}),
    );
    m.send(
        84.0,
        "status.dome_follower.main",
        json!({"name": "dome_follower.main",
        "status": "warning", "message": "shutter slower than usual: 48 s", "pid": 7424,
        "hostname": SRV01.1, "parent": SRV01.0}),
    );
    for (ago, attempt) in [(40.0, 1), (22.0, 2)] {
        m.send(
            ago,
            "registry.crashed.tic_bridge.zb08",
            json!({"event": "crashed",
            "service_id": "tic_bridge.zb08", "will_restart": true, "exit_code": -11,
            "signal": "SIGSEGV", "restart_attempt": attempt, "max_restarts": 5,
            "parent": SRV01.0}),
        );
        m.send(
            ago - 8.0,
            "registry.restarting.tic_bridge.zb08",
            json!({"event": "restarting",
            "service_id": "tic_bridge.zb08", "restart_attempt": attempt, "max_restarts": 5,
            "parent": SRV01.0}),
        );
    }
    m.send(
        4.0,
        "registry.crashed.tic_bridge.zb08",
        json!({"event": "crashed",
        "service_id": "tic_bridge.zb08", "will_restart": true, "exit_code": -11,
        "signal": "SIGSEGV", "restart_attempt": 3, "max_restarts": 5, "parent": SRV01.0}),
    );
    m.send(
        254.0,
        "registry.crashed.plate_solver.b",
        json!({"event": "crashed",
        "service_id": "plate_solver.b", "will_restart": false, "exit_code": 1,
        "error": "no index files in /data/index", "parent": SRV02.0}),
    );
    m.send(
        254.0,
        "registry.failed.plate_solver.b",
        json!({"event": "failed",
        "service_id": "plate_solver.b", "reason": "restart_limit_reached", "restart_count": 5,
        "parent": SRV02.0}),
    );
    let rms = |i: usize| json!({"rms_arcsec": 0.4 + 0.05 * f64::from([1, 3, 2, 5, 0, 4][i % 6])});
    m.beats(3.0, 16, "guider.jk15", rms);
    for (id, ago) in [
        (SRV01.0, 2.0),
        (SRV02.0, 6.0),
        ("camera.jk15", 1.0),
        ("focuser.jk15", 8.0),
        ("filterwheel.jk15", 5.0),
        ("dome_follower.main", 4.0),
        ("weather.main", 7.0),
        ("plate_solver.a", 2.0),
    ] {
        m.beats(ago, 12, id, none);
    }
    m.beats(52.0, 8, "allsky.cam1", none);
    for id in [SRV03.0, "guider.wk06", "camera.wk06"] {
        m.beats(254.0, 10, id, none);
    }
    m.send(
        11_000.0,
        "registry.start.flat_lamp.jk15",
        json!({"event": "start",
        "service_id": "flat_lamp.jk15", "hostname": SRV01.1, "pid": 7500, "parent": SRV01.0}),
    );
    m.send(
        10_000.0,
        "registry.stop.flat_lamp.jk15",
        json!({"event": "stop",
        "service_id": "flat_lamp.jk15", "reason": "completed", "exit_code": 0, "parent": SRV01.0}),
    );
    let mut all = m.take();
    all.sort_by_key(|message| message.stamp.stored);
    all
}

/// Connected, as in most tests.
pub(crate) fn up() -> LinkFacts {
    LinkFacts::Up {
        since: night() - TimeDelta::hours(3),
        lost: None,
        server: "nats://nats.oca.lan:4222".to_owned(),
        rtt_us: Some(3000),
        jetstream: Some(true),
        clock_unchecked: false,
    }
}

/// Brings what is shown up to date, and carries out what is ordered for it.
pub(crate) fn settle(state: &mut State, now: DateTime<Utc>) {
    while let Some(order) = state.settle(now) {
        state.update(Event::Picture(Some(Box::new(order.make()))), now);
    }
}

/// A dashboard of this size that has heard these messages.
pub(crate) fn state(messages: Vec<Arc<Observed>>, size: (u16, u16), now: DateTime<Utc>) -> State {
    let options = Options {
        site: "oca".to_owned(),
        colour: true,
        mouse: true,
        operator: "anna@console".to_owned(),
        ..Options::default()
    };
    let mut state = State::new(options, up(), size, now);
    let messages: Vec<Heard> = messages.into_iter().map(Heard::Message).collect();
    // as a site is read: what is held, then what happened, with the beats of a few minutes
    let beats = Transitions::heard_from(Some(now - TimeDelta::minutes(2)));
    let happened = happened(Fleet::new(), &messages, beats, now);
    for event in [Event::Heard(messages), Event::Settled, Event::Happened(happened)] {
        state.update(event, now);
    }
    settle(&mut state, now);
    state
}
