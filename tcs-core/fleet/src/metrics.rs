//! Metrics as they are kept of each heartbeat: a map would need a multiple of what they say.

use serde_json::{Map, Value};

/// Names with their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics(Box<[(Box<str>, Value)]>);

impl Metrics {
    pub(super) fn new(map: &Map<String, Value>) -> Self {
        let mut all: Vec<(Box<str>, Value)> =
            map.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(all.into())
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let place = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[place].1)
    }

    /// As a message has them.
    pub fn to_map(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }
}
