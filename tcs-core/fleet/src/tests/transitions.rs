//! What happened, with true times and durations, from messages alone.

use chrono::TimeDelta;
use serde_json::json;

use super::support::{LAUNCHER, Line, array, at, crashed, event, stamp};
use crate::transitions::{Cause, Transition, Transitions};
use crate::{Fleet, Link, Order, Stamp, Verdict};

const ID: &str = "a.b";

/// Feeds messages in the order of storing.
fn story(lines: &[Line], until: f64) -> Vec<Transition> {
    let (mut fleet, mut transitions) = (Fleet::new(), Transitions::default());
    let mut told = Vec::new();
    for line in lines {
        let (decoded, stamp) = (line.decoded(), stamp(line));
        told.extend(transitions.take(&mut fleet, &line.subject, &decoded, stamp, Link::Steady));
    }
    told.extend(transitions.advance(&fleet, at(until), Link::Steady));
    told.sort_by_key(|transition| transition.at);
    told
}

fn ok() -> Line {
    super::support::status(ID, "ok", 0.0)
}

/// A heartbeat of a service that beats once a second.
fn beat(stored: f64, lag: f64) -> Line {
    super::support::beat(ID, stored).with(&json!({"interval_seconds": 1.0, "lag_seconds": lag}))
}

/// Seconds to a tenth: what happened is known to a few milliseconds, as clocks may drift.
fn tenths(span: TimeDelta) -> f64 {
    (span.num_milliseconds() as f64 / 100.0).round() / 10.0
}

fn words(told: &[Transition]) -> Vec<String> {
    let start = at(0.0);
    told.iter()
        .map(|it| {
            let second = tenths(it.at - start);
            let what = match &it.cause {
                Cause::Event { event, .. } => event.name().to_owned(),
                Cause::Status { to, .. } => to.to_string(),
                Cause::Heartbeat => "-".to_owned(),
                Cause::Reboot { host } => format!("reboot of {host}"),
                Cause::Profile { name, before } => {
                    let [name, before] =
                        [name, before].map(|it| it.as_deref().unwrap_or("none").to_owned());
                    let by = it.by.as_deref().unwrap_or("nobody");
                    format!("profile {name} after {before} by {by}")
                }
            };
            let before = it.before.map_or_else(String::new, |before| {
                let lasted = before.lasted.map_or(-1.0, tenths);
                format!(" {} {lasted}", before.verdict)
            });
            format!("{second} {what}{before} > {}", it.verdict)
        })
        .collect()
}

#[test]
fn silence_begins_and_ends_when_it_did_and_lasted_as_long() {
    let mut lines = vec![ok()];
    for second in 1..=100_i32 {
        // silent from 20 on for 11 s, and from 60 on for 20 s
        if !(21..=30).contains(&second) && !(61..=79).contains(&second) {
            lines.push(beat(f64::from(second), 0.0));
        }
    }
    let told = story(&lines, 100.5);
    assert_eq!(
        words(&told),
        [
            "0 ok > ok",
            "23 - ok 23 > late",
            "31 - late 8 > ok",
            "63 - ok 32 > late",
            "72 - late 9 > lost",
            "80 - lost 8 > ok",
        ]
    );
    assert_eq!(told[1].reasons[0].code(), "heartbeat_late");
    assert!(told.iter().filter_map(|it| it.before).all(|before| !before.blocked));
    assert_eq!(told[4].reasons[0].code(), "heartbeat_lost");
}

#[test]
fn an_event_that_is_stored_twice_is_told_once() {
    let numbered = |line: Line, number: u32| {
        let made = json!({"run_s": f64::from(number), "ts": array(f64::from(number))});
        line.with(&json!({"launcher_run": "r", "event_seq": number})).meta(&made)
    };
    let lines = [
        numbered(event("start", ID, 1.0), 1),
        numbered(crashed(ID, 2.0, true), 2),
        numbered(event("restarting", ID, 3.0), 3),
        numbered(event("start", ID, 4.0), 4),
        // sent again: the launcher did not learn that they were stored
        numbered(event("start", ID, 5.0), 1),
        numbered(crashed(ID, 6.0, true), 2),
    ];
    let told = words(&story(&lines[..4], 6.5));
    assert_eq!(words(&story(&lines, 6.5)), told);
    assert_eq!(told.len(), 4);
}

