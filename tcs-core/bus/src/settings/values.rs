//! Values of settings, with where they came from.

use std::fmt;
use std::path::PathBuf;

use crate::secret::Secret;

/// Which place a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The command line, or the program's own code.
    Flag,
    /// The `nats` section of this file.
    File(PathBuf),
    /// This environment variable.
    Env(&'static str),
    /// This `nats` context.
    Context(String),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Context(name) => write!(f, "nats context {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Origin {
    /// What to say of a wrong value: the option as it is typed, or the place.
    pub(super) fn of_option(&self, option: &str) -> String {
        match self {
            Self::Flag => option.to_owned(),
            Self::File(_) | Self::Env(_) | Self::Context(_) | Self::Default => self.to_string(),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

/// Who to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Nobody in particular.
    Anonymous,
    /// User and password.
    User(String, Secret),
    /// Token.
    Token(Secret),
    /// The text of a credentials file.
    Creds(Secret),
    /// NKey seed.
    NKey(Secret),
    /// User JWT and its seed.
    Jwt(Secret, Secret),
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("none"),
            Self::User(user, _) => write!(f, "user {user}"),
            Self::Token(_) => f.write_str("token"),
            Self::Creds(_) => f.write_str("credentials file"),
            Self::NKey(_) => f.write_str("nkey"),
            Self::Jwt(..) => f.write_str("jwt"),
        }
    }
}

/// How to encrypt. `tls://` addresses and servers that demand it get TLS in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// Trusted authorities; none: the system's.
    pub ca: Option<PathBuf>,
    /// Client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Handshake before the server's first word.
    pub first: bool,
}
