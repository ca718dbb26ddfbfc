//! `tcsctl alarms`: what wants somebody; and what all commands about alarms share.

mod apply;
mod follow;
mod replay;
mod test;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tcs_alarms::{Address, AlarmView, Alarms, History, Record, watching};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{OutgoingMessage, Publisher, Sent, hostname, new_meta};
use tcs_core::fleet::{FleetView, Order};
use tcs_present::alarms::{Document, StatsDocument, lines, selected};

use super::list::parse;
use super::picture::{self, Picture};
use super::session::{Ended, Session};
use crate::alarm_stream::{AlarmStream, StreamNews, Unread};
use crate::cli::moment::Moment;
use crate::cli::{AlarmsAction, AlarmsArgs, StatsArgs};
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &AlarmsArgs) -> Result<ExitCode, Ended> {
    match &args.action {
        Some(AlarmsAction::Apply(args)) => return apply::run(session, args).await,
        Some(AlarmsAction::Replay(args)) => return replay::run(session, args).await,
        Some(AlarmsAction::Stats(args)) => return stats(session, args).await,
        Some(AlarmsAction::Test(args)) => return test::run(session, args).await,
        None => {}
    }
    let filter = parse(args.filter.as_deref())?;
    let book = Book::open_to_show(session, args.at).await?;
    let views = book.shown();
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

async fn stats(session: &Session, args: &StatsArgs) -> Result<ExitCode, Ended> {
    let book = Book::open(session, None).await?;
    let now = book.fleet.now;
    let stats = book.history.stats(&book.views(), now - args.since.delta(), now);
    let screen = &session.screen;
    if args.json {
        screen.print_json(&StatsDocument::new(&stats, &book.server), true)?;
    } else {
        screen.print(&tcs_present::alarms::stats(&stats, &screen.look))?;
    }
    Ok(Exit::Done.into())
}

/// What to do where no stream has alarms.
const NO_STREAM: &str = "add an entry `- type: sentinel` to the services file of a tcsd";

/// The alarms of a site, and what is needed to add to them.
pub(super) struct Book<'a> {
    session: &'a Session,
    bus: Bus,
    stream: AlarmStream,
    history: History,
    pub(super) fleet: FleetView,
    /// By launcher.
    missing_events: BTreeMap<Arc<str>, u64>,
    server: String,
    /// Whether the fleet could be read too: what shelves cover is told by it.
    is_whole: bool,
}

impl<'a> Book<'a> {
    /// Reads all records, and the fleet; at a moment of the past those that were stored by then.
    pub(super) async fn open(session: &'a Session, at: Option<Moment>) -> Result<Self, Ended> {
        let (picture, is_past) = Self::picture(session, at).await?;
        Self::of(session, picture, is_past).await
    }

    /// The same for a list: without records the fleet is there all the same.
    async fn open_to_show(session: &'a Session, at: Option<Moment>) -> Result<Self, Ended> {
        let (picture, is_past) = Self::picture(session, at).await?;
        let (book, read) = Self::read(session, picture, is_past).await;
        match read {
            Ok(()) => {}
            Err(why @ Unread::NoStream) => {
                session.screen.tell(Word::Warning, &format!("alarms are not kept: {why}"));
                session.screen.tell(Word::Hint, NO_STREAM);
            }
            Err(why) => return Err(Ended::new(Exit::NoContact, why.to_string())),
        }
        Ok(book)
    }

    async fn picture(session: &'a Session, at: Option<Moment>) -> Result<(Picture, bool), Ended> {
        let want = picture::Want { at, ..picture::Want::default() };
        let picture = picture::take(session, &want).await?;
        picture.source.warn(&session.screen);
        Ok((picture, at.is_some()))
    }

    /// Reads all records; of a picture of the past those that were stored by then.
    pub(super) async fn of(
        session: &'a Session,
        picture: Picture,
        is_past: bool,
    ) -> Result<Self, Ended> {
        let (book, read) = Self::read(session, picture, is_past).await;
        read.map_err(|why| {
            let message = match why {
                Unread::NoStream => format!("{why}\nhint: {NO_STREAM}"),
                Unread::NoAnswer(_) => why.to_string(),
            };
            Ended::new(Exit::NoContact, message)
        })?;
        Ok(book)
    }

    async fn read(
        session: &'a Session,
        picture: Picture,
        is_past: bool,
    ) -> (Self, Result<(), Unread>) {
        let Picture { bus, view: fleet, missing_events, source } = picture;
        let mut stream = AlarmStream::new(&bus, is_past.then_some(fleet.now));
        let (server, is_whole) = (source.server.clone(), source.answered);
        let mut history = History::default();
        let limit = tokio::time::Instant::now() + session.left();
        let read = stream.read_all(limit, |address, record, stamp| {
            history.note(address, record, stamp);
        });
        let read = read.await;
        let book = Self { session, bus, stream, history, fleet, missing_events, server, is_whole };
        (book, read)
    }

    /// The alarms to be shown: where no sentinel watches, also those that the rules would raise.
    fn shown(&self) -> Vec<AlarmView> {
        let is_watched = watching(&self.fleet).next().is_some();
        let alarms = self.alarms();
        let unwatched = (!is_watched).then(|| alarms.unwatched(&self.fleet, &self.missing_events));
        let unwatched = unwatched.and_then(Result::ok);
        unwatched.as_ref().unwrap_or(alarms).views(self.fleet.now, &self.fleet)
    }

    /// All alarms, those that want somebody first.
    pub(super) fn views(&self) -> Vec<AlarmView> {
        self.alarms().views(self.fleet.now, &self.fleet)
    }

    /// The folded records.
    pub(super) const fn alarms(&self) -> &Alarms {
        &self.stream.alarms
    }

    /// The last sequence number of a subject, given that of its last record that can be read.
    pub(super) fn last_seq(&self, address: &Address, seq: u64) -> u64 {
        let created = self.stream.created.map(tcs_core::wire::Timestamp::new);
        created.map_or(seq, |created| self.alarms().last_seq(address, created, seq))
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
                return Err(Ended::new(
                    Exit::No,
                    "somebody else has changed it in the meantime: try again",
                ));
            }
            Err(error) if error.is_final() => return Err(Ended::new(Exit::No, error.to_string())),
            Err(error) => return Err(unsure(error.to_string())),
        };
        self.read_to(sequence).await
    }

    /// Reads on for some time until something is so; whether it is.
    pub(super) async fn read_until(
        &mut self,
        time: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> bool {
        let limit = tokio::time::Instant::now() + time;
        while !is_so(self) {
            if !matches!(tokio::time::timeout_at(limit, self.stream.next()).await, Ok(Some(_))) {
                return false;
            }
        }
        true
    }

    async fn read_to(&mut self, sequence: u64) -> Result<(), Ended> {
        let limit = tokio::time::Instant::now() + self.session.left().max(LEAST);
        while let Ok(Some(news)) = tokio::time::timeout_at(limit, self.stream.next()).await {
            let StreamNews::Record(_, stamp) = news else { continue };
            self.fleet.now = self.fleet.now.max(stamp.stored);
            if matches!(stamp.order, Order::Stream { seq, .. } if seq >= sequence) {
                return Ok(());
            }
        }
        Err(Ended::new(Exit::NoContact, "not confirmed: the message does not appear in the stream"))
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
