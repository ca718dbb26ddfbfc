//! What a site says about its alarms: channels, rules, escalation.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tcs_alarms::{ChannelName, Escalation, Rule, RuleName, RuleSet, RulesError, Span};

use super::http::{Url, check_header};

/// The settings of `type: sentinel`.
#[derive(Deserialize)]
pub(super) struct SentinelSettings {
    /// How people are reached, by name.
    #[serde(default)]
    pub(super) channels: BTreeMap<ChannelName, Channel>,
    /// Who is told regularly that all is watched.
    #[serde(default)]
    pub(super) deadman: Option<Deadman>,
    /// Changes to the default rules; `~` takes one away.
    #[serde(default)]
    rules: BTreeMap<RuleName, Option<Rule>>,
    /// Who is told when, by severity.
    #[serde(default)]
    escalate: Option<Escalation>,
}

impl SentinelSettings {
    /// The rules that these settings make.
    pub(super) fn rules(&self) -> Result<RuleSet, RulesError> {
        let channels: Vec<&str> = self.channels.keys().map(ChannelName::as_str).collect();
        RuleSet::of_settings(self.rules.clone(), self.escalate.clone(), &channels)
    }
}

/// One way to reach people. No `Debug`: it holds secrets.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    /// A POST to any receiver.
    Webhook(Webhook),
    /// Events API v2 of `PagerDuty`.
    Pagerduty(Pagerduty),
    /// A program of this host.
    #[serde(deserialize_with = "words")]
    Exec(Vec<String>),
}

fn words<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(input)?;
    if words.first().is_none_or(String::is_empty) {
        return Err(D::Error::custom("no program is named\nhint: write `[/path/of/it, argument]`"));
    }
    Ok(words)
}

/// A POST to any receiver.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// Where to.
    pub(super) url: Url,
    /// Added to each request.
    #[serde(default, deserialize_with = "headers")]
    pub(super) headers: BTreeMap<String, String>,
    /// What is posted.
    #[serde(default)]
    pub(super) form: Form,
}

fn headers<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, String>, D::Error> {
    let headers = BTreeMap::<String, String>::deserialize(input)?;
    for (name, value) in &headers {
        check_header(name, value).map_err(D::Error::custom)?;
    }
    Ok(headers)
}

/// What a webhook gets.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// The notification as JSON.
    #[default]
    Json,
    /// Text with ntfy's headers.
    Ntfy,
    /// As Alertmanager's API takes alerts.
    Alertmanager,
}

/// Events API v2 of `PagerDuty`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pagerduty {
    /// The integration key.
    pub(super) key: String,
    /// Another receiver that takes the same events.
    #[serde(default)]
    pub(super) url: Option<Url>,
}

/// Who is told regularly that all is watched.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deadman {
    /// Asked by GET.
    pub(super) url: Url,
    /// How often.
    #[serde(default = "every_minute", deserialize_with = "seconds")]
    pub(super) every: Span,
}

const fn every_minute() -> Span {
    Span::seconds(60)
}

fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Span, D::Error> {
    let every = Span::deserialize(input)?;
    if every < Span::seconds(1) {
        return Err(D::Error::custom("at least a second is expected"));
    }
    Ok(every)
}

#[cfg(test)]
mod tests {
    use tcs_core::config::{Config, Environment};

    use super::SentinelSettings;

    /// Reads what stands below `type: sentinel`; what is wrong with it.
    fn read(settings: &str) -> Result<SentinelSettings, String> {
        let indented = settings.replace('\n', "\n    ");
        let text = format!("services:\n  - type: sentinel\n    variant: main\n    {indented}\n");
        let config = Config::parse("services.yaml", text.as_bytes(), &Environment::default());
        let config = config.map_err(|errors| errors.to_string())?;
        let settings = config.services[0].settings.deserialize::<SentinelSettings>();
        let (settings, warnings) = settings.map_err(|errors| errors.to_string())?;
        assert!(warnings.problems.is_empty(), "{warnings}");
        settings.rules().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn the_handbooks_settings_are_read() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/handbook/alarms.md");
        let page = std::fs::read_to_string(path).unwrap();
        let blocks = page.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        let blocks: Vec<&str> = blocks.filter(|block| !block.contains("services:")).collect();
        assert_eq!(blocks.len(), 2);
        for block in blocks {
            read(block).map(drop).unwrap();
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (wrong, expected) in [
            ("channels: {a: {webhok: {url: 'http://h'}}}", "`webhok` is not one of"),
            ("channels: {a: {webhook: {url: 'h'}}}", "begins with http:// or https://"),
            ("channels: {a.b: {exec: [x]}}", "a name without `.`"),
            ("rules: {lost: {when: {verdict: lsot}, severity: info}}", "`lsot` is not one of"),
            (
                "rules: {lost: {when: {verdict: lost}, severity: info, for: 5x}}",
                "not a length of time",
            ),
            ("rules: {lost: {wen: {verdict: lost}, severity: info}}", "unknown key"),
            ("escalate: {critical: [{chat: 0s}]}", "names the channel `chat`"),
            ("rules: {host_silent: ~}", "built in"),
            ("channels: {a: {exec: []}}", "no program is named"),
            ("channels: {a: {webhook: {url: 'http://h', headers: {'A B': x}}}}", "header `A B`"),
            ("channels: {a: {webhook: {url: 'http://h', headers: {A: \"x\\ny\"}}}}", "header `A`"),
            ("deadman: {url: 'http://h', every: 0s}", "at least a second"),
            ("rules: {w: {when: {metric: t, above: .nan}, severity: info}}", "finite numbers"),
        ] {
            let error = read(wrong).map(drop).unwrap_err();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
        let error = read("rules: {lost: {when: {verdict: lsot}, severity: info}}").map(drop);
        assert!(error.unwrap_err().contains("services.yaml:4:"), "the place");
    }
}
