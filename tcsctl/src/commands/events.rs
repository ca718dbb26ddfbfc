//! `tcsctl events`: what happened, and what happens.

use std::collections::HashMap;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use tcs_core::bus::BrokerClock;
use tcs_core::clock;
use tcs_core::config::nearest;
use tcs_core::fleet::transitions::{Transition, Transitions, grouped};
use tcs_core::fleet::{Filter, Fleet, Link, Stamp};
use tcs_core::observer::{Observation, Observed, Observer, Past, Picture, Problem};
use tcs_core::wire::Kind;
use tcs_present::events as output;

use super::list::parse;
use super::picture;
use super::session::{Ended, Session, finished};
use super::silence::{LOOK, Silence};
use crate::cli::EventsArgs;
use crate::exit::Exit;
use crate::output::Word;

/// What tells of events and statuses.
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
    let filter = parse(&args.services)?;
    let until = clock::monotonic() + session.timeout();
    let observer = picture::observe(session).await?;
    let clock = session.broker_clock(observer.bus()).await;
    let since = session.past(args.since, &clock)?;
    let reading = tokio::time::timeout_at(until.into(), observer.since(since, &KINDS));
    let mut past = reading.await.map_err(|_| {
        Ended::new(
            Exit::NoContact,
            format!(
                "the events were not read in {:.1} s\nhint: allow more time with --timeout, or \
                 ask for less with --since",
                session.timeout().as_secs_f64()
            ),
        )
    })?;
    let reading = tokio::time::timeout_at(until.into(), observer.since(since, &[Kind::Heartbeat]));
    let heard_from = match reading.await {
        Ok(beats) => take_heartbeats(session, (since, clock.now()), &mut past, beats),
        Err(_) => not_heard(session, "they could not be read in time (--timeout)"),
    };
    let mut printer = Printer::new(session, args, filter.clone(), (clock, heard_from));
    let news = printer.past(&past);
    printer.print(&news)?;
    let exit = tell(session, &past.problems);
    // one that is followed may come yet
    if news.is_empty() && !filter.is_empty() && !args.follow {
        known(session, &filter).await?;
    }
    if args.follow && exit == Exit::Done {
        follow(&observer, &mut printer).await?;
    } else if news.is_empty() && exit == Exit::Done && !args.json {
        session.screen.tell(Word::Note, "no events since then");
    }
    Ok(exit.into())
}

/// Whether there is such a service: of one that there is not, nothing can have happened.
async fn known(session: &Session, filter: &Filter) -> Result<(), Ended> {
    let is_part = |c: char| c.is_alphanumeric() || "._-".contains(c);
    // one by its state may match again at any time
    if !filter.text().chars().all(is_part) {
        return Ok(());
    }
    let want = picture::Want::default();
    let picture::Picture { view, source, .. } = picture::take(session, &want).await?;
    if !source.complete || view.services.iter().any(|service| filter.matches(service)) {
        return Ok(());
    }
    let typed = filter.text();
    let near = nearest(typed, view.services.iter().map(|service| &*service.id));
    let hint = match near {
        Some(name) => format!("did you mean: {name}"),
        None => "tcsctl --all lists them".to_owned(),
    };
    Err(Ended::new(Exit::No, format!("no service matches `{typed}`\nhint: {hint}")))
}

/// Puts the heartbeats in their place among the other messages; from when on they are known, and
/// so what was late or lost. Read in part, they would look like silence.
fn take_heartbeats(
    session: &Session,
    (since, now): (DateTime<Utc>, DateTime<Utc>),
    past: &mut Past,
    beats: Past,
) -> Option<DateTime<Utc>> {
    let mut from = since;
    for problem in &beats.problems {
        match problem {
            Problem::HistoryBegins { at, .. } => from = from.max(*at),
            problem => return not_heard(session, &problem.to_string()),
        }
    }
    if from > since {
        let from = session.screen.look.times.stamp(from, now);
        let text = format!(
            "heartbeats are stored from {from} on; late and lost before that are not known"
        );
        session.screen.tell(Word::Note, &text);
    }
    past.observations.extend(beats.observations);
    past.observations.sort_by_key(|observation| match observation {
        Observation::Message(message) => Some(message.stamp.stored),
        _ => None,
    });
    Some(from)
}

fn not_heard(session: &Session, why: &str) -> Option<DateTime<Utc>> {
    let text = format!("late and lost are not shown, because heartbeats are not known: {why}");
    session.screen.tell(Word::Warning, &text);
    None
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

/// Goes on for ever. The link may be lost meanwhile, or silent: that is said, and nothing else is.
async fn follow(observer: &Observer, printer: &mut Printer<'_>) -> Result<(), Ended> {
    let mut following = observer.follow(&Kind::FLEET);
    // of the picture only what it knows of the link and the clock
    let mut facts = observer.blank();
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            batch = following.next() => {
                let Some(batch) = batch else { return Ok(()) };
                let news = printer.batch(&mut facts, batch);
                printer.print(&news)?;
            }
            _ = looks.tick() => {
                let now = clock::monotonic();
                if let Some((text, _)) = printer.silence.look(&facts.hearing, &facts.clock, now) {
                    printer.session.screen.tell(Word::Warning, &text);
                }
                let link = facts.fleet_link(now);
                // a fleet whose streams are not read yet is not silent
                if facts.is_settled() {
                    let news = printer.advance(facts.clock.at(now), link);
                    printer.print(&news)?;
                }
            }
        }
    }
}

