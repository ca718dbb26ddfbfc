//! `tcsctl alarms`: what wants somebody; and what all commands about alarms share.

mod apply;
mod follow;
mod test;

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tcs_alarms::{Address, AlarmView, Alarms, Record};
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent, hostname, new_meta};
use tcs_core::bus::{Bus, Fed, Feed, Interruption};
use tcs_core::fleet::{FleetView, Order, Stamp};
use tcs_present::alarms::{Document, lines, selected};

use super::list::parse;
use super::picture::{self, Picture};
use super::session::{Ended, Session};
use crate::cli::moment::Moment;
use crate::cli::{AlarmsAction, AlarmsArgs};
use crate::exit::Exit;

pub(super) async fn run(session: &Session, args: &AlarmsArgs) -> Result<ExitCode, Ended> {
    match &args.action {
        Some(AlarmsAction::Apply(args)) => return apply::run(session, args).await,
        Some(AlarmsAction::Test(args)) => return test::run(session, args).await,
        None => {}
    }
    let filter = parse(args.filter.as_deref())?;
    let book = Book::open(session, args.at).await?;
    let views = book.views();
    let chosen = selected(&views, &filter, &book.fleet, args.all);
    let screen = &session.screen;
    if args.json {
        let document = Document::new(&chosen, &book.fleet, &book.server);
        screen.print_json(&document, !args.follow)?;
    } else {
        screen.print(&lines(&chosen, &book.fleet, &screen.look))?;
    }
    if args.follow {
        return follow::run(book, args, &filter).await;
    }
    Ok(if book.is_whole { Exit::Done } else { Exit::NoContact }.into())
}

/// The alarms of a site, and what is needed to add to them.
pub(super) struct Book<'a> {
    session: &'a Session,
    bus: Bus,
    feed: Feed,
    alarms: Alarms,
    /// When the stream was created that was read.
    stream: Option<DateTime<Utc>>,
    pub(super) fleet: FleetView,
    server: String,
    /// Whether the fleet could be read too: what shelves cover is told by it.
    is_whole: bool,
}

impl<'a> Book<'a> {
    /// Reads all records, and the fleet; at a moment of the past those that were stored by then.
    pub(super) async fn open(session: &'a Session, at: Option<Moment>) -> Result<Self, Ended> {
        let picture =
            picture::take(session, &picture::Want { at, ..picture::Want::default() }).await?;
        picture.source.warn(&session.screen);
        Self::of(session, picture, at.is_some()).await
    }

    /// Reads all records; of a picture of the past those that were stored by then.
    pub(super) async fn of(
        session: &'a Session,
        picture: Picture,
        is_past: bool,
    ) -> Result<Self, Ended> {
        let Picture { bus, view, source } = picture;
        let feed = bus.feed(&bus.subjects().alarm(">"));
        let (alarms, server, is_whole) = (Alarms::new(), source.server.clone(), source.answered);
        let (fleet, stream) = (view, None);
        let mut book = Self { session, bus, feed, alarms, stream, fleet, server, is_whole };
        let until = is_past.then_some(book.fleet.now);
        book.read(until).await?;
        Ok(book)
    }

    /// All that the stream holds, up to a moment.
    async fn read(&mut self, until: Option<DateTime<Utc>>) -> Result<(), Ended> {
        let mut why = None;
        let limit = tokio::time::Instant::now() + self.session.left();
        loop {
            let Ok(Some(fed)) = tokio::time::timeout_at(limit, self.feed.next()).await else {
                let why: Option<Interruption> = why;
                let why = why.map_or_else(|| "no answer".to_owned(), |why| why.to_string());
                return Err(Ended::new(Exit::NoContact, format!("alarms cannot be read: {why}")));
            };
            match fed {
                Fed::Current { created } => {
                    self.stream = Some(created);
                    return Ok(());
                }
                Fed::Message { stamp, .. } if until.is_some_and(|until| stamp.stored > until) => {}
                Fed::Message { subject, payload, stamp } => self.take(&subject, &payload, &stamp),
                Fed::Interrupted(Interruption::NoStream) => {
                    let message = "no stream of alarms: no sentinel has run\nhint: add an entry \
                                   `- type: sentinel` to the services file of a tcsd";
                    return Err(Ended::new(Exit::NoContact, message));
                }
                Fed::Interrupted(error) => why = Some(error),
            }
        }
    }

