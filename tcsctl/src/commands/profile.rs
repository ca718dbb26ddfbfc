//! `tcsctl profile`: launchers are asked to run another set of services.

use std::collections::BTreeMap;
use std::process::ExitCode;

use tcs_core::wire::control::{
    Partly, ProfileRequest, ProfilesReply, ReloadReply, StopRequest, command, read_reply,
};
use tcs_present::{Line, Role, text};

use super::list::parse;
use super::operate::{PATIENCE, agreed_to};
use super::reload::matching;
use super::remote::{Question, Remote, parameters};
use super::session::{Ended, Session};
use crate::cli::ProfileArgs;
use crate::exit::Exit;
use crate::maintenance::waves;
use crate::output::Word;
use crate::output::reply::{self, Reply};
use crate::profile::stops_first;

/// What a launcher has.
struct Known {
    launcher: String,
    profiles: ProfilesReply,
}

pub(super) async fn run(session: &Session, args: &ProfileArgs) -> Result<ExitCode, Ended> {
    let remote = Remote::new(session).await?;
    let launchers = matching(&remote, &parse(args.launcher.as_deref())?);
    if launchers.is_empty() {
        return Err(remote.nothing(args.launcher.as_deref().unwrap_or("launcher")));
    }
    if args.name.is_none() && !args.clear {
        return list(&remote, launchers, args.json).await;
    }
    let known = ask_known(&remote, launchers).await?;
    let chosen = chosen(session, args, &known)?;
    let plans = plans(&remote, args, &chosen).await?;
    if !args.yes && !agree(&remote, args, &plans).await? {
        return Ok(Exit::No.into());
    }
    stop_first(&remote, args, &plans).await?;
    let questions =
        questions(chosen.iter().map(|it| it.launcher.clone()), &request(args, false), true);
    remote.ask_all(questions, remote.limit(PATIENCE), args.json).await
}

fn request(args: &ProfileArgs, dry_run: bool) -> ProfileRequest {
    ProfileRequest { name: args.name.clone(), clear: args.clear, dry_run }
}

fn questions(
    launchers: impl IntoIterator<Item = String>,
    request: &ProfileRequest,
    acts: bool,
) -> Vec<Question> {
    let question = |id: String| Question {
        whom: Ok(id.clone()),
        id,
        command: command::PROFILE,
        call: command::PROFILE.to_owned(),
        data: parameters(request),
        acts,
    };
    launchers.into_iter().map(question).collect()
}

/// Which profiles each launcher has, and which one is in force.
async fn list(remote: &Remote<'_>, launchers: Vec<String>, json: bool) -> Result<ExitCode, Ended> {
    if json {
        let questions = questions(launchers, &ProfileRequest::default(), false);
        return remote.ask_all(questions, remote.limit(PATIENCE), true).await;
    }
    let known = ask_known(remote, launchers).await?;
    let names = reply::name_width(known.iter().map(|it| it.launcher.as_str()));
    let line = |Known { launcher, profiles }: &Known| {
        let mut line = Line::new().with(Role::Text, launcher);
        line.pad_to(names).push(Role::Text, "  ");
        match &profiles.current {
            Some(current) => line.push(Role::Strong, current),
            None => line.push(Role::Dim, "no profile chosen"),
        };
        let all = profiles.profiles.iter();
        let all = all.map(|(name, ids)| format!("{name} ({})", text::count(ids.len(), "service")));
        match all.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => line.push(Role::Dim, "; its file has none"),
            all => line.push(Role::Dim, &format!("; its file has {all}")),
        };
        line
    };
    remote.session.screen.print(&known.iter().map(line).collect::<Vec<_>>())?;
    Ok(Exit::Done.into())
}

async fn ask_known(remote: &Remote<'_>, launchers: Vec<String>) -> Result<Vec<Known>, Ended> {
    let replies = remote
        .ask_silently(questions(launchers, &ProfileRequest::default(), false), PATIENCE)
        .await;
    let mut known = Vec::new();
    for Reply { id, outcome, .. } in replies {
        match outcome {
            Ok(data) => {
                let Partly { value: profiles, .. } = read_reply(&data);
                known.push(Known { launcher: id, profiles });
            }
            Err(failure) => {
                let message = format!("{id} does not report its profiles: {failure}");
                remote.session.screen.tell(Word::Warning, &message);
            }
        }
    }
    if known.is_empty() {
        return Err(Ended::new(Exit::NoContact, "no launcher reports its profiles"));
    }
    Ok(known)
}

