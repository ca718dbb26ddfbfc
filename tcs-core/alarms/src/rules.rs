//! The rules by which alarms are raised, as the service file has them
//! (`docs/spec/alarms.md#rules`).

mod changes;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tcs_fleet::{Filter, Verdict};

use crate::id::AlarmIdError;
use crate::severity::Severity;
use crate::span::Span;
pub use changes::RuleChange;
pub use words::{ChannelName, RuleName, Step};

/// How long a condition must be over by default.
const CLEAR_AFTER: Span = Span::seconds(10);

/// What must hold of a service: all that is named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "RawWhen")]
pub struct When {
    /// One of these verdicts.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "words::write_verdicts")]
    pub verdict: Vec<Verdict>,
    /// One of these reasons is among those of the verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason: Vec<String>,
    /// None of these is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_reason: Vec<String>,
    /// The clock of a host is wrong: then the alarm is the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
    /// A metric of the service, which must be a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// It is greater than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// It is less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// How wrong a host's clock is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    /// By more than this, ahead or behind.
    pub above: Span,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWhen {
    #[serde(default, deserialize_with = "words::verdicts")]
    verdict: Vec<Verdict>,
    #[serde(default, deserialize_with = "words::reasons")]
    reason: Vec<String>,
    #[serde(default, deserialize_with = "words::reasons")]
    not_reason: Vec<String>,
    #[serde(default)]
    skew: Option<Skew>,
    #[serde(default)]
    metric: Option<String>,
    #[serde(default)]
    above: Option<f64>,
    #[serde(default)]
    below: Option<f64>,
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// It would hold of everything.
    #[error("names no condition\nhint: write `verdict`, `reason`, `skew` or `metric`")]
    NoCondition,
    /// A clock is not a service's.
    #[error("`skew` is about a host: it stands alone")]
    SkewAlone,
    /// Neither or both without the other.
    #[error("`metric` needs `above` or `below`, and they need `metric`")]
    Metric,
    /// No value is above or below it.
    #[error("`above` and `below` are finite numbers")]
    Limit,
    /// One of the built-in rules.
    #[error("`{0}` is built in and cannot be changed")]
    BuiltIn(String),
    /// A channel that is not configured.
    #[error("`escalate.{severity}` names the channel `{channel}`, which is not among `channels`")]
    Channel {
        /// Of which severity.
        severity: Severity,
        /// The name.
        channel: String,
    },
    /// A name that is no token.
    #[error(transparent)]
    Name(#[from] AlarmIdError),
    /// A stored text.
    #[error("stored rules cannot be read: {0}")]
    Text(String),
}

impl TryFrom<RawWhen> for When {
    type Error = RulesError;

    fn try_from(raw: RawWhen) -> Result<Self, RulesError> {
        let RawWhen { verdict, reason, not_reason, skew, metric, above, below } = raw;
        let mut limits = above.iter().chain(&below).peekable();
        if metric.is_some() != limits.peek().is_some() {
            return Err(RulesError::Metric);
        }
        if !limits.all(|limit| limit.is_finite()) {
            return Err(RulesError::Limit);
        }
        let of_service = !verdict.is_empty() || !reason.is_empty() || metric.is_some();
        if skew.is_some() && (of_service || !not_reason.is_empty()) {
            return Err(RulesError::SkewAlone);
        }
        if skew.is_none() && !of_service {
            return Err(RulesError::NoCondition);
        }
        Ok(Self { verdict, reason, not_reason, skew, metric, above, below })
    }
}

/// One rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The services that it is about; all by default.
    #[serde(
        rename = "match",
        default,
        with = "words::filter",
        skip_serializing_if = "Filter::is_empty"
    )]
    pub covers: Filter,
    /// What must hold.
    pub when: When,
    /// For how long it must hold before the alarm is raised.
    #[serde(rename = "for", default)]
    pub held: Span,
    /// For how long it must be over before the alarm is cleared.
    #[serde(default = "clear_after")]
    pub clear_after: Span,
    /// How urgent it is.
    pub severity: Severity,
    /// Once it is over, somebody has to see it all the same.
    #[serde(default)]
    pub latch: bool,
    /// Where it says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

const fn clear_after() -> Span {
    CLEAR_AFTER
}

/// What an alarm's states and times follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How urgent it is.
    pub severity: Severity,
    /// For how long the condition must hold.
    pub held: Span,
    /// For how long it must be over.
    pub clear_after: Span,
    /// Whether somebody has to see what is over.
    pub latch: bool,
}

impl Rule {
    /// Its times and its severity.
    pub const fn terms(&self) -> Terms {
        let Self { severity, held, clear_after, latch, .. } = *self;
        Terms { severity, held, clear_after, latch }
    }
}

/// The names of the rules that are always there.
pub mod built_in {
    use super::{CLEAR_AFTER, Severity, Span, Terms};

    /// A launcher is lost, and what it started with it.
    pub const LAUNCHER_LOST: &str = "launcher_lost";
    /// All that is known of a host is silent.
    pub const HOST_SILENT: &str = "host_silent";
    /// No heartbeat of any service comes.
    pub const HEARTBEATS_MISSING: &str = "heartbeats_missing";
    /// Another sentinel is lost or has failed.
    pub const SENTINEL_LOST: &str = "sentinel_lost";
    /// Notifications cannot be sent by a channel.
    pub const CHANNEL_FAILING: &str = "channel_failing";
    /// The broker lost its store.
    pub const STORE_RESET: &str = "store_reset";
    /// Events of a launcher were lost.
    pub const EVENT_GAP: &str = "event_gap";
    /// A sentinel has other rules than those that hold.
    pub const RULES_DIFFER: &str = "rules_differ";
    /// Many alarms at once; only notified, never stored as a state.
    pub const FLOOD: &str = "flood";
    /// The broker cannot be reached; only notified, because nothing can be stored.
    pub const BROKER_UNREACHABLE: &str = "broker_unreachable";
    /// A test of a channel; only notified.
    pub const TEST: &str = "test";

