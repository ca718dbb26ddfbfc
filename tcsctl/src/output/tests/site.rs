//! Sites for golden files, made of messages as they travel.
#![expect(clippy::needless_pass_by_value, reason = "`json!` in a call reads better so")]

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use tcs_core::fleet::{Fleet, FleetView, Link, Order, Stamp};
use tcs_core::wire::{Subjects, Timestamp, decode};

/// Messages, told by how many seconds ago they were stored.
pub(super) struct Site {
    fleet: Fleet,
    now: DateTime<Utc>,
    seq: u64,
}

impl Default for Site {
    fn default() -> Self {
        let now = "2026-11-23T02:17:00Z".parse().unwrap();
        Self { fleet: Fleet::new(), now, seq: 0 }
    }
}

impl Site {
    pub(super) fn view(&self) -> FleetView {
        self.fleet.view(self.now, Link::Steady)
    }

    fn message(&mut self, subject: &str, mut data: Value, ago: i64) {
        let at = self.now - TimeDelta::seconds(ago);
        let time = json!(Timestamp::new(at));
        data["timestamp"] = time.clone();
        let body =
            json!({"data": data, "meta": {"id": "m", "sender": "s", "ts": time}}).to_string();
        let subjects = Subjects::default();
        let decoded = decode(subjects.parse(subject).unwrap(), body.as_bytes()).unwrap();
        self.seq += 1;
        let created = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let stamp = Stamp { stored: at, order: Order::Stream { created, seq: self.seq } };
        self.fleet.apply(subject, decoded, stamp);
    }

    /// A registry event.
    pub(super) fn event(&mut self, id: &str, event: &str, parent: &str, more: Value, ago: i64) {
        let mut data: Map<String, Value> = more.as_object().cloned().unwrap_or_default();
        data.insert("event".into(), event.into());
        data.insert("service_id".into(), id.into());
        data.insert("parent".into(), parent.into());
        self.message(&format!("svc.registry.{event}.{id}"), data.into(), ago);
    }

    /// A status.
    pub(super) fn says(
        &mut self,
        id: &str,
        status: &str,
        message: &str,
        parent: Option<&str>,
        ago: i64,
    ) {
        self.reports(id, status, message, parent, json!({}), ago);
    }

    pub(super) fn reports(
        &mut self,
        id: &str,
        status: &str,
        message: &str,
        parent: Option<&str>,
        details: Value,
        ago: i64,
    ) {
        let data = json!({
            "name": id, "status": status, "message": message, "parent": parent,
            "hostname": "srv01.oca.lan", "pid": 7480, "details": details,
        });
        self.message(&format!("svc.status.{id}"), data, ago);
    }

    /// A heartbeat.
    pub(super) fn beats(&mut self, id: &str, status: &str, ago: i64) {
        self.beats_with(id, status, json!({}), ago);
    }

    /// A heartbeat with these metrics.
    pub(super) fn beats_with(&mut self, id: &str, status: &str, metrics: Value, ago: i64) {
        let data = json!({"service_id": id, "status": status, "metrics": metrics});
        self.message(&format!("svc.heartbeat.{id}"), data, ago);
    }

    /// A service that runs, for as long as `up` seconds.
    pub(super) fn runs(&mut self, id: &str, status: &str, message: &str, parent: &str, up: i64) {
        self.event(id, "start", parent, json!({"hostname": "srv01.oca.lan", "pid": 7480}), up);
        self.says(id, status, message, Some(parent), up - 1);
        self.beats(id, status, 4);
    }
}

const LAUNCHER: &str = "launcher.Kx1xDO.srv01-process-launcher";
const OTHER: &str = "launcher.launcher.NfChOv.srv02-asyncio-launcher";

