//! The past as a timeline: a row for each service, a column for each part of the period.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike as _, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_fleet::history::{Cell, Chronicle, Gap, GapKind, Timeline, TimelineRow, Track, timeline};
use tcs_fleet::{Filter, Reason, ServiceView, Verdict, format_duration};

use super::schema::VerdictWord;
use super::selection::{Selection, Wanted};
use super::{Line, Look, Role, list, symbols, text};

/// Cells of a row where there is no terminal.
const WIDE: usize = 120;
/// The narrowest and the widest that the names get.
const NAMES: (usize, usize) = (12, 40);
/// Fewer columns than this tell nothing.
const LEAST: usize = 10;
/// Cells from one time on the scale to the next, at least.
const TICK: i64 = 12;

/// What is shown of a chronicle.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Only these services.
    pub filter: Filter,
    /// Only those that had a problem in the period.
    pub problems: bool,
    /// The part of the history that counts; `None`: all of it.
    pub period: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Shown {
    /// The services, in the order of the tree: those that did something in the period, or that the
    /// filter names.
    pub fn services<'a>(&self, chronicle: &'a Chronicle) -> Vec<&'a ServiceView> {
        let view = &chronicle.view;
        let wanted = Wanted { all: true, filter: self.filter.clone() };
        let services = Selection::new(view, &wanted).rows.into_iter();
        let services = services.map(|row| &view.services[row.service]);
        services.filter(|service| self.is_shown(chronicle, &service.id)).collect()
    }

    fn is_shown(&self, chronicle: &Chronicle, id: &str) -> bool {
        let history = &chronicle.history;
        let Some(track) = history.services.get(id) else { return false };
        let (from, to) = self.period.unwrap_or((history.from, history.to));
        let mut verdicts = track.spans(from, to).map(|(_, _, stage)| stage.verdict);
        if self.problems {
            return verdicts.any(Verdict::is_fault);
        }
        !self.filter.is_empty()
            || verdicts.any(|verdict| !matches!(verdict, Verdict::Stopped | Verdict::Unknown))
    }
}

/// The sign of a cell: `─` while it is ok, so that all else stands out.
pub const fn sign(cell: &Cell) -> &'static str {
    match cell.verdict {
        Some(Verdict::Ok | Verdict::Degraded | Verdict::Starting | Verdict::Restarting)
            if cell.restarts > 0 =>
        {
            RESTART
        }
        Some(Verdict::Ok) => symbols::RULE,
        Some(verdict) => symbols::symbol(verdict),
        None => " ",
    }
}

/// A service was started again.
const RESTART: &str = "↻";
/// The record has a gap.
const GAP: &str = "▒";

/// The cells of a row, as runs of one colour.
pub fn cells(row: &TimelineRow) -> Line {
    let mut line = Line::new();
    for cell in &row.cells {
        line.push(cell.verdict.map_or(Role::Dim, Role::from), sign(cell));
    }
    line
}

/// The timeline with its scale, its gaps and what its signs mean.
pub fn lines(chronicle: &Chronicle, shown: &Shown, look: &Look) -> Vec<Line> {
    let services = shown.services(chronicle);
    if services.is_empty() {
        return Vec::new();
    }
    let history = &chronicle.history;
    let width = look.width.unwrap_or(WIDE);
    let (names, columns) = widths(services.iter().map(|service| &*service.id), width);
    let drawn = timeline(history, history.from, history.to, columns);
    let mut lines = vec![behind(names, "", scale(&drawn, look))];
    if drawn.gaps.contains(&true) {
        lines.push(behind(names, "record", gaps(&drawn)));
    }
    let mut seen = Seen::default();
    for service in &services {
        let Some(row) = drawn.row(&service.id) else { continue };
        seen.note(row);
        lines.push(behind(names, &service.id, cells(row)));
    }
    lines.push(Line::new());
    lines.extend(legend(&seen, look));
    lines.extend(history.gaps.iter().map(|gap| gap_line(gap, history.to, look)));
    lines.push(footer(chronicle, &services, &drawn));
    lines
}

/// Cells of the names of these services, and of the columns of time beside them.
pub fn widths<'a>(services: impl Iterator<Item = &'a str>, width: usize) -> (usize, usize) {
    let widest = services.map(|id| text::width(&text::shown(id))).max();
    let names = widest.unwrap_or(0).clamp(NAMES.0, NAMES.1.min((width / 3).max(NAMES.0)));
    (names, width.saturating_sub(names + 1).max(LEAST))
}