    fn take(&mut self, subject: &str, payload: &[u8], stamp: &Stamp) {
        let Some(address) = Address::parse(self.bus.subjects(), subject) else { return };
        match Record::decode(&address, payload) {
            Ok(record) => drop(self.alarms.apply(&address, record, stamp)),
            Err(_) => self.alarms.pass_over(address, stamp),
        }
    }

    /// All alarms, those that want somebody first.
    pub(super) fn views(&self) -> Vec<AlarmView> {
        self.alarms.views(self.fleet.now, &self.fleet)
    }

    /// The folded records.
    pub(super) fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// The last sequence number of a subject, given that of its last record that can be read.
    pub(super) fn last_seq(&self, address: &Address, seq: u64) -> u64 {
        let created = self.stream.map(tcs_core::wire::Timestamp::new);
        created.map_or(seq, |created| self.alarms.last_seq(address, created, seq))
    }

    /// The open alarms that are named: each by itself, or all of a service.
    pub(super) fn named(&self, names: &[String]) -> Result<Vec<AlarmView>, Ended> {
        let views = self.views();
        let mut chosen: Vec<AlarmView> = Vec::new();
        for name in names {
            let is_it = |view: &&AlarmView| {
                view.id.to_string() == *name
                    || (view.id.object() == name && view.state != tcs_alarms::AlarmState::Normal)
            };
            let before = chosen.len();
            chosen.extend(views.iter().filter(is_it).cloned());
            if chosen.len() == before {
                let message = format!("no open alarm `{name}`\nhint: tcsctl alarms lists them");
                return Err(Ended::new(Exit::No, message));
            }
        }
        Ok(chosen)
    }

    /// Stores a record, and reads on until it is seen in the stream.
    pub(super) async fn write(
        &mut self,
        address: &Address,
        record: &Record,
        expected: Option<u64>,
    ) -> Result<(), Ended> {
        let unsure = |why: String| Ended::new(Exit::NoContact, format!("not confirmed: {why}"));
        let meta = new_meta();
        let body = record.to_body(&meta).map_err(|error| unsure(error.to_string()))?;
        let subject = address.subject(self.bus.subjects());
        let mut message = OutgoingMessage::of_body(subject, &meta.id, body);
        if let Some(expected) = expected {
            message = message.expecting(expected);
        }
        let sequence = match Publisher::new(self.bus.clone()).send(&message).await {
            Ok(Sent::Stored { sequence, .. }) => sequence,
            Ok(Sent::Unstored) => return Err(unsure("no stream holds alarms".to_owned())),
            Err(error) if error.is_overtaken() => {
                return Err(Ended::new(Exit::No, "somebody else was faster: try again"));
            }
            Err(error) if error.is_final() => return Err(Ended::new(Exit::No, error.to_string())),
            Err(error) => return Err(unsure(error.to_string())),
        };
        self.read_to(sequence).await
    }

    async fn read_to(&mut self, sequence: u64) -> Result<(), Ended> {
        let limit = tokio::time::Instant::now() + self.session.left().max(LEAST);
        while let Ok(Some(fed)) = tokio::time::timeout_at(limit, self.feed.next()).await {
            let Fed::Message { subject, payload, stamp } = fed else { continue };
            self.take(&subject, &payload, &stamp);
            self.fleet.now = self.fleet.now.max(stamp.stored);
            if matches!(stamp.order, Order::Stream { seq, .. } if seq >= sequence) {
                return Ok(());
            }
        }
        Err(Ended::new(Exit::NoContact, "not confirmed: it is not seen in the stream"))
    }
}

/// For seeing one's own record again there is this much time in any case.
const LEAST: Duration = Duration::from_secs(2);

/// Who types: `user@host`, or the name in `TCS_OPERATOR` for shared accounts.
pub(super) fn operator() -> String {
    let named = std::env::var("TCS_OPERATOR").ok().filter(|name| !name.is_empty());
    let user = || std::env::var("USER").unwrap_or_else(|_| nix::unistd::getuid().to_string());
    named.unwrap_or_else(|| format!("{}@{}", user(), hostname()))
}