/// The launchers that are asked: those that have the profile, or all that are in one.
fn chosen(session: &Session, args: &ProfileArgs, known: &[Known]) -> Result<Vec<Known>, Ended> {
    let is_asked = |it: &&Known| match &args.name {
        Some(name) => it.profiles.profiles.contains_key(name),
        None => it.profiles.current.is_some(),
    };
    let (asked, others): (Vec<&Known>, Vec<&Known>) = known.iter().partition(is_asked);
    if asked.is_empty() {
        let Some(name) = &args.name else {
            return Err(Ended::new(Exit::No, "no profile has been chosen anywhere"));
        };
        let mut all: Vec<&str> =
            known.iter().flat_map(|it| it.profiles.profiles.keys()).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        let near = tcs_core::config::nearest(name, all.iter().copied());
        let near = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let name = text::shown(name);
        return Err(Ended::new(
            Exit::No,
            format!("no launcher has a profile `{name}`{near}; there are: {all}"),
        ));
    }
    if let Some(name) = &args.name {
        for Known { launcher, .. } in others {
            let message = format!("{launcher} has no profile `{name}`, and stays as it is");
            session.screen.tell(Word::Note, &message);
        }
    }
    let asked = asked.into_iter();
    Ok(asked
        .map(|it| Known { launcher: it.launcher.clone(), profiles: it.profiles.clone() })
        .collect())
}

/// What would change on each. One that cannot move keeps all from moving.
async fn plans(
    remote: &Remote<'_>,
    args: &ProfileArgs,
    chosen: &[Known],
) -> Result<Vec<Reply>, Ended> {
    let launchers = chosen.iter().map(|it| it.launcher.clone());
    let questions = questions(launchers, &request(args, true), false);
    let replies = remote.ask_silently(questions, PATIENCE).await;
    if let Some(failed) = replies.iter().find(|it| it.outcome.is_err()) {
        let screen = &remote.session.screen;
        screen.show(&reply::lines(failed, 0, screen.err_look().width));
        let message = format!("{} cannot move there; nothing was done", failed.id);
        return Err(Ended::new(Exit::No, message));
    }
    Ok(replies)
}

/// Shows what would change, and asks; whether somebody agrees.
async fn agree(remote: &Remote<'_>, args: &ProfileArgs, plans: &[Reply]) -> Result<bool, Ended> {
    let session = remote.session;
    let screen = &session.screen;
    let names = reply::name_width(plans.iter().map(|it| it.id.as_str()));
    let look = screen.err_look();
    for plan in plans {
        screen.show(&reply::lines(plan, names, look.width));
    }
    if !screen.can_ask() {
        let message =
            "confirm it in a terminal; nothing was done\nhint: --yes skips the confirmation";
        return Err(Ended::new(Exit::Usage, message));
    }
    let to = args.name.as_deref().map_or_else(
        || "leave the profile".to_owned(),
        |name| format!("move to profile `{}`", text::shown(name)),
    );
    let services = known(plans).iter().map(|(_, plan)| plan.services.len()).sum();
    let services = text::count(services, "service");
    let launchers = text::count(plans.len(), "launcher");
    agreed_to(session, format!("{to}: change {services} on {launchers}?")).await
}

fn known(plans: &[Reply]) -> Vec<(&str, ReloadReply)> {
    let known = |it: &Reply| it.outcome.as_ref().ok().map(|data| read_reply(data).value);
    plans.iter().filter_map(|it| Some((it.id.as_str(), known(it)?))).collect()
}

/// Stops what leaves, on all launchers, before any of them starts something
/// (`docs/spec/supervision.md#profiles`).
async fn stop_first(remote: &Remote<'_>, args: &ProfileArgs, plans: &[Reply]) -> Result<(), Ended> {
    let known = known(plans);
    let borrowed: Vec<_> = known.iter().map(|(launcher, plan)| (*launcher, plan)).collect();
    let launchers: BTreeMap<&str, &str> =
        stops_first(&borrowed).into_iter().map(|(launcher, service)| (service, launcher)).collect();
    let ids: Vec<String> = launchers.keys().map(ToString::to_string).collect();
    let question = |id: String| Question {
        whom: Ok(launchers.get(id.as_str()).copied().unwrap_or_default().to_owned()),
        call: format!("{}.{id}", command::STOP),
        id,
        command: command::STOP,
        data: parameters(&StopRequest::default()),
        acts: true,
    };
    for wave in waves(&remote.view, &ids).into_iter().rev() {
        let questions = wave.into_iter().map(question).collect();
        let code = remote.ask_all(questions, remote.limit(PATIENCE), args.json).await?;
        if code != Exit::Done.into() {
            let message = "not all stopped; no launcher has moved\n\
                           hint: tcsctl profile again, when they are stopped";
            return Err(Ended::new(Exit::No, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_has_the_profile_and_nothing_else() {
        let asked = questions(
            ["launcher.a".to_owned()],
            &ProfileRequest { name: Some("night".to_owned()), ..ProfileRequest::default() },
            true,
        );
        assert_eq!(asked[0].data, json!({"name": "night"}));
        assert_eq!(asked[0].call, "profile");
    }
}