/// A line behind a name, both as wide as [`widths`] has them.
pub fn behind(names: usize, name: &str, cells: Line) -> Line {
    let name = text::cut_middle(&text::shown(name), names);
    let mut line = Line::new().with(Role::Text, &name);
    line.pad_to(names + 1).extend(cells);
    line
}

/// The columns in which the record has a gap.
pub fn gaps(drawn: &Timeline) -> Line {
    let cells = drawn.gaps.iter().map(|is_gap| if *is_gap { GAP } else { " " });
    Line::new().with(Role::Warn, &cells.collect::<String>())
}

/// Steps of a scale, in minutes.
const STEPS: [i64; 16] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10_080];

/// Times below which their columns begin: `22:00       00:00       02:00`, each at a round one.
pub fn scale(drawn: &Timeline, look: &Look) -> Line {
    let span = (drawn.to - drawn.from).num_seconds().max(1);
    let columns = i64::try_from(drawn.columns().max(1)).unwrap_or(1);
    let fits = |step: &&i64| **step * 60 * columns / span >= TICK;
    let step = STEPS.iter().find(fits).copied().unwrap_or(STEPS[STEPS.len() - 1]);
    let is_days = step >= 1440;
    let mut line = Line::new();
    let mut last = None;
    for column in 0..drawn.columns() {
        let wall = |at| look.times.wall(at).and_utc().timestamp_millis();
        let (begins, ends) = (wall(drawn.begins(column)), wall(drawn.begins(column + 1)) - 1);
        let mark = ends.div_euclid(60_000 * step) * step;
        // the first column in which a round time lies
        let is_new = mark * 60_000 >= begins && last != Some(mark);
        if is_new && line.width() <= column && column + 5 <= drawn.columns() {
            last = Some(mark);
            let Some(at) = DateTime::from_timestamp(mark * 60, 0) else { continue };
            let is_midnight = at.hour() == 0 && at.minute() == 0;
            let form = if is_days || is_midnight { "%d %b" } else { "%H:%M" };
            line.pad_to(column).push(Role::Dim, &at.format(form).to_string());
            line.push(Role::Dim, " ");
        }
    }
    line
}

/// The signs that occur.
#[derive(Default)]
struct Seen {
    verdicts: BTreeSet<Verdict>,
    restarts: bool,
    unknown: bool,
}

impl Seen {
    fn note(&mut self, row: &TimelineRow) {
        for cell in &row.cells {
            self.verdicts.extend(cell.verdict);
            self.restarts |= sign(cell) == RESTART;
            self.unknown |= cell.verdict.is_none();
        }
    }
}

/// `× failed   ◐ late   ─ ok   ↻ restarted   blank: not known`
fn legend(seen: &Seen, look: &Look) -> Vec<Line> {
    let verdict = |verdict: &Verdict| {
        let cell = Cell::of(*verdict);
        let mut line = Line::new().with((*verdict).into(), sign(&cell));
        line.push(Role::Dim, &format!(" {verdict}"));
        ("   ", line)
    };
    let other =
        |is_seen: bool, text: &str| is_seen.then(|| ("   ", Line::new().with(Role::Dim, text)));
    let parts = seen.verdicts.iter().map(verdict);
    let parts = parts.chain(other(seen.restarts, &format!("{RESTART} restarted")));
    list::flow(parts.chain(other(seen.unknown, "blank: not known")), look)
}

/// What is not known, and when.
pub fn gap_text(gap: &Gap, now: DateTime<Utc>, look: &Look) -> String {
    let (from, until) = (look.times.point(gap.from, now), look.times.point(gap.until, now));
    let lasted = format_duration(gap.lasted());
    match gap.kind {
        GapKind::Outage => format!(
            "no heartbeat of any service from {from} to {until} ({lasted}): broker or network down"
        ),
        GapKind::Events => format!("no events stored before {until}"),
        GapKind::Statuses => format!("no statuses stored before {until}"),
        GapKind::Heartbeats => {
            format!("no heartbeats stored before {until}: late and lost are not known until then")
        }
        _ => format!("the record has a gap from {from} to {until} ({lasted})"),
    }
}

fn gap_line(gap: &Gap, now: DateTime<Utc>, look: &Look) -> Line {
    let line = Line::new().with(Role::Warn, GAP);
    let line = line.with(Role::Dim, &format!(" {}", gap_text(gap, now, look)));
    look.width.map_or(line.clone(), |width| line.cut(width))
}

