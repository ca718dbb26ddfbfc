//! Secrets, such as passwords, and how they are masked in the output of services and in reports
//! about them.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::environment::Environment;
use super::secret_names::is_secret;
use super::services::Entry;

/// The text shown in place of a secret.
const MASK: &str = "***";

/// Bytes of the shortest value that is masked: less would mask ordinary text.
const SHORTEST: usize = 4;

/// Bytes of the shortest line that is masked, of a value with several (a credentials file).
const SHORTEST_LINE: usize = 16;

/// Values that are no secrets, whatever their name.
const HARMLESS: [&str; 6] = ["true", "false", "none", "null", "enabled", "disabled"];

/// The secrets that a service, or the launcher, may know.
#[derive(Clone, Default)]
pub struct Secrets {
    values: Arc<Vec<String>>,
    finder: Option<Regex>,
}

impl std::fmt::Debug for Secrets {
    /// How many there are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secrets").field(&self.values.len()).finish()
    }
}

impl Secrets {
    /// Masks these values, except those too short to be distinguished from ordinary text.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut all = Vec::new();
        for value in values {
            if HARMLESS.contains(&value.to_ascii_lowercase().as_str()) {
                continue;
            }
            if value.contains('\n') {
                let lines = value.lines().map(str::trim);
                let long = lines.filter(|line| line.len() >= SHORTEST_LINE && !is_ruler(line));
                all.extend(long.map(str::to_owned));
            } else if value.trim().len() >= SHORTEST {
                all.push(value.trim().to_owned());
            }
        }
        all.sort_unstable();
        all.dedup();
        // of two that begin alike, the longer one
        all.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let pattern: Vec<_> = all.iter().map(|value| regex::escape(value)).collect();
        let finder = (!all.is_empty()).then(|| Regex::new(&pattern.join("|")).ok()).flatten();
        Self { values: Arc::new(all), finder }
    }

    /// Those in the environment, by the names of the variables.
    pub fn of_environment(environment: &Environment) -> impl Iterator<Item = String> {
        let named = environment.iter().filter(|(name, _)| is_secret(name));
        named.map(|(_, value)| value.to_owned())
    }

    /// These, and those in the environment and the settings of a service.
    #[must_use]
    pub fn with_entry(&self, entry: &Entry) -> Self {
        let variables = entry.launch.env.iter().filter(|(name, _)| is_secret(name));
        let mut own: Vec<String> = variables.map(|(_, value)| value.clone()).collect();
        if let Ok((settings, _)) = entry.settings.deserialize::<Value>() {
            collect(&settings, false, &mut own);
        }
        if own.is_empty() { self.clone() } else { self.with(own) }
    }

    /// These and more.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = String>) -> Self {
        Self::new(self.values.iter().cloned().chain(more))
    }

    /// The text with each secret in it replaced.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.finder {
            Some(finder) => finder.replace_all(text, MASK),
            None => Cow::Borrowed(text),
        }
    }
}

/// `-----BEGIN NATS USER JWT-----`, `*******`
fn is_ruler(line: &str) -> bool {
    line.starts_with("---") || line.starts_with("***")
}

fn collect(value: &Value, is_named: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_named => found.push(text.clone()),
        Value::Number(number) if is_named => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, is_named, found)),
        Value::Object(map) => {
            for (key, value) in map {
                collect(value, is_named || is_secret(key), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_masked_and_nothing_else() {
        let jwt = "-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QifQ.abc\n------END-----\n";
        let values = ["hunter2", "hunter22", "ab", "true", jwt, "a.b*c"].map(str::to_owned);
        let secrets = Secrets::new(values);
        for (text, masked) in [
            ("password hunter2, hunter22!", "password ***, ***!"),
            ("ab true", "ab true"),
            ("a.b*c axbbc", "*** axbbc"),
            ("eyJ0eXAiOiJKV1QifQ.abc", "***"),
            ("-----BEGIN NATS USER JWT-----", "-----BEGIN NATS USER JWT-----"),
        ] {
            assert_eq!(secrets.mask(text), masked);
        }
        assert_eq!(Secrets::default().mask("hunter2"), "hunter2");
        assert!(!format!("{secrets:?}").contains("hunter"));
    }
}
