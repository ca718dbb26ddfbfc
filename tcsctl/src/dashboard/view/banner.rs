//! The bar under the header: whatever keeps the picture from being the present, whole and true.

use chrono::{DateTime, TimeDelta, Utc};
use ratatui::layout::Rect;
use std::fmt::Write as _;
use tcs_core::fleet::{Link, format_duration};
use tcs_core::observer::Unanswered;
use tcs_present::{Role, ago, symbols, text};

use super::pen::Pen;
use crate::dashboard::event::LinkFacts;
use crate::dashboard::state::{Banner, State};

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    let Some(banner) = state.banner() else { return };
    let role = match banner {
        Banner::NoLink | Banner::NoAnswer | Banner::HeartbeatsMissing => Role::Alarm,
        Banner::Past | Banner::Reading(_) | Banner::Paused(_) | Banner::ReplayEnded => Role::Past,
        Banner::Gaps | Banner::Flooded | Banner::Record => Role::Warn,
    };
    pen.wash(area, role);
    let blank = " ".repeat(usize::from(area.width));
    pen.put(area.x, area.y, area.width, &blank, role);
    let text = words_of(pen, banner, state);
    let room = area.width.saturating_sub(2);
    if banner == Banner::Past {
        let hint = "{ } problem  Esc live";
        let left = pen.put(1, area.y, room, &text, role) + 3;
        let right = hint.len() as u16 + 1;
        if left + right + 10 < area.width {
            pen.put_right(1, area.y, room, hint, role);
            scrub(pen, state, Rect::new(left, area.y, area.width - left - right - 3, 1), role);
        }
        return;
    }
    pen.put(1, area.y, room, &text, role);
}

fn words_of(pen: &Pen<'_>, banner: Banner, state: &State) -> String {
    match banner {
        Banner::NoLink => no_link(state),
        Banner::NoAnswer => no_answer(pen, state),
        Banner::Past => {
            let at = state.picture.now;
            let loading = if state.past.is_reading() { ", reading the streams ..." } else { "" };
            let since = ago(whole(state.now - at));
            format!("THE PAST  {}, {since}{loading}", point(pen, at, state.now))
        }
        Banner::Reading(at) => {
            format!("reading {} from the streams ... Esc cancels", point(pen, at, state.now))
        }
        Banner::Paused(waiting) => {
            let since = format_duration(whole(state.now - state.picture.now));
            let s = if waiting == 1 { "" } else { "s" };
            format!("PAUSED for {since}, {waiting} message{s} waiting, Space resumes")
        }
        Banner::HeartbeatsMissing => {
            "ALL HEARTBEATS ARE MISSING at once: check the broker's streams first".to_owned()
        }
        Banner::Flooded => {
            let evicted = state.fleet.tally().evicted;
            let mut text = format!(
                "OVERLOAD: too many services that no launcher declares, {evicted} left out; \
                 declared services stay"
            );
            if !state.gaps.is_empty() {
                let _ = write!(text, "; incomplete: {}", state.gaps.join("; "));
            }
            text
        }
        Banner::ReplayEnded => "THE RECORDING HAS ENDED  [ steps back, q quits".to_owned(),
        Banner::Gaps => format!("incomplete: {}", state.gaps.join("; ")),
        Banner::Record => state.record.join("; "),
    }
}

/// `02:13:05 UTC`, with the date of another day.
fn point(pen: &Pen<'_>, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let (at, now) = (pen.times.wall(at), pen.times.wall(now));
    let form = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    format!("{}{}", at.format(form), pen.times.zone())
}

fn no_link(state: &State) -> String {
    let (word, since, attempts, why) = match &state.link {
        LinkFacts::Connecting { since, attempts, why } => {
            ("NOT CONNECTED YET", since, attempts, why)
        }
        LinkFacts::Down { since, attempts, why } => ("DISCONNECTED", since, attempts, why),
        LinkFacts::Up { .. } | LinkFacts::Recording { .. } => return String::new(),
    };
    let mut text = format!("{word} {}", format_duration(whole(state.now - *since)));
    if let Some(newest) = state.picture.newest {
        let _ = write!(text, ", data {} old", format_duration(whole(state.now - newest)));
    }
    let _ = write!(text, ", attempt {}", attempts + 1);
    if let Some(why) = why {
        let _ = write!(text, ": {why}");
    }
    text
}

/// The picture is of the last moment at which something was heard.
fn no_answer(pen: &Pen<'_>, state: &State) -> String {
    let (who, lasted) = match state.unanswered() {
        Some(Unanswered::Broker { lasted }) => ("NO ANSWER", lasted),
        Some(Unanswered::JetStream { lasted }) => ("JETSTREAM: NO ANSWER", lasted),
        None => return String::new(),
    };
    let mut text = format!("{who} for {}", whole_words(lasted));
    if let Link::Down { since } = state.picture.link {
        let since = pen.times.wall(since);
        let _ = write!(text, "; services as of {}{}", since.format("%H:%M:%S"), pen.times.zone());
    }
    text
}

/// A span in whole seconds: a figure that is drawn each second.
pub(super) fn whole_words(span: TimeDelta) -> String {
    format_duration(whole(span))
}

fn whole(span: TimeDelta) -> TimeDelta {
    TimeDelta::seconds(span.num_seconds().max(0))
}

/// A line from the earliest moment held to the last, with the beginnings of problems and the moment
/// shown on it.
fn scrub(pen: &mut Pen<'_>, state: &State, area: Rect, role: Role) {
    let Some((first, last)) = state.reach_around() else { return };
    let span = (last - first).num_milliseconds().max(1);
    let ends = [first, last].map(|time| pen.times.wall(time).format("%H:%M").to_string());
    let mut x = area.x;
    let wide = text::width(&ends[0]) as u16 + 1;
    if area.width < 2 * wide + 8 {
        return;
    }
    x += pen.put(x, area.y, wide, &ends[0], role) + 1;
    let track = area.width - 2 * wide;
    for step in 0..track {
        pen.put(x + step, area.y, 1, symbols::RULE, role);
    }
    let place = |at: DateTime<Utc>| {
        let at = (at - first).num_milliseconds().clamp(0, span);
        x + (at * i64::from(track - 1) / span) as u16
    };
    for stop in state.past.stops.iter().filter(|stop| first <= **stop && **stop <= last) {
        pen.put(place(*stop), area.y, 1, symbols::BAR, role);
    }
    pen.put(place(state.picture.now), area.y, 1, symbols::THUMB, role);
    pen.put(x + track + 1, area.y, wide, &ends[1], role);
}
