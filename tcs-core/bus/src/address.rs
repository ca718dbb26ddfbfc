//! Server addresses as people write them: `host`, `host:port`, `[::1]:4222`, `nats://`, `tls://`,
//! `ws://`, `wss://`, with or without `user:password@`, several with commas between.
//!
//! The client library ignores credentials in a URL, so they are taken out here,
//! percent-decoded, and given to it the way it listens to.

use std::fmt;

use super::secret::Secret;

/// NATS's port when none is given.
const DEFAULT_PORT: u16 = 4222;

/// How the connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP, or TLS when the server demands it.
    Nats,
    /// TLS, whatever the server says.
    Tls,
    /// Web socket.
    Ws,
    /// Web socket over TLS.
    Wss,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Nats, Self::Tls, Self::Ws, Self::Wss];

    const fn text(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Nats | Self::Tls => DEFAULT_PORT,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// A pool must not mix these two (the client library refuses it).
    pub(super) const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// One server. Its text form is a URL and never holds credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerUrl {
    /// How to connect.
    pub scheme: Scheme,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What follows the port, for web sockets behind a proxy; empty or beginning with `/`.
    pub path: String,
}

impl ServerUrl {
    /// `nats://host:port`
    pub fn nats(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self { scheme: Scheme::Nats, host: host.to_owned(), port, path: String::new() }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        let scheme = scheme.text();
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}{path}")
        } else {
            write!(f, "{scheme}://{host}:{port}{path}")
        }
    }
}

/// Who to be, as an URL says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UserInfo {
    /// `user:password@`
    User(String, Secret),
    /// `token@`: a user without password is a token.
    Token(Secret),
}

/// What is wrong with an address. The text holds no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing there, or nothing between two commas.
    #[error("a server address is empty")]
    Empty,
    /// Neither nats, tls, ws nor wss.
    #[error("unknown scheme `{0}://`: nats, tls, ws and wss are known")]
    Scheme(String),
    /// No host where one must be.
    #[error("no host in server address `{0}`")]
    NoHost(String),
    /// Not a number from 1 to 65535.
    #[error("`{0}` is not a port")]
    Port(String),
    /// Spaces and the like.
    #[error("`{0}` is not a host name")]
    Host(String),
    /// `%` without two hexadecimal digits, or bytes that are no text.
    #[error("the credentials in the address of {0} are not percent-encoded properly")]
    Encoding(String),
    /// One list, two identities: only one can be sent.
    #[error("the server addresses hold different credentials: only one identity can be used")]
    Identities,
    /// ws with nats.
    #[error("web socket and plain addresses cannot be mixed in one list")]
    Mixed,
}

/// Splits a comma list. All addresses must agree on the credentials, where they have any.
pub(super) fn parse_list(list: &str) -> Result<(Vec<ServerUrl>, Option<UserInfo>), AddressError> {
    let mut servers = Vec::new();
    let mut identity: Option<UserInfo> = None;
    for part in list.split(',') {
        let (server, user) = parse(part.trim())?;
        servers.push(server);
        match (&identity, user) {
            (Some(known), Some(user)) if *known != user => return Err(AddressError::Identities),
            (None, user) => identity = user,
            (Some(_), _) => {}
        }
    }
    let websockets = servers.iter().filter(|server| server.scheme.is_websocket()).count();
    if websockets != 0 && websockets != servers.len() {
        return Err(AddressError::Mixed);
    }
    Ok((servers, identity))
}

