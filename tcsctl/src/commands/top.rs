//! `tcsctl top`: what services and hosts use, as their launchers tell.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tcs_core::clock;
use tcs_core::fleet::{Filter, ServiceView, Verdict};
use tcs_core::wire::control::{ResourcesReply, ResourcesRequest, command, read_reply};
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
    let filter = parse(args.service.as_deref())?;
    let remote = Remote::new(session).await?;
    let launchers: Vec<&ServiceView> =
        remote.view.services.iter().filter(|it| is_asked(it)).collect();
    if launchers.is_empty() {
        return Err(remote.nothing("launcher"));
    }
    let mut told = Vec::new();
    loop {
        let mut round = tokio::select! {
            round = ask(&remote, &launchers) => round,
            () = interrupted() => return Err(Ended::new(Exit::NoContact, "interrupted".to_owned())),
        };
        keep(&mut round, &remote, &filter);
        print(&round, args, &session.screen)?;
        // each problem once, however long it is followed
        for (launcher, error) in &round.problems {
            if !told.contains(launcher) {
                session.screen.tell(Word::Warning, &format!("{launcher}: {error}"));
                told.push(launcher.clone());
            }
        }
        if !args.follow {
            return Ok(exit(&round, &filter).into());
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = interrupted() => return Ok(exit(&round, &filter).into()),
        }
        if Screen::is_unread() {
            return Ok(Exit::Done.into());
        }
    }
}

fn is_asked(service: &ServiceView) -> bool {
    service.is_launcher && service.phase.is_up() && service.verdict != Verdict::Lost
}

async fn ask(remote: &Remote<'_>, launchers: &[&ServiceView]) -> Round {
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
                Ok(data) => read_reply::<ResourcesReply>(&data)
                    .map(|reply| Answer { launcher: id.clone(), host, reply })
                    .map_err(|error| (id, error)),
                Err(failure) => Err((id, failure.to_string())),
            }
        }
    };
    let asked = stream::iter(launchers.iter().map(|launcher| ask(launcher)));
    let mut round = Round { answers: Vec::new(), problems: Vec::new() };
    for answer in asked.buffered(AT_ONCE).collect::<Vec<_>>().await {
        match answer {
            Ok(answer) => round.answers.push(answer),
            Err(problem) => round.problems.push(problem),
        }
    }
    round
}

/// The services that match, and the launchers that have one.
fn keep(round: &mut Round, remote: &Remote<'_>, filter: &Filter) {
    if filter.is_empty() {
        return;
    }
    for answer in &mut round.answers {
        let matches = |id: &str| remote.view.get(id).is_some_and(|it| filter.matches(it));
        answer.reply.services.retain(|it| matches(&it.service_id));
    }
    round.answers.retain(|answer| !answer.reply.services.is_empty());
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

fn exit(round: &Round, filter: &Filter) -> Exit {
    match (round.answers.is_empty(), round.problems.is_empty()) {
        (true, false) => Exit::NoContact,
        (true, true) if !filter.is_empty() => Exit::No,
        _ => Exit::Done,
    }
}
