//! `tcsctl alarms apply`: the rules in force become those of a file.

mod own;

use std::path::Path;
use std::process::ExitCode;

use tcs_alarms::{
    Address, AlarmState, Doubt, Record, RuleChange, RuleSet, RulesError, RulesRecord,
    unknown_channels,
};
use tcs_core::config::{Config, ConfigErrors, Entry, Environment};
use tcs_present::{Line, Role};

use super::{Book, operator};
use crate::cli::ApplyArgs;
use crate::commands::operate::agreed_to;
use crate::commands::session::{Ended, Session};
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn run(session: &Session, args: &ApplyArgs) -> Result<ExitCode, Ended> {
    let Some(file) = &args.file else { return own::run(session, args).await };
    let rules = of_file(file, args.variant.as_deref())?;
    let text = rules.to_text().map_err(|error| unusable(&error))?;
    let mut book = Book::open(session, None).await?;
    let held = book.alarms().rules();
    if held.is_some_and(|held| held.record.text == text && held.record.applied) {
        session.screen.tell(Word::Note, "these rules are already active");
        return Ok(untold(session, &book, &rules).into());
    }
    let expected = book.last_seq(&Address::Rules, held.map_or(0, |held| held.place.seq));
    // where none can be read, all of the file's are new
    let before = held.and_then(|held| RuleSet::of_text(&held.record.text).ok());
    let changes = before.unwrap_or_default().changes(&rules).map_err(|error| unusable(&error))?;
    let mut shown: Vec<Line> = changes.iter().flat_map(lines).collect();
    shown.extend(ending(&book, &rules));
    session.screen.show(&shown);
    if !args.yes && !agree(session).await? {
        return Ok(Exit::No.into());
    }
    let record = Record::Rules(RulesRecord { text: text.clone(), by: operator(), applied: true });
    book.write(&Address::Rules, &record, Some(expected)).await?;
    if book.alarms().rules().is_none_or(|held| held.record.text != text) {
        return Err(Ended::new(Exit::No, "other rules were stored in the meantime: try again"));
    }
    session.screen.tell(Word::Note, "the rules of the file are now active");
    Ok(untold(session, &book, &rules).into())
}

/// Warns of steps that nobody carries out: then the effect of the rules is not all that they say.
fn untold(session: &Session, book: &Book<'_>, rules: &RuleSet) -> Exit {
    let warn = |message: &str, hint: &str| {
        session.screen.tell(Word::Warning, message);
        session.screen.tell(Word::Hint, hint);
    };
    if let Some(Doubt { message, hint }) = rules.doubt() {
        warn(message, hint);
    }
    let unknown = unknown_channels(rules, &book.fleet, &[]);
    for channel in &unknown {
        warn(
            &format!("no running sentinel has the channel `{channel}`: its steps are skipped"),
            "add it to `channels` of a sentinel, then tcsctl reload",
        );
    }
    if unknown.is_empty() { Exit::Done } else { Exit::No }
}

async fn agree(session: &Session) -> Result<bool, Ended> {
    if !session.screen.can_ask() {
        let message =
            "confirm it in a terminal; nothing was done\nhint: --yes skips the confirmation";
        return Err(Ended::new(Exit::Usage, message));
    }
    agreed_to(session, "replace the active rules?".to_owned()).await
}

pub(super) fn unusable(error: &RulesError) -> Ended {
    usage(error.to_string())
}

fn wrong(errors: &ConfigErrors) -> Ended {
    usage(errors.to_string())
}

fn usage(message: String) -> Ended {
    Ended::new(Exit::Usage, message)
}

/// The rules of the file's sentinels, which must be the same.
pub(super) fn of_file(file: &Path, variant: Option<&str>) -> Result<RuleSet, Ended> {
    let environment = Environment::of_process(Path::new(".")).map_err(|errors| wrong(&errors))?;
    let config = Config::load(file, true, &environment).map_err(|errors| wrong(&errors))?;
    let wanted = |entry: &&Entry| {
        entry.service_type.as_str() == "sentinel"
            && variant.is_none_or(|variant| entry.variant.as_str() == variant)
    };
    let mut found: Option<(&Entry, RuleSet, String)> = None;
    for entry in config.services.iter().filter(wanted) {
        let rules = crate::sentinel::rules_of(entry).map_err(usage)?;
        let text = rules.to_text().map_err(|error| unusable(&error))?;
        match &found {
            Some((first, _, others)) if *others != text => {
                return Err(usage(format!(
                    "{} and {} have different rules\nhint: --variant {}",
                    first.id, entry.id, first.variant
                )));
            }
            Some(_) => {}
            None => found = Some((entry, rules, text)),
        }
    }
    found.map(|(_, rules, _)| rules).ok_or_else(|| {
        let variant = variant.map_or_else(String::new, |it| format!(" with `variant: {it}`"));
        usage(format!("{}: no entry `type: sentinel`{variant}", file.display()))
    })
}

/// What was, and what is to be.
fn lines(change: &RuleChange) -> Vec<Line> {
    let line = |sign: &str, role: Role, value: &String| {
        Line::new().with(role, &format!("{sign} {}: {value}", change.key))
    };
    let before = change.before.iter().map(|value| line("-", Role::Bad, value));
    let after = change.after.iter().map(|value| line("+", Role::Good, value));
    before.chain(after).collect()
}

/// Open alarms that have no rule afterwards: they are cleared.
fn ending(book: &Book<'_>, rules: &RuleSet) -> Vec<Line> {
    let views = book.views();
    let ending = views
        .iter()
        .filter(|view| view.state != AlarmState::Normal && rules.terms(view.id.rule()).is_none());
    let line = |id| Line::new().with(Role::Warn, &format!("{id} will be cleared: it has no rule"));
    ending.map(|view| line(&view.id)).collect()
}
