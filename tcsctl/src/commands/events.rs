//! `tcsctl events`: what happened, and what happens.

use std::collections::HashMap;
use std::process::ExitCode;

use tcs_core::clock;
use tcs_core::fleet::Stamp;
use tcs_core::observer::{Observation, Observed, Observer, Problem};
use tcs_core::wire::Kind;

use super::picture;
use super::session::{Ended, Session, finished};
use crate::cli::EventsArgs;
use crate::exit::Exit;
use crate::output::{Word, events as output};
use crate::timeline::{Happening, Timeline};

/// What tells of happenings.
const KINDS: [Kind; 2] = [Kind::Registry, Kind::Status];

pub(super) async fn run(session: &Session, args: &EventsArgs) -> Result<ExitCode, Ended> {
    if !args.follow {
        return tell_all(session, args).await;
    }
    let ended = finished();
    tokio::select! {
        result = tell_all(session, args) => result,
        () = ended => Ok(Exit::Done.into()),
    }
}

async fn tell_all(session: &Session, args: &EventsArgs) -> Result<ExitCode, Ended> {
    let since = session.past(args.since)?;
    let until = clock::monotonic() + session.timeout();
    let observer = picture::observe(session).await?;
    let mut printer = Printer::new(session, args);
    let reading = tokio::time::timeout_at(until.into(), observer.since(since, &KINDS));
    let past = reading.await.map_err(|_| {
        Ended::new(
            Exit::NoContact,
            format!(
                "what happened was not read in {:.1} s\nhint: give it more time with --timeout, or less with --since",
                session.timeout().as_secs_f64()
            ),
        )
    })?;
    let news: Vec<Happening> =
        past.observations.iter().filter_map(|observation| printer.news(observation)).collect();
    printer.names = output::name_width(&news, &session.screen.look);
    for happening in &news {
        printer.print(happening)?;
    }
    let exit = tell(session, &past.problems);
    if args.follow && exit == Exit::Done {
        follow(&observer, &mut printer).await?;
    } else if news.is_empty() && exit == Exit::Done && !args.json {
        session.screen.tell(Word::Note, "nothing happened since then");
    }
    Ok(exit.into())
}

/// Says what is missing, and what that makes of the answer.
fn tell(session: &Session, problems: &[Problem]) -> Exit {
    let mut exit = Exit::Done;
    for problem in problems {
        // that a stream begins later is so for any that is young enough
        let word = if matches!(problem, Problem::HistoryBegins { .. }) {
            Word::Warning
        } else {
            exit = Exit::NoContact;
            Word::Error
        };
        session.screen.tell(word, &problem.to_string());
        if let Some(hint) = problem.hint() {
            session.screen.tell(Word::Hint, &hint);
        }
    }
    exit
}

/// Goes on for ever. The link may be lost meanwhile: that is said, and nothing else is.
async fn follow(observer: &Observer, printer: &mut Printer<'_>) -> Result<(), Ended> {
    let mut following = observer.follow(&KINDS);
    loop {
        let Some(batch) = following.next().await else { return Ok(()) };
        for observation in batch {
            if let Some(happening) = printer.news(&observation) {
                printer.print(&happening)?;
            }
        }
    }
}

/// Prints each message's news once.
struct Printer<'a> {
    session: &'a Session,
    args: &'a EventsArgs,
    needle: String,
    timeline: Timeline,
    /// The newest of each subject: what follows repeats it.
    newest: HashMap<String, Stamp>,
    connected: bool,
    /// Cells for the name.
    names: usize,
}

impl<'a> Printer<'a> {
    fn new(session: &'a Session, args: &'a EventsArgs) -> Self {
        Self {
            session,
            args,
            needle: args.service.as_deref().unwrap_or_default().to_lowercase(),
            timeline: Timeline::default(),
            newest: HashMap::new(),
            connected: true,
            names: 0,
        }
    }

    /// What is news in an observation. That the link is lost, or back, is said at once.
    fn news(&mut self, observation: &Observation) -> Option<Happening> {
        match observation {
            Observation::Message(message) => self.message(message),
            Observation::Link(state) => {
                let now = state.is_connected();
                if now != self.connected {
                    let text =
                        if now { "connected again" } else { "connection lost, trying again" };
                    self.session.screen.tell(Word::Warning, text);
                    self.connected = now;
                }
                None
            }
            Observation::Malformed { .. }
            | Observation::Reading(..)
            | Observation::Clock(_)
            | Observation::Contact(_) => None,
        }
    }

    fn message(&mut self, message: &Observed) -> Option<Happening> {
        let known = self.newest.get(&message.subject);
        if known.is_some_and(|known| !message.stamp.is_newer(known)) {
            return None;
        }
        self.newest.insert(message.subject.clone(), message.stamp);
        let told = self.timeline.push(message.decoded.message.clone(), message.stamp.stored);
        told.filter(|happening| happening.id.to_lowercase().contains(&self.needle))
    }

    fn print(&self, happening: &Happening) -> Result<(), Ended> {
        let screen = &self.session.screen;
        if self.args.json {
            screen.print_json(&output::Object::new(happening), false)?;
        } else {
            screen.print([&output::line(happening, self.names, clock::wall(), &screen.look)])?;
        }
        Ok(())
    }
}
