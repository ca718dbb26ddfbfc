//! What `start`, `stop` and `restart` share: which services are meant, which launcher is asked for
//! each, and the question before more than was named is touched.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tcs_core::fleet::{FleetView, ServiceView};
use tcs_core::wire::Status;
use tcs_core::wire::control::{MAX_WAIT_S, StopRequest, command};
use tcs_present::touched::{self, Standing};
use tcs_present::{selection::launcher, text::shown};

use super::list::parse;
use super::remote::{Question, Remote, parameters};
use super::session::{Ended, Session, interrupted};
use crate::cli::{OperateArgs, PatienceArgs};
use crate::exit::Exit;
use crate::output::Word;
use crate::output::reply::Failure;

/// How long it may take when nobody says: a stop may need its grace.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// How long a service that is to be left to finish may take, when nobody says.
const LONGEST: Duration = Duration::from_secs(MAX_WAIT_S as u64);

/// Asks the launchers of all services that are meant.
pub(super) async fn operate(
    session: &Session,
    args: &OperateArgs,
    command: &'static str,
    patience: Option<&PatienceArgs>,
    comment: Option<&str>,
) -> Result<ExitCode, Ended> {
    let (data, own) = asked(patience, comment);
    let mut remote = Remote::new(session).await?;
    let (mut ids, asks) = meant(&remote, &args.services)?;
    if asks && !args.yes {
        loop {
            if !agree(&remote, command, &ids).await? {
                return Ok(Exit::No.into());
            }
            // meanwhile it may have become another question
            let before = standing(&remote, command, &ids);
            remote = Remote::new(session).await?;
            ids = meant(&remote, &args.services)?.0;
            let changes = touched::changes(&before, &standing(&remote, command, &ids));
            if changes.is_empty() {
                break;
            }
            for change in changes {
                session.screen.tell(Word::Warning, &format!("changed: {change}"));
            }
        }
    }
    let question = |id: String| Question {
        whom: remote.view.get(&id).ok_or_else(|| unheard(&id)).and_then(|s| whom(&remote, s)),
        call: format!("{command}.{id}"),
        id,
        command,
        data: data.clone(),
        acts: true,
    };
    let questions = ids.into_iter().map(question).collect();
    remote.ask_all(questions, remote.limit(own), args.json).await
}

/// The services that are meant, and whether more than was named is.
fn meant(remote: &Remote<'_>, typed: &[String]) -> Result<(Vec<String>, bool), Ended> {
    let mut ids: Vec<String> = Vec::new();
    let mut asks = false;
    for typed in typed {
        let found = if remote.view.get(typed).is_some() {
            vec![typed.clone()]
        } else {
            let matching = matching(remote, typed)?;
            asks |= matching.len() > 1;
            matching
        };
        if found.is_empty() {
            return Err(remote.nothing(typed).adding("nothing was done"));
        }
        for id in found {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok((ids, asks))
}

/// How they are, as far as it matters for who agrees.
fn standing(remote: &Remote<'_>, command: &str, ids: &[String]) -> Vec<Standing> {
    Standing::of(&remote.view, &services(remote, ids), is_end(command))
}

fn services<'a>(remote: &'a Remote<'_>, ids: &[String]) -> Vec<&'a ServiceView> {
    ids.iter().filter_map(|id| remote.view.get(id)).collect()
}

fn is_end(command: &str) -> bool {
    matches!(command, command::STOP | command::RESTART)
}

/// Parameters, and how long that may take.
pub(super) fn asked(patience: Option<&PatienceArgs>, comment: Option<&str>) -> (Value, Duration) {
    let patience = patience.filter(|patience| patience.when_idle);
    let max_wait = patience.and_then(|patience| patience.max_wait);
    let request = StopRequest {
        when_idle: patience.is_some(),
        max_wait_s: max_wait.map(|wait| wait.as_secs_f64()),
        comment: comment.map(str::to_owned),
    };
    let limit = match patience {
        Some(_) => max_wait.map_or(LONGEST, |wait| wait + PATIENCE),
        None => PATIENCE,
    };
    (parameters(&request), limit)
}

/// Those of a filter that a launcher has in hand.
fn matching(remote: &Remote<'_>, typed: &str) -> Result<Vec<String>, Ended> {
    let filter = parse(Some(typed))?;
    if filter.is_empty() {
        return Err(Ended::new(Exit::Usage, "the service name is empty"));
    }
    let matches =
        |service: &&ServiceView| service.managed && !service.is_launcher && filter.matches(service);
    Ok(remote.view.services.iter().filter(matches).map(|s| s.id.to_string()).collect())
}

fn unheard(id: &str) -> Failure {
    Failure::NotReachable(format!("{id} is not known"))
}

/// Who has a service in hand.
pub(super) fn whom(remote: &Remote<'_>, service: &ServiceView) -> Result<String, Failure> {
    if service.is_launcher {
        return Err(Failure::Refused(format!(
            "{} is a launcher; restart it on its host: systemctl restart tcsd",
            service.id
        )));
    }
    launcher(&remote.view, service)
        .map(str::to_owned)
        .ok_or_else(|| Failure::Refused(format!("{} has no launcher to ask", service.id)))
}

/// More than was named is touched: only when somebody agrees, who sees what it is.
pub(super) async fn agree(
    remote: &Remote<'_>,
    command: &str,
    ids: &[String],
) -> Result<bool, Ended> {
    let screen = remote.session.screen;
    let many = ids.len();
    if !screen.can_ask() {
        let message = format!(
            "{command} matches {many} services: confirm it in a terminal; nothing was done\n{}\n\
             hint: --yes skips the confirmation",
            names(ids)
        );
        return Err(Ended::new(Exit::Usage, message));
    }
    let services = services(remote, ids);
    let busy = services.iter().filter(|one| one.own_status == Some(Status::Busy)).count();
    let busy = if busy > 0 { format!(", {busy} of them busy") } else { String::new() };
    let look = screen.err_look();
    let lines = if is_end(command) {
        touched::lines_of_end(&remote.view, &services, &look)
    } else {
        touched::lines(&remote.view, &services, &look)
    };
    screen.show(&lines);
    agreed_to(remote.session, format!("{command} all {many}{busy}?")).await
}

/// Shows services as they are, and asks.
pub(super) async fn confirm(
    session: &Session,
    view: &FleetView,
    services: &[&ServiceView],
    question: String,
) -> Result<bool, Ended> {
    session.screen.show(&touched::lines(view, services, &session.screen.err_look()));
    agreed_to(session, question).await
}

/// Asks, and says so where nobody agrees.
pub(super) async fn agreed_to(session: &Session, question: String) -> Result<bool, Ended> {
    let screen = session.screen;
    let answer = tokio::task::spawn_blocking(move || screen.agrees(&question));
    let agreed = tokio::select! {
        agreed = answer => agreed.unwrap_or(false),
        () = interrupted() => {
            screen.leave();
            false
        }
    };
    if !agreed {
        screen.tell(Word::Note, "nothing was done");
    }
    Ok(agreed)
}

/// A line each, for a message.
pub(super) fn names<'a>(ids: impl IntoIterator<Item = &'a (impl AsRef<str> + 'a)>) -> String {
    let lines = ids.into_iter().map(|id| format!("  {}", shown(id.as_ref())));
    lines.collect::<Vec<_>>().join("\n")
}
