//! What was tried since: starts and stops, by whom, and what was said of the alarms.

use chrono::{DateTime, Utc};
use tcs_alarms::{AlarmView, Alarms};
use tcs_wire::Event;

use super::{Answer, Fact, Source};
use crate::{Line, Role, Times};

/// One thing that somebody did.
struct Attempt {
    at: DateTime<Utc>,
    kind: &'static str,
    text: String,
}

/// Of what was tried.
pub(super) fn facts(answer: &Answer<'_>, times: Times) -> Vec<Fact> {
    let (service, now) = (answer.service, answer.view.now);
    let since = answer.onset.map_or(now, |onset| onset.at);
    let mut attempts = operations(answer, since);
    if let Some(alarms) = answer.alarms {
        for alarm in of_service(answer, alarms) {
            attempts.extend(said(alarms, &alarm, times, now).filter(|it| it.at >= since));
        }
    }
    attempts.sort_by_key(|attempt| attempt.at);
    let mut facts = Vec::new();
    let automatic = |event: &&tcs_fleet::why::OwnEvent| {
        event.at >= since && matches!(event.event, Event::Restarting { .. }) && event.by.is_none()
    };
    let restarts: Vec<_> = answer.own.iter().filter(automatic).collect();
    if let Some(last) = restarts.last() {
        let count = restarts.len();
        let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
        let source = Source::new("registry", Some(&service.id), Some(last.at));
        facts.push(Fact::text(source, &format!("restarted {times} by its launcher")));
    }
    facts.extend(attempts.into_iter().map(|Attempt { at, kind, text }| {
        let line = Line::new().with(Role::Dim, &format!("{}  ", times.point(at, now)));
        let source = Source::new(kind, Some(&service.id), Some(at));
        Fact::new(source, line.with(Role::Text, &text))
    }));
    if facts.is_empty() {
        let source = Source::new("picture", Some(&service.id), None);
        let text = match answer.alarms {
            _ if answer.onset.is_none() => "nothing had to be done",
            Some(_) => "nobody has done anything about it",
            None => "nobody has operated it (its alarms could not be read)",
        };
        facts.push(Fact::new(source, Line::new().with(Role::Dim, text)));
    }
    facts
}

/// Starts and stops that somebody asked for.
fn operations(answer: &Answer<'_>, since: DateTime<Utc>) -> Vec<Attempt> {
    let asked = answer.own.iter().filter(|event| event.at >= since).filter_map(|event| {
        let by = event.by.as_ref()?;
        let what = match &event.event {
            Event::Start { .. } => "started",
            Event::Restarting { .. } => "restarted",
            Event::Stopping { reason } if reason.as_deref() == Some("restart") => "restart",
            Event::Stopping { reason } if reason.as_deref() == Some("reload") => "reload",
            Event::Stopping { .. } => "stop",
            _ => return None,
        };
        let text = match what {
            "restart" | "reload" | "stop" => format!("{what} requested by {by}"),
            done => format!("{done}, requested by {by}"),
        };
        Some(Attempt { at: event.at, kind: "registry", text })
    });
    asked.collect()
}

/// Alarms of the service.
pub(super) fn of_service(answer: &Answer<'_>, alarms: &Alarms) -> Vec<AlarmView> {
    let mut views = alarms.views(answer.view.now, answer.view);
    views.retain(|view| view.id.service() == Some(&*answer.service.id));
    views
}

/// Acknowledgement, shelf and notes of one alarm.
fn said(
    alarms: &Alarms,
    alarm: &AlarmView,
    times: Times,
    now: DateTime<Utc>,
) -> impl Iterator<Item = Attempt> {
    let kind = "alarms";
    let id = &alarm.id;
    let acked = alarm.acked.as_ref().map(|held| {
        let note = held.record.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        let text = format!("alarm {id} acknowledged by {}{note}", held.record.by);
        Attempt { at: held.original().at.time(), kind, text }
    });
    let shelved = alarm.shelved.as_ref().map(|shelved| {
        let record = &shelved.shelf.held.record;
        let until = times.point(shelved.shelf.end(), now);
        let text = format!("alarm {id} shelved by {} until {until}: {}", record.by, record.reason);
        Attempt { at: shelved.shelf.held.stored, kind, text }
    });
    let notes: Vec<_> = alarms
        .notes(id)
        .map(|held| {
            let text = format!("note of {} on alarm {id}: {}", held.record.by, held.record.note);
            Attempt { at: held.stored, kind, text }
        })
        .collect();
    acked.into_iter().chain(shelved).chain(notes)
}
