//! `tcsctl top`: what services and hosts use, as their launchers tell.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tcs_core::clock;
use tcs_core::fleet::{Filter, FleetView, ServiceView, Verdict};
use tcs_core::observer::{Following, Observer, Picture};
use tcs_core::wire::Kind;
use tcs_core::wire::control::{ResourcesRequest, command};
use tcs_present::top::{self, Answer, Document};

use super::list::parse;
use super::operate::PATIENCE;
use super::remote::{Question, Remote, parameters};
use super::session::{Ended, Session, interrupted};
use crate::cli::TopArgs;
use crate::exit::Exit;
use crate::output::{Screen, Word};

/// Launchers asked at once.
const AT_ONCE: usize = 16;
/// Between two rounds of `-f`; a launcher reads no more often.
const EVERY: Duration = Duration::from_secs(2);

/// One round of answers.
struct Round {
    answers: Vec<Answer>,
    /// Launchers that gave none, and why.
    problems: Vec<(String, String)>,
}

pub(super) async fn run(session: &Session, args: &TopArgs) -> Result<ExitCode, Ended> {
    let filter = parse(&args.services)?;
    let mut remote = Remote::new(session).await?;
    let mut live = args.follow.then(|| Live::new(session, &remote));
    let mut told = Vec::new();
    loop {
        let mut round = tokio::select! {
            round = ask(&remote) => round,
            () = interrupted() => return Err(Ended::new(Exit::NoContact, "interrupted".to_owned())),
        };
        keep(&mut round, &remote, &filter);
        let nothing = nothing(&round, &remote, &filter);
        let exit = match nothing {
            Some(Ended::Failed { exit, .. }) => exit,
            Some(Ended::PipeClosed) | None => Exit::Done,
        };
        if nothing.is_none() || args.json {
            print(&round, args, &session.screen)?;
        }
        let mut says = says(&round);
        match (nothing, &mut live) {
            (Some(nothing), None) if !args.json => {
                tell(&mut told, says, session);
                return Err(nothing);
            }
            (Some(Ended::Failed { message, .. }), _) => says.push((message.clone(), message)),
            (Some(Ended::PipeClosed) | None, _) => {}
        }
        tell(&mut told, says, session);
        let Some(live) = &mut live else { return Ok(exit.into()) };
        tokio::select! {
            view = live.later() => remote.view = view.unwrap_or(remote.view),
            () = interrupted() => return Ok(exit.into()),
        }
        if Screen::is_unread() {
            return Ok(Exit::Done.into());
        }
    }
}

/// The fleet as it goes on, for `-f`.
struct Live {
    picture: Picture,
    following: Following,
}

impl Live {
    fn new(session: &Session, remote: &Remote<'_>) -> Self {
        let observer = Observer::new(remote.bus.clone()).with_core(session.connection.core);
        Self { picture: observer.blank(), following: observer.follow(&Kind::FLEET) }
    }

    /// Waits until it is time for another round. `None`: not all has been read yet.
    async fn later(&mut self) -> Option<FleetView> {
        let until = clock::monotonic() + EVERY;
        while let Ok(Some(batch)) =
            tokio::time::timeout_at(until.into(), self.following.next()).await
        {
            self.picture.extend(batch);
        }
        tokio::time::sleep_until(until.into()).await;
        self.picture.is_settled().then(|| self.picture.view(clock::monotonic()))
    }
}

/// Says each thing once, however long it is followed; with what it is known again by.
fn tell(told: &mut Vec<String>, says: Vec<(String, String)>, session: &Session) {
    for (key, message) in says {
        if !told.contains(&key) {
            session.screen.tell(Word::Warning, &message);
            told.push(key);
        }
    }
}

/// What is to be said of the answers: who gave none, and what in them cannot be read.
fn says(round: &Round) -> Vec<(String, String)> {
    let silent = round.problems.iter();
    let silent = silent.map(|(launcher, error)| (launcher.clone(), format!("{launcher}: {error}")));
    let unread = round.answers.iter().filter_map(|answer| {
        let text = format!("{}: not readable: {}", answer.launcher, answer.unread()?);
        Some((text.clone(), text))
    });
    silent.chain(unread).collect()
}

