//! `tcsctl why`: why a service is as it is, or was.

use std::process::ExitCode;

use tcs_core::fleet::why::Subject;
use tcs_core::fleet::{FleetView, ServiceView};
use tcs_core::observer::Observer;
use tcs_present::why::{Answer, Document, Page};

use super::list::parse;
use super::operate::names;
use super::picture;
use super::session::{Ended, Session};
use crate::cli::WhyArgs;
use crate::exit::Exit;
use crate::output::Word;
use crate::why;

pub(super) async fn run(session: &Session, args: &WhyArgs) -> Result<ExitCode, Ended> {
    let filter = parse(Some(&args.service))?;
    let want = picture::Want { filter, intervals: false, at: args.at };
    let picture = picture::take(session, &want).await?;
    picture.source.warn(&session.screen);
    let view = &picture.view;
    let service = chosen(view, &want, &args.service, picture.source.answered)?;
    let observer = Observer::new(picture.bus.clone());
    let material = why::read(&observer, &Subject::of(view, service), session.left()).await;
    let answer = Answer::new(view, service, &material);
    let screen = &session.screen;
    if args.json {
        screen.print_json(&Document::new(&answer), true)?;
    } else {
        screen.print(&Page::new(&answer, screen.look.times).lines(screen.look.width))?;
    }
    let is_whole = picture.source.answered && material.problems.is_empty();
    if !is_whole {
        screen.tell(Word::Warning, "the answer is incomplete: not everything could be read");
    }
    Ok(if is_whole { Exit::Done } else { Exit::NoContact }.into())
}

/// The one service that is meant.
fn chosen<'a>(
    view: &'a FleetView,
    want: &picture::Want,
    typed: &str,
    answered: bool,
) -> Result<&'a ServiceView, Ended> {
    if let Some(service) = view.get(typed) {
        return Ok(service);
    }
    let found: Vec<_> = view.services.iter().filter(|it| want.filter.matches(it)).collect();
    match found[..] {
        [service] => Ok(service),
        [] if !answered => Err(Ended::new(Exit::NoContact, "the fleet could not be read")),
        [] => {
            let typed = tcs_core::wire::text::one_line(typed);
            let text = format!("no service matches `{typed}`\nhint: tcsctl --all lists them");
            Err(Ended::new(Exit::No, text))
        }
        _ => {
            let count = found.len();
            let names = names(found.iter().map(|service| &service.id));
            let text = format!("`{typed}` matches {count} services: name one\n{names}");
            Err(Ended::new(Exit::Usage, text))
        }
    }
}
