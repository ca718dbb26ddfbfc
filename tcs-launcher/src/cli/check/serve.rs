//! The settings of `type: serve`, which `tcsd` only checks: `tcsctl` runs it.

use tcs_core::config::{Problem, ServeSettings, ServiceSettings};

/// What is wrong with them.
pub(super) fn of_settings(settings: &ServiceSettings) -> Vec<Problem> {
    let (read, warnings) = match settings.deserialize::<ServeSettings>() {
        Ok(read) => read,
        Err(errors) => return errors.report.problems,
    };
    let wrong = read.check().err();
    let wrong = wrong.map(|(key, why)| Problem::error(settings.place(&[key]), why));
    warnings.problems.into_iter().chain(wrong).collect()
}

#[cfg(test)]
mod tests {
    use tcs_core::config::{Config, Environment};

    use super::of_settings;

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (settings, expected) in [
            ("title: x", None),
            ("listen: 0.0.0.0:8765\n    token_file: /x", None),
            ("listen: 0.0.0.0:8765\n    no_token: true", None),
            ("listen: 0.0.0.0:8765", Some("4:5")),
            ("title: x\n    listen: here", Some("5:5")),
            ("filter: '/[/'", Some("4:5")),
            ("lisen: 127.0.0.1:1", Some("did you mean `listen`")),
            ("allow_hosts: 5", Some("allow_hosts")),
        ] {
            let text = format!("services:\n  - type: serve\n    variant: main\n    {settings}\n");
            let config = Config::parse("s.yaml", text.as_bytes(), &Environment::default()).unwrap();
            let problems = of_settings(&config.services[0].settings);
            let said: Vec<_> = problems.iter().map(|it| config.warnings.render(it)).collect();
            let is_as_expected =
                expected.map_or(said.is_empty(), |part| said.iter().any(|it| it.contains(part)));
            assert!(is_as_expected, "{settings}: {said:?}");
        }
    }
}
