//! `tcsd check`: what would run and how, and every mistake, without running a service; and the
//! broker, where that is asked for.

mod broker;
mod imports;
mod sentinel;
mod serve;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use tcs_core::clock;
use tcs_core::config::{
    self, Entry, Environment, How, KnownType, Planned, Problem, STOP_TIMEOUT, waits,
};
use tcs_core::service::Registry;

use tcs_supervisor::Schedule;

use super::say;
use crate::reload_text::duration;
use crate::stdout::print;
use crate::{daemon, schedules};

pub(super) fn run(
    path: &Path,
    explicit: bool,
    import: bool,
    connect: bool,
) -> io::Result<ExitCode> {
    let registry = match Registry::of_this_program() {
        Ok(registry) => registry,
        Err(error) => {
            say(&error.to_string());
            return Ok(ExitCode::FAILURE);
        }
    };
    let types: Vec<KnownType<'_>> = daemon::known_types(&registry);
    let here = std::env::current_dir().unwrap_or_default();
    let (environment, dotenv) = Environment::new(std::env::vars_os()).with_dotenv(&here);
    if !dotenv.is_empty() {
        say(&dotenv.to_string());
    }
    let check = config::check(path, explicit, &environment, &types);
    let all: Vec<Entry> = check.plan.iter().map(|it| it.entry.clone()).collect();
    for planned in &check.plan {
        let entry = &planned.entry;
        let how = planned.how.to_string();
        let how = check.secrets.with_entry(entry).mask(&how).into_owned();
        let name = entry.service_type.as_str();
        let other = matches!(planned.how, How::Python { .. })
            && types.iter().any(|known| known.name == name);
        let other = match daemon::not_linked(entry, &planned.how) {
            _ if other => " (not the Rust service of that name)".to_owned(),
            Some(missing) => format!(" ({missing})"),
            None => String::new(),
        };
        let when = entry.restart.when.as_str();
        let enabled = if entry.launch.enabled { "" } else { ", not started automatically" };
        let line = format!("{}: {how}{other}; restart {when}{enabled}", entry.id);
        let line = format!("{line}; {}", timing(planned, &all));
        print(&match schedules::of_entry(entry) {
            Ok(Some(schedule)) => format!("{line}; {}", next_run(&schedule)),
            Ok(None) | Err(_) => line,
        })?;
    }
    let mut found: Vec<_> = check.plan.iter().flat_map(of_built_in).collect();
    found.extend(schedules::problems(&all));
    if import {
        found.extend(imports::problems(&check.plan, &environment));
    }
    let report = check.report.with(found);
    if !report.is_empty() {
        say(&report.to_string());
    }
    if check.plan.is_empty() && !report.has_errors() {
        say(&format!("{}: warning: no services: nothing would run", path.display()));
    }
    let is_whole = !report.has_errors() && !dotenv.has_errors();
    let is_reached = !connect || (is_whole && broker::look(path, explicit, &environment)?);
    Ok(if is_whole && is_reached { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong with the settings of a service that `tcsctl` runs.
fn of_built_in(planned: &Planned) -> Vec<Problem> {
    let settings = &planned.entry.settings;
    match planned.how {
        How::BuiltIn("sentinel") => sentinel::of_settings(settings),
        How::BuiltIn("report-service") => sentinel::of_report(settings),
        How::BuiltIn("serve-service") => serve::of_settings(settings),
        How::BuiltIn(_) | How::Rust(_) | How::Python { .. } | How::Program(_) => Vec::new(),
    }
}

/// `runs 30 7 * * * Europe/Warsaw, next 2026-11-27 06:30:00 UTC`
fn next_run(schedule: &Schedule) -> String {
    let next = schedule.next(clock::wall());
    let next = next.map_or_else(String::new, |it| format!(", next {}", it.format("%F %T UTC")));
    format!("runs {schedule}{next}")
}

/// What is waited for, and how long: `ready once started; start timeout 1 min, stop timeout 10 s;
/// waits for db.main (1 min at most)`.
fn timing(planned: &Planned, all: &[Entry]) -> String {
    let Planned { entry, how } = planned;
    let launch = &entry.launch;
    let readiness = how.readiness(launch.ready.as_ref());
    let start = duration(launch.start_timeout);
    let stop = duration(launch.stop_timeout.unwrap_or(STOP_TIMEOUT));
    let waits: Vec<_> = waits(entry, all).iter().map(ToString::to_string).collect();
    let waits =
        if waits.is_empty() { String::new() } else { format!("; waits for {}", waits.join(", ")) };
    format!("{readiness}; start timeout {start}, stop timeout {stop}{waits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_service_is_checked_by_its_own_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services.yaml");
        for (settings, expected) in [
            ("type: sentinel, variant: main, escalte: {}", "did you mean `escalate`"),
            ("type: report, variant: main, folder: /x, sinze: '20:00'", "did you mean `since`"),
            ("type: report, variant: main", "`folder` is missing"),
            ("type: serve, variant: main, lisen: 127.0.0.1:8799", "did you mean `listen`"),
            ("type: sentinel, variant: main", ""),
            ("type: report, variant: main, folder: /x", ""),
            ("type: serve, variant: main, listen: 127.0.0.1:8799", ""),
        ] {
            std::fs::write(&path, format!("services:\n  - {{{settings}}}\n")).unwrap();
            let check = config::check(&path, true, &Environment::default(), &[]);
            let found: Vec<_> = check.plan.iter().flat_map(of_built_in).collect();
            assert_eq!(found.len(), usize::from(!expected.is_empty()), "{settings}: {found:?}");
            let said = check.report.with(found).to_string();
            assert!(said.contains(expected), "{settings}: {said}");
        }
    }
}
