//! What must not be shown: passwords and the like, in what services write, in what is told of
//! them, and in the lines of a file.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde_json::Value;

use super::{Entry, Environment};

/// What stands in place of a secret.
const MASK: &str = "***";

/// Bytes of the shortest value that is masked: less would mask ordinary text.
const SHORTEST: usize = 4;

/// Bytes of the shortest line that is masked, of a value with several (a credentials file).
const SHORTEST_LINE: usize = 16;

/// Words in the name of a variable or setting that make its value a secret.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pw",
    "secret",
    "secrets",
    "token",
    "apikey",
    "credentials",
    "jwt",
];
/// The same, of two words.
const PAIRS: [[&str; 2]; 4] =
    [["api", "key"], ["private", "key"], ["secret", "key"], ["access", "key"]];

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
    /// Of these values; those that are too short to be told from ordinary text are left out.
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

/// Whether the name of a variable or setting says that its value is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    words.iter().any(|word| NAMES.contains(word))
        || words.windows(2).any(|pair| PAIRS.iter().any(|known| known == pair))
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

#[expect(clippy::expect_used, reason = "a constant")]
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern =
        r#"(?<key>[\w-]+)["']?\s*:\s+(?<value>"[^"]*"?|'[^']*'?|[^\s,{}\[\]#"'][^,}\]#]*)"#;
    Regex::new(pattern).expect("a valid pattern")
});

#[expect(clippy::expect_used, reason = "a constant")]
static INSIDE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"://(?<login>[^/@\s]+)@|(?<data>data:[^\s}\]"']+)"#).expect("a valid pattern")
});

/// The secrets that stand on one line of a configuration file, as they stand there: the values of
/// keys with such a name, passwords in addresses, and data in place of a file.
pub(super) fn on_line(line: &str) -> Vec<&str> {
    let named = VALUE.captures_iter(line).filter_map(|found| {
        let value = found.name("value")?.as_str().trim().trim_matches(['"', '\'']);
        let is_reference = ["${", "env://", "file://"].iter().any(|it| value.starts_with(it));
        let key = &found["key"];
        ((is_secret(key) || key == "seed" || key == "nkey") && !is_reference).then_some(value)
    });
    let inside = INSIDE.captures_iter(line);
    let inside =
        inside.filter_map(|found| Some(found.name("login").or(found.name("data"))?.as_str()));
    let found = named.chain(inside);
    found.filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_the_words_of_their_names() {
        for name in ["NATS_PASSWORD", "db-password", "DB_PW", "apiKey_token", "X_API_KEY", "token"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PWD", "TOKENIZERS_PARALLELISM", "PASSIVE", "KEYBOARD", "SSH_KEY_PATH"] {
            assert!(!is_secret(name), "{name}");
        }
    }

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

    #[test]
    fn secrets_of_a_line_are_found() {
        for (line, found) in [
            ("  password: hunter2", &["hunter2"][..]),
            ("nats: {host: a, password: 'hun ter', port: [1]}", &["hun ter"]),
            ("url: nats://me:hunter2@host:4222", &["me:hunter2"]),
            ("creds: data:;base64,aHVudGVy", &["data:;base64,aHVudGVy"]),
            ("password: ${NATS_PASSWORD}", &[]),
            ("token: env://TOKEN", &[]),
            ("interval: 5  # the password: changeme", &["changeme"]),
            ("type: hello_world", &[]),
            ("password:", &[]),
        ] {
            assert_eq!(on_line(line), found, "{line}");
        }
    }
}
