#![expect(clippy::float_cmp, reason = "these numbers are told as they are")]

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_fleet::{Filter, Fleet, Link, Order, Stamp};
use tcs_wire::text::is_hidden;
use tcs_wire::{Event, Subjects, Timestamp, decode};

use super::{Answer, Counted, Exposition, Kind, Scrape, Wanted, label, text};

/// Messages of a fleet, stored one after the other.
struct Messages {
    fleet: Fleet,
    now: DateTime<Utc>,
    seq: u32,
}

impl Messages {
    fn new() -> Self {
        Self { fleet: Fleet::new(), now: "2026-11-23T02:17:00Z".parse().unwrap(), seq: 0 }
    }

    fn message(&mut self, subject: &str, mut data: Value) {
        self.seq += 1;
        let stored = self.now - TimeDelta::seconds(10) + TimeDelta::milliseconds(self.seq.into());
        let time = json!(Timestamp::new(stored));
        data["timestamp"] = time.clone();
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s", "ts": time}});
        let kind = Subjects::default().parse(subject).unwrap();
        let decoded = decode(kind, body.to_string().as_bytes()).unwrap();
        let created = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let stamp = Stamp { stored, order: Order::Stream { created, seq: self.seq.into() } };
        self.fleet.apply(subject, decoded, stamp);
    }

    fn service(&mut self, id: &str, metrics: &Value) {
        let data = json!({"event": "declared", "service_id": id, "parent": "launcher.tcsd.Kx1x"});
        self.message(&format!("svc.registry.declared.{id}"), data);
        let data = json!({"event": "start", "service_id": id, "pid": 7, "hostname": "srv01",
            "parent": "launcher.tcsd.Kx1x"});
        self.message(&format!("svc.registry.start.{id}"), data);
        let data = json!({"name": id, "status": "ok", "hostname": "srv01",
            "parent": "launcher.tcsd.Kx1x", "details": {"metrics": metrics}});
        self.message(&format!("svc.status.{id}"), data);
        let data = json!({"service_id": id, "status": "ok", "interval_seconds": 10.0,
            "lag_seconds": 0.25, "hostname": "srv01"});
        self.message(&format!("svc.heartbeat.{id}"), data);
        let data = json!({"service_id": "launcher.tcsd.Kx1x", "status": "ok"});
        self.message("svc.heartbeat.launcher.tcsd.Kx1x", data);
    }

    fn text(&self, answers: &[Answer], counted: Option<&Counted>) -> String {
        self.text_of(answers, counted, Filter::default(), true)
    }

    fn text_of(
        &self,
        answers: &[Answer],
        counted: Option<&Counted>,
        filter: Filter,
        is_connected: bool,
    ) -> String {
        let view = self.fleet.view(self.now, Link::Steady);
        let site = super::Site {
            is_connected,
            is_complete: true,
            has_jetstream: true,
            version: "1",
            round_trip: None,
        };
        let wanted = Wanted { all: true, filter };
        text(&Scrape { view: &view, wanted: &wanted, site, answers, alarms: Some(&[]), counted })
    }
}

fn answer(services: &[&str]) -> Answer {
    let figures = |id: &&str| {
        json!({"service_id": id, "scope": "processes", "processes": 1, "threads": 12,
            "cpu_percent": 3.5, "cpu_seconds": 1234.56, "rss_bytes": 123_456_789,
            "peak_rss_bytes": 223_456_789, "open_fds": 42, "read_bytes": 123_456_789,
            "written_bytes": 987_654_321, "restarts_total": 3, "crashes_total": {"exit 3": 2}})
    };
    let data = json!({"services": services.iter().map(figures).collect::<Vec<_>>()});
    let Value::Object(data) = data else { unreachable!() };
    Answer::new("launcher.tcsd.Kx1x".to_owned(), "srv01".to_owned(), &data)
}

/// The samples, by name and labels; a panic where a line is none, or occurs twice.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let mut samples = BTreeMap::new();
    let mut families = HashSet::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} begins twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(series.split('{').next(), Some(family), "{line}");
        assert!(samples.insert(series, value.parse().unwrap()).is_none(), "twice: {line}");
    }
    samples
}

