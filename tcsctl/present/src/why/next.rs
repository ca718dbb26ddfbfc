//! What to type next, and where the rule says what to do.

use tcs_alarms::{AlarmState, RuleSet};
use tcs_fleet::why::{Bearing, Happening, Relation};
use tcs_fleet::{Liveness, Phase, ServiceView, Verdict};

use super::{Answer, Fact, Source, tried};
use crate::{Line, Role};

/// Of what to do.
pub(super) fn facts(answer: &Answer<'_>) -> Vec<Fact> {
    let mut commands: Vec<(String, &str)> = Vec::new();
    let other = first_other(answer);
    if let Some((id, bearing)) = other {
        match bearing {
            Bearing::Cause => commands.push((format!("tcsctl why {id}"), "the cause")),
            Bearing::Possible => commands.push((format!("tcsctl why {id}"), "a possible cause")),
            _ => {}
        }
    }
    let service = answer.service;
    // what could not be typed is not proposed
    if is_plain(&service.id) {
        let is_again = answer.end.is_some() && service.phase.is_up() && service.managed;
        if is_again && !service.is_launcher {
            let command = format!("tcsctl logs {} --run -1", service.id);
            commands.push((command, "the output of the run that ended"));
        }
        commands.extend(of_service(service));
        if let Some(alarm) = open_alarm(answer) {
            commands
                .push((format!("tcsctl ack {alarm} -m \"...\""), "tell others that you have it"));
        }
    }
    if let Some((id, Bearing::Coincidence)) = other {
        let text = "happened at about the same time; no connection is known";
        commands.push((format!("tcsctl why {id}"), text));
    }
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let mut facts: Vec<_> = help(answer);
    facts.extend(commands.into_iter().map(|(command, what)| {
        let mut line = Line::new().with(Role::Accent, &command);
        line.pad_to(width + 2).push(Role::Dim, what);
        let source = Source::new("tcsctl", Some(&service.id), None);
        Fact { command: Some(command), ..Fact::new(source, line) }
    }));
    if facts.is_empty() {
        let source = Source::new("tcsctl", Some(&service.id), None);
        facts.push(Fact::new(source, Line::new().with(Role::Dim, "no suggestions")));
    }
    facts
}

/// Whether it stands in a command as it is: names come from the network.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// A service that comes first among what happened before, and whether it is the cause. What somebody
/// stopped needs none.
fn first_other<'a>(answer: &'a Answer<'_>) -> Option<(&'a str, Bearing)> {
    let is_requested = answer.end.as_ref().is_some_and(|end| end.requested_by.is_some());
    if is_requested && answer.service.phase == Phase::Stopped {
        return None;
    }
    let first = answer.near.first()?;
    let is_other = matches!(first.what, Happening::Transition(_))
        && matches!(first.relation, Relation::After | Relation::Launcher | Relation::SameLauncher);
    let id = first.id().filter(|id| is_other && is_plain(id))?;
    Some((id, first.bearing(answer.view, answer.onset?, answer.end.as_ref())))
}

fn of_service(service: &ServiceView) -> Vec<(String, &'static str)> {
    let id = &service.id;
    let mut commands = Vec::new();
    if service.is_launcher {
        let host = service.short_host().filter(|host| is_plain(host));
        if let (true, Some(host)) = (service.liveness != Liveness::Live, host) {
            commands.push((format!("ssh {host} journalctl -u tcsd"), "its log, on its host"));
        }
        commands.push((format!("tcsctl events {id}"), "what happened to it"));
        return commands;
    }
    if service.managed {
        commands.push((format!("tcsctl logs {id}"), "its output"));
    }
    commands.push((format!("tcsctl events {id} --since 24h"), "what happened to it"));
    if !service.managed {
        return commands;
    }
    match service.phase {
        Phase::Stopped | Phase::Completed | Phase::Declared => {
            commands.push((format!("tcsctl start {id}"), "start it"));
        }
        _ if service.verdict.is_fault() && service.verdict != Verdict::Restarting => {
            commands.push((format!("tcsctl restart {id}"), "restart it"));
        }
        _ => {}
    }
    commands
}

/// An alarm of it that nobody has acknowledged.
fn open_alarm(answer: &Answer<'_>) -> Option<String> {
    let alarms = tried::of_service(answer, answer.alarms?);
    let open = alarms.iter().find(|alarm| alarm.state == AlarmState::Active && alarm.is_loud());
    open.map(|alarm| alarm.id.to_string())
}

/// Where the rules of its open alarms say what to do.
fn help(answer: &Answer<'_>) -> Vec<Fact> {
    let Some(alarms) = answer.alarms else { return Vec::new() };
    let rules = alarms.rules().and_then(|held| RuleSet::of_text(&held.record.text).ok());
    let Some(rules) = rules else { return Vec::new() };
    let open = tried::of_service(answer, alarms).into_iter();
    let open = open.filter(|alarm| alarm.state != AlarmState::Normal);
    open.filter_map(|alarm| {
        let help = rules.rules.get(alarm.id.rule())?.help.as_ref()?;
        let source = Source::new("rules", Some(alarm.id.rule()), None);
        let text = format!("what to do about `{}`: {help}", alarm.id.rule());
        Some(Fact::text(source, &text))
    })
    .collect()
}
