//! `tcsctl upgrade`: the new program of tcsd, which its host has already, takes over from the running
//! one, without stopping the services.

use std::process::ExitCode;
use std::time::Duration;

use tcs_core::bus::rpc::RequestError;
use tcs_core::clock;
use tcs_core::wire::control::{LauncherIdentity, UpgradeReply, command, read_reply};

use super::operate::agree;
use super::reload::launchers;
use super::remote::{Remote, parameters, span};
use super::session::{Ended, Session};
use crate::cli::UpgradeArgs;
use crate::exit::Exit;
use crate::output::Word;

/// For the check of the new program, and a quiet moment.
const PATIENCE: Duration = Duration::from_secs(90);
/// The new program answers within this.
const ANSWERS: Duration = Duration::from_secs(30);
/// Between two questions to it.
const PAUSE: Duration = Duration::from_millis(100);
/// For each of these.
const QUESTION: Duration = Duration::from_secs(2);

pub(super) async fn run(session: &Session, args: &UpgradeArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let typed = args.launcher.as_deref().unwrap_or_default();
    let ids = launchers(&remote, typed)?;
    if ids.is_empty() {
        return Err(remote.nothing(if typed.is_empty() { "launcher" } else { typed }));
    }
    if ids.len() > 1 && !args.yes && !agree(&remote, command::UPGRADE, &ids).await? {
        return Ok(Exit::No.into());
    }
    // one after the other: a program that does not work is not to reach them all
    let mut left = ids.len();
    for id in &ids {
        left -= 1;
        match upgrade(&remote, id).await {
            Ok(text) => session.screen.tell(Word::Note, &format!("{id}: {text}")),
            Err((exit, why)) => {
                let rest =
                    if left > 0 { format!("; {left} more were not tried") } else { String::new() };
                return Err(Ended::new(exit, format!("{id}: {why}{rest}")));
            }
        }
    }
    Ok(Exit::Done.into())
}

/// What happened, or why nothing did.
async fn upgrade(remote: &Remote<'_>, id: &str) -> Result<String, (Exit, String)> {
    let begin = clock::monotonic();
    let before = ask(remote, id).await.map_err(|error| (Exit::NoContact, error.to_string()))?;
    let Some(was) = before.version else {
        let why = "this tcsd cannot be replaced while it runs; restart it: systemctl restart tcsd";
        return Err((Exit::No, why.to_owned()));
    };
    let nothing = parameters(&serde_json::json!({}));
    let reply = remote.bus.request(id, command::UPGRADE, &nothing, PATIENCE).await;
    match reply.map(|data| read_reply::<UpgradeReply>(&data).value) {
        Ok(reply) if !reply.changed => {
            let (program, version) = (reply.program, reply.version);
            return Ok(format!("{program} (tcsd {version}) runs already"));
        }
        Err(RequestError::Refused(why)) => return Err((Exit::No, why)),
        Err(error @ RequestError::Denied(_)) => return Err((Exit::NoContact, error.to_string())),
        // the answer may be lost with the program that gives it
        Ok(_) | Err(_) => {}
    }
    let asked = clock::monotonic();
    let mut goes_on = false;
    while asked.elapsed() < ANSWERS {
        if let Ok(now) = ask(remote, id).await {
            if now.upgrades > before.upgrades {
                let (version, took) = (now.version.unwrap_or_default(), span(begin.elapsed()));
                return Ok(format!("tcsd {version} took over from {was} in {took}"));
            }
            if now.pid != before.pid {
                let why = "the new program failed, and its services ended with it; tcsd has been \
                           started again: see its log";
                return Err((Exit::No, why.to_owned()));
            }
            goes_on = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let after = span(asked.elapsed());
    if goes_on {
        let why = format!("tcsd {was} still runs after {after}, and its services: see its log");
        return Err((Exit::No, why));
    }
    Err((Exit::NoContact, format!("the new program does not answer after {after}")))
}

async fn ask(remote: &Remote<'_>, id: &str) -> Result<LauncherIdentity, RequestError> {
    let nothing = parameters(&serde_json::json!({}));
    let list = remote.bus.request(id, command::LIST, &nothing, QUESTION).await?;
    Ok(read_reply(&list).value)
}
