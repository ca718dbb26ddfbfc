//! `tcsctl shelve`, `unshelve`: nobody is notified for a time.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use tcs_alarms::{Address, MAX_SHELF, Record, ShelfMatch, ShelfRecord, Span};
use tcs_core::bus::publish::random_id;
use tcs_present::text;

use super::alarms::{Book, operator};
use super::list::parse;
use super::session::{Ended, Session};
use crate::cli::{ShelveArgs, UnshelveArgs};
use crate::exit::Exit;
use crate::output::Word;

/// Characters of a shelf's id: it is typed.
const ID: usize = 12;

pub(super) async fn shelve(session: &Session, args: &ShelveArgs) -> Result<ExitCode, Ended> {
    let usage = |message: &str| Err(Ended::new(Exit::Usage, message));
    let filter = parse(args.filter.as_deref())?;
    if filter.is_empty() && args.rule.is_none() {
        return usage("the filter is empty: it would silence everything");
    }
    if args.reason.trim().is_empty() {
        return usage("`--message` is empty: say why");
    }
    if args.span.delta() > MAX_SHELF {
        return usage("a shelf lasts 7 days at most\nhint: --for 7d");
    }
    if args.span.delta().is_zero() {
        return usage("a shelf needs a time: --for 30m");
    }
    let mut book = Book::open(session, None).await?;
    let filter = (!filter.is_empty()).then(|| filter.text().to_owned());
    let covers = ShelfMatch { rule: args.rule.clone(), filter };
    let (id, until) = put(&mut book, covers, args.span, &args.reason).await?;
    let covered = book
        .views()
        .iter()
        .filter(|view| view.shelved.as_ref().is_some_and(|shelved| shelved.id == id))
        .count();
    let (times, now) = (session.screen.look.times, book.fleet.now);
    let until = times.point(until, now);
    let text = format!("shelf {id} until {until}; it covers {} now", text::count(covered, "alarm"));
    session.screen.tell(Word::Note, &text);
    Ok(Exit::Done.into())
}

/// Puts alarms on a shelf; its id, and when it ends.
pub(super) async fn put(
    book: &mut Book<'_>,
    covers: ShelfMatch,
    span: Span,
    reason: &str,
) -> Result<(String, DateTime<Utc>), Ended> {
    let until = book.fleet.now + span.delta();
    let record = ShelfRecord {
        covers,
        until: until.into(),
        reason: reason.to_owned(),
        by: operator(),
        ended: false,
        restored: false,
    };
    let id: String = random_id().chars().take(ID).collect();
    book.write(&Address::Shelf(id.clone()), &Record::Shelf(record), Some(0)).await?;
    Ok((id, until))
}

pub(super) async fn unshelve(session: &Session, args: &UnshelveArgs) -> Result<ExitCode, Ended> {
    let mut book = Book::open(session, None).await?;
    if !end(&mut book, &args.id).await? {
        let message =
            format!("no shelf `{}` that has not ended\nhint: tcsctl alarms shows ids", args.id);
        return Err(Ended::new(Exit::No, message));
    }
    session.screen.tell(Word::Note, &format!("shelf {} ended", args.id));
    Ok(Exit::Done.into())
}

/// Ends a shelf; false if there is none of that id that has not ended.
pub(super) async fn end(book: &mut Book<'_>, id: &str) -> Result<bool, Ended> {
    let now = book.fleet.now;
    let Some(shelf) = book.alarms().shelf(id).filter(|shelf| shelf.end() > now) else {
        return Ok(false);
    };
    let (place, address) = (shelf.held.place, Address::Shelf(id.to_owned()));
    let record = ShelfRecord {
        ended: true,
        by: operator(),
        restored: false,
        ..(*shelf.held.record).clone()
    };
    let expected = book.last_seq(&address, place.seq);
    book.write(&address, &Record::Shelf(record), Some(expected)).await?;
    Ok(true)
}
