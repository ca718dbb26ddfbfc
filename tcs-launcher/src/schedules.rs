//! The schedules of a file: what its words mean, and what is wrong with them.

use std::path::Path;

use tcs_core::config::{
    Config, ConfigErrors, Entry, Environment, Overlap, Problem, Schedule as Keys,
};
use tcs_core::wire::policy::RestartWhen;
use tcs_supervisor::{Schedule, ScheduleError};

/// Reads a file as [`Config::load`] does, with its schedules: errors in them are errors of the file.
pub(crate) fn load(
    path: &Path,
    explicit: bool,
    environment: &Environment,
) -> Result<Config, ConfigErrors> {
    let mut config = Config::load(path, explicit, environment)?;
    let found = problems(&config.services);
    config.add(found)?;
    Ok(config)
}

/// What is wrong with the schedules of these services.
pub(crate) fn problems<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Problem> {
    let of = |entry: &Entry| match of_entry(entry) {
        Err(problem) => Some(problem),
        Ok(Some(_)) if entry.restart.when == RestartWhen::Always => {
            let text = "`restart: always` starts it again at each end, whatever its schedule";
            Some(
                Problem::warning(entry.at, text)
                    .hint("write `restart: on-failure`, or no `restart`"),
            )
        }
        Ok(_) => None,
    };
    entries.into_iter().filter_map(of).collect()
}

/// When a service runs; `None`: it has no schedule.
pub(crate) fn of_entry(entry: &Entry) -> Result<Option<Schedule>, Problem> {
    let Some(keys) = &entry.launch.schedule else { return Ok(None) };
    let read = |result: Result<Schedule, ScheduleError>| {
        let schedule = result.map_err(|error| {
            let problem = Problem::error(keys.at, error.to_string());
            match hint(&error) {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        })?;
        let queues = keys.overlap == Overlap::Queue;
        Ok(Some(schedule.with(queues, keys.catch_up)))
    };
    let wrong = |text: &str, hint: &str| Err(Problem::error(keys.at, text).hint(hint));
    match keys {
        Keys { cron: Some(_), every: Some(_), .. } => {
            wrong("`cron` and `every` exclude each other", "keep one of the two")
        }
        Keys { cron: None, every: None, .. } => {
            wrong("`launch.schedule` has no time", "write `cron: \"30 7 * * *\"` or `every: 15m`")
        }
        Keys { cron: None, zone: Some(_), .. } => {
            wrong("`zone` belongs to `cron`", "leave `zone` out: `every` counts in UTC")
        }
        Keys { cron: Some(cron), zone, .. } => {
            read(Schedule::cron(cron, zone.as_deref().unwrap_or("UTC")))
        }
        Keys { every: Some(every), .. } => read(Schedule::every(*every)),
    }
}

fn hint(error: &ScheduleError) -> Option<&'static str> {
    match error {
        ScheduleError::Zone(_) => Some("write a name of the IANA database: `Europe/Warsaw`"),
        ScheduleError::Cron { .. } => {
            Some("the fields are minute, hour, day of month, month, day of week: `30 7 * * *`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a schedule, and where.
    fn said(keys: &str) -> String {
        let text = format!("services:\n- type: a\n  {keys}\n");
        let mut config = Config::parse("t.yaml", text.as_bytes(), &Environment::default()).unwrap();
        let found = problems(&config.services);
        match config.add(found) {
            Ok(()) => config.warnings.to_string(),
            Err(errors) => errors.to_string(),
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (schedule, expected) in [
            ("{cron: '60 7 * * *'}", "t.yaml:3:22: error: `60 7 * * *` is not a cron schedule"),
            ("{cron: '0 0 30 2 *'}", "error: `0 0 30 2 *` never comes"),
            ("{cron: '0 7 * * *', zone: Warsaw}", "error: `Warsaw` is not a time zone"),
            ("{cron: '0 7 * * *', every: 5m}", "exclude each other"),
            ("{every: 5m, zone: UTC}", "`zone` belongs to `cron`"),
            ("{}", "has no time"),
        ] {
            let said = said(&format!("launch: {{schedule: {schedule}}}"));
            assert!(said.contains(expected), "{schedule}: {said}");
            assert!(said.starts_with("t.yaml:3:22: error: "), "{schedule}: {said}");
        }
        let always = said("restart: always\n  launch: {schedule: {every: 5m}}");
        assert!(always.contains("warning: `restart: always` starts it again"), "{always}");
        assert_eq!(said("launch: {schedule: {every: 5m, overlap: queue}}"), "");
    }
}