/// The broker takes nothing for some seconds; then all that waited comes at once.
#[test]
fn silence_ends_when_it_is_heard_and_what_happened_before_it_ends_nothing_of_it() {
    let made = |line: Line, run_s: f64| line.meta(&json!({"run_s": run_s, "ts": array(run_s)}));
    let mut lines = vec![made(ok(), 0.0)];
    lines.extend((1..=10).map(|second| made(beat(f64::from(second), 0.0), f64::from(second))));
    let mut waited = lines.clone();
    lines.push(made(beat(18.0, 0.0), 11.5));
    let told = words(&story(&lines, 18.5));
    assert_eq!(told[told.len() - 2..], ["13 - ok 13 > late", "18 - late 5 > ok"]);
    waited.push(made(crashed(ID, 18.0, true), 11.5));
    let told = words(&story(&waited, 18.5));
    assert!(told.iter().any(|it| it == "11.5 crashed late -1 > restarting"), "{told:?}");
}

/// Somebody deletes a stream; its launcher makes it again, and sends the last events again.
#[test]
fn what_is_sent_again_to_a_stream_made_anew_is_no_news() {
    let numbered = |line: Line, number: u32| {
        line.with(&json!({"launcher_run": "r", "event_seq": number}))
            .meta(&json!({"run_s": f64::from(number), "ts": array(f64::from(number))}))
    };
    let events = [numbered(event("start", ID, 1.0), 1), numbered(crashed(ID, 2.0, true), 2)];
    let (mut fleet, mut transitions) = (Fleet::new(), Transitions::default());
    let mut take = |line: &Line, order: Order| {
        let stamp = Stamp { stored: at(line.stored), order };
        transitions.take(&mut fleet, &line.subject, &line.decoded(), stamp, Link::Steady)
    };
    let of = |created: f64, seq| Order::Stream { created: at(created), seq };
    for (seq, line) in (1..).zip(&events) {
        assert_eq!(take(line, of(0.0, seq)).len(), 1);
    }
    for (seq, line) in (1..).zip(&events) {
        let again = Line { stored: line.stored + 60.0, ..line.clone() };
        assert_eq!(words(&take(&again, of(60.0, seq))), [""; 0]);
    }
    let next = numbered(event("restarting", ID, 63.0), 3);
    assert_eq!(take(&next, of(60.0, 3)).len(), 1);
}

#[test]
fn a_blocked_loop_is_told_as_that_and_not_as_missing_heartbeats() {
    let mut lines = vec![ok()];
    for second in 1..=20 {
        let lag = if (5..12).contains(&second) { f64::from(second - 4) } else { 0.0 };
        lines.push(beat(f64::from(second), lag));
    }
    let told = story(&lines, 20.5);
    let late: Vec<_> = told.iter().filter(|it| it.verdict == Verdict::Late).collect();
    assert_eq!(late.len(), 1, "{:?}", words(&told));
    assert_eq!(late[0].reasons[0].code(), "loop_blocked");
    let last = told.last().unwrap();
    assert_eq!(words(&told[told.len() - 1..]), ["12 - late 4 > ok"], "{last:?}");
    assert!(last.before.is_some_and(|before| before.blocked), "{last:?}");
}

#[test]
fn what_was_delivered_late_stands_where_it_happened() {
    // the launcher's run began at 0; from 18 to 30 nothing was stored
    let into =
        |line: Line, seconds: f64| line.meta(&json!({"run_s": seconds, "ts": array(seconds)}));
    let told = story(
        &[
            into(event("start", ID, 10.0), 10.0),
            into(crashed(ID, 30.0, true), 19.0),
            into(event("start", ID, 30.01), 20.0),
            into(crashed(ID, 30.02, true), 29.0),
        ],
        30.5,
    );
    assert_eq!(
        words(&told),
        [
            "10 start > starting",
            "19 crashed starting 9 > restarting",
            "20 start restarting 1 > starting",
            "29 crashed starting 9 > restarting",
        ]
    );
    let late: Vec<_> = told.iter().map(|it| tenths(it.delivered_late)).collect();
    assert_eq!(late, [0.0, 11.0, 10.0, 1.0]);
    let Cause::Event { ran: Some(ran), .. } = told[3].cause else { panic!("{told:?}") };
    assert_eq!(tenths(ran).to_string(), "9");
}

