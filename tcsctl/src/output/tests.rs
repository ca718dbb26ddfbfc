//! Golden files of what is printed, with colours as marked runs: `<bad|× tic_bridge.zb08>`.

mod fields;
mod graph;
mod schemas;
mod site;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tcs_core::fleet::{Filter, FleetView};

use super::paint::paint;
use super::*;
use site::{Site, hostile, night};
use tcs_present::{
    Line, Look, Times, by_host, changes, detail, events, json, legend, list, problems,
    selection::{Selection, Wanted},
    text,
};
use tcs_testkit::schema;

fn look(width: Option<usize>) -> Look {
    Look { width, times: Times::Utc }
}

fn source() -> Source {
    Source {
        server: "nats://nats.oca.lan:4222".into(),
        prefix: "svc".into(),
        connected: true,
        jetstream: true,
        complete: true,
        answered: true,
        clock: "measured".into(),
        messages: 42,
        took: Duration::from_millis(23),
        ..Source::default()
    }
}

/// Where the broker's clock is not known.
fn unchecked() -> Source {
    let newest_message_at = Some(chrono::DateTime::UNIX_EPOCH);
    Source { clock: "local".into(), newest_message_at, ..source() }
}

fn marked(lines: &[Line]) -> String {
    lines.iter().map(Line::marked).collect::<Vec<_>>().join("\n")
}

fn printed(view: &FleetView, wanted: &Wanted, width: Option<usize>) -> String {
    let selection = Selection::new(view, wanted);
    let mut lines = list::list(view, &selection, &look(width));
    lines.push(Line::new());
    let filtered = !wanted.filter.is_empty();
    let from = source().line(view, &look(width));
    lines.extend(list::footer(view, &selection, filtered, (&from, true), &look(width)));
    let shown = selection.rows.iter().map(|row| row.service);
    lines.extend(problems::block(view, shown, width.map(|_| 4), &look(width)));
    if let Some(width) = width {
        for line in &lines {
            assert!(line.width() <= width, "{} cells: {}", line.width(), line.plain());
        }
    }
    marked(&lines)
}

fn default() -> Wanted {
    Wanted::default()
}

fn all() -> Wanted {
    Wanted { all: true, ..Wanted::default() }
}

#[test]
fn list_80() {
    insta::assert_snapshot!(printed(&night().view(), &default(), Some(80)));
}

#[test]
fn list_120() {
    insta::assert_snapshot!(printed(&night().view(), &default(), Some(120)));
}

#[test]
fn list_200() {
    insta::assert_snapshot!(printed(&night().view(), &default(), Some(200)));
}

#[test]
fn list_piped_with_all() {
    insta::assert_snapshot!(printed(&night().view(), &all(), None));
}

#[test]
fn list_filtered_looks_through_everything() {
    let wanted = Wanted { all: false, filter: Filter::parse("focus").unwrap() };
    insta::assert_snapshot!(printed(&night().view(), &wanted, Some(120)));
    let wanted = Wanted { all: false, filter: Filter::parse("nobody").unwrap() };
    insta::assert_snapshot!(printed(&night().view(), &wanted, Some(120)));
}

#[test]
fn problems_come_worst_first_and_consequences_last() {
    let mut site = Site::default();
    let launcher = "launcher.a.srv01-process-launcher";
    site.says(launcher, "ok", "Launcher running", None, 9_000);
    site.beats(launcher, "ok", 700);
    let on = json!({"hostname": "srv01.oca.lan", "pid": 7480});
    site.event("camera.main", "start", launcher, on, 8_000);
    site.beats("camera.main", "ok", 690);
    site.says("dome.main", "warning", "slow", None, 60);
    for ago in [200, 100, 20] {
        let crash = json!({"exit_code": 1, "error": "no answer", "will_restart": true});
        site.event("mount.main", "crashed", "launcher.b", crash, ago);
    }
    let view = site.view();
    let all = 0..view.services.len();
    insta::assert_snapshot!(marked(&problems::block(&view, all, None, &look(Some(120)))));
}

#[test]
fn list_by_host_and_flat() {
    let mut site = night();
    let figures = json!({"host_load1": 0.61, "host_mem_total_bytes": 24e9 as u64,
        "host_mem_available_bytes": 21e9 as u64, "host_boot_at": 1_795_399_200.0});
    site.beats_with("launcher.Kx1xDO.srv01-process-launcher", "ok", figures, 1);
    let view = site.view();
    let selection = Selection::new(&view, &default());
    let printed = |order, width| {
        let lines = by_host::list(&view, &selection, order, &look(width));
        assert!(width.is_none_or(|width| lines.iter().all(|line| line.width() <= width)));
        marked(&lines)
    };
    insta::assert_snapshot!("by_host_80", printed(by_host::Order::Host, Some(80)));
    insta::assert_snapshot!("by_host_160", printed(by_host::Order::Host, Some(160)));
    insta::assert_snapshot!("flat_80", printed(by_host::Order::Flat, Some(80)));
    let tree = list::list(&view, &selection, &look(None));
    assert_eq!(printed(by_host::Order::Launcher, None), marked(&tree));
}

