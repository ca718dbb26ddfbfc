//! Where requests go, and what headers they may have.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Where a request goes. No `Debug`: the path may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// `https`.
    pub is_tls: bool,
    /// As it is written: `host` or `host:port`.
    pub authority: String,
    /// Without brackets.
    pub host: String,
    /// The scheme's, where none is written.
    pub port: u16,
    /// With the query; it begins with `/`.
    pub path: String,
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("a URL that begins with http:// or https:// is expected"),
        };
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a URL has no blanks");
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("write user and password as a header `Authorization`, not in the URL");
        }
        let port_at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match port_at {
            Some(at) => {
                (&authority[..at], authority[at + 1..].parse().map_err(|_| "no such port")?)
            }
            None => (authority, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err("the URL names no host");
        }
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (authority, host) = (authority.to_owned(), host.to_owned());
        Ok(Self { is_tls, authority, host, port, path: format!("{slash}{path}") })
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whether a header can be sent; its value may be a secret.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let is_name = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    if name.is_empty() || !name.chars().all(is_name) || value.chars().any(char::is_control) {
        return Err(format!("the header `{}` cannot be sent", name.escape_debug()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        let parts = |text: &str| {
            let url: Url = text.parse().ok().unwrap();
            (url.is_tls, url.host, url.port, url.path)
        };
        let expected =
            |tls, host: &str, port, path: &str| (tls, host.to_owned(), port, path.to_owned());
        assert_eq!(parts("https://ntfy.sh/topic"), expected(true, "ntfy.sh", 443, "/topic"));
        assert_eq!(parts("http://h:81?a=b#c"), expected(false, "h", 81, "/?a=b"));
        assert_eq!(parts("http://[::1]:8080"), expected(false, "::1", 8080, "/"));
        assert_eq!(parts("http://[::1]/x"), expected(false, "::1", 80, "/x"));
        for wrong in ["ftp://h", "h/x", "http://", "http://h:x", "http://u:p@h/", "http://h/a b"] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }
}
