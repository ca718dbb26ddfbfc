//! Alarms: `tcsctl alarms`, as lines and as JSON.

mod followed;
mod replayed;
mod stats;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use tcs_alarms::{AlarmState, AlarmView, Delivery, NoteRecord, Severity, running, watching};
use tcs_fleet::{Filter, FleetView, ServiceView, format_duration};

use super::schema::{AlarmStateWord, DeliveryWord, SeverityWord, VerdictWord};
use super::table::{Column, Shorten, lay_out};
use super::{Line, Look, Role, symbols, text};
pub use followed::{Followed, News};
pub use replayed::{Document as ReplayDocument, replayed};
pub use stats::{Document as StatsDocument, stats};

const COLUMNS: [Column; 3] =
    [Column { dispensable: 0 }, Column { dispensable: 0 }, Column { dispensable: 1 }];
/// Cells of an alarm's name that tell it from others.
const LEAST_NAME: usize = 32;

/// Those to be shown: all that are not over, and with `all` those too.
pub fn selected<'a>(
    views: &'a [AlarmView],
    filter: &Filter,
    fleet: &FleetView,
    all: bool,
) -> Vec<&'a AlarmView> {
    let wanted = |view: &&AlarmView| {
        let matches = match fleet.get(view.id.object()) {
            Some(service) => filter.matches(service),
            None => filter.matches_name(view.id.object(), view.id.host()),
        };
        (all || view.state != AlarmState::Normal) && (filter.is_empty() || matches)
    };
    views.iter().filter(wanted).collect()
}

/// A line for each alarm, and one that counts them and says who watches.
pub fn lines(views: &[&AlarmView], fleet: &FleetView, look: &Look) -> Vec<Line> {
    let mut lines = rows(views, fleet, look);
    if !lines.is_empty() {
        lines.push(Line::new());
    }
    lines.push(header(views, fleet, look));
    lines
}

/// A line for each alarm: sign and name, severity, state, and what there is to say.
pub fn rows(views: &[&AlarmView], fleet: &FleetView, look: &Look) -> Vec<Line> {
    let name = |i: usize, room: usize| {
        let (mark, role) = mark(views[i]);
        let mut line = Line::new().with(role, mark);
        line.push(Role::Text, " ");
        line.push(Role::Text, &text::shown(&views[i].id.to_string()));
        line.cut(room)
    };
    let last = |i: usize, room: usize| remarks(views[i], fleet, look).cut(room);
    let row = |i: usize| {
        let (view, severity) = (views[i], views[i].record().severity);
        vec![
            name(i, usize::MAX),
            Line::new().with(role(severity), severity.as_str()),
            Line::new().with(mark(view).1, &state(view)),
            last(i, usize::MAX),
        ]
    };
    let rows: Vec<Vec<Line>> = (0..views.len()).map(row).collect();
    let shorten = Shorten { first: name, first_to: LEAST_NAME, last };
    lay_out(rows, &COLUMNS, look.width, &shorten)
}

/// All about one alarm, a fact each: what its row says, when it was raised, who was told, notes.
pub fn details(
    view: &AlarmView,
    notes: &[&NoteRecord],
    fleet: &FleetView,
    look: &Look,
) -> Vec<Line> {
    let dim = |text: &str| Line::new().with(Role::Dim, text);
    let point = |at| look.times.point(at, fleet.now);
    let mut lines = vec![remarks(view, fleet, look)];
    lines.push(dim(&format!("raised {}", point(view.record().episode.raised.time()))));
    for (channel, sent) in &view.told {
        let what = match sent.record.st {
            Delivery::Claim => "being sent to",
            Delivery::Done => "sent to",
            Delivery::Failed => "could not be sent to",
        };
        let at = point(sent.stored);
        let why = sent.record.error.as_deref().map_or_else(String::new, |it| format!(": {it}"));
        lines.push(dim(&format!("{what} {channel} {at}{why}")));
    }
    for note in notes {
        lines.push(Line::new().with(Role::Text, &format!("{}: {}", note.by, note.note)));
    }
    lines
}

const fn role(severity: Severity) -> Role {
    match severity {
        Severity::Critical => Role::Bad,
        Severity::Warning => Role::Warn,
        Severity::Info => Role::Dim,
    }
}

/// Its sign; that tells the same as the words.
const fn mark(view: &AlarmView) -> (&'static str, Role) {
    match view.state {
        _ if view.shelved.is_some() => ("-", Role::Dim),
        AlarmState::Active if view.suppressed_by.is_some() => ("-", Role::Dim),
        AlarmState::Active => ("!", Role::Bad),
        AlarmState::Returned => ("?", Role::Warn),
        AlarmState::Acked => ("+", Role::Moving),
        AlarmState::Normal => (" ", Role::Good),
    }
}

