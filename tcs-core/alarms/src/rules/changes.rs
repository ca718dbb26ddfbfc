//! In what two sets of rules differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{RuleSet, RulesError};

/// One rule, or one list of steps, that two sets have differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// As its key in a file: `rules.failed`, `escalate.critical`.
    pub key: String,
    /// As JSON; `None`: the first set does not have it.
    pub before: Option<String>,
    /// The value in the second set.
    pub after: Option<String>,
}

impl RuleSet {
    /// What `to` has differently, in the order of the keys.
    pub fn changes(&self, to: &Self) -> Result<Vec<RuleChange>, RulesError> {
        let (mut before, mut after) = (self.parts()?, to.parts()?);
        let keys: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
        let changes = keys.into_iter().map(|key| {
            let (before, after) = (before.remove(&key), after.remove(&key));
            RuleChange { key, before, after }
        });
        Ok(changes.filter(|change| change.before != change.after).collect())
    }

    fn parts(&self) -> Result<BTreeMap<String, String>, RulesError> {
        let rules =
            self.rules.iter().map(|(name, rule)| Ok((format!("rules.{name}"), text(rule)?)));
        let steps = self
            .escalate
            .iter()
            .map(|(name, steps)| Ok((format!("escalate.{name}"), text(steps)?)));
        rules.chain(steps).collect()
    }
}

fn text(value: &impl Serialize) -> Result<String, RulesError> {
    serde_json::to_string(value).map_err(|error| RulesError::Text(error.to_string()))
}
