//! `tcsctl alarms apply --own`: the sentinels' own rules hold again.

use std::process::ExitCode;
use std::time::Duration;

use tcs_alarms::{Address, Record, RulesRecord, running};

use super::{agree, operator};
use crate::cli::ApplyArgs;
use crate::commands::alarms::Book;
use crate::commands::session::{Ended, Session};
use crate::exit::Exit;
use crate::output::Word;

/// A sentinel that has just started reads the fleet first.
const PATIENCE: Duration = Duration::from_secs(20);

/// Takes the applied rules back, and waits until a sentinel has stored its own.
pub(super) async fn run(session: &Session, args: &ApplyArgs) -> Result<ExitCode, Ended> {
    let mut book = Book::open(session, None).await?;
    let held = book.alarms().rules();
    let is_applied = |record: &RulesRecord| record.applied || record.text.is_empty();
    let Some(held) = held.filter(|held| is_applied(&held.record)).cloned() else {
        let by = held.map_or("nobody", |held| &held.record.by);
        let text = format!("no rules are applied: the active ones were stored by {by}");
        session.screen.tell(Word::Note, &text);
        return Ok(Exit::Done.into());
    };
    let text = format!("{} applied the active rules", held.record.by);
    session.screen.tell(Word::Note, &text);
    if !args.yes && !agree(session).await? {
        return Ok(Exit::No.into());
    }
    let expected = book.last_seq(&Address::Rules, held.place.seq);
    // no rules at all: each sentinel has its own until one has stored them
    let record = RulesRecord { text: String::new(), by: operator(), applied: false };
    book.write(&Address::Rules, &Record::Rules(record), Some(expected)).await?;
    if running(&book.fleet).next().is_none() {
        let message = "no sentinel runs: the next one that starts stores its own rules";
        return Err(Ended::new(Exit::NoContact, message));
    }
    let is_stored =
        |book: &Book<'_>| book.alarms().rules().is_some_and(|held| !is_applied(&held.record));
    if !book.read_until(PATIENCE, is_stored).await {
        let message = "not confirmed: no sentinel has stored its own rules yet";
        return Err(Ended::new(Exit::NoContact, message));
    }
    let by = book.alarms().rules().map_or_else(String::new, |held| held.record.by.clone());
    session.screen.tell(Word::Note, &format!("the rules of {by} are now active"));
    Ok(Exit::Done.into())
}
