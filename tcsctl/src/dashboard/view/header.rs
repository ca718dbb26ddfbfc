//! The first lines: where we look, how the link stands, how many of each verdict.

use ratatui::layout::Rect;
use tcs_core::fleet::Counts;
use tcs_core::observer::Unanswered;
use tcs_present::by_host::Order;
use tcs_present::{Role, alarms, columns::Column, symbols, text};

use super::banner::whole_words;
use super::pen::Pen;
use crate::dashboard::event::LinkFacts;
use crate::dashboard::state::{Moment, State};

/// Draws it.
pub(super) fn draw(pen: &mut Pen<'_>, state: &State, area: Rect) {
    if area.height == 1 {
        let room = clock(pen, state, area.y, area.width, true);
        let unacked = of_alarms(state).into_iter().find(|(_, role)| *role == Role::Bad);
        let used =
            unacked.map_or(0, |(text, role)| pen.put(1, area.y, room / 2, &text, role) + GAP);
        counts(pen, state, area.y, used, room);
        return;
    }
    let room = clock(pen, state, area.y, area.width, false);
    place(pen, state, area.y, room);
    let room = narrowed(pen, state, area.y + 1, area.width);
    counts(pen, state, area.y + 1, 0, room);
}

/// Where, and the link. Facts for which there is no room are left out whole.
fn place(pen: &mut Pen<'_>, state: &State, y: u16, room: u16) {
    let dot = symbols::DOT;
    let mut parts: Vec<(String, Role)> = vec![(state.options.site.clone(), Role::Strong)];
    parts.extend(of_alarms(state));
    parts.extend(text::profiles(&state.picture).map(|profiles| (profiles, Role::Strong)));
    match &state.link {
        LinkFacts::Up { server, rtt_us, jetstream, clock_unchecked, .. } => {
            let rtt = rtt_us.map_or_else(String::new, |us| {
                if us < 1000 { " <1 ms".to_owned() } else { format!(" {} ms", us / 1000) }
            });
            let unanswered = state.unanswered();
            match unanswered {
                Some(Unanswered::Broker { lasted }) => {
                    parts.push((format!("no answer for {}", whole_words(lasted)), Role::Bad));
                }
                _ => parts.push((format!("link ok{rtt}"), Role::Good)),
            }
            match (jetstream, unanswered) {
                (_, Some(Unanswered::Broker { .. })) | (None, None) => {}
                (_, Some(Unanswered::JetStream { lasted })) => {
                    let lasted = whole_words(lasted);
                    parts.push((format!("JetStream: no answer for {lasted}"), Role::Bad));
                }
                (Some(true), None) => parts.push(("JetStream ok".to_owned(), Role::Good)),
                (Some(false), None) => parts.push(("no JetStream".to_owned(), Role::Warn)),
            }
            if *clock_unchecked {
                parts.push(("clock unchecked".to_owned(), Role::Warn));
            }
            let bare = server.trim_start_matches("nats://");
            if !state.options.site.contains(bare) {
                parts.push((server.clone(), Role::Dim));
            }
        }
        LinkFacts::Connecting { .. } => parts.push(("not connected".to_owned(), Role::Bad)),
        LinkFacts::Down { .. } => parts.push(("link down".to_owned(), Role::Bad)),
        LinkFacts::Recording { file } => parts.push((format!("recording {file}"), Role::Dim)),
    }
    if state.options.read_only {
        parts.push(("read-only".to_owned(), Role::Accent));
    }
    let malformed = state.fleet.tally().malformed;
    if malformed > 0 {
        parts.push((format!("{malformed} malformed"), Role::Warn));
    }
    let mut x = 1;
    for (i, (text, role)) in parts.into_iter().enumerate() {
        let wide = text::width(&text::shown(&text)) as u16;
        if i > 0 {
            if x + 3 + wide > room {
                continue;
            }
            x += pen.put(x, y, 3, &format!(" {dot} "), Role::Dim);
        }
        x += pen.put(x, y, room.saturating_sub(x), &text, role);
    }
}

/// `▲ 2 unacked`, `1 shelved`, `watched by 2`; nothing where no stream of alarms has been read.
fn of_alarms(state: &State) -> Vec<(String, Role)> {
    if !state.alarms.is_read {
        return Vec::new();
    }
    let views: Vec<_> = state.alarms.views.iter().collect();
    alarms::parts(&views, &state.picture)
}

/// At the right: the time, and which moment is shown. Returns what is left for others.
fn clock(pen: &mut Pen<'_>, state: &State, y: u16, width: u16, small: bool) -> u16 {
    let time = pen.times.wall(state.now);
    let time = if small {
        time.format("%H:%M").to_string()
    } else {
        format!("{}{}", time.format("%H:%M:%S"), pen.times.zone())
    };
    let (word, role) = match (&state.moment, &state.link) {
        (Moment::Past { .. }, _) => ("past".to_owned(), Role::Past),
        (Moment::Paused { .. }, _) => ("paused".to_owned(), Role::Past),
        (Moment::Live, LinkFacts::Recording { .. }) => ("replay".to_owned(), Role::Past),
        (Moment::Live, LinkFacts::Up { .. }) if state.unanswered().is_some() => {
            ("no answer".to_owned(), Role::Bad)
        }
        (Moment::Live, LinkFacts::Up { .. }) => ("live".to_owned(), Role::Good),
        (Moment::Live, LinkFacts::Down { .. } | LinkFacts::Connecting { .. }) => {
            ("no link".to_owned(), Role::Bad)
        }
    };
    let total = (time.len() + word.len() + 4) as u16;
    let x = width.saturating_sub(total);
    let used = pen.put(x + 1, y, total, &time, Role::Text);
    pen.put(x + 1 + used + 1, y, total, &format!(" {word} "), role);
    x
}