fn state(view: &AlarmView) -> String {
    match (&view.shelved, &view.suppressed_by, view.record().chatter) {
        (Some(_), _, _) => format!("{}, shelved", view.state),
        (None, Some(_), _) => format!("{}, explained", view.state),
        (None, None, true) => format!("{}, comes and goes", view.state),
        (None, None, false) => view.state.to_string(),
    }
}

fn remarks(view: &AlarmView, fleet: &FleetView, look: &Look) -> Line {
    let (record, mut line) = (view.record(), Line::new());
    let mut part = |role, text: &str| {
        if !line.is_empty() {
            line.push(Role::Dim, "; ");
        }
        line.push(role, text);
    };
    if let Some(message) = &record.message {
        part(Role::Text, message);
    }
    let lasted = format_duration((fleet.now - record.since.time()).max(TimeDelta::zero()));
    part(Role::Dim, &format!("for {lasted}"));
    if record.occurrences > 1 {
        part(Role::Dim, &format!("{} times", record.occurrences));
    }
    if let Some(cause) = &view.suppressed_by {
        part(Role::Dim, &format!("because of {cause}"));
    }
    if let Some(acked) = &view.acked {
        let note =
            acked.record.note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
        part(Role::Moving, &format!("acknowledged by {}{note}", acked.record.by));
    }
    if let Some(shelved) = &view.shelved {
        let (record, until) = (&shelved.shelf.held.record, shelved.shelf.end());
        let until = look.times.point(until, fleet.now);
        let text =
            format!("shelf {} of {} until {until}: {}", shelved.id, record.by, record.reason);
        part(Role::Dim, &text);
    }
    let told: Vec<&str> = view
        .told
        .iter()
        .filter(|(_, sent)| sent.record.st == Delivery::Done)
        .map(|(channel, _)| &**channel)
        .collect();
    if !told.is_empty() {
        part(Role::Dim, &format!("notified: {}", told.join(", ")));
    }
    line
}

/// For one line beside others: `▲ 2 unacked`, `1 shelved`, `watched by 2`.
pub fn parts(views: &[&AlarmView], fleet: &FleetView) -> Vec<(String, Role)> {
    let counts = Counts::of(views);
    let mut parts = Vec::new();
    if counts.unacked > 0 {
        parts.push((format!("{} {} unacked", symbols::ALARM, counts.unacked), Role::Bad));
    }
    if counts.shelved > 0 {
        parts.push((format!("{} shelved", counts.shelved), Role::Dim));
    }
    parts.push(match watching(fleet).count() {
        0 => ("NOT WATCHED".to_owned(), Role::Bad),
        count => (format!("watched by {count}"), Role::Dim),
    });
    parts
}

/// `2 unacknowledged · 1 shelved · watched by 2`
pub fn header(views: &[&AlarmView], fleet: &FleetView, look: &Look) -> Line {
    let counts = Counts::of(views);
    let mut line = Line::new();
    let role = if counts.unacked > 0 { Role::Bad } else { Role::Good };
    line.push(role, &format!("{} unacknowledged", counts.unacked));
    for (count, word) in [(counts.acked, "acknowledged"), (counts.shelved, "shelved")] {
        if count > 0 {
            line.push(Role::Dim, &format!(" · {count} {word}"));
        }
    }
    line.push(Role::Dim, " · ");
    line.extend(watched(fleet, look));
    line
}

fn watched(fleet: &FleetView, look: &Look) -> Line {
    match watching(fleet).count() {
        0 => Line::new().with(Role::Bad, &not_watched(fleet, look)),
        count => Line::new().with(Role::Dim, &format!("watched by {count}")),
    }
}

/// `NOT WATCHED since 02:13:05 UTC`
fn not_watched(fleet: &FleetView, look: &Look) -> String {
    if let Some(sentinel) = running(fleet).next() {
        let message = fleet.get(sentinel).and_then(|service| service.message.as_deref());
        let message = message.map_or_else(String::new, |message| format!(": {message}"));
        return text::shown(&format!("NOT WATCHED yet: {sentinel} runs{message}")).into_owned();
    }
    let is_sentinel = |service: &&ServiceView| service.service_type() == "sentinel";
    let last = fleet.services.iter().filter(is_sentinel).filter_map(|it| it.last_heartbeat).max();
    match last {
        Some(at) => format!("NOT WATCHED since {}", look.times.point(at, fleet.now)),
        None => "NOT WATCHED: no sentinel runs, nobody is notified".to_owned(),
    }
}