/// A night with something of everything.
pub(super) fn night() -> Site {
    let mut site = Site::default();
    site.says(LAUNCHER, "ok", "Launcher running", None, 11_520);
    site.beats(LAUNCHER, "ok", 3);
    for id in ["guider.jk15", "dome_follower.main", "tic_bridge.zb08", "focus_calc.main"] {
        site.event(id, "declared", LAUNCHER, json!({"restart_policy": "on-failure"}), 11_521);
    }
    site.event(
        "guider.jk15",
        "start",
        LAUNCHER,
        json!({"hostname": "srv01.oca.lan", "pid": 7480}),
        11_460,
    );
    let details = json!({
        "own_status": "busy",
        "children": [
            {"name": "camera", "status": "ok", "message": "Exposing, T=-15.2C"},
            {"name": "mount", "status": "degraded", "message": "Wind gusts",
             "details": {"children": [{"name": "encoder", "status": "ok"}], "metrics": {"rate": 12.5}}},
        ],
        "metrics": {"guide_rms_arcsec": 0.42, "star": "HD 12345"},
    });
    site.reports("guider.jk15", "busy", "exposing", Some(LAUNCHER), details, 252);
    site.beats("guider.jk15", "busy", 2);

    site.event(
        "dome_follower.main",
        "start",
        LAUNCHER,
        json!({"hostname": "srv01.oca.lan", "pid": 7499}),
        60,
    );
    site.event(
        "dome_follower.main",
        "crashed",
        LAUNCHER,
        json!({"exit_code": -11, "will_restart": true, "restart_attempt": 2, "max_restarts": 5}),
        4,
    );
    site.event(
        "tic_bridge.zb08",
        "start",
        LAUNCHER,
        json!({"hostname": "srv01.oca.lan", "pid": 7500}),
        700,
    );
    site.event(
        "tic_bridge.zb08",
        "crashed",
        LAUNCHER,
        json!({"exit_code": 1, "will_restart": true, "error": "port 5555 is in use"}),
        650,
    );
    site.event(
        "tic_bridge.zb08",
        "failed",
        LAUNCHER,
        json!({"reason": "restart_limit_reached", "restart_count": 5}),
        600,
    );
    site.event(
        "focus_calc.main",
        "start",
        LAUNCHER,
        json!({"hostname": "srv01.oca.lan", "pid": 7501}),
        9_000,
    );
    site.event(
        "focus_calc.main",
        "stop",
        LAUNCHER,
        json!({"reason": "terminated", "exit_code": 0}),
        4_000,
    );

    site.says(OTHER, "ok", "Launcher running", None, 90_000);
    site.beats(OTHER, "ok", 50);
    site.runs("weather.davis", "warning", "humidity 93 %", OTHER, 90_000);
    site.runs("allsky.north", "idle", "waiting for the dark", OTHER, 90_000);
    site.event(
        "mount_monitor.main",
        "start",
        OTHER,
        json!({"hostname": "srv02.oca.lan", "pid": 812}),
        90_000,
    );
    site.says("mount_monitor.main", "ok", "tracking", Some(OTHER), 80_000);
    site.beats("mount_monitor.main", "ok", 700);
    site
}

/// Everything that a message may hold to do harm.
pub(super) fn hostile() -> Site {
    let mut site = Site::default();
    let long = "x".repeat(1 << 20);
    site.says("plain.main", "ok", "as it should be", None, 100);
    site.says(
        "evil\x1b[2J.main",
        "ok",
        "\x1b]0;title\x07 and \x1b[31mred\r\nsecond line",
        None,
        100,
    );
    site.says("bidi.\u{202e}niam", "ok", "right \u{2066}to\u{2069} left", None, 100);
    site.says("広い.名前", "busy", "全角の文字 と e\u{301}\u{301}\u{301} 🔭", None, 100);
    site.says("zero\u{200b}width.main", "ok", "wind \u{26a0}\u{fe0f} strong \u{9b}31m", None, 100);
    site.says(&format!("long.{}", &long[..4000]), "ok", "a long name", None, 100);
    let details = json!({
        "children": [{"name": "a\x1b[1mb\nc", "status": "ok", "message": long}],
        "metrics": {"key\x1b": "value\n\x1b[5m", "n": [1, {"a\u{202e}": "\u{9b}"}]},
    });
    site.reports("long.main", "ok", &long, None, details, 100);
    for id in ["plain.main", "evil\x1b[2J.main", "広い.名前", "long.main"] {
        site.beats(id, "ok", 2);
    }
    site
}
