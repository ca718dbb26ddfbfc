//! A night of ten hours with twelve incidents, written down message by message. It knows nothing of
//! the code that is tested: what it says of the night it says from the script alone.

use chrono::{DateTime, Datelike as _, TimeDelta, Timelike as _, Utc};
use serde_json::{Value, json};
use tcs_testkit::past::Stored;

/// Seconds between two heartbeats.
const BEAT: f64 = 30.0;
/// The length of the night.
pub(super) const LENGTH: f64 = 36_000.0;

/// One incident, as it was meant.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    /// Seconds into the night.
    pub(super) from: f64,
    /// `None`: it goes on.
    pub(super) until: Option<f64>,
    /// In the order of their names.
    pub(super) services: Vec<String>,
    /// Part of what the report has to say of its cause.
    pub(super) cause: &'static str,
}

/// A generated night: its messages, and the incidents in it.
pub(super) struct Night {
    /// When it began.
    pub(super) from: DateTime<Utc>,
    pub(super) messages: Vec<Stored>,
    /// In the order of their beginnings.
    pub(super) truths: Vec<Truth>,
    /// No heartbeat of a service is stored in these times; empty: of all.
    silent: Vec<(String, f64, f64)>,
    /// The last heartbeat before a time, and the first one after another.
    beats: Vec<(String, f64)>,
    /// Processes, as they were started.
    pids: Vec<(String, u32)>,
}

/// Services by host.
fn services() -> Vec<(String, usize)> {
    let names = ["guider", "camera", "dome", "focus", "weather", "mount", "archive", "lamp"];
    let of = |host: usize| names.map(|name| (format!("{name}.s{host}"), host));
    (1..=3).flat_map(of).collect()
}

fn launcher(host: usize) -> String {
    format!("launcher.L{host}.srv0{host}-process-launcher")
}

fn host(name: &str) -> usize {
    let mark = if name.starts_with("launcher") { ".L" } else { ".s" };
    name.find(mark).and_then(|at| name[at + 2..at + 3].parse().ok()).unwrap()
}

/// Whether a service is meant: all, those of a host, a launcher, or itself.
fn is_of(id: &str, of: &str) -> bool {
    of.is_empty()
        || id == of
        || of.starts_with(".s") && id.ends_with(of)
        || of.starts_with(".L") && id.contains(of)
}

/// The time as a payload writes it.
fn array(at: DateTime<Utc>) -> Value {
    let micro = at.nanosecond() / 1000;
    json!([at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second(), micro])
}