/// As JSON: `tcsctl.alarms.v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(
    rename = "alarms",
    title = "What `tcsctl alarms --json` prints",
    description = "Alarms of a site, from what sentinels and operators have stored. Times are RFC 3339 in UTC, by the \
        broker's clock. A later version of v1 only adds fields.",
    extend("$id" = "tcsctl.alarms.v1")
)]
pub struct Document<'a> {
    #[schemars(extend("const" = "tcsctl.alarms.v1"))]
    schema: &'static str,
    /// By the broker's clock.
    taken_at: DateTime<Utc>,
    /// Servers.
    source: &'a str,
    /// Sentinels that watch; none: nobody is notified.
    watched_by: Vec<&'a str>,
    counts: Counts,
    /// Those that want somebody first.
    alarms: Vec<Alarm<'a>>,
}

/// How many alarms there are of each kind.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Counts {
    /// Active or returned, not acknowledged and not shelved.
    unacked: usize,
    acked: usize,
    shelved: usize,
    /// Explained by another alarm.
    suppressed: usize,
}

impl Counts {
    fn of(views: &[&AlarmView]) -> Self {
        let mut counts = Self::default();
        for view in views.iter().filter(|view| view.state != AlarmState::Normal) {
            let count = match view.state {
                _ if view.shelved.is_some() => &mut counts.shelved,
                AlarmState::Acked => &mut counts.acked,
                _ if view.suppressed_by.is_some() => &mut counts.suppressed,
                _ => &mut counts.unacked,
            };
            *count += 1;
        }
        counts
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct Alarm<'a> {
    /// `<rule>/<service id>`
    id: String,
    /// `<rule>/<service id>@<time of the raise>`
    episode: String,
    rule: &'a str,
    /// A service's id, or `_broker`, `_host.<name>`, `_channel.<name>`.
    service: &'a str,
    host: Option<&'a str>,
    #[schemars(with = "SeverityWord")]
    severity: &'static str,
    #[schemars(with = "SeverityWord")]
    max_severity: &'static str,
    #[schemars(with = "AlarmStateWord")]
    state: &'static str,
    /// When the condition came into this state.
    since: DateTime<Utc>,
    occurrences: u32,
    /// It comes and goes, and is held active.
    chatter: bool,
    #[schemars(with = "Option<VerdictWord>")]
    verdict: Option<&'a str>,
    message: Option<&'a str>,
    /// The alarm that explains it, whether that one is active or not.
    cause: Option<String>,
    acked: Option<Acked<'a>>,
    shelved: Option<Shelved<'a>>,
    /// The active alarm that explains it: it is not told by itself.
    suppressed_by: Option<String>,
    /// What was sent about this episode.
    told: Vec<Told<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Acked<'a> {
    by: &'a str,
    at: DateTime<Utc>,
    note: Option<&'a str>,
    expires: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Shelved<'a> {
    id: &'a str,
    until: DateTime<Utc>,
    reason: &'a str,
    by: &'a str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Told<'a> {
    channel: &'a str,
    at: DateTime<Utc>,
    /// Of the escalation, from 0.
    step: u32,
    #[schemars(with = "DeliveryWord")]
    st: Delivery,
}

impl<'a> Document<'a> {
    /// `source`: where it was read.
    pub fn new(views: &[&'a AlarmView], fleet: &'a FleetView, source: &'a str) -> Self {
        Self {
            schema: "tcsctl.alarms.v1",
            taken_at: fleet.now,
            source,
            watched_by: watching(fleet).collect(),
            counts: Counts::of(views),
            alarms: views.iter().map(|view| Alarm::new(view, fleet)).collect(),
        }
    }
}

impl<'a> Alarm<'a> {
    fn new(view: &'a AlarmView, fleet: &'a FleetView) -> Self {
        let record = view.record();
        Self {
            id: view.id.to_string(),
            episode: record.episode.to_string(),
            rule: view.id.rule(),
            service: view.id.object(),
            host: fleet.get(view.id.object()).and_then(|service| service.host.as_deref()),
            severity: record.severity.as_str(),
            max_severity: record.max_severity.as_str(),
            state: view.state.as_str(),
            since: record.since.time(),
            occurrences: record.occurrences,
            chatter: record.chatter,
            verdict: record.verdict.as_deref(),
            message: record.message.as_deref(),
            cause: record.cause.as_ref().map(ToString::to_string),
            acked: view.acked.as_ref().map(|held| Acked {
                by: &held.record.by,
                at: held.original().at.time(),
                note: held.record.note.as_deref(),
                expires: held.record.expires.map(tcs_wire::Timestamp::time),
            }),
            shelved: view.shelved.as_ref().map(|shelved| Shelved {
                id: &shelved.id,
                until: shelved.shelf.end(),
                reason: &shelved.shelf.held.record.reason,
                by: &shelved.shelf.held.record.by,
            }),
            suppressed_by: view.suppressed_by.as_ref().map(ToString::to_string),
            told: view
                .told
                .iter()
                .map(|(channel, sent)| Told {
                    channel,
                    at: sent.stored,
                    step: sent.record.step,
                    st: sent.record.st,
                })
                .collect(),
        }
    }
}
