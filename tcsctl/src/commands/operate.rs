//! What `start`, `stop` and `restart` share: which services are meant, which launcher is asked for
//! each, and the question before more than was named is touched.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::fleet::ServiceView;

use super::list::parse;
use super::remote::{Question, Remote};
use super::session::{Ended, Session};
use crate::cli::{OperateArgs, PatienceArgs};
use crate::exit::Exit;
use crate::output::reply::Failure;
use crate::selection::launcher;

/// How long it may take when nobody says: a stop may need its grace.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// How long a service that is to be left to finish may take, when nobody says: the longest that a
/// launcher lets itself be asked for.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Asks the launchers of all services that are meant.
pub(super) async fn operate(
    session: &Session,
    args: &OperateArgs,
    command: &'static str,
    patience: Option<&PatienceArgs>,
) -> Result<ExitCode, Ended> {
    let (data, own) = asked(patience);
    let limit = session.connection.timeout.unwrap_or(own);
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
            return Err(remote.nothing(typed));
        }
        for id in found {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    if unnamed > 0 && !args.yes {
        agree(session, command, &ids)?;
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
    remote.ask_all(questions, limit, args.json).await
}

/// Parameters, and how long that may take.
fn asked(patience: Option<&PatienceArgs>) -> (Value, Duration) {
    match patience {
        Some(PatienceArgs { when_idle: true, max_wait: None }) => {
            (json!({ "when_idle": true }), LONGEST)
        }
        Some(PatienceArgs { when_idle: true, max_wait: Some(wait) }) => {
            let data = json!({ "when_idle": true, "max_wait_s": wait.as_secs_f64() });
            (data, *wait + PATIENCE)
        }
        Some(PatienceArgs { when_idle: false, .. }) | None => (json!({}), PATIENCE),
    }
}

/// Those of a filter that a launcher has in hand.
fn matching(remote: &Remote<'_>, typed: &str) -> Result<Vec<String>, Ended> {
    let filter = parse(Some(typed))?;
    if filter.is_empty() {
        return Err(Ended::new(Exit::Usage, "an empty name means no service"));
    }
    let matches =
        |service: &&ServiceView| service.managed && !service.is_launcher && filter.matches(service);
    Ok(remote.view.services.iter().filter(matches).map(|s| s.id.to_string()).collect())
}

fn unheard(id: &str) -> Failure {
    Failure::NotReachable(format!("nothing is known of {id}"))
}

/// Who has a service in hand.
pub(super) fn whom(remote: &Remote<'_>, service: &ServiceView) -> Result<String, Failure> {
    if service.is_launcher {
        return Err(Failure::Refused("it is a launcher, which no launcher operates".to_owned()));
    }
    launcher(&remote.view, service)
        .map(str::to_owned)
        .ok_or_else(|| Failure::Refused("it has no launcher that could be asked".to_owned()))
}

/// More than was named is touched: only when somebody agrees.
pub(super) fn agree(session: &Session, command: &str, ids: &[String]) -> Result<(), Ended> {
    let names = ids.join(", ");
    if !session.screen.can_ask() {
        let message = format!(
            "{command} would touch {}: {names}\nhint: --yes agrees to it, for scripts",
            ids.len()
        );
        return Err(Ended::new(Exit::Usage, message));
    }
    if session.screen.agrees(&format!("{command} {}: {names}?", ids.len())) {
        Ok(())
    } else {
        Err(Ended::new(Exit::No, "nothing was asked for"))
    }
}
