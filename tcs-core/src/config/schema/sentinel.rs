//! The settings of `type: sentinel` and `type: report`, of which this crate knows no types: `tcsctl` runs
//! them. A test holds the schema to what the types take.

use serde_json::{Value, json};
use tcs_fleet::{Reason, Verdict};

use crate::config::grammar::{NUMBER, VARIABLE};

/// Of a rule, a channel: one token of a subject.
const TOKEN: &str = r"^[^\s.*>/@\x00-\x1f\x7f-\x9f]+$";
const SPAN: &str = r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d)|\$\{[A-Za-z_]";

/// A condition on an entry: it is run by the built-in sentinel.
pub(super) fn is_built_in() -> Value {
    let something = json!({"not": {"type": "null"}});
    let program = |key: &str| json!({"required": [key], "properties": {key: something}});
    let launched: Vec<Value> = ["exec", "python", "rust"].map(program).into();
    json!({"not": {"anyOf": [
        program("module"),
        {"required": ["launch"], "properties": {"launch": {"anyOf": launched}}},
    ]}})
}

/// `$defs/Sentinel`.
pub(super) fn settings() -> Value {
    let steps = |severity: &str| {
        let told = format!(
            "Who is notified of alarms of severity {severity}, and when: `[{{chat: 0s}}, {{phone: 10m, repeat: 30m}}]`."
        );
        json!({"description": told, "type": "array", "items": step()})
    };
    let escalate: serde_json::Map<String, Value> =
        SEVERITIES.into_iter().map(|severity| (severity.to_owned(), steps(severity))).collect();
    json!({
        "description": "Settings of `type: sentinel`: which alarms are raised, and who is notified how.",
        "type": "object",
        "properties": {
            "channels": {
                "description": "Ways to notify people, by name. Each has one of the keys below.",
                "type": "object",
                "propertyNames": {"pattern": TOKEN},
                "additionalProperties": channel(),
            },
            "deadman": optional(object("Dead man's switch: an address that is requested as long as the sentinel works.", &["url"], json!({
                "url": url("Address to request by GET."),
                "every": span("Time between two requests; 60 s by default."),
            }))),
            "rules": {
                "description": "Rules by name: further ones, or changes to default ones; `~` removes one.",
                "type": "object",
                "propertyNames": {"pattern": TOKEN, "not": {"enum": BUILT_IN}},
                "additionalProperties": {"anyOf": [rule(), {"type": "null"}]},
            },
            "escalate": optional(json!({
                "description": "Who is notified when, by severity; without it all channels at once.",
                "type": "object",
                "properties": escalate,
                "additionalProperties": false,
            })),
        },
    })
}

/// `$defs/Report`.
pub(super) fn report() -> Value {
    let edge = |description: &str| {
        let clock = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
        let pattern = format!("{clock}|{SPAN}");
        json!({"description": description, "type": "string", "pattern": pattern})
    };
    json!({
        "description": "Settings of `type: report`: the report of a shift, written when the service is started.",
        "type": "object",
        "required": ["folder"],
        "properties": {
            "folder": {"description": "Folder that the report is written to.", "type": "string"},
            "since": edge("Start of the period: \"20:00\" (UTC) or an age (12h); 12h by default."),
            "until": optional(edge("End of the period: \"08:00\" (UTC) or an age (1h); now by default.")),
            "format": told("Format of the report; html by default.", word(&["html", "md", "text", "json"])),
            "send": {"description": "Channel of the sentinels that also sends it.",
                "anyOf": [{"type": "string", "pattern": TOKEN}, {"type": "null"}]},
        },
    })
}

const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

const BUILT_IN: [&str; 11] = [
    "launcher_lost",
    "host_silent",
    "heartbeats_missing",
    "sentinel_lost",
    "channel_failing",
    "store_reset",
    "event_gap",
    "rules_differ",
    "flood",
    "broker_unreachable",
    "test",
];

/// A key that may have no value.
fn optional(schema: impl Into<Value>) -> Value {
    json!({"anyOf": [schema.into(), {"type": "null"}]})
}

/// One of these, or a variable.
fn word(words: &[&str]) -> Value {
    json!({"anyOf": [{"enum": words}, {"type": "string", "pattern": VARIABLE}]})
}

/// With what an editor and the handbook say of it.
fn told(description: &str, mut schema: Value) -> Value {
    schema["description"] = description.into();
    schema
}

fn number(description: &str) -> Value {
    told(
        description,
        optional(json!({"type": ["number", "string"], "pattern": NUMBER.or_variable()})),
    )
}

fn object(description: &str, required: &[&str], properties: impl Into<Value>) -> Value {
    json!({"description": description, "type": "object", "required": required,
        "properties": properties.into(), "additionalProperties": false})
}

fn url(description: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": format!("^https?://[^\\s@]+$|{VARIABLE}")})
}

fn span(description: &str) -> Value {
    json!({"description": description, "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 31_622_400},
        {"type": "string", "pattern": SPAN},
    ]})
}

