//! What says that a value is a secret: the name of its variable, setting or key.

use std::sync::LazyLock;

use regex::Regex;

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

/// Whether the name of a variable or setting says that its value is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    words.iter().any(|word| NAMES.contains(word))
        || words.windows(2).any(|pair| PAIRS.iter().any(|known| known == pair))
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
