//! Reads what `tcsctl why` needs: the service's own events of a week, everything around the onset
//! and around its last end, and alarms.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_core::clock;
use tcs_core::fleet::Stamp;
use tcs_core::fleet::why::{Onset, OwnEvent, Subject, WEEK};
use tcs_core::observer::{Observation, Observed, Observer, Past, Problem};
use tcs_core::wire::{Decoded, Kind, Message};
use tcs_present::why::{Material, told};

use crate::alarm_stream::alarms_at;

/// Reads it within `limit`; what could not be read is among its problems.
pub(crate) async fn read(observer: &Observer, subject: &Subject, limit: Duration) -> Material {
    let until = tokio::time::Instant::from(clock::monotonic() + limit);
    let mut material = Material::default();
    let own = observer.events_of(&subject.id, subject.now - WEEK, subject.now);
    match tokio::time::timeout_at(until, own).await {
        Ok(own) => material.own = messages(own, &mut material.problems),
        Err(_) => material.problems.push("its events, in time (--timeout)".to_owned()),
    }
    let onset = Onset::of(subject, &OwnEvent::all(&subject.id, told(&material.own)));
    for (from, to) in windows(onset.map(|onset| onset.window()), subject.end_window()) {
        let to = Some(to.min(subject.now));
        let around = observer.between(from, to, &Kind::FLEET);
        match tokio::time::timeout_at(until, around).await {
            Ok(around) => {
                let around = messages(around, &mut material.problems);
                material.around.extend(around);
            }
            Err(_) => material.problems.push("what else happened, in time (--timeout)".to_owned()),
        }
    }
    match alarms_at(observer.bus(), subject.now, until).await {
        Ok(alarms) => material.alarms = Some(alarms),
        Err(why) => material.problems.push(format!("alarms: {why}")),
    }
    material
}

/// Makes the answer from messages at hand, in the order in which they were stored.
pub(crate) fn of_messages<'a>(
    subject: &Subject,
    messages: impl Iterator<Item = &'a Observed> + Clone,
) -> Material {
    let message = |it: &Observed| (it.subject.clone(), it.decoded.clone(), it.stamp);
    let known = messages.filter(|it| it.stamp.stored <= subject.now);
    let is_own = |it: &&Observed| matches!(&it.decoded.message, Message::Registry(event) if event.service_id == *subject.id);
    let own: Vec<_> = known.clone().filter(is_own).map(message).collect();
    let onset = Onset::of(subject, &OwnEvent::all(&subject.id, told(&own)));
    let windows = windows(onset.map(|onset| onset.window()), subject.end_window());
    let is_near =
        |it: &&Observed| windows.iter().any(|(from, to)| (*from..=*to).contains(&it.stamp.stored));
    let around = known.filter(is_near).map(message).collect();
    Material { own, around, ..Material::default() }
}

/// A span of the past: both ends.
type Window = (DateTime<Utc>, DateTime<Utc>);

/// One or two windows, in order; two that overlap are one.
fn windows(onset: Option<Window>, end: Option<Window>) -> Vec<Window> {
    match (onset, end) {
        (Some(one), Some(other)) if one.0 <= other.1 && other.0 <= one.1 => {
            vec![(one.0.min(other.0), one.1.max(other.1))]
        }
        (one, other) => {
            let mut all: Vec<_> = one.into_iter().chain(other).collect();
            all.sort();
            all
        }
    }
}

/// The messages of a past, in order. That a stream begins later is no fault.
fn messages(past: Past, problems: &mut Vec<String>) -> Vec<(String, Decoded, Stamp)> {
    for problem in &past.problems {
        let text = problem.to_string();
        if !matches!(problem, Problem::HistoryBegins { .. }) && !problems.contains(&text) {
            problems.push(text);
        }
    }
    let message = |observation| match observation {
        Observation::Message(message) => {
            Some((message.subject.clone(), message.decoded.clone(), message.stamp))
        }
        _ => None,
    };
    past.observations.into_iter().filter_map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_overlap_are_read_once() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let window = |from, to| Some((at(from), at(to)));
        assert_eq!(windows(window(10, 20), window(15, 30)), [(at(10), at(30))]);
        assert_eq!(windows(window(40, 50), window(15, 30)), [(at(15), at(30)), (at(40), at(50))]);
        assert_eq!(windows(None, window(15, 30)), [(at(15), at(30))]);
        assert_eq!(windows(None, None), []);
    }
}
