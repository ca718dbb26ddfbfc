//! `tcsctl reload`: launchers are asked to read their configuration again.

use std::process::ExitCode;

use tcs_core::fleet::{Filter, ServiceView, Verdict};
use tcs_core::wire::control::{ReloadRequest, command};

use super::list::parse;
use super::operate::{PATIENCE, agree};
use super::remote::{Question, Remote, parameters};
use super::session::{Ended, Session};
use crate::cli::ReloadArgs;
use crate::exit::Exit;

pub(super) async fn run(session: &Session, args: &ReloadArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let typed = args.launcher.as_deref().unwrap_or_default();
    let ids = launchers(&remote, typed)?;
    if ids.is_empty() {
        return Err(remote.nothing(if typed.is_empty() { "launcher" } else { typed }));
    }
    if ids.len() > 1 && !args.yes && !args.dry_run && !agree(&remote, command::RELOAD, &ids).await?
    {
        return Ok(Exit::No.into());
    }
    let question = |id: String| Question {
        whom: Ok(id.clone()),
        id,
        command: command::RELOAD,
        call: command::RELOAD.to_owned(),
        data: parameters(&ReloadRequest { dry_run: args.dry_run }),
        acts: !args.dry_run,
    };
    let limit = remote.limit(PATIENCE);
    remote.ask_all(ids.into_iter().map(question).collect(), limit, args.json).await
}

/// The launcher of this name, or all that live and match.
pub(super) fn launchers(remote: &Remote<'_>, typed: &str) -> Result<Vec<String>, Ended> {
    Ok(match remote.view.get(typed) {
        Some(named) => vec![named.id.to_string()],
        None => matching(remote, &parse(Some(typed))?),
    })
}

/// Launchers that live.
pub(super) fn matching(remote: &Remote<'_>, filter: &Filter) -> Vec<String> {
    let lives = |service: &&ServiceView| {
        service.is_launcher
            && service.phase.is_up()
            && service.verdict != Verdict::Lost
            && filter.matches(service)
    };
    remote.view.services.iter().filter(lives).map(|service| service.id.to_string()).collect()
}
