//! `tcsctl graph`: what is started after what.

use std::process::ExitCode;

use tcs_core::fleet::graph::Graph;
use tcs_present::graph::{Document, Shown};
use tcs_present::{Line, Role};

use super::list::parse;
use super::picture::{self, Want};
use super::session::{Ended, Session};
use crate::cli::{GraphArgs, GraphFormat};
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &GraphArgs) -> Result<ExitCode, Ended> {
    let filter = parse(&args.services)?;
    let picture = picture::take(session, &Want { at: args.at, ..Want::default() }).await?;
    let screen = &session.screen;
    picture.source.warn(screen);
    let graph = Graph::of(&picture.view);
    let shown =
        Shown::new(&picture.view, &graph, |service| filter.is_empty() || filter.matches(service));
    match args.format {
        GraphFormat::Json => screen.print_json(&Document::new(&shown), true)?,
        GraphFormat::Mermaid => {
            let text = shown.mermaid();
            let lines = text.lines().map(|line| Line::new().with(Role::Text, line));
            screen.print(&lines.collect::<Vec<_>>())?;
        }
        GraphFormat::Text => screen.print(&shown.lines(&screen.look))?,
    }
    if !picture.source.answered {
        return Ok(Exit::NoContact.into());
    }
    if !shown.is_empty() {
        return Ok(Exit::Done.into());
    }
    if filter.is_empty() {
        let text = "no service is started after another (`after` in the services file)";
        screen.tell(Word::Note, text);
        return Ok(Exit::Done.into());
    }
    let message = "no service that matches is started after another, or has one started after it";
    Err(Ended::new(Exit::No, message))
}
