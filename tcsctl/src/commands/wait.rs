//! `tcsctl wait`: until a service is as wanted.

use std::process::ExitCode;
use std::time::Duration;

use tcs_core::clock;
use tcs_core::fleet::{FleetView, Phase, Verdict};
use tcs_core::wire::Kind;

use super::picture;
use super::session::{Ended, Session};
use crate::cli::{Goal, WaitArgs};
use crate::exit::Exit;
use crate::output::Word;

/// How long to wait when nobody says.
const PATIENCE: Duration = Duration::from_mins(1);
/// Verdicts change by time alone too: how often to look.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(session: &Session, args: &WaitArgs) -> Result<ExitCode, Ended> {
    let limit = session.connection.timeout.unwrap_or(PATIENCE);
    let deadline = clock::monotonic() + limit;
    let observer = picture::observe(session).await?;
    let mut picture = observer.blank();
    let mut following = observer.follow(&Kind::FLEET);
    let name = args.service.as_str();
    let mut learned = false;
    let mut looks = tokio::time::interval(LOOK);
    let reached = loop {
        tokio::select! {
            Some(batch) = following.next() => picture.extend(batch),
            _ = looks.tick() => {}
            () = tokio::time::sleep_until(deadline.into()) => break false,
        }
        // one that was read in part says nothing of who is not there
        if !picture.is_settled() {
            continue;
        }
        if !learned && picture.fleet.names().any(|known| **known == *name) {
            learned = true;
            let names = [name];
            let learning = observer.learn_intervals(&mut picture, &names);
            tokio::time::timeout_at(deadline.into(), learning).await.ok();
        }
        let source = picture::source(&observer, &picture);
        if !source.answered && picture.link.is_connected() {
            following.stop().await;
            source.warn(&session.screen);
            return Ok(Exit::NoContact.into());
        }
        if picture.link.is_connected() && is_so(&picture.view(clock::monotonic()), name, args.goal)
        {
            break true;
        }
    };
    following.stop().await;
    if reached {
        session.note(&format!("{name} is {}", args.goal));
        return Ok(Exit::Done.into());
    }
    let source = picture::source(&observer, &picture);
    source.warn(&session.screen);
    let view = picture.view(clock::monotonic());
    let is = view.get(name).map_or_else(
        || "not known".to_owned(),
        |service| format!("{}: {}", service.verdict, service.headline()),
    );
    let after =
        tcs_core::fleet::format_duration(chrono::TimeDelta::from_std(limit).unwrap_or_default());
    session
        .screen
        .tell(Word::Error, &format!("{name} is not {} after {after}; it is {is}", args.goal));
    Ok(if source.answered { Exit::No } else { Exit::NoContact }.into())
}

fn is_so(view: &FleetView, name: &str, goal: Goal) -> bool {
    let service = view.get(name);
    match goal {
        Goal::Verdict(verdict) => service.is_some_and(|service| service.verdict == verdict),
        Goal::Up => service.is_some_and(|service| {
            service.phase == Phase::Running && !matches!(service.verdict, Verdict::Lost)
        }),
        Goal::Gone => service.is_none_or(|service| match service.phase {
            Phase::Declared | Phase::Stopped | Phase::Completed | Phase::Failed => true,
            Phase::Waiting
            | Phase::Starting
            | Phase::Running
            | Phase::Stopping
            | Phase::Backoff => service.verdict == Verdict::Lost,
        }),
    }
}