/// Why nothing is shown: there is no launcher, nothing is so named, or what is does not run.
fn nothing(round: &Round, remote: &Remote<'_>, filter: &Filter) -> Option<Ended> {
    if !round.answers.is_empty() {
        return None;
    }
    if filter.is_empty() {
        return Some(if round.problems.is_empty() {
            remote.nobody("no launcher is running")
        } else {
            Ended::new(Exit::NoContact, "no launcher has answered")
        });
    }
    let matching: Vec<&ServiceView> =
        remote.view.services.iter().filter(|it| filter.matches(it)).collect();
    let silent = round.problems.iter().map(|(launcher, _)| &**launcher).collect::<Vec<_>>();
    let is_silent = |service: &&&ServiceView| {
        service.phase.is_up() && service.parent.as_deref().is_some_and(|it| silent.contains(&it))
    };
    let why = |service: &ServiceView| {
        if service.phase.is_up() {
            "no launcher reports it".to_owned()
        } else {
            format!("it is {}", service.verdict)
        }
    };
    Some(match &matching[..] {
        [] => remote.nothing(filter.text()),
        _ if matching.iter().any(|service| is_silent(&service)) => {
            Ended::new(Exit::NoContact, format!("no launcher has answered for `{}`", filter.text()))
        }
        [one] => Ended::new(Exit::No, format!("no figures of {}: {}", one.id, why(one))),
        [first, ..] => {
            let (id, why) = (&first.id, why(first));
            let many = matching.len();
            let text = format!("no figures of the {many} services that match ({id}: {why}, ...)");
            Ended::new(Exit::No, text)
        }
    })
}

fn is_asked(service: &ServiceView) -> bool {
    service.is_launcher && service.phase.is_up() && service.verdict != Verdict::Lost
}

async fn ask(remote: &Remote<'_>) -> Round {
    let launchers = remote.view.services.iter().filter(|it| is_asked(it));
    let limit = remote.session.left().min(PATIENCE);
    let ask = |launcher: &ServiceView| {
        let id = launcher.id.to_string();
        let host = launcher.short_host().unwrap_or(&id).to_owned();
        async move {
            let question = Question {
                whom: Ok(id.clone()),
                id: id.clone(),
                command: command::RESOURCES,
                call: command::RESOURCES.to_owned(),
                data: parameters(&ResourcesRequest::default()),
                acts: false,
            };
            let reply = remote.ask(question, limit).await;
            match reply.outcome {
                Ok(data) => Ok(Answer::new(id, host, &data)),
                Err(failure) => Err((id, failure.to_string())),
            }
        }
    };
    let asked = stream::iter(launchers.map(ask));
    let mut round = Round { answers: Vec::new(), problems: Vec::new() };
    for answer in asked.buffered(AT_ONCE).collect::<Vec<_>>().await {
        match answer {
            Ok(mut answer) => {
                answer.keep_own(&remote.view);
                round.answers.push(answer);
            }
            Err(problem) => round.problems.push(problem),
        }
    }
    round
}

/// The services that match, and the launchers that have one that runs.
fn keep(round: &mut Round, remote: &Remote<'_>, filter: &Filter) {
    if filter.is_empty() {
        return;
    }
    let matches = |id: &str| remote.view.get(id).is_some_and(|it| filter.matches(it));
    round.answers.retain_mut(|answer| answer.keep(matches) && !answer.reply.services.is_empty());
}

fn print(round: &Round, args: &TopArgs, screen: &Screen) -> Result<(), Ended> {
    let now = clock::wall();
    if args.json {
        let document = Document::new(&round.answers, &round.problems, args.sort.into(), now);
        screen.print_json(&document, !args.follow)?;
        return Ok(());
    }
    let mut lines = top::lines(&round.answers, args.sort.into(), now, &screen.look);
    if args.follow {
        lines.push(tcs_present::Line::new());
    }
    screen.print(&lines)?;
    Ok(())
}
