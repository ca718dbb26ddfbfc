//! `tcsctl timeline`: the past, a row for each service.

use std::process::ExitCode;

use tcs_present::timeline::{Document, Shown, lines};

use super::list::parse;
use super::period::{self, Period};
use super::session::{Ended, Session};
use crate::cli::TimelineArgs;
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &TimelineArgs) -> Result<ExitCode, Ended> {
    let shown = Shown { filter: parse(&args.services)?, problems: args.problems, period: None };
    let Period { chronicle, is_whole, .. } = period::read(session, args.since, args.until).await?;
    if args.json {
        session.screen.print_json(&Document::new(&chronicle, &shown), true)?;
    } else {
        let lines = lines(&chronicle, &shown, &session.screen.look);
        if lines.is_empty() {
            let none = if args.problems { "no problems" } else { "no services" };
            session.screen.tell(Word::Note, &format!("{none} in that period"));
        }
        session.screen.print(&lines)?;
    }
    let is_found = !shown.services(&chronicle).is_empty() || shown.filter.is_empty();
    // of a large fleet it takes as long to free as to make, and the process is about to end
    std::mem::forget(chronicle);
    Ok(match (is_whole, is_found || args.problems) {
        (false, _) => Exit::NoContact,
        (true, true) => Exit::Done,
        (true, false) => Exit::No,
    }
    .into())
}
