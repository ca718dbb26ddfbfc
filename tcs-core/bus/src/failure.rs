//! Why a connection could not be made, in one line for a person.

use std::fmt;

/// Marks our own text inside an error of the client library.
pub(super) const CREDENTIALS: &str = "tcs credentials: ";

/// Kinds of failure that call for different things to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody listens on that port.
    Refused,
    /// Wrong user, password, token or key, or none where one is needed.
    Login,
    /// The host's name is not known.
    Dns,
    /// The server's certificate is not signed by an authority that we trust.
    UnknownAuthority,
    /// Something else about TLS.
    Tls(String),
    /// Not even a connection in time: packets are dropped, or the host is down.
    TimedOut,
    /// A connection, and no answer over it in time.
    Silent,
    /// The server closed the connection before it was ready for use.
    Closed,
    /// The server has as many connections as it allows.
    TooMany,
    /// What came is not what a NATS server sends, or cannot be parsed.
    Protocol(String),
    /// The credentials cannot be read or used.
    Credentials(String),
    /// Anything else: the message of the original error.
    Other(String),
}

impl Failure {
    /// From an error text of the client library, which is `kind: source` or the kind alone.
    pub(super) fn explain(text: &str) -> Self {
        let has = |needle: &str| text.contains(needle);
        if has("maximum connections exceeded") || has("maximum account active connections") {
            Self::TooMany
        } else if let Some((_, why)) = text.split_once(CREDENTIALS) {
            Self::Credentials(last_part(why.trim_end_matches(')')))
        } else if has("xpected INFO, got nothing") || text.ends_with("broken pipe") {
            Self::Closed
        } else if has("xpected INFO, got")
            || has("invalid server operation")
            || has(" after MSG")
            || has(" after HMSG")
        {
            Self::Protocol(last_part(text.trim_start_matches("connection lost: ")))
        } else if has("authorization violation") || has("Authorization Violation") {
            Self::Login
        } else if has("signing nonce") {
            Self::Other("the key cannot sign the login: is the seed right?".to_owned())
        } else if has("UnknownIssuer") {
            Self::UnknownAuthority
        } else if has("Connection refused") {
            Self::Refused
        } else if has("DNS error") || has("failed to lookup address") {
            Self::Dns
        } else if has("ertificate") || has("fatal alert") || has("TLS") || has("corrupt message") {
            Self::Tls(last_part(text))
        } else if has("timed out after the connection was made") {
            Self::Silent
        } else if has("timed out") {
            Self::TimedOut
        } else if text.ends_with("IO error") {
            // the client library keeps the rest to itself when it tries again
            Self::Other("the server cannot be reached".to_owned())
        } else {
            Self::Other(last_part(text))
        }
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused => Some("is the server running, and is the port right?"),
            Self::Login => Some("give --user and --password, --token, --creds or --context"),
            Self::Dns => Some("is the host name right?"),
            Self::UnknownAuthority => Some("name the authority's certificate with --tlsca"),
            Self::TimedOut => Some("is the host reachable from here (firewall, VPN)?"),
            Self::Silent => Some("does the server hang, or something between it and here?"),
            Self::TooMany => Some("raise max_connections of the server or the account"),
            Self::Protocol(_) | Self::Closed => Some("is this the client port of a NATS server?"),
            Self::Tls(_) | Self::Credentials(_) | Self::Other(_) => None,
        }
    }

    /// Whether trying again soon is unlikely to help.
    pub(super) fn is_lasting(&self) -> bool {
        match self {
            Self::Login
            | Self::TooMany
            | Self::Protocol(_)
            | Self::Closed
            | Self::Credentials(_) => true,
            Self::Refused
            | Self::Dns
            | Self::UnknownAuthority
            | Self::Tls(_)
            | Self::TimedOut
            | Self::Silent
            | Self::Other(_) => false,
        }
    }
}

/// Without `IO error: `, `nats: ` and control characters: a server's text is data.
fn last_part(text: &str) -> String {
    let text = ["IO error: ", "TLS error: ", "nats: "]
        .iter()
        .fold(text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Login => f.write_str("login refused (authorization violation)"),
            Self::Dns => f.write_str("host name not found"),
            Self::UnknownAuthority => {
                f.write_str("the server's certificate is signed by an unknown authority")
            }
            Self::Tls(text) => write!(f, "TLS: {text}"),
            Self::TimedOut => f.write_str("no connection in time"),
            Self::Silent => f.write_str("connected, but no answer in time"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::TooMany => f.write_str("the server has reached its maximum of connections"),
            Self::Protocol(text) => write!(f, "not a NATS server: {text}"),
            Self::Credentials(text) => write!(f, "credentials: {text}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_words_are_understood() {
        let is = |text: &str, failure: Failure| assert_eq!(Failure::explain(text), failure);
        is("IO error: Connection refused (os error 111)", Failure::Refused);
        is("authorization violation: nats: authorization violation", Failure::Login);
        is("IO error: invalid peer certificate: UnknownIssuer", Failure::UnknownAuthority);
        is(
            "IO error: invalid peer certificate: Expired",
            Failure::Tls("invalid peer certificate: Expired".into()),
        );
        is("DNS error: failed to lookup address information: x", Failure::Dns);
        is("timed out", Failure::TimedOut);
        is("timed out after the connection was made", Failure::Silent);
        is("IO error: expected INFO, got nothing", Failure::Closed);
        is("IO error: broken pipe", Failure::Closed);
        is("IO error: broken\u{1b}[2J pipe", Failure::Other("broken[2J pipe".into()));
    }
}