#[test]
fn list_ascii() {
    let view = night().view();
    let selection = Selection::new(&view, &all());
    let lines = list::list(&view, &selection, &look(Some(120)));
    let text: Vec<_> = lines.iter().map(|line| paint(line, false, true)).collect();
    assert!(text.iter().all(|line| line.is_ascii()), "{text:#?}");
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn detailed_of_a_running_and_of_a_broken_service() {
    let view = night().view();
    let wanted = Wanted { all: true, filter: Filter::parse("/guider|tic_bridge/").unwrap() };
    let lines = detail::detailed(&view, &Selection::new(&view, &wanted), &look(Some(120)));
    insta::assert_snapshot!(marked(&lines));
}

#[test]
fn the_legend_names_every_verdict() {
    let text = marked(&legend::legend());
    for verdict in tcs_core::fleet::Verdict::ALL {
        assert!(text.contains(verdict.as_str()), "{verdict}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_launchers_row_tells_the_trouble_of_its_services_once() {
    let mut site = Site::default();
    let id = "launcher.Kx1xDO.srv01-process-launcher";
    let trouble = "failed: dome.main (exit code 3)";
    let part = json!({"name": "services", "status": "failed", "message": trouble});
    let details = json!({"own_status": "ok", "children": [part]});
    site.reports(id, "failed", &format!("services: {trouble}"), None, details, 60);
    site.beats(id, "ok", 3);
    site.event("dome.main", "start", id, json!({"pid": 7480}), 70);
    let crash = json!({"exit_code": 3, "will_restart": false});
    site.event("dome.main", "crashed", id, crash, 61);
    let list = printed(&site.view(), &all(), Some(200));
    let row = list.lines().find(|line| line.contains("process-launcher")).unwrap();
    assert!(row.contains("worst below: failed (dome.main)"), "{row}");
    assert!(!row.contains("services:") && !row.contains("exit code"), "{row}");
}

#[test]
fn an_empty_site() {
    insta::assert_snapshot!(printed(&Site::default().view(), &default(), Some(80)), @"
    
    none running<dim|   read in 0.02 s from nats://nats.oca.lan:4222>
    ");
}

/// Escapes, line ends, marks of direction, wide and combining characters, and 1 MB in names,
/// messages and metrics: nothing acts, and the columns hold.
#[test]
fn what_the_network_says_is_data() {
    let view = hostile().view();
    let selection = Selection::new(&view, &all());
    for width in [Some(40), Some(80), Some(120), None] {
        let mut lines = list::list(&view, &selection, &look(width));
        lines.extend(detail::detailed(&view, &selection, &look(width)));
        for line in &lines {
            for text in [line.plain(), paint(line, false, false), paint(line, false, true)] {
                assert!(!text.contains(text::is_hidden), "{text:?}");
            }
            let colored = paint(line, true, false);
            let bare = colored.replace("\x1b[", "");
            assert!(!bare.contains(text::is_hidden), "{bare:?}");
            if let Some(width) = width {
                assert!(line.width() <= width, "{} over {width}", line.width());
            }
        }
    }
    insta::assert_snapshot!(printed(&view, &all(), Some(100)));
    let source = source();
    let document = json::Document::new(&view, &selection, &source);
    let mut text = Vec::new();
    harmless::write_json(&mut text, &document, true).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains(|c| text::is_hidden(c) && c != '\n'));
}

#[test]
fn json_keeps_to_its_schema() {
    for site in [night(), hostile(), Site::default()] {
        let view = site.view();
        let source = source();
        let selection = Selection::new(&view, &all());
        let document = json::Document::new(&view, &selection, &source);
        let value = serde_json::to_value(&document).unwrap();
        schema::assert_documented(&value);
    }
}

#[test]
fn changes_keep_to_their_schema() {
    let before = Site::default().view();
    for view in [night().view(), hostile().view()] {
        let snapshot = serde_json::to_value(changes::snapshot(&view, |_| true)).unwrap();
        schema::assert_documented(&snapshot);
        let all = changes::between(&before, &view, |_| true);
        assert!(all.len() > 3);
        for change in all.iter().chain(&changes::between(&view, &before, |_| true)) {
            schema::assert_documented(
                &serde_json::to_value(changes::object(&view, change)).unwrap(),
            );
        }
        let link = changes::Change::Link { up: false, now: view.now };
        schema::assert_documented(&serde_json::to_value(changes::object(&view, &link)).unwrap());
    }
}

#[test]
fn json_of_a_night() {
    let view = night().view();
    let wanted = Wanted { all: false, filter: Filter::parse("guider").unwrap() };
    let source = source();
    let selection = Selection::new(&view, &wanted);
    let document = json::Document::new(&view, &selection, &source);
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn check_lines() {
    use crate::exit::Check;
    use tcs_core::fleet::{ServiceView, Verdict};

    use super::check::TakenById;

    let view = night().view();
    let of = |service: &ServiceView| match service.verdict {
        Verdict::Ok | Verdict::Stopped => Check::Ok,
        Verdict::Failed => Check::Critical,
        _ => Check::Warning,
    };
    let services: Vec<_> = view.services.iter().map(|service| (service, of(service))).collect();
    let line = check::line(Check::Critical, &view, &services, &TakenById::new(), &source());
    insta::assert_snapshot!(line.marked());
    let one: Vec<_> = view.get("guider.jk15").into_iter().map(|it| (it, Check::Ok)).collect();
    let line = check::line(Check::Ok, &view, &one, &TakenById::new(), &source());
    insta::assert_snapshot!(line.marked());
    let line = check::line(Check::Ok, &view, &one, &TakenById::new(), &unchecked());
    assert!(line.marked().contains("; clock unchecked"), "{}", line.marked());
    insta::assert_snapshot!(
        check::unknown("cannot connect to nats://a:4222: connection refused\nhint: x").marked(),
        @"<strong|TCS UNKNOWN> - cannot connect to nats://a:4222: connection refused"
    );
}

#[test]
fn a_deep_tree_neither_overflows_nor_hides_anybody() {
    let mut site = Site::default();
    for i in 0..5_000 {
        let parent = format!("deep.n{:05}", i + 1);
        let status = if i == 0 { "error" } else { "ok" };
        site.says(&format!("deep.n{i:05}"), status, "x", Some(&parent), 5);
    }
    let view = site.view();
    let selection = Selection::new(&view, &all());
    assert_eq!(selection.rows.len(), 5_000);
    let lines = list::list(&view, &selection, &look(Some(120)));
    assert!(lines.iter().all(|line| line.width() <= 120));
    let told = "worst below: error (deep.n00000)";
    assert_eq!(lines.iter().filter(|line| line.plain().contains(told)).count(), 4_999);
}

#[test]
fn events_in_columns() {
    use chrono::TimeDelta;
    use tcs_core::fleet::transitions::{Before, Cause, Transition, grouped};
    use tcs_core::fleet::{Reason, Silence, Verdict};
    use tcs_core::wire::{Crashed, Event, Status};

    let at = |second: i64| DateTime::<Utc>::from_timestamp(1_795_400_000 + second, 0).unwrap();
    let transition = |at, id: &str, verdict, cause| Transition {
        at,
        delivered_late: TimeDelta::zero(),
        id: id.into(),
        cause,
        by: None,
        before: None,
        verdict,
        reasons: Vec::new(),
    };
    let before = |verdict, seconds| {
        let lasted = Some(TimeDelta::seconds(seconds));
        Some(Before { verdict, lasted, blocked: false })
    };
    let start =
        Event::Start { hostname: Some("srv01".into()), pid: Some(7480), recent_crashes: None };
    let crash =
        Event::Crashed(Crashed { exit_code: Some(-11), will_restart: true, ..Crashed::default() });
    let event = |event, ran| Cause::Event { event, launcher: None, ran };
    let silence = Silence { age: TimeDelta::seconds(30), interval: TimeDelta::seconds(10) };
    let late = Reason::HeartbeatLate(silence);
    let guider = "guider.jk15";
    let mut transitions = vec![
        Transition {
            by: Some("tcsctl:ada@ops:77".into()),
            ..transition(at(0), guider, Verdict::Starting, event(start, None))
        },
        transition(
            at(60),
            guider,
            Verdict::Error,
            Cause::Status {
                from: Some((Status::Ok, TimeDelta::seconds(59))),
                to: Status::Error,
                message: Some("lost the star\nat last".into()),
            },
        ),
        Transition {
            delivered_late: TimeDelta::seconds(11),
            ..transition(
                at(61),
                "a.service.with.quite.a.long.name.that.is.cut.main",
                Verdict::Restarting,
                event(crash, Some(TimeDelta::seconds(3_700))),
            )
        },
        Transition {
            before: before(Verdict::Ok, 268),
            reasons: vec![late],
            ..transition(at(62), guider, Verdict::Late, Cause::Heartbeat)
        },
        Transition {
            before: before(Verdict::Late, 8),
            ..transition(at(70), guider, Verdict::Ok, Cause::Heartbeat)
        },
    ];
    for i in 0..53 {
        transitions.push(Transition {
            before: before(Verdict::Late, 9),
            ..transition(at(80 + i / 20), &format!("a.n{i}"), Verdict::Ok, Cause::Heartbeat)
        });
    }
    let groups = grouped(&transitions);
    let mut text = String::new();
    for width in [Some(80), Some(120), None] {
        let look = look(width);
        let names = events::name_width(&groups, &look);
        for group in &groups {
            let line = events::line(group, names, at(100), &look);
            assert!(width.is_none_or(|width| line.width() <= width));
            text.push_str(&line.marked());
            text.push('\n');
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
