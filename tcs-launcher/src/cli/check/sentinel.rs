//! The settings of sentinels and reports, which `tcsd` only checks: `tcsctl` runs them.

use tcs_alarms::settings::{ReportSettings, SentinelSettings};
use tcs_alarms::{Doubt, RulesError};
use tcs_core::config::{Problem, ServiceSettings};

/// What is wrong with the settings of a report.
pub(super) fn of_report(settings: &ServiceSettings) -> Vec<Problem> {
    match settings.deserialize::<ReportSettings>() {
        Ok((_, warnings)) => warnings.problems,
        Err(errors) => errors.report.problems,
    }
}

/// What is wrong with the settings of a sentinel.
pub(super) fn of_settings(settings: &ServiceSettings) -> Vec<Problem> {
    let (read, warnings) = match settings.deserialize::<SentinelSettings>() {
        Ok(read) => read,
        Err(errors) => return errors.report.problems,
    };
    let of_rules = match read.rules() {
        Ok(rules) => rules.doubt().map(|Doubt { message, hint }| {
            Problem::warning(settings.place(&["escalate"]), message).hint(hint)
        }),
        Err(error) => {
            let at = match &error {
                RulesError::Channel { severity, .. } => {
                    settings.place(&["escalate", severity.as_str()])
                }
                RulesError::BuiltIn(name) => settings.place(&["rules", name]),
                _ => settings.place(&[]),
            };
            Some(Problem::error(at, error.to_string()))
        }
    };
    warnings.problems.into_iter().chain(of_rules).collect()
}

#[cfg(test)]
mod tests {
    use tcs_core::config::{Config, Environment};

    use super::{of_report, of_settings};

    /// What is said of what stands below `type: sentinel`.
    fn say(settings: &str) -> Vec<String> {
        say_of("sentinel", settings)
    }

    fn say_of(kind: &str, settings: &str) -> Vec<String> {
        let indented = settings.replace('\n', "\n    ");
        let text = format!("services:\n  - type: {kind}\n    variant: main\n    {indented}\n");
        let config = Config::parse("services.yaml", text.as_bytes(), &Environment::default());
        let config = match config {
            Ok(config) => config,
            Err(errors) => return vec![errors.to_string()],
        };
        let settings = &config.services[0].settings;
        let problems = if kind == "report" { of_report(settings) } else { of_settings(settings) };
        problems.iter().map(|problem| config.warnings.render(problem)).collect()
    }

    #[test]
    fn the_handbooks_settings_are_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/handbook/alarms.md");
        let page = std::fs::read_to_string(path).unwrap();
        let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        let blocks: Vec<&str> = blocks.filter(|block| !block.contains("services:")).collect();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            assert_eq!(say(block), [""; 0], "{block}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (wrong, expected) in [
            ("channels: {a: {exec: [x]}}\nescalate: {warning: []}", "no step for `critical`"),
            ("chanels: {}", "did you mean `channels`"),
            ("channels: {a: {webhok: {url: 'http://h'}}}", "`webhok` is not one of"),
            ("channels: {a: {webhook: {url: 'h'}}}", "begins with http:// or https://"),
            ("channels: {a.b: {exec: [x]}}", "a name without `.`"),
            ("rules: {lost: {when: {verdict: lsot}, severity: info}}", "`lsot` is not one of"),
            ("rules: {lost: {when: {verdict: lost}, severity: info, for: 5x}}", "not a duration"),
            ("rules: {lost: {wen: {verdict: lost}, severity: info}}", "unknown key"),
            ("escalate: {critical: [{chat: 0s}]}", "names the channel `chat`"),
            ("rules: {host_silent: ~}", "built in"),
            ("channels: {a: {exec: []}}", "no program is named"),
            ("channels: {a: {webhook: {url: 'http://h', headers: {'A B': x}}}}", "header `A B`"),
            ("channels: {a: {webhook: {url: 'http://h', headers: {A: \"x\\ny\"}}}}", "header `A`"),
            ("deadman: {url: 'http://h', every: 0s}", "at least a second"),
            ("rules: {w: {when: {metric: t, above: .nan}, severity: info}}", "finite numbers"),
        ] {
            let said = say(wrong);
            assert!(said.iter().any(|it| it.contains(expected)), "{wrong}: {said:?}");
        }
    }

    #[test]
    fn mistakes_of_a_report_are_told() {
        let right = "folder: /var/lib/reports\nsince: '20:00'\nuntil: '08:00'\nsend: chat";
        assert_eq!(say_of("report", right), [""; 0]);
        for (wrong, expected) in [
            ("since: 12h", "folder"),
            ("folder: x\nsince: yesterday", "is not a time"),
            ("folder: x\nformat: pdf", "`pdf` is not one of"),
            ("folder: x\nsned: chat", "did you mean `send`"),
        ] {
            let said = say_of("report", wrong);
            assert!(said.iter().any(|it| it.contains(expected)), "{wrong}: {said:?}");
        }
    }

    #[test]
    fn each_mistake_has_its_place() {
        for (text, place) in [
            ("channels: {a: {exec: [x]}}\nescalate:\n  warning: []\n  critical: [{b: 0s}]", "7:7"),
            ("rules:\n  host_silent: ~", "5:7"),
            ("rules: {lost: {when: {verdict: lsot}, severity: info}}", "4:36"),
            ("channels: {a: {exec: [x]}}\nescalate: {warning: []}", "5:5"),
        ] {
            let [said] = &say(text)[..] else { panic!("{:?}", say(text)) };
            assert!(said.contains(&format!("services.yaml:{place}")), "{text}: {said}");
        }
    }
}
