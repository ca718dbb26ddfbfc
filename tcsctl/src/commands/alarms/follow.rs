//! `tcsctl alarms --follow`: each change of an alarm as it comes.

use std::process::ExitCode;
use std::time::Duration;

use tcs_core::clock;
use tcs_core::fleet::Filter;
use tcs_core::observer::Observer;
use tcs_core::wire::Kind;
use tcs_present::alarms::{Document, Followed, selected};

use super::Book;
use crate::alarm_stream::StreamNews;
use crate::cli::AlarmsArgs;
use crate::commands::session::{Ended, finished};
use crate::exit::Exit;
use crate::output::Word;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Goes on until it is interrupted. Shelves and acknowledgements also end by time alone.
pub(super) async fn run(
    mut book: Book<'_>,
    args: &AlarmsArgs,
    filter: &Filter,
) -> Result<ExitCode, Ended> {
    let observer = Observer::new(book.bus.clone());
    let (mut following, mut picture) = (observer.follow(&Kind::FLEET), observer.blank());
    let mut followed = Followed::default();
    let mut interruption = None;
    let mut looks = tokio::time::interval(LOOK);
    followed.take(&selected(&book.shown(), filter, &book.fleet, true), &book.fleet);
    let ended = finished();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            news = book.stream.next() => match news {
                None => return Ok(Exit::NoContact.into()),
                Some(StreamNews::Record(..)) => {}
                Some(StreamNews::Current) => interruption = None,
                Some(StreamNews::Interrupted(why)) => {
                    let why = format!("alarms cannot be read: {why}");
                    if interruption.as_ref() != Some(&why) {
                        book.session.screen.tell(Word::Warning, &why);
                        interruption = Some(why);
                    }
                }
            },
            batch = following.next() => match batch {
                None => return Ok(Exit::NoContact.into()),
                Some(batch) => picture.extend(batch),
            },
            _ = looks.tick() => {
                // before the fleet is known again, everybody would be missing
                if picture.is_settled() {
                    book.fleet = picture.view(clock::monotonic());
                    book.missing_events = picture.fleet.missing_events();
                    print(&book, args, filter, &mut followed)?;
                }
            }
            () = &mut ended => return Ok(Exit::Done.into()),
        }
    }
}

fn print(
    book: &Book<'_>,
    args: &AlarmsArgs,
    filter: &Filter,
    followed: &mut Followed,
) -> Result<(), Ended> {
    let (screen, views) = (&book.session.screen, book.shown());
    let news = followed.take(&selected(&views, filter, &book.fleet, true), &book.fleet);
    if news.is_empty() {
        return Ok(());
    }
    if args.json {
        let chosen = selected(&views, filter, &book.fleet, args.all);
        screen.print_json(&Document::new(&chosen, &book.fleet, &book.server), false)?;
    } else {
        screen.print(&news.lines(&book.fleet, &screen.look))?;
    }
    Ok(())
}
