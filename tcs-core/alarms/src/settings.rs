//! The settings of built-in services, as a services file has them: of a sentinel (channels, rules,
//! escalation; `docs/spec/alarms.md#sentinels`), and of a report.

mod report;
mod url;

use std::collections::BTreeMap;

use crate::rules::{ChannelName, Escalation, Rule, RuleName, RuleSet, RulesError};
use crate::span::Span;
pub use report::{PeriodEdge, ReportForm, ReportSettings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
pub use url::{Url, check_header};

/// The settings of `type: sentinel`.
#[derive(Deserialize)]
pub struct SentinelSettings {
    /// How people are reached, by name.
    #[serde(default)]
    pub channels: BTreeMap<ChannelName, Channel>,
    /// The dead man's switch: requested regularly while everything is watched.
    #[serde(default)]
    pub deadman: Option<Deadman>,
    /// Changes to the default rules; `~` takes one away.
    #[serde(default)]
    rules: BTreeMap<RuleName, Option<Rule>>,
    /// Who is told when, by severity.
    #[serde(default)]
    escalate: Option<Escalation>,
}

impl SentinelSettings {
    /// The rules that these settings make.
    pub fn rules(&self) -> Result<RuleSet, RulesError> {
        let channels: Vec<&str> = self.channels.keys().map(ChannelName::as_str).collect();
        RuleSet::of_settings(self.rules.clone(), self.escalate.clone(), &channels)
    }
}

/// One way to reach people. No `Debug`: it holds secrets.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
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
pub struct Webhook {
    /// Where to.
    pub url: Url,
    /// Added to each request.
    #[serde(default, deserialize_with = "headers")]
    pub headers: BTreeMap<String, String>,
    /// What is posted.
    #[serde(default)]
    pub form: Form,
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
pub enum Form {
    /// The notification as JSON.
    #[default]
    Json,
    /// Text with ntfy's headers.
    Ntfy,
    /// Alerts in the format of Alertmanager's API.
    Alertmanager,
}

/// Events API v2 of `PagerDuty`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagerduty {
    /// The integration key.
    pub key: String,
    /// Another receiver that takes the same events.
    #[serde(default)]
    pub url: Option<Url>,
}

/// The dead man's switch: requested regularly while everything is watched.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadman {
    /// Requested with GET.
    pub url: Url,
    /// How often.
    #[serde(default = "every_minute", deserialize_with = "seconds")]
    pub every: Span,
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