impl Night {
    /// One that ended an hour ago.
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        let from = now.with_nanosecond(0).unwrap() - TimeDelta::hours(11);
        let (messages, truths) = (Vec::new(), Vec::new());
        let mut night = Self {
            from,
            messages,
            truths,
            silent: Vec::new(),
            beats: Vec::new(),
            pids: Vec::new(),
        };
        night.evening();
        night.script();
        night.heartbeats();
        night.by_silence();
        night.truths.sort_by(|a, b| a.from.total_cmp(&b.from));
        night
    }

    pub(super) fn at(&self, second: f64) -> DateTime<Utc> {
        self.from + TimeDelta::microseconds((second * 1e6).round() as i64)
    }

    fn put(&mut self, second: f64, subject: String, data: &Value) {
        let at = self.at(second);
        let meta = json!({"id": "msg", "sender": "night", "ts": array(at)});
        let body = json!({"data": data, "meta": meta}).to_string().into_bytes();
        self.messages.push(Stored { at, subject, body });
    }

    fn pid(&self, id: &str) -> u32 {
        self.pids.iter().rfind(|(of, _)| of == id).map_or(100, |(_, pid)| *pid)
    }

    fn event(&mut self, second: f64, name: &str, id: &str, more: Value) {
        let number = host(id);
        let mut data = json!({"event": name, "service_id": id, "timestamp": array(self.at(second)),
            "parent": launcher(number), "hostname": format!("srv0{number}"), "pid": self.pid(id)});
        extend(&mut data, more);
        self.put(second, format!("svc.registry.{name}.{id}"), &data);
    }

    fn status(&mut self, second: f64, id: &str, status: &str, message: &str) {
        let data = json!({"name": id, "status": status, "timestamp": array(self.at(second)),
            "hostname": format!("srv0{}", host(id)), "message": message, "pid": self.pid(id)});
        self.put(second, format!("svc.status.{id}"), &data);
    }

    /// Each start has a process of its own.
    fn start(&mut self, second: f64, id: &str, more: Value) {
        let next = 101 + u32::try_from(self.pids.len()).unwrap();
        self.pids.push((id.to_owned(), next));
        self.event(second, "start", id, more);
        self.status(second + 5.0, id, "ok", "running");
    }

    fn crash(&mut self, second: f64, id: &str, code: i32) {
        let how = json!({"exit_code": code, "will_restart": true, "uptime_seconds": 60.0});
        self.event(second, "crashed", id, how);
        self.event(second + 2.0, "restarting", id, json!({"restart_attempt": 1}));
        self.start(second + 3.0, id, json!({}));
    }

    fn truth(&mut self, from: f64, until: Option<f64>, services: &[&str], cause: &'static str) {
        let services = services.iter().map(|id| (*id).to_owned()).collect();
        self.truths.push(Truth { from, until, services, cause });
    }

    /// An hour before all is started.
    fn evening(&mut self) {
        for number in 1..=3 {
            self.status(-3600.0, &launcher(number), "ok", "Supervising");
        }
        for (id, _) in services() {
            let how = json!({"batch": 1, "module": id, "enabled": true});
            self.event(-3601.0, "declared", &id, json!({"launcher_run": "r", "declared": how}));
            self.start(-3600.0, &id, json!({}));
        }
    }

    fn script(&mut self) {
        let jane = || json!({"requested_by": "jane@srv01"});
        // a crash that the launcher mends
        self.crash(1000.0, "guider.s1", 3);
        self.truth(1000.0, Some(1008.0), &["guider.s1"], "exit code 3");
        // one that it gives up, and jane starts again
        let how = json!({"exit_code": -9, "will_restart": false, "uptime_seconds": 60.0});
        self.event(2000.0, "crashed", "camera.s1", how);
        self.event(2000.5, "failed", "camera.s1", json!({"reason": "restart_limit_reached"}));
        self.start(3200.0, "camera.s1", jane());
        self.truth(2000.0, Some(3205.0), &["camera.s1"], "SIGKILL");
        self.alarm("camera.s1", 2001.0);
        // what services report of themselves
        self.status(4000.0, "guider.s2", "error", "lost the star");
        self.status(4321.0, "guider.s2", "ok", "guiding");
        self.truth(4000.0, Some(4321.0), &["guider.s2"], "lost the star");
        self.status(5000.0, "archive.s3", "warning", "disk 95 % full <b>&");
        self.status(6000.0, "archive.s3", "ok", "disk 60 % full");
        self.truth(5000.0, Some(6000.0), &["archive.s3"], "disk 95 % full <b>&");
        self.status(15_000.0, "lamp.s3", "failed", "no lamp");
        self.status(15_599.0, "lamp.s3", "ok", "lamp on");
        self.truth(15_000.0, Some(15_599.0), &["lamp.s3"], "no lamp");
        // two at the same time that have nothing to do with each other
        self.status(18_000.0, "dome.s1", "error", "shutter stuck");
        self.status(18_060.0, "dome.s1", "ok", "open");
        self.truth(18_000.0, Some(18_060.0), &["dome.s1"], "shutter stuck");
        self.crash(18_000.0, "weather.s3", 7);
        self.truth(18_000.0, Some(18_008.0), &["weather.s3"], "exit code 7");
        // one that comes again at once
        self.crash(20_000.0, "focus.s2", 4);
        self.crash(20_040.0, "focus.s2", 4);
        self.truth(20_000.0, Some(20_048.0), &["focus.s2"], "exit code 4");
        // what people did on purpose is no incident
        self.event(25_000.0, "stopping", "archive.s1", jane());
        self.event(25_001.0, "stop", "archive.s1", jane());
        self.start(25_030.0, "archive.s1", jane());
        // one that goes on
        self.status(35_000.0, "camera.s3", "error", "cooler failed");
        self.truth(35_000.0, None, &["camera.s3"], "cooler failed");
        // what is silent: one service; a host that is rebooted; everybody, because the broker is down
        self.silent.push(("camera.s1".to_owned(), 2000.0, 3202.0));
        self.silent.push(("archive.s1".to_owned(), 25_000.0, 25_031.0));
        self.silent.push(("mount.s1".to_owned(), 6500.0, 7200.0));
        self.silent.push((".s2".to_owned(), 9000.0, 9612.0));
        self.silent.push((".L2".to_owned(), 9000.0, 9600.0));
        self.silent.push((String::new(), 12_000.0, 12_300.0));
        self.status(9600.0, &launcher(2), "ok", "Supervising");
        for (id, _) in services().into_iter().filter(|(_, host)| *host == 2) {
            self.start(9610.0, &id, json!({}));
        }
    }

    fn heartbeats(&mut self) {
        let launchers = (1..=3).map(|number| (launcher(number), number));
        let all: Vec<_> = launchers.chain(services()).collect();
        for (i, (id, number)) in all.iter().enumerate() {
            let mut second = -1800.0 + 1.0 + i as f64 * 0.9;
            while second < LENGTH + 600.0 {
                let is_silent = self
                    .silent
                    .iter()
                    .any(|(of, from, until)| is_of(id, of) && *from < second && second < *until);
                if !is_silent {
                    let boot = if *number == 2 && second > 9000.0 { "new" } else { "old" };
                    let mut data = json!({"service_id": id, "timestamp": array(self.at(second)),
                        "status": "ok", "interval_seconds": BEAT});
                    if id.starts_with("launcher") {
                        let boot = format!("{boot}-{number}");
                        extend(&mut data, json!({"metrics": {"host_boot_id": boot}}));
                    }
                    self.put(second, format!("svc.heartbeat.{id}"), &data);
                    self.beats.push((id.clone(), second));
                }
                second += BEAT;
            }
        }
    }

    /// Of a service that falls silent the third heartbeat that is missing makes it late.
    fn by_silence(&mut self) {
        let last = |night: &Self, of: &str, before: f64| {
            let beats = night.beats.iter().filter(|(id, at)| is_of(id, of) && *at <= before);
            beats.map(|(_, at)| *at).fold(f64::MIN, f64::max)
        };
        let first = |night: &Self, of: &str, after: f64| {
            let beats = night.beats.iter().filter(|(id, at)| is_of(id, of) && *at >= after);
            beats.map(|(_, at)| *at).fold(f64::MAX, f64::min)
        };
        let (from, until) = (last(self, "mount.s1", 6500.0), first(self, "mount.s1", 7200.0));
        self.truth(from + 3.0 * BEAT, Some(until), &["mount.s1"], "heartbeats stopped");
        let mut of_host: Vec<String> = services().into_iter().map(|it| it.0).collect();
        of_host.retain(|id| is_of(id, ".s2"));
        of_host.push(launcher(2));
        of_host.sort();
        let lasts = of_host.iter().map(|id| last(self, id, 9000.0));
        let from = lasts.fold(f64::MAX, f64::min) + 3.0 * BEAT;
        let until = Some(9615.0);
        self.truths.push(Truth { from, until, services: of_host, cause: "srv02 was rebooted" });
        let (from, until) = (last(self, "", 12_000.0), first(self, "", 12_300.0));
        self.truth(from, Some(until), &[], "broker or network down");
    }

    /// Raised, told by two channels, of which one does not work, and acknowledged.
    fn alarm(&mut self, id: &str, second: f64) {
        let (raised, rule) = (self.at(second), "failed");
        let episode = format!("{rule}/{id}@{}", raised.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
        let notify = json!({"at": array(raised), "why": "raised"});
        let state = json!({"episode": episode, "rev": 1, "state": "active", "severity": "critical",
            "max_severity": "critical", "since": array(raised), "by": "sentinel.main",
            "notify": notify, "message": "SIGKILL"});
        self.put(second, format!("svc.alarm.state.{rule}.{id}"), &state);
        for (channel, st) in [("phone", "done"), ("chat", "failed")] {
            let sent = json!({"episode": episode, "rev": 1, "step": 0, "st": st, "due":
                array(raised), "why": "raised", "by": "sentinel.main", "error": "no route"});
            self.put(second + 1.0, format!("svc.alarm.sent.{channel}.{rule}.{id}"), &sent);
        }
        let ack = json!({"episode": episode, "op": "ack", "up_to": "critical", "by": "jane@srv01",
            "note": "changing the cable"});
        self.put(second + 60.0, format!("svc.alarm.ack.{rule}.{id}"), &ack);
    }
}

fn extend(data: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("{more}") };
    data.as_object_mut().unwrap().extend(more);
}
