//! The address of a server, in place of the `url` crate: scheme, user and password, host, port, and
//! what follows. Host names are not looked at: what is none is not found.

use std::fmt;
use std::str::FromStr;

/// The parts of `scheme://user:password@host:port/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    text: String,
    scheme: String,
    username: String,
    password: Option<String>,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: Option<u16>,
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UrlError(&'static str);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError("no scheme"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (user, place),
            None => ("", authority),
        };
        let (username, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password.to_owned())),
            None => (user, None),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(address) => {
                let (host, port) = address
                    .split_once(']')
                    .ok_or(UrlError("invalid IPv6 address"))?;
                host.parse::<std::net::Ipv6Addr>()
                    .map_err(|_| UrlError("invalid IPv6 address"))?;
                if !port.is_empty() && !port.starts_with(':') {
                    return Err(UrlError("invalid IPv6 address"));
                }
                (host, port.strip_prefix(':'))
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        if host.is_empty() {
            return Err(UrlError("empty host"));
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UrlError("invalid host"));
        }
        let port = port
            .filter(|port| !port.is_empty())
            .map(str::parse)
            .transpose();
        Ok(Self {
            text: text.to_owned(),
            scheme: scheme.to_ascii_lowercase(),
            username: username.to_owned(),
            password,
            host: host.to_owned(),
            port: port.map_err(|_| UrlError("invalid port number"))?,
        })
    }
}

impl Url {
    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The one that is named, or that of the scheme.
    pub(crate) fn port_or_known_default(&self) -> Option<u16> {
        self.port.or(match &*self.scheme {
            "ws" => Some(80),
            "wss" => Some(443),
            _ => None,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url: Url = "tls://me:it@[::1]:4443/x".parse().unwrap();
        assert_eq!(
            (url.scheme(), url.username(), url.password()),
            ("tls", "me", Some("it"))
        );
        assert_eq!(
            (url.host(), url.port_or_known_default()),
            ("::1", Some(4443))
        );
        let url: Url = "wss://nats.lan?a=b".parse().unwrap();
        assert_eq!(
            (url.host(), url.port_or_known_default()),
            ("nats.lan", Some(443))
        );
        for wrong in [
            "nats.lan",
            "nats://",
            "nats://a:b:c",
            "nats://a:99999",
            "nats://[::",
            "nats://a b",
        ] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }
}
