//! Names that are valid on NATS: parsed once, valid ever after.
//!
//! A service is `<service type>.<variant>`. The type may hold dots (`examples.minimal`), the
//! variant never: it is what follows the last dot. NATS allows no white space, `*` or `>` in a
//! token, and no empty token; control characters are refused too, because an id is printed
//! (`docs/spec/wire.md#names`).
//!
//! What *other* programs publish is not held to this: the fleet keeps their names as they come.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest id in bytes. NATS itself ends at 4096 bytes for a whole control line.
pub const MAX_LEN: usize = 1024;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Nothing there, or nothing between two dots.
    #[error("{what} `{text}` has an empty part: ids are names joined by single dots")]
    Empty {
        /// What was being read, e.g. "service id".
        what: &'static str,
        /// The text as given.
        text: String,
    },
    /// A character that NATS does not allow, or that must not be printed.
    #[error("{what} `{}` contains {character:?}: no blanks, `*`, `>` or control characters", .text.escape_debug())]
    Character {
        /// What was being read.
        what: &'static str,
        /// The text as given.
        text: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// A variant with a dot in it: the last dot separates type from variant.
    #[error("variant `{text}` contains a dot: the variant is what follows the last dot of an id")]
    DotInVariant {
        /// The variant as given.
        text: String,
    },
    /// A service id with one part only.
    #[error("service id `{text}` has no variant: write <type>.<variant>, e.g. `{text}.main`")]
    NoVariant {
        /// The text as given.
        text: String,
    },
    /// Longer than [`MAX_LEN`].
    #[error("{what} has {len} bytes: at most {MAX_LEN}")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
}

/// Checks one dotted name against the rules of this module.
pub fn check_name(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.len() > MAX_LEN {
        return Err(IdError::TooLong { what, len: text.len() });
    }
    if let Some(character) =
        text.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>'))
    {
        return Err(IdError::Character { what, text: text.to_owned(), character });
    }
    if text.split('.').any(str::is_empty) {
        return Err(IdError::Empty { what, text: text.to_owned() });
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text, as used in a subject.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for Arc<str> {
            fn from(name: $name) -> Arc<str> {
                name.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type! {
    /// What kind of service: `guider`, `examples.minimal`.
    ServiceType
}
name_type! {
    /// Which of a type's services: `main`, `jk15`. Never has a dot.
    Variant
}
name_type! {
    /// One service of the fleet: `<service type>.<variant>`.
    ServiceId
}
name_type! {
    /// A launcher: `<hash6>.<short host name>-<kind>-launcher`, the same at each start.
    LauncherId
}
name_type! {
    /// Any monitored object: a service, a launcher, a monitor in another program.
    ObjectName
}

impl FromStr for ServiceType {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        check_name("service type", text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for Variant {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.contains('.') {
            return Err(IdError::DotInVariant { text: text.to_owned() });
        }
        check_name("variant", text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for ServiceId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        check_name("service id", text)?;
        if !text.contains('.') {
            return Err(IdError::NoVariant { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for LauncherId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        check_name("launcher id", text)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for ObjectName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        check_name("name", text)?;
        Ok(Self(text.into()))
    }
}

impl ServiceId {
    /// Joins the two parts.
    pub fn new(service_type: &ServiceType, variant: &Variant) -> Self {
        Self(format!("{service_type}.{variant}").into())
    }

    /// The part before the last dot.
    pub fn service_type(&self) -> ServiceType {
        ServiceType(split(&self.0).0.into())
    }

    /// The part after the last dot.
    pub fn variant(&self) -> Variant {
        Variant(split(&self.0).1.into())
    }
}

impl From<ServiceId> for ObjectName {
    fn from(id: ServiceId) -> Self {
        Self(id.0)
    }
}

/// Splits any name at its last dot into type and variant; a name without a dot has no variant.
pub fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, ""))
}

impl LauncherId {
    /// The id of the launcher that `config` (as given), `cwd` and `host` make: the same three give
    /// the same id, so that a restarted launcher keeps its name. `kind` is `process` or `async`.
    pub fn derive(config: &str, cwd: &str, host: &str, kind: &str) -> Result<Self, IdError> {
        let short = host.split('.').next().unwrap_or_default();
        let hash = hash6(&[config, cwd, host]);
        format!("{hash}.{short}-{kind}-launcher").parse()
    }

    /// The name under which the launcher itself is monitored, and which its services carry as
    /// `parent`.
    pub fn object_name(&self) -> ObjectName {
        ObjectName(format!("launcher.{}", self.0).into())
    }
}

/// Six characters of `[0-9A-Za-z]` from the 64-bit FNV-1a hash of the parts.
fn hash6(parts: &[&str]) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // the high bits of FNV are the mixed ones
    let mut rest = hash ^ (hash >> 32);
    (0..6)
        .map(|_| {
            let digit = (rest % 62) as usize;
            rest /= 62;
            char::from(ALPHABET[digit])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variant_is_what_follows_the_last_dot() {
        let id: ServiceId = "examples.minimal.tutorial".parse().unwrap();
        assert_eq!(id.service_type().as_str(), "examples.minimal");
        assert_eq!(id.variant().as_str(), "tutorial");
        assert_eq!(ServiceId::new(&id.service_type(), &id.variant()), id);
    }

    #[test]
    fn what_nats_cannot_carry_is_refused_with_its_reason() {
        let say = |text: &str| text.parse::<ServiceId>().unwrap_err().to_string();
        assert!(say("guider").contains("write <type>.<variant>, e.g. `guider.main`"));
        assert!(say("a b.c").contains("contains ' '"));
        assert!(say("a.*").contains("contains '*'"));
        assert!(say("a.\u{1b}[31m").contains("\\u{1b}"));
        assert!(!say("a.\u{1b}[31m").contains('\u{1b}'));
        assert!(say("a..b").contains("empty part"));
        assert!(say("").contains("empty part"));
        assert!(say(&"a.".repeat(600)).contains("1200 bytes"));
        assert!("a.b".parse::<Variant>().unwrap_err().to_string().contains("contains a dot"));
    }

    #[test]
    fn a_launcher_keeps_its_id_and_differs_from_its_neighbours() {
        let id = |config, cwd| LauncherId::derive(config, cwd, "srv01.oca.lan", "process").unwrap();
        assert_eq!(id("config/services.yaml", "/srv/tcs"), id("config/services.yaml", "/srv/tcs"));
        assert_ne!(id("config/services.yaml", "/srv/tcs"), id("config/services.yaml", "/srv/tcs2"));
        assert_ne!(id("ab", "c"), id("a", "bc"));
        let text = id("config/services.yaml", "/srv/tcs").to_string();
        let (hash, rest) = text.split_once('.').unwrap();
        assert_eq!((hash.len(), rest), (6, "srv01-process-launcher"));
    }
}
