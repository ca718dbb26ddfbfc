//! `tcsctl alarms replay`: what rules would have raised over a past that is stored.

use std::process::ExitCode;

use tcs_alarms::{Replay, RuleSet};
use tcs_core::bus::Bus;
use tcs_present::alarms::{ReplayDocument, replayed};

use super::apply::{of_file, unusable};
use crate::alarm_stream::{AlarmStream, Unread};
use crate::cli::AlarmsReplayArgs;
use crate::commands::period::{ends, read_into};
use crate::commands::picture::observe;
use crate::commands::session::{Ended, Session};
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &AlarmsReplayArgs) -> Result<ExitCode, Ended> {
    let of_file = args.rules.as_deref().map(|file| of_file(file, args.variant.as_deref()));
    let of_file = of_file.transpose()?;
    let observer = observe(session).await?;
    let rules = match of_file {
        Some(rules) => rules,
        None => in_force(session, observer.bus()).await?,
    };
    let period = ends(session, &observer, args.since, args.until).await?;
    let sentinel = Replay::sentinel(rules, period.0).map_err(|error| unusable(&error))?;
    let begin = |fleet, heard_from| Replay::new(sentinel, fleet, period, heard_from);
    let (replay, _, is_whole) = read_into(session, &observer, period, begin).await?;
    let found = replay.finish();
    let screen = &session.screen;
    if args.json {
        let server = observer.bus().settings().shown_servers();
        screen.print_json(&ReplayDocument::new(&found, &server), true)?;
    } else {
        screen.print(&replayed(&found, &screen.look))?;
    }
    Ok(if is_whole { Exit::Done } else { Exit::NoContact }.into())
}

/// The rules that sentinels evaluate at present; the defaults where none are stored.
async fn in_force(session: &Session, bus: &Bus) -> Result<RuleSet, Ended> {
    let mut stream = AlarmStream::new(bus, None);
    let limit = tokio::time::Instant::now() + session.left();
    match stream.read_all(limit, |_, _, _| {}).await {
        Ok(()) | Err(Unread::NoStream) => {}
        Err(why) => return Err(Ended::new(Exit::NoContact, why.to_string())),
    }
    let stored = stream.alarms.rules().filter(|held| !held.record.text.is_empty());
    let Some(held) = stored else {
        let text = "no rules are stored: these are the default rules, which notify nobody";
        session.screen.tell(Word::Note, text);
        return Ok(RuleSet::defaults());
    };
    RuleSet::of_text(&held.record.text).map_err(|error| unusable(&error))
}