#[test]
fn a_service_is_told_with_all_that_is_known() {
    let mut site = Messages::new();
    site.service("guider.jk15", &json!({"frames": 7, "cold": true, "mode": "x", "list": [1]}));
    let mut counted = Counted::default();
    counted.reconnects = 2;
    let crashed = Event::Other("crashed".into());
    counted.note("guider.jk15", &Event::Other("start".into()), site.now, true);
    counted.note("guider.jk15", &crashed, site.now, false);
    counted.note("guider.jk15", &crashed, site.now, false);
    counted.note("guider.jk15", &crashed, site.now + TimeDelta::seconds(1), false);
    let text = site.text(&[answer(&["guider.jk15"])], Some(&counted));
    let samples = samples(&text);
    for (series, value) in [
        ("tcs_up", 1.0),
        ("tcs_build_info{version=\"1\"}", 1.0),
        ("tcs_broker_time_seconds", 1_795_400_220.0),
        ("tcs_link_reconnects_total", 2.0),
        ("tcs_alarms{severity=\"critical\",state=\"active\"}", 0.0),
        ("tcs_host_services{host=\"srv01\"}", 1.0),
        (
            "tcs_service_info{service=\"guider.jk15\",type=\"guider\",variant=\"jk15\",\
             host=\"srv01\",launcher=\"launcher.tcsd.Kx1x\",parent=\"launcher.tcsd.Kx1x\"}",
            1.0,
        ),
        ("tcs_service_verdict{service=\"guider.jk15\",verdict=\"ok\"}", 1.0),
        ("tcs_service_verdict{service=\"guider.jk15\",verdict=\"failed\"}", 0.0),
        ("tcs_service_declared{service=\"guider.jk15\"}", 1.0),
        ("tcs_service_heartbeat_interval_seconds{service=\"guider.jk15\"}", 10.0),
        ("tcs_service_lag_seconds{service=\"guider.jk15\"}", 0.25),
        ("tcs_service_restarts_total{service=\"guider.jk15\"}", 3.0),
        ("tcs_service_crashes_total{service=\"guider.jk15\",reason=\"exit 3\"}", 2.0),
        // what was there before is not counted, and what is told twice only once
        ("tcs_service_events_total{service=\"guider.jk15\",event=\"start\"}", 0.0),
        ("tcs_service_events_total{service=\"guider.jk15\",event=\"crashed\"}", 2.0),
        ("tcs_service_cpu_seconds_total{service=\"guider.jk15\"}", 1234.56),
        ("tcs_service_resident_memory_bytes{service=\"guider.jk15\"}", 123_456_789.0),
        ("tcs_service_metric{service=\"guider.jk15\",component=\"\",name=\"frames\"}", 7.0),
        ("tcs_service_metric{service=\"guider.jk15\",component=\"\",name=\"cold\"}", 1.0),
        ("tcs_series_dropped", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}\n{text}");
    }
    assert!(!text.contains("name=\"mode\"") && !text.contains("pid"), "{text}");
}

#[test]
fn what_was_counted_of_a_service_is_told_while_it_does_not_run() {
    let mut site = Messages::new();
    site.service("guider.jk15", &json!({}));
    let data = json!({"services": [], "not_running": [{"service_id": "guider.jk15",
        "scope": "processes", "restarts_total": 3, "crashes_total": {"SIGKILL": 4}}]});
    let Value::Object(data) = data else { unreachable!() };
    let answer = Answer::new("launcher.tcsd.Kx1x".to_owned(), "srv01".to_owned(), &data);
    let text = site.text(&[answer], None);
    let samples = samples(&text);
    assert_eq!(samples["tcs_service_restarts_total{service=\"guider.jk15\"}"], 3.0);
    let crashes = "tcs_service_crashes_total{service=\"guider.jk15\",reason=\"SIGKILL\"}";
    assert_eq!(samples[crashes], 4.0);
    assert!(!text.contains("resident_memory") && !text.contains("cpu_seconds"), "{text}");
}

#[test]
fn one_that_sees_nothing_accuses_nobody() {
    let mut site = Messages::new();
    site.service("guider.jk15", &json!({}));
    let text = site.text_of(&[], None, Filter::default(), false);
    let samples = samples(&text);
    assert_eq!(samples["tcs_up"], 0.0);
    assert!(!text.contains("guider"), "{text}");
}

#[test]
fn a_filter_narrows_it() {
    let mut site = Messages::new();
    site.service("guider.jk15", &json!({"frames": 7}));
    site.service("dome.main", &json!({"frames": 7}));
    let data = json!({"name": "dome.main", "status": "ok", "hostname": "srv02"});
    site.message("svc.status.dome.main", data);
    let text = site.text_of(&[], None, Filter::parse("dome").unwrap(), true);
    assert!(text.contains("dome.main") && !text.contains("guider"), "{text}");
    assert!(text.contains("host=\"srv02\"") && !text.contains("srv01"), "{text}");
}