/// How many of each verdict, worst first; without words where there is no room for them.
fn counts(pen: &mut Pen<'_>, state: &State, y: u16, from: u16, room: u16) {
    let counts = state.picture.counts;
    if counts.total() == 0 {
        let text =
            if state.link.is_up() { "no services known yet" } else { "nothing received yet" };
        pen.put(from + 1, y, room.saturating_sub(from + 1), text, Role::Dim);
        return;
    }
    let room = usize::from(room.saturating_sub(from));
    let mut facts: Vec<(String, Role)> = [Words::All, Words::Faults, Words::None]
        .into_iter()
        .map(|words| told(&counts, words))
        .find(|facts| wide(facts) <= room)
        .unwrap_or_else(|| told(&counts, Words::None));
    let mut x = from + 1;
    while wide(&facts) > room && facts.len() > 1 {
        facts.pop();
    }
    for (text, role) in facts {
        x += pen.put(x, y, (room as u16 + from).saturating_sub(x), &text, role) + GAP;
    }
}

const GAP: u16 = 3;

/// Which counts have their verdict's word.
#[derive(Clone, Copy, PartialEq)]
enum Words {
    All,
    Faults,
    None,
}

/// The counts, worst first. Without words, verdicts of one symbol are one count.
fn told(counts: &Counts, words: Words) -> Vec<(String, Role)> {
    let mut out: Vec<(String, Role)> = Vec::new();
    let mut sums: Vec<(&str, usize, usize)> = Vec::new();
    for (verdict, n) in counts.present() {
        let symbol = symbols::symbol(verdict);
        let role = Role::from(verdict);
        if words == Words::All || words == Words::Faults && verdict.is_fault() {
            out.push((format!("{symbol} {n} {verdict}"), role));
            continue;
        }
        if let Some((_, sum, at)) = sums.iter_mut().find(|sum| sum.0 == symbol) {
            *sum += n;
            out[*at].0 = format!("{symbol} {sum}");
        } else {
            sums.push((symbol, n, out.len()));
            out.push((format!("{symbol} {n}"), role));
        }
    }
    out
}

fn wide(facts: &[(String, Role)]) -> usize {
    facts.iter().map(|(text, _)| text::width(text) + usize::from(GAP)).sum()
}

/// What keeps services from being shown, at the right. Returns what is left for the counts.
fn narrowed(pen: &mut Pen<'_>, state: &State, y: u16, width: u16) -> u16 {
    let table = &state.table;
    let mut parts: Vec<(String, Role)> = Vec::new();
    match (state.marks.len(), state.marked_unseen()) {
        (0, _) => {}
        (n, 0) => parts.push((format!("{n} marked"), Role::Accent)),
        (n, unseen) => parts.push((format!("{n} marked ({unseen} not in view)"), Role::Accent)),
    }
    if !table.filter.is_empty() {
        parts.push((format!("/{}", table.filter.text()), Role::Accent));
    }
    if table.faults {
        parts.push(("faults only".to_owned(), Role::Accent));
    }
    if table.filtered_out > 0 {
        parts.push((format!("{} not shown", table.filtered_out), Role::Dim));
    }
    if table.all {
        parts.push(("all".to_owned(), Role::Accent));
    } else if table.left_out > 0 && table.filter.is_empty() {
        parts.push((format!("{} stopped hidden", table.left_out), Role::Dim));
    }
    match table.view {
        Order::Launcher => {}
        Order::Host => parts.push(("hosts".to_owned(), Role::Accent)),
        Order::Flat => parts.push(("flat".to_owned(), Role::Accent)),
    }
    if table.sort != Column::Verdict || table.reverse {
        parts.push((format!("by {}", table.sort.layout().title.to_lowercase()), Role::Accent));
    }
    let cells = |parts: &[(String, Role)]| -> usize {
        parts.iter().map(|(text, _)| text::width(&text::shown(text)) + 3).sum()
    };
    // what is wrong, in words, comes first
    let needed = wide(&told(&state.picture.counts, Words::Faults));
    if cells(&parts) + needed > usize::from(width) {
        parts.retain(|(_, role)| *role != Role::Dim);
    }
    let wide = (cells(&parts) as u16).min(width / 2);
    let left = width.saturating_sub(wide);
    let mut x = left;
    for (i, (text, role)) in parts.iter().enumerate() {
        if i > 0 {
            let dot = format!(" {} ", symbols::DOT);
            x += pen.put(x, y, width.saturating_sub(x), &dot, Role::Dim);
        }
        x += pen.put(x, y, width.saturating_sub(x + 1), text, *role);
    }
    left.saturating_sub(1)
}