#[test]
fn while_nothing_can_be_heard_nobody_turns_silent() {
    let (mut fleet, mut transitions) = (Fleet::new(), Transitions::default());
    let mut take = |second: f64, link| {
        let line = beat(second, 0.0);
        transitions.take(&mut fleet, &line.subject, &line.decoded(), stamp(&line), link)
    };
    for second in 1..=5 {
        assert_eq!(take(f64::from(second), Link::Steady), []);
    }
    let down = Link::Down { since: at(5.2) };
    for second in 6..60 {
        assert_eq!(transitions.advance(&fleet, at(f64::from(second)), down), []);
    }
    // it is given time to be heard again
    let back = Link::Back { lost: at(5.2), since: at(60.0) };
    assert_eq!(transitions.advance(&fleet, at(60.1), back), []);
    assert_eq!(transitions.advance(&fleet, at(65.0), back), []);
    let told = transitions.advance(&fleet, at(67.0), back);
    assert_eq!(told.len(), 1, "and then it is silent by itself: {told:?}");
}

#[test]
fn what_a_launcher_has_not_told_is_no_change_from_stopped() {
    // its start was before; that it is declared again says nothing of how it is
    let declared = event("declared", ID, 1.0);
    let mut lines = vec![declared.clone()];
    lines.extend((2..8).map(|second| beat(f64::from(second), f64::from(second + 3))));
    assert_eq!(words(&story(&lines, 8.0)), ["2 - > late"]);
    let mut lines = vec![declared];
    lines.extend((2..8).map(|second| beat(f64::from(second), 0.0)));
    assert_eq!(words(&story(&lines, 12.0)), ["10 - ok 8 > late"]);
    // its end was told, and it goes on
    let mut lines = vec![event("start", ID, 1.0), ok()];
    lines[1].stored = 1.5;
    lines.extend((2..40).map(|second| beat(f64::from(second) + 0.1, 0.0)));
    lines.insert(20, event("stop", ID, 20.0));
    let told = story(&lines, 43.0);
    let told = words(&told[told.len() - 3..]);
    assert_eq!(
        told,
        ["20 stop ok 18.5 > stopped", "25.1 - stopped 5.1 > degraded", "42.1 - degraded 17 > late"]
    );
}

#[test]
fn of_a_time_without_heartbeats_nothing_is_guessed() {
    let start = event("start", ID, 1.0);
    for (from, lost) in [(None, 0), (Some(at(10.0)), 1)] {
        let mut fleet = Fleet::new();
        let mut transitions = Transitions::heard_from(from);
        let (decoded, stamp) = (start.decoded(), stamp(&start));
        let told = transitions.take(&mut fleet, &start.subject, &decoded, stamp, Link::Steady);
        assert_eq!(told.len(), 1);
        let told = transitions.advance(&fleet, at(1000.0), Link::Steady);
        assert_eq!(told.len(), lost, "{told:?}");
    }
}

#[test]
fn the_age_of_its_own_status_is_not_that_of_a_parts_trouble() {
    let report = |status: &str, stored: f64, own: Option<&str>, age: f64| {
        super::support::status(ID, status, stored)
            .with(&json!({"status_age_s": age, "details": {"own_status": own}}))
    };
    let lasted = |own: Option<&str>| {
        let lines = [report("warning", 1.0, own, 600.0), report("ok", 4.0, None, 603.0)];
        let told = story(&lines, 4.5);
        let Some(Cause::Status { from: Some((_, lasted)), .. }) = told.last().map(|it| &it.cause)
        else {
            panic!("{told:?}")
        };
        lasted.num_seconds()
    };
    assert_eq!(lasted(None), 603);
    assert_eq!(lasted(Some("ok")), 3, "the watchdog's warning, or a part's");
}

/// A launcher's status on the wire is the worst of its services. They tell for themselves.
#[test]
fn what_a_launcher_reports_of_its_services_is_no_event_of_its_own() {
    let launcher = |status: &str, own: &str, stored| {
        super::support::status("launcher.x", status, stored)
            .with(&json!({"details": {"own_status": own}}))
    };
    let lines = [
        launcher("startup", "startup", 0.0),
        launcher("ok", "ok", 1.0),
        launcher("failed", "ok", 2.0),
        launcher("ok", "ok", 3.0),
        launcher("warning", "warning", 4.0),
    ];
    let reported: Vec<String> =
        words(&story(&lines, 5.0)).iter().map(|it| it.split(' ').nth(1).unwrap().into()).collect();
    assert_eq!(reported, ["startup", "ok", "warning"]);
}

/// A heartbeat of the launcher, from a boot of its host that began at `boot_at`.
fn boot(stored: f64, id: &str, boot_at: f64) -> Line {
    let metrics = json!({"host_boot_id": id, "host_boot_at": at(boot_at).timestamp()});
    super::support::beat(LAUNCHER, stored).with(&json!({"metrics": metrics}))
}

