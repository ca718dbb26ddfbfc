//! The state as JSON, for a report of a fault: what is shown and why, not how to make it again (a
//! recording does that, `tcsctl record`).

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use tcs_present::json::Service;

use super::{Moment, State};
use crate::dashboard::event::Action;
use crate::output::json_text;

/// Events that are told.
const EVENTS: usize = 200;

impl State {
    /// Writes the state to a file, for a report of a fault.
    pub(super) fn dump(&mut self) -> Vec<Action> {
        match json_text(self) {
            Ok(text) => vec![Action::Save(text)],
            Err(error) => {
                self.tell(format!("not written: {error}"), true);
                Vec::new()
            }
        }
    }
}

#[derive(Serialize)]
struct Dump<'a> {
    schema: &'static str,
    version: &'static str,
    now: DateTime<Utc>,
    picture_of: DateTime<Utc>,
    size: (u16, u16),
    site: &'a str,
    read_only: bool,
    theme: &'static str,
    link: String,
    gaps: &'a [String],
    banner: Option<String>,
    notice: Option<&'a str>,
    moment: String,
    past: String,
    reaches_back_to: Option<DateTime<Utc>>,
    page: String,
    scrolled: usize,
    in_front: Option<String>,
    pending: usize,
    table: Table<'a>,
    log: Log<'a>,
    messages: Messages<'a>,
    events: Vec<Event<'a>>,
    services: Vec<Service<'a>>,
}

#[derive(Serialize)]
struct Table<'a> {
    filter: &'a str,
    faults: bool,
    all: bool,
    view: &'static str,
    sort: String,
    reverse: bool,
    rows: usize,
    first_row: usize,
    cursor: usize,
    chosen: Option<&'a str>,
    marked: Vec<&'a str>,
}

#[derive(Serialize)]
struct Log<'a> {
    service: Option<&'a str>,
    lines: usize,
    trouble: Option<&'a str>,
}

#[derive(Serialize)]
struct Messages<'a> {
    received: u64,
    malformed: u64,
    cut: u64,
    evicted: u64,
    last_malformed: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Event<'a> {
    at: DateTime<Utc>,
    id: &'a str,
    text: String,
}

impl<'a> Dump<'a> {
    fn new(state: &'a State) -> Self {
        let (picture, table, tally) = (&state.picture, &state.table, state.fleet.tally());
        let events = state.happened();
        let event = |entry: &'a tcs_core::fleet::transitions::Transition| Event {
            at: entry.at,
            id: &entry.id,
            text: tcs_present::events::words(entry).plain(),
        };
        Self {
            schema: "tcsctl.state.v1",
            version: env!("CARGO_PKG_VERSION"),
            now: state.now,
            picture_of: picture.now,
            size: state.size,
            site: &state.options.site,
            read_only: state.options.read_only,
            theme: state.theme.as_str(),
            link: format!("{:?}", state.link),
            gaps: &state.gaps,
            banner: state.banner().map(|banner| format!("{banner:?}")),
            notice: state.notice().map(|notice| &*notice.text),
            moment: match &state.moment {
                Moment::Live => "live".to_owned(),
                Moment::Paused { waiting } => format!("paused, {waiting} waiting"),
                Moment::Past { at, .. } => format!("past, {at}"),
            },
            past: format!("{:?}", state.past.hour),
            reaches_back_to: state.reach(),
            page: format!("{:?}", state.page),
            scrolled: state.scrolled,
            in_front: state.overlay.as_ref().map(|overlay| format!("{overlay:?}")),
            pending: state.pending,
            table: Table {
                filter: table.filter.text(),
                faults: table.faults,
                all: table.all,
                view: table.view.as_str(),
                sort: format!("{:?}", table.sort),
                reverse: table.reverse,
                rows: table.rows.len(),
                first_row: table.offset,
                cursor: table.cursor,
                chosen: table.chosen().map(|id| &**id),
                marked: state.marks.iter().map(|id| &**id).collect(),
            },
            log: Log {
                service: state.logs.service.as_deref(),
                lines: state.logs.store.len(),
                trouble: state.logs.trouble.as_deref(),
            },
            messages: Messages {
                received: tally.received,
                malformed: tally.malformed,
                cut: tally.cut,
                evicted: tally.evicted,
                last_malformed: tally
                    .last_malformed
                    .iter()
                    .map(|(subject, why)| (&**subject, &**why))
                    .collect(),
            },
            events: events[events.len().saturating_sub(EVENTS)..].iter().map(event).collect(),
            services: picture.services.iter().map(|s| Service::new(picture, s)).collect(),
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Dump::new(self).serialize(serializer)
    }
}
