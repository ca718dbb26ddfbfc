//! Alarms in the header, in the rows and on their page; acknowledging them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tcs_alarms::{Address, Record};
use tcs_core::fleet::{Order, Stamp};
use tcs_core::wire::{Subjects, Timestamp};

use super::fixture::{night, observatory, state};
use super::{buffer, press, text};
use crate::dashboard::event::{Action, AlarmNews, AlarmReply, AlarmRequest, Event, Mouse, Spot};
use crate::dashboard::state::State;

/// Messages of the stream, numbered as they are made.
#[derive(Default)]
struct Stream(u64);

impl Stream {
    fn news(&mut self, subject: &str, at: DateTime<Utc>, data: &Value) -> AlarmNews {
        self.0 += 1;
        let subjects = Subjects::default();
        let address = Address::parse(&subjects, &format!("svc.alarm.{subject}")).unwrap();
        let record = Record::decode(&address, json!({"data": data}).to_string().as_bytes());
        let record = Arc::new(record.unwrap());
        let order = Order::Stream { created: DateTime::UNIX_EPOCH, seq: self.0 };
        AlarmNews::Record { address, record, stamp: Stamp { stored: at, order } }
    }

    /// An alarm that was raised so many seconds before the night's picture.
    fn state(&mut self, ago: i64, id: &str, severity: &str, raised: i64) -> AlarmNews {
        let (rule, object) = id.split_once('/').unwrap();
        let (at, raised) =
            (night() - TimeDelta::seconds(ago), night() - TimeDelta::seconds(raised));
        let time = |at: DateTime<Utc>| serde_json::to_value(Timestamp::new(at)).unwrap();
        let episode = format!("{id}@{}", raised.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
        let data = json!({"episode": episode, "rev": 1, "state": "active", "severity": severity,
            "max_severity": severity, "since": time(at), "by": "sentinel.main",
            "message": "exit code 3", "notify": {"at": time(at), "why": "raised"}});
        self.news(&format!("state.{rule}.{object}"), at, &data)
    }
}

fn fleet() -> (State, Stream) {
    let mut state = state(observatory(), (80, 24), night());
    let mut stream = Stream::default();
    let news = vec![
        stream.state(60, "failed/guider.jk15", "critical", 60),
        stream.state(30, "degraded/dome_follower.main", "warning", 30),
        AlarmNews::Current,
    ];
    take(&mut state, news);
    (state, stream)
}

fn take(state: &mut State, news: Vec<AlarmNews>) {
    state.update(Event::Alarms(news), state.now);
    state.settle(state.now);
}

fn shown(state: &State) -> String {
    text(&buffer(state))
}

fn typed(state: &mut State, text: &str) {
    state.update(Event::Paste(text.to_owned()), state.now);
}

/// What is stored about alarms after Enter.
fn enter(state: &mut State) -> Option<AlarmRequest> {
    press(state, "Enter").into_iter().find_map(|action| match action {
        Action::Alarm(request) => Some(request),
        _ => None,
    })
}

#[test]
fn header_page_and_rows_tell_of_alarms() {
    let (mut state, _) = fleet();
    let screen = shown(&state);
    assert!(screen.contains("▲ 2 unacked · NOT WATCHED"), "{screen}");
    press(&mut state, "v");
    let page = shown(&state);
    assert!(page.contains(" alarms: 2 unacknowledged · NOT WATCHED"), "{page}");
    let rows: Vec<&str> = page.lines().filter(|line| line.contains(" active  ")).collect();
    assert!(rows[0].starts_with(" ! failed/guider.jk15 "), "{page}");
    assert!(rows[0].contains("  critical  active  exit code 3; for 1 min"), "{page}");
    assert!(rows[1].starts_with(" ! degraded/dome_follower.main"), "{page}");
    insta::assert_snapshot!("alarms_80x24", page);
    press(&mut state, "j Enter");
    assert_eq!(state.table.chosen().map(|id| &**id), Some("dome_follower.main"));
    // without a stream there is nothing to say
    let none = super::fixture::state(observatory(), (80, 24), night());
    assert!(!shown(&none).contains("WATCHED"));
}

#[test]
fn an_acknowledgement_is_for_the_episode_that_was_drawn() {
    let (mut state, mut stream) = fleet();
    press(&mut state, "v c");
    let question = shown(&state);
    assert!(question.contains("failed/guider.jk15, critical, raised 02:12:07"), "{question}");
    assert_eq!(enter(&mut state), None, "without a note");
    assert!(shown(&state).contains("type what you do about it"));
    // meanwhile it is raised anew, in the same row
    let again = stream.state(0, "failed/guider.jk15", "critical", 0);
    take(&mut state, vec![again]);
    typed(&mut state, "on it");
    let request = enter(&mut state).unwrap();
    let Record::Ack(ack) = &request.records[0] else { panic!("{request:?}") };
    assert_eq!(ack.episode.raised.time(), night() - TimeDelta::seconds(60));
    assert_eq!((ack.note.as_deref(), ack.by.as_str()), (Some("on it"), "anna@console"));
    // stored, and seen: it does not count
    let body = serde_json::to_value(ack).unwrap();
    let stored = stream.news("ack.failed.guider.jk15", night(), &body);
    let seq = stream.0;
    take(&mut state, vec![stored]);
    let reply = AlarmReply { request, outcome: Ok(seq) };
    state.update(Event::AlarmReply(reply), state.now);
    assert!(shown(&state).contains("failed/guider.jk15: not acknowledged: it has become worse"));
    assert!(shown(&state).contains(" alarms: 2 unacknowledged"), "{}", shown(&state));
}

#[test]
fn what_somebody_has_taken_is_marked_in_every_row() {
    let (mut state, mut stream) = fleet();
    while state.table.chosen().is_none_or(|id| &**id != "dome_follower.main") {
        press(&mut state, "j");
    }
    press(&mut state, "c");
    typed(&mut state, "on it");
    let request = enter(&mut state).unwrap();
    let Record::Ack(ack) = &request.records[0] else { panic!("{request:?}") };
    assert_eq!(ack.episode.alarm.to_string(), "degraded/dome_follower.main");
    let body = serde_json::to_value(ack).unwrap();
    let stored = stream.news("ack.degraded.dome_follower.main", night(), &body);
    let reply = AlarmReply { request, outcome: Ok(stream.0) };
    // the answer may come before what it tells of
    state.update(Event::AlarmReply(reply), state.now);
    assert!(!shown(&state).contains("acknowledged"));
    take(&mut state, vec![stored]);
    let screen = shown(&state);
    assert!(screen.contains("degraded/dome_follower.main: acknowledged"), "{screen}");
    assert!(screen.contains("▲ 1 unacked"), "{screen}");
    assert!(screen.contains("taken by anna"), "{screen}");
    assert!(screen.lines().any(|line| line.starts_with('+')), "{screen}");
    let sign = |id| state.alarms.mark(id).map(|mark| mark.sign);
    assert_eq!((sign("guider.jk15"), sign("camera.jk15")), (Some("!"), None));
}

#[test]
fn a_shelf_needs_a_length_and_a_reason_and_covers_what_is_chosen() {
    let (mut state, _) = fleet();
    press(&mut state, "v j V");
    for (text, error) in
        [("2h", "type how long and why"), ("soon x", "not a duration"), ("8d x", "7 days")]
    {
        typed(&mut state, text);
        assert_eq!(enter(&mut state), None, "{text}");
        assert!(shown(&state).contains(error), "{text}: {}", shown(&state));
        press(&mut state, "ctrl-u");
    }
    typed(&mut state, "2h replacing the cable");
    let request = enter(&mut state).unwrap();
    let Record::Shelf(shelf) = &request.records[0] else { panic!("{request:?}") };
    assert_eq!(shelf.covers.rule.as_deref(), Some("degraded"));
    assert_eq!(shelf.covers.filter.as_deref(), Some(r"/^dome_follower\.main$/"));
    assert_eq!(shelf.until.time(), night() + TimeDelta::hours(2));
    assert_eq!(shelf.reason, "replacing the cable");
}

#[test]
fn read_only_and_the_past_take_the_acts_away() {
    let (mut state, _) = fleet();
    state.options.read_only = true;
    press(&mut state, "v c");
    assert!(state.overlay.is_none());
    assert!(shown(&state).contains("read-only: alarms cannot be changed"), "{}", shown(&state));
}

#[test]
fn in_the_past_the_alarms_are_those_of_that_time() {
    let (mut state, _) = fleet();
    // 40 s back the second had not been raised yet
    press(&mut state, "[ [ [ [ v");
    let page = shown(&state);
    assert!(
        page.contains(" alarms: 1 unacknowledged") && !page.contains("degraded/dome_follower"),
        "{page}"
    );
    press(&mut state, "c");
    assert!(state.overlay.is_none());
    press(&mut state, "Esc Esc Esc");
    assert_eq!(state.alarms.views.len(), 2);
}

#[test]
fn the_bell_rings_once_for_what_is_new() {
    let (mut state, mut stream) = fleet();
    assert_eq!(state.alarms.take_ring(), None, "what was open before is known");
    let (one, other) =
        (stream.state(0, "lost/dome.jk15", "critical", 0), stream.state(0, "x/y.z", "info", 0));
    take(&mut state, vec![one]);
    let told = state.alarms.take_ring();
    assert_eq!(told.as_deref(), Some("critical: lost/dome.jk15: exit code 3"));
    take(&mut state, Vec::new());
    assert_eq!(state.alarms.take_ring(), None);
    take(&mut state, vec![other]);
    assert_eq!(state.alarms.take_ring().as_deref(), Some("info: x/y.z: exit code 3"));
}

#[test]
fn a_click_chooses_an_alarm_and_a_second_one_opens_its_service() {
    let (mut state, _) = fleet();
    press(&mut state, "v");
    let line =
        shown(&state).lines().position(|line| line.contains("degraded/dome_follower")).unwrap();
    let spot = state.hit(5, line as u16);
    assert_eq!(spot, Spot::Alarm(1));
    for _ in 0..2 {
        state.update(Event::Mouse(Mouse::Click(spot)), state.now);
        state.settle(state.now);
    }
    assert_eq!(state.table.chosen().map(|id| &**id), Some("dome_follower.main"));
}