#[test]
fn a_new_boot_id_is_a_reboot_at_the_time_of_the_boot_told_once() {
    let start = || super::support::status(LAUNCHER, "ok", 0.0);
    let reboots = |lines: &[Line]| {
        let told = words(&story(&[&[start()], lines].concat(), 125.0));
        told.into_iter().filter(|it| it.contains("reboot")).collect::<Vec<_>>()
    };
    let mut lines = vec![boot(10.0, "one", -900.0), boot(20.0, "one", -900.0)];
    assert_eq!(reboots(&lines), [""; 0], "the first one that is heard of is no news");
    lines.extend([boot(110.0, "two", 71.0), boot(115.0, "two", 71.0)]);
    assert_eq!(reboots(&lines), ["71 reboot of srv01 > ok"]);
    // one from before it that was delivered late
    lines.extend([boot(117.0, "one", -900.0), boot(120.0, "two", 71.0)]);
    assert_eq!(reboots(&lines).len(), 1);
    // a host without a clock of its own counts from 1970, or from the last shutdown
    for wrong in [-1e6, 15.0, 400.0] {
        let lines = [boot(20.0, "one", -900.0), boot(110.0, "two", wrong)];
        assert_eq!(reboots(&lines), ["110 reboot of srv01 > ok"], "{wrong}");
    }
}

#[test]
fn the_boot_that_was_known_at_the_beginning_is_known_afterwards() {
    let lines = [super::support::status(LAUNCHER, "ok", 0.0), boot(10.0, "one", -900.0)];
    let (mut fleet, mut transitions) = (super::support::fold(&lines), Transitions::default());
    transitions.begin(&fleet, at(11.0), Link::Steady);
    let mut take = |line: &Line| {
        let decoded = line.decoded();
        transitions.take(&mut fleet, &line.subject, &decoded, stamp(line), Link::Steady)
    };
    assert!(!take(&boot(12.0, "two", 11.0)).is_empty());
    assert!(take(&boot(13.0, "two", 11.0)).is_empty());
}

/// A heartbeat of the launcher that is in a profile since then (`None`: without one).
fn profile(stored: f64, name: Option<&str>, since: f64) -> Line {
    let metrics =
        json!({"profile": name, "profile_by": "anna", "profile_since": at(since).to_rfc3339()});
    super::support::beat(LAUNCHER, stored).with(&json!({"metrics": metrics}))
}

fn moves(lines: &[Line]) -> Vec<String> {
    let start = super::support::status(LAUNCHER, "ok", 0.0);
    let told = words(&story(&[&[start], lines].concat(), 205.0));
    told.into_iter().filter(|it| it.contains("profile")).collect()
}

#[test]
fn a_move_to_a_profile_is_told_once_when_it_was_made_and_by_whom() {
    let silent = |stored| super::support::beat(LAUNCHER, stored);
    let mut lines = vec![silent(10.0), silent(20.0)];
    assert_eq!(moves(&lines), [""; 0], "a launcher that says nothing of profiles");
    lines.extend([profile(30.0, Some("night"), 23.0), profile(40.0, Some("night"), 23.0)]);
    assert_eq!(moves(&lines), ["23 profile night after none by anna > ok"]);
    // another, the same again, none
    lines.extend([
        profile(50.0, Some("day"), 44.0),
        profile(60.0, Some("day"), 51.0),
        profile(70.0, None, 62.0),
    ]);
    assert_eq!(
        moves(&lines)[1..],
        [
            "44 profile day after night by anna > ok",
            "51 profile day after day by anna > ok",
            "62 profile none after day by anna > ok",
        ]
    );
}

#[test]
fn a_profile_that_was_chosen_before_anything_is_known_is_no_news() {
    let lines = [profile(10.0, Some("night"), -900.0), profile(20.0, Some("night"), -900.0)];
    assert_eq!(moves(&lines), [""; 0]);
    // the first heartbeat of a launcher's run may not say it yet
    let silent = |stored| super::support::beat(LAUNCHER, stored);
    let lines = [silent(10.0), profile(20.0, Some("night"), -900.0), silent(30.0)];
    assert_eq!(moves(&lines), [""; 0]);
    let lines = [lines[1].clone(), silent(30.0), profile(40.0, Some("night"), -900.0)];
    assert_eq!(moves(&lines), [""; 0]);
    // a clock that was set meanwhile: then it is told when it is heard of
    let lines = [profile(20.0, Some("night"), -900.0), profile(110.0, Some("day"), -1e8)];
    assert_eq!(moves(&lines), ["110 profile day after night by anna > ok"]);
}
