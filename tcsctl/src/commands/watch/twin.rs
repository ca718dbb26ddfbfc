//! The dashboard without a screen: a line, or a JSON object, for each change.

use std::process::ExitCode;
use std::time::Duration;

use tcs_core::fleet::{Filter, FleetView};
use tcs_present::changes::{self, Change};
use tokio::sync::mpsc;

use crate::cli::WatchArgs;
use crate::commands::session::{Ended, Session, finished};
use crate::dashboard::event::{Event, LinkFacts};
use crate::dashboard::source::{Feed, Source};
use crate::dashboard::state::{Options, State};
use crate::exit::Exit;
use crate::output::Word;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// The first picture counts as complete when no message has come for this time.
const QUIET: Duration = Duration::from_millis(500);

/// Goes on until it is interrupted, or a recording ends.
pub(super) async fn run(
    session: &Session,
    args: &WatchArgs,
    source: Source,
    filter: &Filter,
) -> Result<ExitCode, Ended> {
    let (feed, mut feeds) = mpsc::channel(64);
    let (mut clock, link) = source.start(&feed);
    let mut state = State::new(Options::default(), link, (0, 0), clock.now());
    let mut twin = Twin { session, args, filter, before: None, link: None, gaps: Vec::new() };
    let mut looks = tokio::time::interval(LOOK);
    let ended = finished();
    tokio::pin!(ended);
    let mut last = tcs_core::clock::monotonic();
    let mut finished = false;
    loop {
        tokio::select! {
            Some(item) = feeds.recv() => {
                match item {
                    Feed::Clock(measured) => clock = crate::dashboard::source::Clock::Broker(measured),
                    Feed::Event(event) => {
                        finished |= matches!(event, Event::ReplayEnded);
                        last = tcs_core::clock::monotonic();
                        state.update(event, clock.now());
                    }
                }
            }
            _ = looks.tick() => {
                state.update(Event::Tick, clock.now());
                state.settle(clock.now());
                let quiet = tcs_core::clock::monotonic().saturating_duration_since(last) >= QUIET;
                let recording = matches!(state.link, LinkFacts::Recording { .. });
                // the first picture waits for a link, and until what is held has come; a recording
                // begins with it, all at once
                let begun = recording && state.picture.newest.is_some();
                let whole = finished || begun || quiet && !recording && state.link.is_up();
                twin.tell_link(&state)?;
                if twin.before.is_some() || whole {
                    twin.look(&state)?;
                }
                if finished {
                    return Ok(Exit::Done.into());
                }
            }
            () = &mut ended => return Ok(Exit::Done.into()),
        }
    }
}

struct Twin<'a> {
    session: &'a Session,
    args: &'a WatchArgs,
    filter: &'a Filter,
    before: Option<FleetView>,
    link: Option<bool>,
    gaps: Vec<String>,
}

impl Twin<'_> {
    /// Prints that the link is there, or not, and says what could not be read, where that is news.
    fn tell_link(&mut self, state: &State) -> Result<(), Ended> {
        let up = state.link.is_up();
        let trying = matches!(state.link, LinkFacts::Connecting { attempts: 0, .. });
        if self.link != Some(up) && !trying {
            self.link = Some(up);
            let change = Change::Link { up, now: state.now };
            self.print(&state.picture, &change)?;
        }
        if self.gaps != state.gaps {
            self.gaps.clone_from(&state.gaps);
            for gap in &self.gaps {
                self.session.screen.tell(Word::Warning, gap);
            }
        }
        Ok(())
    }

    /// Prints what is otherwise than at the last look.
    fn look(&mut self, state: &State) -> Result<(), Ended> {
        let screen = &self.session.screen;
        let after = &state.picture;
        let wanted = |service: &tcs_core::fleet::ServiceView| {
            self.filter.matches(service)
                && (service.in_default || self.args.all || !self.filter.is_empty())
        };
        match &self.before {
            None if self.args.json => {
                screen.print_json(&changes::snapshot(after, wanted), false)?;
            }
            None => {
                let lines: Vec<_> = after
                    .services
                    .iter()
                    .filter(|service| wanted(service))
                    .map(|service| {
                        changes::line(after, &Change::Service { from: None, service }, &screen.look)
                    })
                    .collect();
                screen.print(&lines)?;
            }
            Some(before) => {
                for change in changes::between(before, after, wanted) {
                    self.print(after, &change)?;
                }
            }
        }
        self.before = Some(after.clone());
        Ok(())
    }

    fn print(&self, view: &FleetView, change: &Change<'_>) -> Result<(), Ended> {
        let screen = &self.session.screen;
        if self.args.json {
            screen.print_json(&changes::object(view, change), false)?;
        } else {
            screen.print([&changes::line(view, change, &screen.look)])?;
        }
        Ok(())
    }
}