/// One address.
pub(super) fn parse(text: &str) -> Result<(ServerUrl, Option<UserInfo>), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((name, rest)) => {
            let known = Scheme::ALL.into_iter().find(|s| name.eq_ignore_ascii_case(s.text()));
            (known.ok_or_else(|| AddressError::Scheme(name.to_owned()))?, rest)
        }
        None => (Scheme::Nats, text),
    };
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => (&rest[..at], rest[at..].trim_end_matches('/')),
        None => (rest, ""),
    };
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    let (host, port) = split_port(address)?;
    if host.is_empty() {
        return Err(AddressError::NoHost(address.to_owned()));
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control() || "@,\\".contains(c)) {
        return Err(AddressError::Host(host.to_owned()));
    }
    let port = match port {
        None | Some("") => scheme.port(),
        Some(text) => match text.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(AddressError::Port(text.to_owned())),
        },
    };
    let user = match user {
        None | Some("") => None,
        Some(text) => Some(user_info(text).ok_or_else(|| AddressError::Encoding(host.to_owned()))?),
    };
    let path = if scheme.is_websocket() { path.to_owned() } else { String::new() };
    Ok((ServerUrl { scheme, host: host.to_owned(), port, path }, user))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, and a bare v6 address, which holds several colons.
fn split_port(address: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) =
            rest.split_once(']').ok_or_else(|| AddressError::Host(address.to_owned()))?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(AddressError::Host(address.to_owned())),
        };
    }
    Ok(match address.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    })
}

fn user_info(text: &str) -> Option<UserInfo> {
    Some(match text.split_once(':') {
        Some((user, password)) => {
            UserInfo::User(percent_decode(user)?, Secret::new(percent_decode(password)?))
        }
        None => UserInfo::Token(Secret::new(percent_decode(text)?)),
    })
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        parse(text).unwrap().0.to_string()
    }

    #[test]
    fn the_forms_people_write() {
        assert_eq!(shown("nats.lan"), "nats://nats.lan:4222");
        assert_eq!(shown("nats.lan:4333"), "nats://nats.lan:4333");
        assert_eq!(shown("NATS://nats.lan/"), "nats://nats.lan:4222");
        assert_eq!(shown("tls://10.0.0.1:4443"), "tls://10.0.0.1:4443");
        assert_eq!(shown("ws://nats.lan/nats"), "ws://nats.lan:80/nats");
        assert_eq!(shown("wss://nats.lan:8443"), "wss://nats.lan:8443");
        assert_eq!(shown("[::1]:4333"), "nats://[::1]:4333");
        assert_eq!(shown("nats://[fe80::1]"), "nats://[fe80::1]:4222");
        assert_eq!(shown("::1"), "nats://[::1]:4222");
    }

    #[test]
    fn credentials_are_taken_out_and_decoded() {
        let (server, user) = parse("nats://o%40b:p%3As%2Fs%25@host").unwrap();
        assert_eq!(server.to_string(), "nats://host:4222");
        assert_eq!(user, Some(UserInfo::User("o@b".into(), Secret::new("p:s/s%".into()))));
        let (_, user) = parse("s3cr%65t@host:1").unwrap();
        assert_eq!(user, Some(UserInfo::Token(Secret::new("s3cret".into()))));
        assert!(!format!("{user:?}").contains("s3cret"));
    }

    #[test]
    fn wrong_ones_are_refused_without_repeating_a_password() {
        assert_eq!(parse(""), Err(AddressError::Empty));
        assert_eq!(parse("http://a"), Err(AddressError::Scheme("http".into())));
        assert_eq!(parse("nats://"), Err(AddressError::NoHost(String::new())));
        assert_eq!(parse("a:0"), Err(AddressError::Port("0".into())));
        assert_eq!(parse("a:http"), Err(AddressError::Port("http".into())));
        assert!(matches!(parse("a b"), Err(AddressError::Host(_))));
        let error = parse("u:hush%zz@a").unwrap_err();
        assert!(!error.to_string().contains("hush"), "{error}");
    }

    #[test]
    fn lists() {
        let (servers, user) = parse_list("a, u:p@b:1 ,nats://u:p@c").unwrap();
        assert_eq!(servers.len(), 3);
        assert!(user.is_some());
        assert_eq!(parse_list("u:p@a,v:p@b"), Err(AddressError::Identities));
        assert_eq!(parse_list("a,,b"), Err(AddressError::Empty));
        assert_eq!(parse_list("ws://a,b"), Err(AddressError::Mixed));
    }
}
