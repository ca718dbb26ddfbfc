//! A service's settings on their way to its own type.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::outcome::{Cause, Failure};
use super::registry::is_unit;

/// What is known of a service's settings before its type is.
#[derive(Debug, Clone, Default)]
pub struct Settings(Value);

impl Settings {
    /// From values as they are.
    pub fn from_values(values: Value) -> Self {
        Self(values)
    }

    pub(crate) fn read<T: DeserializeOwned + 'static>(&self) -> Result<T, Failure> {
        let values = match &self.0 {
            _ if is_unit::<T>() => Value::Null,
            Value::Null => Value::Object(serde_json::Map::new()),
            values => values.clone(),
        };
        serde_json::from_value(values).map_err(|error| Failure {
            text: error.to_string(),
            exit_code: 1,
            cause: Cause::Error,
        })
    }

    /// `log_level`, if it is given.
    pub(crate) fn log_level(&self) -> Option<String> {
        self.0.get("log_level").and_then(Value::as_str).map(str::to_owned)
    }
}
