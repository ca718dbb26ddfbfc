//! Passwords, tokens, keys: kept from being printed, and fetched from where a setting points.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use schemars::JsonSchema;
use serde::Deserialize;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for sending it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a setting's value could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// A place that only the Go client knows.
    #[error("{what} points to {scheme}, which is not supported here")]
    Unsupported {
        /// The setting.
        what: &'static str,
        /// `op://` or `nsc://`
        scheme: &'static str,
    },
    /// The file is not there or not readable.
    #[error("{what}: cannot read {}: {source}", path.display())]
    File {
        /// The setting.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// `env://NAME` and there is no such variable.
    #[error("{what} is to come from the environment variable {name}, which is not set")]
    Variable {
        /// The setting.
        what: &'static str,
        /// The variable.
        name: String,
    },
    /// `data:` without proper base64.
    #[error("{what}: the `data:` value is not base64 text")]
    Data {
        /// The setting.
        what: &'static str,
    },
    /// Something was read, but no key is in it.
    #[error("{what}: there is no NKey seed in it")]
    NoSeed {
        /// The setting.
        what: &'static str,
    },
}

/// What a lookup may touch: the environment and files, handed in so that tests need neither.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// An environment variable; an empty one counts as not set.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub read: &'a dyn Fn(&Path) -> std::io::Result<String>,
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

impl Env<'_> {
    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// `~` at the front and `$NAME`, `${NAME}` anywhere.
    pub(super) fn expand(&self, text: &str) -> PathBuf {
        let home = || self.var("HOME").unwrap_or_default();
        let text = match text.strip_prefix('~') {
            Some("") => home(),
            Some(rest) if rest.starts_with('/') => home() + rest,
            _ => text.to_owned(),
        };
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let (name, after) = match rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
                Some((name, after)) => (name, after),
                None => rest.split_at(
                    rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(rest.len()),
                ),
            };
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(&self.var(name).unwrap_or_default());
            }
            rest = after;
        }
        out.push_str(rest);
        PathBuf::from(out)
    }

    fn file(&self, what: &'static str, path: &Path) -> Result<String, SecretError> {
        (self.read)(path).map_err(|source| SecretError::File {
            what,
            path: path.to_owned(),
            source,
        })
    }

    /// `file://`, `env://` and `data:` are followed; `None`: it is none of these.
    fn uri(&self, what: &'static str, text: &str) -> Option<Result<String, SecretError>> {
        for scheme in ["op://", "nsc://"] {
            if text.starts_with(scheme) {
                return Some(Err(SecretError::Unsupported { what, scheme }));
            }
        }
        if let Some(path) = text.strip_prefix("file://") {
            return Some(self.file(what, &self.expand(path)));
        }
        if let Some(name) = text.strip_prefix("env://") {
            let value = self.var(name);
            return Some(
                value.ok_or_else(|| SecretError::Variable { what, name: name.to_owned() }),
            );
        }
        let data = text.strip_prefix("data:")?;
        let data = data.rsplit_once(',').map_or(data, |(_, data)| data).trim();
        let bytes = STANDARD.decode(data).or_else(|_| STANDARD_NO_PAD.decode(data)).ok();
        Some(bytes.and_then(|b| String::from_utf8(b).ok()).ok_or(SecretError::Data { what }))
    }

    /// A setting that holds the value itself or a URI to it (password, token, jwt, seed).
    pub(super) fn value(&self, what: &'static str, text: &str) -> Result<Secret, SecretError> {
        let text = match self.uri(what, text) {
            Some(text) => text?.trim().to_owned(),
            None => text.to_owned(),
        };
        Ok(Secret::new(text))
    }

    /// A setting that names a file or is a URI (creds, nkey).
    pub(super) fn content(&self, what: &'static str, text: &str) -> Result<Secret, SecretError> {
        let text = match self.uri(what, text) {
            Some(text) => text?,
            None => self.file(what, &self.expand(text))?,
        };
        Ok(Secret::new(text))
    }

    /// An NKey seed: given itself, or inside the file or URI that is named.
    pub(super) fn seed(&self, what: &'static str, text: &str) -> Result<Secret, SecretError> {
        let content = match find_seed(text) {
            Some(seed) => return Ok(Secret::new(seed.to_owned())),
            None => self.content(what, text)?,
        };
        find_seed(content.reveal())
            .map(|seed| Secret::new(seed.to_owned()))
            .ok_or(SecretError::NoSeed { what })
    }
}

/// JWT and seed out of the text of a credentials file.
pub(super) fn parse_creds(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("-----BEGIN NATS USER JWT"))?;
    let jwt = lines.find(|line| !line.is_empty())?;
    Some((jwt, find_seed(text)?))
}

/// The first line that looks like a user's seed: `SU` and 56 more base32 characters.
fn find_seed(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| {
        line.len() == 58
            && line.starts_with("SU")
            && line.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/op".into()),
            "SITE" => Some("oca".into()),
            "EMPTY" => Some(String::new()),
            "PW" => Some("hush".into()),
            _ => None,
        }
    }

    fn read(path: &Path) -> std::io::Result<String> {
        match path.to_str() {
            Some("/home/op/oca.creds") => Ok("creds\n".into()),
            Some("/k.nk") => Ok(format!("# key\n{SEED}\n")),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        }
    }

    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    const OUTSIDE: Env<'static> = Env { env: &env, read: &read };

    #[test]
    fn paths_expand_home_and_variables() {
        let expand = |text| OUTSIDE.expand(text).display().to_string();
        assert_eq!(expand("~/a/$SITE.creds"), "/home/op/a/oca.creds");
        assert_eq!(expand("${SITE}x$NONE/$"), "ocax/$");
        assert_eq!(expand("~other/a"), "~other/a");
        assert_eq!(expand("~"), "/home/op");
    }

    #[test]
    fn values_and_uris() {
        let value = |text| OUTSIDE.value("password", text).map(|s| s.reveal().to_owned());
        assert_eq!(value("plain").unwrap(), "plain");
        assert_eq!(value("env://PW").unwrap(), "hush");
        assert_eq!(value("file://~/$SITE.creds").unwrap(), "creds");
        assert_eq!(value("data:;base64,aHVzaA==").unwrap(), "hush");
        assert!(matches!(value("data:;base64,%%"), Err(SecretError::Data { .. })));
        assert!(matches!(value("env://EMPTY"), Err(SecretError::Variable { .. })));
        let error = value("op://vault/item").unwrap_err().to_string();
        assert_eq!(error, "password points to op://, which is not supported here");
        assert!(matches!(OUTSIDE.content("creds", "/no"), Err(SecretError::File { .. })));
    }

    #[test]
    fn a_seed_is_found_itself_or_in_a_file() {
        assert_eq!(OUTSIDE.seed("nkey", SEED).unwrap().reveal(), SEED);
        assert_eq!(OUTSIDE.seed("nkey", "/k.nk").unwrap().reveal(), SEED);
        let error = OUTSIDE.seed("nkey", "~/oca.creds").unwrap_err();
        assert!(matches!(error, SecretError::NoSeed { .. }));
    }
}
