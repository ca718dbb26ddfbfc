//! What else happened just before, most related first.

use chrono::{DateTime, TimeDelta, Utc};
use tcs_fleet::transitions::Cause;
use tcs_fleet::why::{Bearing, ClockStep, Happening, Nearby, Relation};
use tcs_fleet::{format_duration, short_host};

use super::{Answer, Fact, Source};
use crate::{Line, Role, events};

/// How many are listed one by one; the rest is counted.
const MAX_TOLD: usize = 8;

/// Of what happened nearby.
pub(super) fn facts(answer: &Answer<'_>) -> Vec<Fact> {
    let nothing = |text: &str| {
        let source = Source::new("picture", None, answer.onset.map(|onset| onset.at));
        vec![Fact::new(source, Line::new().with(Role::Dim, text))]
    };
    let Some(onset) = answer.onset else {
        return nothing("no problem is known");
    };
    if answer.near.is_empty() {
        return nothing("nothing else happened, as far as is known");
    }
    let told = answer.near.iter().take(MAX_TOLD).map(|near| {
        let bearing = near.bearing(answer.view, onset, answer.end.as_ref());
        let when = apart(near.at, onset.at);
        let mut line = Line::new().with(Role::Dim, &format!("{when}  "));
        line.extend(words(near));
        if let Some(tie) = tie(near, bearing) {
            line.push(Role::Dim, &format!("  ({tie})"));
        }
        let source = Source::new(kind(near), near.id(), Some(near.at));
        let (relation, bearing) = (Some(near.relation), Some(bearing));
        Fact { relation, bearing, ..Fact::new(source, line) }
    });
    let told: Vec<Fact> = told.collect();
    let is_known = told.iter().any(|it| it.bearing == Some(Bearing::Cause));
    let mut facts = if is_known {
        Vec::new()
    } else {
        nothing("none of this is known to be the cause; the most related comes first")
    };
    facts.extend(told);
    let more = answer.near.len().saturating_sub(MAX_TOLD);
    if more > 0 {
        let line = Line::new().with(Role::Dim, &format!("and {more} more: tcsctl events"));
        facts.push(Fact::new(Source::new("picture", None, Some(onset.at)), line));
    }
    facts
}

/// How long before the onset, or after it.
fn apart(at: DateTime<Utc>, onset: DateTime<Utc>) -> String {
    let apart = onset - at;
    if apart < TimeDelta::zero() {
        format!("{} later", format_duration(-apart))
    } else {
        format!("{} before", format_duration(apart))
    }
}

/// The kind of message that tells of it.
fn kind(near: &Nearby) -> &'static str {
    match &near.what {
        Happening::Transition(it) => match it.cause {
            Cause::Event { .. } => "registry",
            Cause::Status { .. } => "status",
            Cause::Heartbeat | Cause::Reboot { .. } | Cause::Profile { .. } => "heartbeat",
        },
        Happening::Reload { .. } => "registry",
        _ => "heartbeat",
    }
}

/// What the service has to do with it, for people.
fn tie(near: &Nearby, bearing: Bearing) -> Option<String> {
    let tie = match (near.relation, &near.what) {
        (Relation::Itself, Happening::Transition(_)) => return None,
        (_, Happening::Outage { .. }) => "all services",
        (Relation::Itself, _) => "it was changed",
        (Relation::Launcher, _) => "its launcher",
        (Relation::After, _) => "it starts after this",
        (Relation::SameLauncher, _) => "same launcher",
        (Relation::SameHost, Happening::Transition(_)) => "same host",
        (Relation::SameHost, _) => "its host",
        (Relation::Elsewhere, _) => "elsewhere",
        (_, _) => return None,
    };
    Some(match bearing {
        Bearing::Cause => format!("cause: {tie}"),
        Bearing::Possible => format!("possible cause: {tie}"),
        Bearing::Coincidence => format!("{tie}; no connection is known"),
        _ => tie.to_owned(),
    })
}

fn words(near: &Nearby) -> Line {
    let warn = |text: String| Line::new().with(Role::Warn, &text);
    match &near.what {
        Happening::Transition(it) => {
            let mut line = Line::new();
            if near.relation != Relation::Itself {
                line.push(Role::Strong, &it.id).push(Role::Text, "  ");
            }
            line.extend(events::words(it));
            line
        }
        Happening::Reload { launcher, services, by } => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(", requested by {by}"));
            let what = match services.len() {
                1 => services.first().map(ToString::to_string).unwrap_or_default(),
                many => format!("{many} services"),
            };
            warn(format!("configuration reloaded by {launcher}: {what}{by}"))
        }
        Happening::Outage { until } => {
            let lasted = format_duration(*until - near.at);
            warn(format!("broker outage: nothing was stored for {lasted}"))
        }
        Happening::Reboot { host, .. } => warn(format!("host {} rebooted", short_host(host))),
        Happening::ClockStep(ClockStep { host, by, .. }) => {
            let way = if by.num_milliseconds() < 0 { "back" } else { "forward" };
            let by = format_duration(by.abs());
            warn(format!("the clock of {} was set {way} by {by}", short_host(host)))
        }
        Happening::OutOfMemory { host, kills, .. } => {
            let count =
                if *kills == 1 { "a process".to_owned() } else { format!("{kills} processes") };
            warn(format!("host {} ran out of memory: the kernel killed {count}", short_host(host)))
        }
        _ => Line::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_the_onset_was_not_before_it() {
        let onset = DateTime::UNIX_EPOCH;
        let told = |millis| apart(onset + TimeDelta::milliseconds(millis), onset);
        assert_eq!(told(-300), "0.3 s before");
        assert_eq!(told(0), "0 s before");
        assert_eq!(told(300), "0.3 s later");
        assert_eq!(told(2000), "2 s later");
    }
}