/// `8 h in columns of 7 min 12 s · 60 services, 3 with problems`
fn footer(chronicle: &Chronicle, services: &[&ServiceView], drawn: &Timeline) -> Line {
    let history = &chronicle.history;
    let columns = i32::try_from(drawn.columns()).unwrap_or(i32::MAX);
    let column = (drawn.to - drawn.from) / columns.max(1);
    let in_trouble = services.iter().filter(|service| {
        let track = history.services.get(&service.id);
        track.is_some_and(|track| has_fault(track, history.from, history.to))
    });
    let text = format!(
        "{} in columns of {} {} {}, {} with problems",
        format_duration(drawn.to - drawn.from),
        format_duration(column),
        symbols::DOT,
        text::count(services.len(), "service"),
        in_trouble.count(),
    );
    Line::new().with(Role::Dim, &text)
}

fn has_fault(track: &Track, from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    track.spans(from, to).any(|(_, _, stage)| stage.verdict.is_fault())
}

/// As JSON: `tcsctl.timeline.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "timeline",
    title = "What `tcsctl timeline --json` prints",
    description = "The verdicts of services in a period, each with its beginning and end, to the \
                   microsecond. Times are RFC 3339 in UTC, by the broker's clock. A later version \
                   of v1 only adds fields.",
    extend("$id" = "tcsctl.timeline.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.timeline.v1"))]
    schema: &'static str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// Parts of the period in which the record has gaps.
    gaps: Vec<GapEntry>,
    /// In the order of the tree.
    services: Vec<Service<'a>>,
}

/// A part of the period in which the record has a gap.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gap")]
pub struct GapEntry {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// What is not stored; `outage`: no heartbeat of any service was, because the broker or the way
    /// to it was down.
    #[schemars(extend("enum" = ["events", "statuses", "heartbeats", "outage", "other"]))]
    kind: &'static str,
}

impl From<&Gap> for GapEntry {
    fn from(gap: &Gap) -> Self {
        let kind = match gap.kind {
            GapKind::Events => "events",
            GapKind::Statuses => "statuses",
            GapKind::Heartbeats => "heartbeats",
            GapKind::Outage => "outage",
            _ => "other",
        };
        Self { from: gap.from, until: gap.until, kind }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Service<'a> {
    id: &'a str,
    /// Full host name.
    host: Option<&'a str>,
    /// The monitored object above it.
    parent: Option<&'a str>,
    /// Its verdicts, in the order of time. What is missing at the beginning is not known.
    spans: Vec<SpanEntry>,
    /// When it was started again after an end.
    restarts: Vec<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Span")]
struct SpanEntry {
    #[schemars(with = "VerdictWord")]
    verdict: &'static str,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// When the verdict began, if that was before the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<DateTime<Utc>>,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

impl<'a> Document<'a> {
    /// The document of a chronicle.
    pub fn new(chronicle: &'a Chronicle, shown: &Shown) -> Self {
        let history = &chronicle.history;
        let (from, to) = (history.from, history.to);
        let service = |service: &'a ServiceView| {
            let track = history.services.get(&service.id)?;
            let span = |(begins, until, stage): (_, _, &tcs_fleet::history::Stage)| SpanEntry {
                verdict: stage.verdict.as_str(),
                from: begins,
                until,
                since: Some(stage.from).filter(|since| *since < from),
                cause: stage.reason.as_ref().map(Reason::cause),
            };
            let within = |at: &&DateTime<Utc>| from <= **at && **at < to;
            Some(Service {
                id: &service.id,
                host: service.host.as_deref(),
                parent: service.parent.as_deref(),
                spans: track.spans(from, to).map(span).collect(),
                restarts: track.restarts.iter().filter(within).copied().collect(),
            })
        };
        Self {
            schema: "tcsctl.timeline.v1",
            from,
            to,
            gaps: history.gaps.iter().map(GapEntry::from).collect(),
            services: shown.services(chronicle).into_iter().filter_map(service).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tcs_fleet::history::History;

    use super::*;

    #[test]
    fn times_of_the_scale_are_round_and_stand_where_they_are() {
        let scale_of = |from: &str, to: &str, columns| {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let drawn = timeline(&History::new(from, to), from, to, columns);
            scale(&drawn, &Look::default()).plain()
        };
        let night = scale_of("2026-11-22T20:00:00Z", "2026-11-23T06:00:00Z", 60);
        assert_eq!(night, "20:00       22:00       23 Nov      02:00       04:00");
        // a minute that began before is not on it
        let minutes = scale_of("2026-11-22T20:00:30Z", "2026-11-22T20:03:30Z", 60);
        assert_eq!(minutes, "          20:01               20:02               20:03");
    }
}
