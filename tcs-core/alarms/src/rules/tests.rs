use std::collections::BTreeMap;

use serde_json::json;
use tcs_fleet::Verdict;

use super::{Escalation, Rule, RuleName, RuleSet, built_in};
use crate::{Severity, Span};

fn rule(json: serde_json::Value) -> Result<Rule, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

fn settings(rules: serde_json::Value) -> BTreeMap<RuleName, Option<Rule>> {
    serde_json::from_value(rules).unwrap()
}

#[test]
fn a_rule_of_a_site_is_read() {
    let required = rule(json!({"match": "dome.main", "when": {"verdict": "stopped"}, "for": "60s",
        "severity": "critical", "help": "https://wiki"}))
    .unwrap();
    assert_eq!(required.covers.text(), "dome.main");
    assert_eq!(required.when.verdict, [Verdict::Stopped]);
    assert_eq!(required.terms().held, Span::seconds(60));
    assert_eq!(required.terms().clear_after, Span::seconds(10));
    let warm = json!({"match": "camera.", "when": {"metric": "ccd_temperature", "above": -90},
        "for": "2m", "severity": "warning"});
    let warm = rule(warm).unwrap();
    assert_eq!(
        (warm.when.metric.as_deref(), warm.when.above),
        (Some("ccd_temperature"), Some(-90.0))
    );
}

#[test]
fn mistakes_are_told_with_what_is_known() {
    let when =
        |when: serde_json::Value| rule(json!({"when": when, "severity": "info"})).unwrap_err();
    for (wrong, expected) in [
        (json!({"verdict": "fialed"}), "unknown variant `fialed`"),
        (json!({"verdict": ["lost", "x"]}), "unknown variant `x`"),
        (json!({"reason": "flaping"}), "unknown variant `flaping`"),
        (json!({"verdct": "lost"}), "unknown field `verdct`"),
        (json!({}), "names no condition"),
        (json!({"not_reason": "flapping"}), "names no condition"),
        (json!({"metric": "x"}), "`metric` needs"),
        (json!({"above": 3, "verdict": "ok"}), "`metric` needs"),
        (json!({"skew": {"above": "5s"}, "verdict": "ok"}), "stands alone"),
        (json!({"skew": {"above": "5"}}), "not a duration"),
    ] {
        let error = when(wrong.clone());
        assert!(error.contains(expected), "{wrong}: {error}");
    }
    let error = rule(json!({"when": {"verdict": "lost"}, "severity": "high"})).unwrap_err();
    assert!(error.contains("unknown variant `high`"), "{error}");
    let error = rule(json!({"match": "host:", "when": {"verdict": "lost"}, "severity": "info"}));
    assert!(error.unwrap_err().contains("has no value"));
}

#[test]
fn rules_of_a_file_change_the_defaults_name_by_name() {
    let own = settings(json!({"error": null, "lost": {"when": {"verdict": "lost"},
        "severity": "warning"}, "own": {"when": {"verdict": "ok"}, "severity": "info"}}));
    let set = RuleSet::of_settings(own, None, &["chat"]).unwrap();
    let names: Vec<&str> = set.rules.keys().map(RuleName::as_str).collect();
    assert_eq!(names, ["degraded", "failed", "flapping", "lost", "own", "skew"]);
    assert_eq!(set.terms("lost").unwrap().severity, Severity::Warning);
    assert!(set.terms("failed").unwrap().latch);
    assert_eq!(set.terms("host_silent").unwrap().severity, Severity::Critical);
    assert_eq!(set.terms("error"), None);
    assert_eq!(set.escalate[&Severity::Warning].len(), 1);
    let own = settings(json!({"host_silent": null}));
    let error = RuleSet::of_settings(own, None, &[]).unwrap_err();
    assert_eq!(error.to_string(), "`host_silent` is built in and cannot be changed");
}

#[test]
fn steps_name_channels_that_are_there() {
    let read = |steps: serde_json::Value| serde_json::from_value::<Escalation>(steps);
    let text =
        json!({"critical": [{"chat": "0s"}, {"page": "5m"}, {"page": "15m", "repeat": "30m"}]});
    let escalate = read(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&escalate).unwrap(), text);
    let steps = escalate.clone();
    assert!(RuleSet::of_settings(BTreeMap::new(), Some(steps), &["chat", "page"]).is_ok());
    let error = RuleSet::of_settings(BTreeMap::new(), Some(escalate), &["chat"]).unwrap_err();
    assert!(error.to_string().contains("names the channel `page`"), "{error}");
    for (wrong, expected) in [
        (json!([{"repeat": "30m"}]), "names no channel"),
        (json!([{"chat": "0s", "page": "0s"}]), "one channel per step"),
        (json!([{"chat": "0s", "repeat": "1s"}]), "shorter than a minute"),
        (json!([{"a.b": "0s"}]), "a name without `.`"),
    ] {
        let error = read(json!({"critical": wrong.clone()})).unwrap_err().to_string();
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn what_is_stored_is_read_again() {
    let own = settings(json!({"warm": {"match": "camera.", "for": "2m", "severity": "warning",
        "when": {"metric": "t", "above": -90, "not_reason": ["flapping"]}}}));
    let set = RuleSet::of_settings(own, None, &["chat"]).unwrap();
    let text = set.to_text().unwrap();
    assert_eq!(RuleSet::of_text(&text).unwrap().to_text().unwrap(), text);
    assert!(RuleSet::of_text("{").is_err());
}

#[test]
fn every_built_in_rule_has_its_terms() {
    for name in built_in::ALL {
        assert!(built_in::terms(name).is_some(), "{name}");
        assert!(name.parse::<RuleName>().is_ok());
    }
    assert_eq!(RuleSet::defaults().rules.len(), 6);
}

#[test]
fn changes_are_told_by_key() {
    let before = RuleSet::defaults();
    let mut after = before.clone();
    assert_eq!(before.changes(&after).unwrap(), []);
    after.rules.remove("flapping");
    let steps = vec![serde_json::from_str(r#"{"chat": "0s"}"#).unwrap()];
    after.escalate.insert(Severity::Critical, steps);
    let changes = before.changes(&after).unwrap();
    let keys: Vec<_> = changes
        .iter()
        .map(|it| (it.key.as_str(), it.before.is_some(), it.after.is_some()))
        .collect();
    assert_eq!(keys, [("escalate.critical", false, true), ("rules.flapping", true, false)]);
}
