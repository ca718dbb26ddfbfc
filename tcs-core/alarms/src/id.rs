//! What an alarm, and one occurrence of it, is called (`docs/spec/alarms.md#alarms`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tcs_wire::Timestamp;
use tcs_wire::id::{IdError, check_name};

/// Why a text names no alarm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlarmIdError {
    /// Not of the form.
    #[error("`{}` is not an alarm: write RULE/SERVICE, e.g. `failed/guider.main`", .0.escape_debug())]
    Form(String),
    /// Not of the form, or no such date.
    #[error("`{}` is not an episode: RULE/SERVICE@TIME", .0.escape_debug())]
    Episode(String),
    /// A rule's or a channel's name that is more than one token of a subject.
    #[error("{what} `{}`: a name without `.`, `/` and `@`", .name.escape_debug())]
    Token {
        /// `rule` or `channel`.
        what: &'static str,
        /// As given.
        name: String,
    },
    /// Not a name that NATS could carry.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// Whether a rule or a channel may have this name: one token of a subject.
pub fn check_token(what: &'static str, name: &str) -> Result<(), AlarmIdError> {
    check_name(what, name)?;
    if name.contains(['.', '/', '@']) {
        return Err(AlarmIdError::Token { what, name: name.to_owned() });
    }
    Ok(())
}

/// One alarm: a rule and what it is about. Written `<rule>/<object>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlarmId {
    rule: Arc<str>,
    object: Arc<str>,
}

impl AlarmId {
    /// `object` is a service's id, or one of [`Self::BROKER`], `_host.<name>`, `_channel.<name>`.
    pub fn new(
        rule: impl Into<Arc<str>>,
        object: impl Into<Arc<str>>,
    ) -> Result<Self, AlarmIdError> {
        let (rule, object) = (rule.into(), object.into());
        check_token("rule", &rule)?;
        check_name("service", &object)?;
        Ok(Self { rule, object })
    }

    /// The object of alarms about everything.
    pub const BROKER: &str = "_broker";

    /// The object of alarms about a host: dots of its name are not those of a subject.
    pub fn host_object(host: &str) -> String {
        format!("_host.{}", host.replace('.', "_"))
    }

    /// The object of alarms about a channel.
    pub fn channel_object(channel: &str) -> String {
        format!("_channel.{channel}")
    }

    /// The rule's name.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What it is about.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The host that it is about, as in [`Self::host_object`].
    pub fn host(&self) -> Option<&str> {
        self.object.strip_prefix("_host.")
    }

    /// The service that it is about; `None` where it is about no service.
    pub fn service(&self) -> Option<&str> {
        (!self.object.starts_with('_')).then_some(&*self.object)
    }
}

impl fmt::Display for AlarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.rule, self.object))
    }
}

impl FromStr for AlarmId {
    type Err = AlarmIdError;

    fn from_str(text: &str) -> Result<Self, AlarmIdError> {
        let form = || AlarmIdError::Form(text.to_owned());
        let (rule, object) = text.split_once('/').ok_or_else(form)?;
        Self::new(rule, object)
    }
}

/// One raise of an alarm until its end. Written `<rule>/<object>@<time of the raise>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Episode {
    /// Of which alarm.
    pub alarm: AlarmId,
    /// When it was raised, by the broker's clock.
    pub raised: Timestamp,
}

impl Episode {
    /// Begins at `now`.
    pub fn new(alarm: AlarmId, now: DateTime<Utc>) -> Self {
        Self { alarm, raised: now.into() }
    }
}

impl fmt::Display for Episode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raised = self.raised.time().to_rfc3339_opts(SecondsFormat::Micros, true);
        write!(f, "{}@{raised}", self.alarm)
    }
}

impl FromStr for Episode {
    type Err = AlarmIdError;

    fn from_str(text: &str) -> Result<Self, AlarmIdError> {
        let form = || AlarmIdError::Episode(text.to_owned());
        let (alarm, raised) = text.rsplit_once('@').ok_or_else(form)?;
        let raised = DateTime::parse_from_rfc3339(raised).map_err(|_| form())?;
        Ok(Self { alarm: alarm.parse()?, raised: raised.to_utc().into() })
    }
}

macro_rules! as_text {
    ($($type:ty)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
as_text!(AlarmId Episode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let alarm: AlarmId = "failed/guider.main".parse().unwrap();
        assert_eq!((alarm.rule(), alarm.object()), ("failed", "guider.main"));
        let text = "failed/guider.main@2026-11-23T02:13:04.120000Z";
        let episode: Episode = text.parse().unwrap();
        assert_eq!(episode.to_string(), text);
        assert_eq!(episode.alarm, alarm);
        // a service's name may hold anything but blanks
        let odd: Episode = "failed/a@b/c.x@2026-11-23T02:13:04Z".parse().unwrap();
        assert_eq!(odd.alarm.object(), "a@b/c.x");
        let host = AlarmId::new("skew", AlarmId::host_object("srv02.oca.lan")).unwrap();
        assert_eq!(host.object(), "_host.srv02_oca_lan");
        assert_eq!((host.host(), host.service()), (Some("srv02_oca_lan"), None));
    }

    #[test]
    fn what_is_no_alarm_is_refused_with_its_reason() {
        let say = |text: &str| text.parse::<AlarmId>().unwrap_err().to_string();
        assert!(say("guider.main").contains("write RULE/SERVICE"));
        assert!(say("a.b/guider.main").contains("a name without `.`"));
        assert!(say("failed/a b.c").contains("contains ' '"));
        assert!(say("failed/").contains("empty part"));
        assert!(say("\u{1b}").contains("\\u{1b}"));
        assert!("failed/a.b@yesterday".parse::<Episode>().is_err());
        assert!("failed/a.b".parse::<Episode>().is_err());
    }
}
