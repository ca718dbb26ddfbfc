//! What `start`, `stop` and `restart` share: which services are meant, which launcher is asked for
//! each, and the question before more than was named is touched.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tcs_core::fleet::{FleetView, ServiceView};
use tcs_core::wire::Status;
use tcs_core::wire::control::{MAX_WAIT_S, StopRequest};
use tcs_present::{selection::launcher, text::shown, touched};

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
) -> Result<ExitCode, Ended> {
    let (data, own) = asked(patience);
    let remote = Remote::new(session).await?;
    let mut ids: Vec<String> = Vec::new();
    let mut unnamed = 0;
    for typed in &args.services {
        let found = if remote.view.get(typed).is_some() {
            vec![typed.clone()]
        } else {
            let matching = matching(&remote, typed)?;
            if matching.len() > 1 {
                unnamed += matching.len();
            }
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
    if unnamed > 0 && !args.yes && !agree(&remote, command, &ids).await? {
        return Ok(Exit::No.into());
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

/// Parameters, and how long that may take.
fn asked(patience: Option<&PatienceArgs>) -> (Value, Duration) {
    match patience {
        Some(PatienceArgs { when_idle: true, max_wait }) => {
            let max_wait_s = max_wait.map(|wait| wait.as_secs_f64());
            let data = parameters(&StopRequest { when_idle: true, max_wait_s });
            (data, max_wait.map_or(LONGEST, |wait| wait + PATIENCE))
        }
        Some(PatienceArgs { when_idle: false, .. }) | None => {
            (parameters(&StopRequest::default()), PATIENCE)
        }
    }
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
    let services: Vec<&ServiceView> = ids.iter().filter_map(|id| remote.view.get(id)).collect();
    let busy = services.iter().filter(|one| one.own_status == Some(Status::Busy)).count();
    let busy = if busy > 0 { format!(", {busy} of them busy") } else { String::new() };
    confirm(remote.session, &remote.view, &services, format!("{command} all {many}{busy}?")).await
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
