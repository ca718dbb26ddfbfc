//! What a reload changes, in words: for the log, and for `tcsd plan`.

use std::fmt::Write as _;
use std::time::Duration;

use chrono::TimeDelta;
use tcs_core::config::{self, Awaited};
use tcs_core::fleet::{format_duration, format_seconds};
use tcs_core::wire::control::{ChangeKind, Consequence, ReloadReply, ServiceChange, Wait};
use tcs_core::wire::text::one_line;

/// A line for each service that is touched, and the count of the rest.
pub(crate) fn lines(report: &ReloadReply) -> Vec<String> {
    let mut lines: Vec<String> = report.notes.iter().map(|note| format!("note: {note}")).collect();
    lines.extend(report.services.iter().map(line));
    match (report.services.len(), report.unchanged) {
        (0, 1) => lines.push("nothing has changed (1 service)".to_owned()),
        (0, count) => lines.push(format!("nothing has changed ({count} services)")),
        (_, 0) => {}
        (_, count) => lines.push(format!("{count} unchanged")),
    }
    // of another launcher, they may hold anything
    lines.iter().map(|line| one_line(line)).collect()
}

/// `changed  dome.main  restarts, BUSY now  (launch.env, gain); stop timeout 10 s`
fn line(change: &ServiceChange) -> String {
    let kind = change.change.map_or("", ChangeKind::as_str);
    let then = match change.then {
        Some(Consequence::StaysDown) if change.change == Some(ChangeKind::Removed) => {
            "is forgotten"
        }
        Some(Consequence::StaysDown) => "is not started",
        Some(then) => then.as_str(),
        None => "",
    };
    let mut line = format!("{kind:<7}  {}  {then}", change.service_id);
    let is_stopped = change.then.is_some_and(Consequence::interrupts);
    if change.busy && is_stopped {
        line.push_str(", BUSY now");
    }
    if !change.fields.is_empty() {
        let _ = write!(line, "  ({})", change.fields.join(", "));
    }
    if let Some(timeout) = change.stop_timeout_s.filter(|_| is_stopped) {
        let _ = write!(line, "; stop timeout {}", format_seconds(timeout));
    }
    let is_started = matches!(change.then, Some(Consequence::Restarts | Consequence::Starts));
    if is_started && !change.waits_for.is_empty() {
        let waits: Vec<_> = change.waits_for.iter().map(waiting).collect();
        let _ = write!(line, "; waits for {}", waits.join(", "));
    }
    line
}

/// What a start waits for, as the configuration says it.
pub(crate) fn wait(wait: &config::Wait<'_>) -> Wait {
    let (service_id, below_level) = match wait.on {
        Awaited::Service(id) => (Some(id.to_string()), None),
        Awaited::LevelsBelow(level) => (None, Some(level)),
    };
    Wait { service_id, below_level, at_most_s: wait.at_most.as_secs_f64() }
}

fn waiting(wait: &Wait) -> String {
    let at_most = format_seconds(wait.at_most_s);
    match (&wait.service_id, wait.below_level) {
        (Some(id), _) => format!("{id} ({at_most} at most)"),
        (None, Some(level)) => format!("all services below level {level} ({at_most} at most)"),
        (None, None) => format!("others ({at_most} at most)"),
    }
}

/// A time in words: `1 min`.
pub(crate) fn duration(time: Duration) -> String {
    format_duration(TimeDelta::from_std(time).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_a_line_with_what_it_waits_for() {
        let change = |kind, id: &str, then, fields: &[&str]| ServiceChange {
            service_id: id.to_owned(),
            change: Some(kind),
            then: Some(then),
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            stop_timeout_s: Some(10.0),
            waits_for: vec![
                Wait { service_id: Some("db.main".into()), below_level: None, at_most_s: 60.0 },
                Wait { service_id: None, below_level: Some(1), at_most_s: 0.5 },
            ],
            ..ServiceChange::default()
        };
        let services = vec![
            change(ChangeKind::Added, "new.a", Consequence::Starts, &[]),
            change(ChangeKind::Changed, "program.a", Consequence::Restarts, &["launch.exec"]),
            change(ChangeKind::Changed, "level.a", Consequence::GoesOn, &["launch.level"]),
            ServiceChange {
                busy: true,
                ..change(ChangeKind::Removed, "gone.a", Consequence::Stops, &[])
            },
            change(ChangeKind::Removed, "old.a", Consequence::StaysDown, &[]),
        ];
        let report = ReloadReply { services, unchanged: 3, ..ReloadReply::default() };
        let waits =
            "; waits for db.main (1 min at most), all services below level 1 (0.5 s at most)";
        assert_eq!(
            lines(&report),
            [
                &format!("added    new.a  starts{waits}"),
                &format!("changed  program.a  restarts  (launch.exec); stop timeout 10 s{waits}"),
                "changed  level.a  goes on  (launch.level)",
                "removed  gone.a  stops, BUSY now; stop timeout 10 s",
                "removed  old.a  is forgotten",
                "3 unchanged",
            ]
        );
        let none = ReloadReply { unchanged: 1, ..ReloadReply::default() };
        assert_eq!(lines(&none), ["nothing has changed (1 service)"]);
    }
}