    /// All of them.
    pub const ALL: [&str; 11] = [
        LAUNCHER_LOST,
        HOST_SILENT,
        HEARTBEATS_MISSING,
        SENTINEL_LOST,
        CHANNEL_FAILING,
        STORE_RESET,
        EVENT_GAP,
        RULES_DIFFER,
        FLOOD,
        BROKER_UNREACHABLE,
        TEST,
    ];

    /// Times and severity of a built-in rule.
    pub fn terms(rule: &str) -> Option<Terms> {
        let (severity, latch) = match rule {
            LAUNCHER_LOST | HOST_SILENT => (Severity::Critical, true),
            HEARTBEATS_MISSING | BROKER_UNREACHABLE | TEST => (Severity::Critical, false),
            STORE_RESET => (Severity::Warning, true),
            SENTINEL_LOST | CHANNEL_FAILING | EVENT_GAP | RULES_DIFFER | FLOOD => {
                (Severity::Warning, false)
            }
            _ => return None,
        };
        let held = Span::seconds(0);
        Some(Terms { severity, held, clear_after: CLEAR_AFTER, latch })
    }
}

/// Rules that can be used, and are probably not meant so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// What.
    pub message: &'static str,
    /// What to do about it.
    pub hint: &'static str,
}

/// Steps of escalation, by severity.
pub type Escalation = BTreeMap<Severity, Vec<Step>>;

/// All rules of a site, and when which channel is notified.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RuleSet {
    /// By name; without the built-in ones.
    pub rules: BTreeMap<RuleName, Rule>,
    /// By severity.
    #[serde(default)]
    pub escalate: Escalation,
}

impl RuleSet {
    /// Of a file: `rules` change the defaults name by name, `~` removes one. Without `escalate`
    /// every channel is notified at once of critical alarms and warnings.
    pub fn of_settings(
        rules: BTreeMap<RuleName, Option<Rule>>,
        escalate: Option<Escalation>,
        channels: &[&str],
    ) -> Result<Self, RulesError> {
        if let Some(name) = rules.keys().find(|name| built_in::ALL.contains(&name.as_str())) {
            return Err(RulesError::BuiltIn(name.to_string()));
        }
        let mut set = Self::defaults();
        for (name, rule) in rules {
            match rule {
                Some(rule) => set.rules.insert(name, rule),
                None => set.rules.remove(&name),
            };
        }
        set.escalate = match escalate {
            Some(escalate) => escalate,
            None => [Severity::Critical, Severity::Warning]
                .map(|severity| Ok((severity, Step::at_once(channels)?)))
                .into_iter()
                .collect::<Result<_, AlarmIdError>>()?,
        };
        for (severity, steps) in &set.escalate {
            let unknown = steps.iter().find(|step| !channels.contains(&step.channel.as_str()));
            if let Some(step) = unknown {
                let (severity, channel) = (*severity, step.channel.to_string());
                return Err(RulesError::Channel { severity, channel });
            }
        }
        Ok(set)
    }

    /// What is probably not meant: `escalate` leaves out what is critical. An empty list of steps
    /// would state that.
    pub fn doubt(&self) -> Option<Doubt> {
        (!self.escalate.contains_key(&Severity::Critical)).then_some(Doubt {
            message: "`escalate` has no step for `critical`: nobody is notified of critical alarms",
            hint: "if that is intended, write `critical: []`",
        })
    }

    /// The rules of a file that names none; nobody is told.
    pub fn defaults() -> Self {
        let rule = |name: &str, when: When, held: u32, severity: Severity, latch: bool| {
            let rule = Rule {
                covers: Filter::default(),
                when,
                held: Span::seconds(held),
                clear_after: CLEAR_AFTER,
                severity,
                latch,
                help: None,
            };
            Some((name.parse().ok()?, rule))
        };
        let is = |verdict: &[Verdict]| When { verdict: verdict.to_vec(), ..When::default() };
        let flapping = || vec!["flapping".to_owned()];
        let degraded = When { not_reason: flapping(), ..is(&[Verdict::Late, Verdict::Degraded]) };
        let skew = When { skew: Some(Skew { above: Span::seconds(5) }), ..When::default() };
        let rules = [
            rule("failed", is(&[Verdict::Failed]), 0, Severity::Critical, true),
            rule("lost", is(&[Verdict::Lost]), 0, Severity::Critical, true),
            rule("error", is(&[Verdict::Error]), 10, Severity::Warning, false),
            rule(
                "flapping",
                When { reason: flapping(), ..When::default() },
                0,
                Severity::Warning,
                false,
            ),
            rule("degraded", degraded, 60, Severity::Warning, false),
            rule("skew", skew, 300, Severity::Info, false),
        ];
        Self { rules: rules.into_iter().flatten().collect(), escalate: Escalation::new() }
    }

    /// Times and severity of a rule, built-in or not; `None`: there is no such rule.
    pub fn terms(&self, rule: &str) -> Option<Terms> {
        self.rules.get(rule).map(Rule::terms).or_else(|| built_in::terms(rule))
    }

    /// As it is stored, for all sentinels and for views of the past.
    pub fn to_text(&self) -> Result<String, RulesError> {
        serde_json::to_string(self).map_err(|error| RulesError::Text(error.to_string()))
    }

    /// What [`Self::to_text`] has written.
    pub fn of_text(text: &str) -> Result<Self, RulesError> {
        serde_json::from_str(text).map_err(|error| RulesError::Text(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