/// Prints each thing that happened once.
struct Printer<'a> {
    session: &'a Session,
    args: &'a EventsArgs,
    /// The day of it is not written out.
    clock: BrokerClock,
    filter: Filter,
    fleet: Fleet,
    transitions: Transitions,
    /// The newest of each subject: what follows repeats it.
    newest: HashMap<String, Stamp>,
    connected: bool,
    silence: Silence,
    /// Cells for the name.
    names: usize,
}

impl<'a> Printer<'a> {
    fn new(
        session: &'a Session,
        args: &'a EventsArgs,
        filter: Filter,
        (clock, heard_from): (BrokerClock, Option<DateTime<Utc>>),
    ) -> Self {
        Self {
            session,
            args,
            clock,
            filter,
            fleet: Fleet::new(),
            transitions: Transitions::heard_from(heard_from),
            newest: HashMap::new(),
            connected: true,
            silence: Silence::new(clock::monotonic()),
            names: 0,
        }
    }

    /// What has happened, in the order in which it did, up to the newest message.
    fn past(&mut self, past: &Past) -> Vec<Transition> {
        let mut news = Vec::new();
        let messages = past.observations.iter().filter_map(|observation| match observation {
            Observation::Message(message) => Some((&message.decoded, message.stamp)),
            _ => None,
        });
        self.transitions.look_ahead(&mut self.fleet, messages);
        for observation in &past.observations {
            if let Observation::Message(message) = observation {
                news.extend(self.message(message, Link::Steady));
            }
        }
        if let Some(newest) = self.fleet.newest() {
            news.extend(self.advance(newest, Link::Steady));
        }
        news.sort_by_key(|transition| transition.at);
        news
    }

    /// What is news in what came. That the link is lost, or back, is said at once.
    fn batch(&mut self, facts: &mut Picture, batch: Vec<Observation>) -> Vec<Transition> {
        let mut news = Vec::new();
        for observation in batch {
            match observation {
                Observation::Message(message) => {
                    facts.hearing.note(&message, facts.clock.now());
                    let link = facts.fleet_link(clock::monotonic());
                    news.extend(self.message(&message, link));
                }
                Observation::Malformed { .. } => {}
                observation => {
                    if let Observation::Link(state) = &observation {
                        self.link(state.is_connected());
                    }
                    facts.apply(observation);
                }
            }
        }
        news
    }

    fn link(&mut self, now: bool) {
        if now != self.connected {
            let text = if now { "connected again" } else { "disconnected; reconnecting" };
            self.session.screen.tell(Word::Warning, text);
            self.connected = now;
            self.silence.link(now, clock::monotonic());
        }
    }

    fn message(&mut self, message: &Observed, link: Link) -> Vec<Transition> {
        let known = self.newest.get(&message.subject);
        if known.is_some_and(|known| !message.stamp.is_newer(known)) {
            return Vec::new();
        }
        self.newest.insert(message.subject.clone(), message.stamp);
        let Observed { subject, decoded, stamp, .. } = message;
        let told = self.transitions.take(&mut self.fleet, subject, decoded, *stamp, link);
        self.wanted(told)
    }

    fn advance(&mut self, now: DateTime<Utc>, link: Link) -> Vec<Transition> {
        let told = self.transitions.advance(&self.fleet, now, link);
        self.wanted(told)
    }

    fn wanted(&self, mut told: Vec<Transition>) -> Vec<Transition> {
        told.retain(|transition| self.is_asked_for(transition) && self.matches(transition));
        told
    }

    /// Whether the filter lets its service through, as it was then.
    fn matches(&self, transition: &Transition) -> bool {
        self.filter.is_empty()
            || self
                .fleet
                .view_of(&transition.id, transition.at, Link::Steady)
                .is_some_and(|service| self.filter.matches(&service))
    }

    fn is_asked_for(&self, transition: &Transition) -> bool {
        let args = self.args;
        let problem = !args.problems || transition.severity().is_fault();
        problem && (args.all || args.json || !transition.is_routine())
    }

    fn print(&mut self, news: &[Transition]) -> Result<(), Ended> {
        let screen = &self.session.screen;
        if self.args.json {
            for transition in news {
                screen.print_json(&output::Object::new(transition), false)?;
            }
            return Ok(());
        }
        let groups = grouped(news);
        if self.names == 0 {
            self.names = output::name_width(&groups, &screen.look);
        }
        let now = self.clock.now();
        let lines: Vec<_> =
            groups.iter().map(|group| output::line(group, self.names, now, &screen.look)).collect();
        Ok(screen.print(&lines)?)
    }
}