#[test]
fn names_from_anywhere_stay_within_their_quotes_and_apart() {
    let hostile = ["a\"} 1\nx", "a\\\"} 1\\nx", "a\0b", "a\\u{0}b", "a\u{1b}[2J", "ż\u{202e}"];
    let mut seen = HashSet::new();
    for name in hostile {
        let text = label(name);
        assert!(!text.contains(is_hidden), "{text:?}");
        assert!(seen.insert(text.into_owned()), "{name:?}");
        let inside = label(name).replace("\\\\", "").replace("\\\"", "");
        assert!(!inside.contains('"'), "{name:?}: {inside}");
    }
    let mut site = Messages::new();
    let metrics: serde_json::Map<String, Value> =
        hostile.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
    site.service("guider.jk15", &metrics.into());
    let text = site.text(&[], None);
    let own = samples(&text).into_keys().filter(|it| it.starts_with("tcs_service_metric")).count();
    assert_eq!(own, hostile.len(), "{text}");
}

#[test]
fn a_services_own_metrics_are_bounded_and_the_cut_is_told() {
    let metrics: serde_json::Map<String, Value> =
        (0..100).map(|i| (format!("m{i}"), json!(i))).collect();
    let mut site = Messages::new();
    for i in 0..320 {
        site.service(&format!("guider.n{i}"), &metrics.clone().into());
    }
    let text = site.text(&[], None);
    let samples = samples(&text);
    let own = samples.keys().filter(|it| it.starts_with("tcs_service_metric")).count();
    assert_eq!(own, 20_000);
    assert_eq!(samples["tcs_series_dropped"], 32_000.0 - 20_000.0);
}

/// Bytes of a text in gzip, as `tcsctl serve` sends it.
fn packed(text: &str) -> usize {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap().len()
}

#[test]
fn a_thousand_services_take_less_than_a_megabyte_and_a_half() {
    let mut site = Messages::new();
    let ids: Vec<String> = (0..1000).map(|i| format!("guider.n{i}")).collect();
    for id in &ids {
        site.service(id, &json!({}));
    }
    let text = |answers: &[Answer]| site.text(answers, Some(&Counted::default()));
    let bare = text(&[]).len();
    assert!(bare < 1_500_000, "{bare} bytes");
    // all figures of launchers add a third to the text, and little to what is sent of it
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let whole = text(&[answer(&ids)]);
    assert!(whole.len() < 2_000_000, "{} bytes", whole.len());
    assert!(packed(&whole) < 150_000, "{} bytes in gzip", packed(&whole));
}

/// With figures that are all different, and sixteen metrics of its own for each service.
#[test]
fn what_is_sent_of_a_thousand_services_that_tell_much_is_small_too() {
    let mut site = Messages::new();
    let mut figures = Vec::new();
    for i in 0..1000_u64 {
        let id = format!("guider.n{i}");
        let own = (0..16).map(|k| (format!("exposure_{k}"), json!(i * 7919 % 1000 + k)));
        site.service(&id, &Value::Object(own.collect()));
        figures.push(json!({"service_id": id, "scope": "processes", "processes": 1,
            "threads": i % 30 + 1, "cpu_percent": 3.5, "cpu_seconds": i as f64 * 37.31,
            "rss_bytes": i * 104_729 + 20_000_000, "peak_rss_bytes": i * 224_737 + 25_000_000,
            "open_fds": i % 90 + 5, "read_bytes": i * 1_299_709, "written_bytes": i * 15_485_863,
            "restarts_total": i % 4, "crashes_total": {"exit 3": i % 3}}));
    }
    let Value::Object(data) = json!({"services": figures}) else { unreachable!() };
    let answer = Answer::new("launcher.tcsd.Kx1x".to_owned(), "srv01".to_owned(), &data);
    let text = site.text(&[answer], Some(&Counted::default()));
    assert!(text.lines().filter(|it| it.starts_with("tcs_service_metric{")).count() == 16_000);
    assert!(packed(&text) < 500_000, "{} bytes in gzip, {} as they are", packed(&text), text.len());
}

#[test]
fn numbers_are_short() {
    let mut out = Exposition::new();
    let mut family = out.family("x", Kind::Gauge, "X.");
    for value in [0.0, -0.5, 1e15, 1e300, 1e-300, f64::NAN, f64::INFINITY] {
        family.add("", value);
    }
    let text = out.into_text();
    let lines: Vec<&str> = text.lines().skip(2).collect();
    let expected =
        ["x 0", "x -0.5", "x 1000000000000000", "x 1e300", "x 1e-300", "x NaN", "x +Inf"];
    assert_eq!(lines, expected);
}
