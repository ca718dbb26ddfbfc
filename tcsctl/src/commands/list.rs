//! `tcsctl`, `tcsctl list`: the picture, once.

use std::process::ExitCode;

use tcs_core::config::nearest;
use tcs_core::fleet::{Filter, FleetView};
use tcs_present::{
    by_host,
    detail::detailed,
    json::Document,
    legend, list, problems,
    selection::{Selection, Wanted},
};

use super::picture::{self, Picture};
use super::session::{Ended, Session};
use crate::cli::{Cli, ListArgs};
use crate::exit::Exit;
use crate::output::Source;

pub(super) async fn run(session: &Session, args: &ListArgs) -> Result<ExitCode, Ended> {
    if args.legend {
        session.screen.print(&legend::legend())?;
        return Ok(Exit::Done.into());
    }
    let filter = parse(&args.services)?;
    let want = picture::Want { filter: filter.clone(), intervals: args.detailed, at: args.at };
    let Picture { view, source, .. } = picture::take(session, &want).await?;
    show(session, args, &filter, view, &source)
}

/// Shows the list for a fleet that has been read.
pub(super) fn show(
    session: &Session,
    args: &ListArgs,
    filter: &Filter,
    view: FleetView,
    source: &Source,
) -> Result<ExitCode, Ended> {
    let screen = &session.screen;
    let selection = Selection::new(&view, &Wanted { all: args.all, filter: filter.clone() });
    if args.json {
        screen.print_json(&Document::new(&view, &selection, source), true)?;
    } else {
        let mut lines = if args.detailed {
            detailed(&view, &selection, &screen.look)
        } else {
            by_host::list(&view, &selection, args.by.into(), &screen.look)
        };
        // "none" is an answer only of a picture that is complete
        if source.answered || !lines.is_empty() {
            if !lines.is_empty() {
                lines.push(tcs_present::Line::new());
            }
            let filtered = !filter.is_empty();
            let from = source.line(&view, &screen.look);
            lines.extend(list::footer(
                &view,
                &selection,
                filtered,
                (&from, source.complete),
                &screen.look,
            ));
            if !args.detailed {
                // the tree may have scrolled away
                let shown = selection.rows.iter().map(|row| row.service);
                let most = screen.height.map(problems::third);
                lines.extend(problems::block(&view, shown, most, &screen.look));
            }
        }
        screen.print(&lines)?;
    }
    // of a large fleet it takes as long to free as to make, and the process is about to end
    std::mem::forget(view);
    source.warn(screen);
    if !source.answered {
        return Ok(Exit::NoContact.into());
    }
    if !filter.is_empty() && selection.rows.is_empty() {
        hint(session, &args.services);
        return Ok(Exit::No.into());
    }
    Ok(Exit::Done.into())
}

/// A filter as typed: of several words all must hold.
pub(super) fn parse(typed: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Filter, Ended> {
    let words: Vec<_> = typed.into_iter().map(|word| word.as_ref().to_owned()).collect();
    Filter::parse(&words.join(" ")).map_err(|error| Ended::new(Exit::Usage, error.to_string()))
}

/// Nothing matched: was it meant to be a command?
fn hint(session: &Session, typed: &[String]) {
    let Some(typed) = typed.first() else { return };
    let commands = Cli::definition();
    let names = commands.get_subcommands().map(clap::Command::get_name);
    if let Some(name) = nearest(typed, names) {
        let text = format!("`{typed}` was read as a service name; did you mean: tcsctl {name}");
        session.screen.tell(crate::output::Word::Hint, &text);
    }
}