fn channel() -> Value {
    let webhook = object(
        "Send each notification as an HTTP POST.",
        &["url"],
        json!({
            "url": url("Address of the receiver."),
            "headers": {"description": "HTTP headers to add, by name.", "type": "object",
                "additionalProperties": {"type": "string"}},
            "form": told("Format of the body; json by default.", word(&["json", "ntfy", "alertmanager"])),
        }),
    );
    let pagerduty = object(
        "Send each notification to PagerDuty (Events API v2).",
        &["key"],
        json!({
            "key": {"description": "Integration key.", "type": "string"},
            "url": url("Another address of the API."),
        }),
    );
    let exec = json!({"description": "Run a program with these arguments for each notification.", "type": "array", "minItems": 1,
        "items": {"type": "string"}});
    let forms = json!({"webhook": webhook, "pagerduty": pagerduty, "exec": exec});
    json!({"type": "object", "minProperties": 1, "maxProperties": 1,
        "additionalProperties": false, "properties": forms})
}

fn rule() -> Value {
    object(
        "When an alarm is raised, and how urgent it is.",
        &["when", "severity"],
        json!({
            "match": {"description": "Only services that match this filter, as in `tcsctl list`.", "type": "string"},
            "when": condition(),
            "for": span("How long the condition must hold."),
            "clear_after": span("How long the condition must be over; 10 s by default."),
            "severity": told("How urgent it is.", word(&SEVERITIES)),
            "latch": {"description": "Keep the alarm open after its end until it is acknowledged.",
                "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": VARIABLE}]},
            "help": {"description": "Link to instructions, sent with the alarm.", "type": ["string", "null"]},
        }),
    )
}

fn condition() -> Value {
    let verdicts: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect();
    let some = |words: Value| json!({"anyOf": [words.clone(), {"type": "array", "items": words}]});
    let reasons = || some(word(&Reason::CODES));
    let skew = object(
        "The host's clock is wrong.",
        &["above"],
        json!({
            "above": span("By more than this, ahead or behind."),
        }),
    );
    let has = |key: &str| json!({"required": [key]});
    let mut when = object(
        "Condition: all of the keys below that are given must hold.",
        &[],
        json!({
            "verdict": told("One of these verdicts.", some(word(&verdicts))),
            "reason": told("One of these reasons, as in `tcsctl --json`.", reasons()),
            "not_reason": told("None of these reasons.", reasons()),
            "skew": optional(skew),
            "metric": {"description": "Name of a metric that the service reports; with `above`, `below` or both.", "type": ["string", "null"]},
            "above": number("The metric is above this."),
            "below": number("The metric is below this."),
        }),
    );
    when["anyOf"] = json!([has("verdict"), has("reason"), has("metric"), has("skew")]);
    when["dependentRequired"] = json!({"above": ["metric"], "below": ["metric"]});
    when["dependentSchemas"] = json!({
        "metric": {"anyOf": [has("above"), has("below")]},
        "skew": {"maxProperties": 1},
    });
    when
}

fn step() -> Value {
    json!({"description": "A channel and when: `{page: 15m, repeat: 30m}`.", "type": "object",
        "minProperties": 1, "maxProperties": 2,
        "properties": {"repeat": span("Notify again each time this has passed; a minute or more.")},
        "additionalProperties": span("Time after which this channel is notified.")})
}
