//! Words of a rule that are not plain text or numbers.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use tcs_fleet::{Reason, Verdict};

use crate::id::{AlarmIdError, check_token};
use crate::span::Span;

macro_rules! token {
    ($(#[$doc:meta])* $name:ident $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = AlarmIdError;

            fn from_str(text: &str) -> Result<Self, AlarmIdError> {
                check_token($what, text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

token! {
    /// The name of a rule: one token of a subject.
    RuleName "rule"
}
token! {
    /// The name of a channel: one token of a subject.
    ChannelName "channel"
}

/// One step of an escalation: `{page: 5m}`, `{page: 15m, repeat: 30m}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who is told.
    pub channel: ChannelName,
    /// How long after the alarm began to demand attention.
    pub after: Span,
    /// And again each time this has passed.
    pub repeat: Option<Span>,
}

impl Step {
    /// One for each channel.
    pub(super) fn at_once(channels: &[&str]) -> Result<Vec<Self>, AlarmIdError> {
        let step =
            |name: &&str| Ok(Self { channel: name.parse()?, after: Span::default(), repeat: None });
        channels.iter().map(step).collect()
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.channel.as_str(), &self.after)?;
        if let Some(repeat) = &self.repeat {
            map.serialize_entry("repeat", repeat)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StepVisitor;

        impl<'de> Visitor<'de> for StepVisitor {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a channel and when, as `{page: 5m}` or `{page: 15m, repeat: 30m}`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
                let (mut told, mut repeat) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let span: Span = map.next_value()?;
                    if key == "repeat" {
                        let short = span < Span::seconds(60);
                        if short {
                            return Err(A::Error::custom("`repeat` is shorter than a minute"));
                        }
                        repeat = Some(span);
                    } else if told.is_none() {
                        told = Some((key.parse().map_err(A::Error::custom)?, span));
                    } else {
                        return Err(A::Error::custom(
                            "one channel per step\nhint: write two steps",
                        ));
                    }
                }
                let (channel, after) =
                    told.ok_or_else(|| A::Error::custom("a step names no channel"))?;
                Ok(Step { channel, after, repeat })
            }
        }

        deserializer.deserialize_map(StepVisitor)
    }
}

/// One value, or a list of them.
struct OneOrMany<T>(Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: DeserializeOwned> Visitor<'de> for ListVisitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a list of words")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let one = T::deserialize(serde::de::value::StrDeserializer::new(text))?;
                Ok(OneOrMany(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
            }
        }

        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// A verdict as it is written.
struct VerdictWord(Verdict);

const VERDICTS: [&str; Verdict::ALL.len()] = {
    let mut words = [""; Verdict::ALL.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = Verdict::ALL[i].as_str();
        i += 1;
    }
    words
};

impl<'de> Deserialize<'de> for VerdictWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word);
        known.map(Self).ok_or_else(|| D::Error::unknown_variant(&word, &VERDICTS))
    }
}

pub(super) fn verdicts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Verdict>, D::Error> {
    let OneOrMany(words) = OneOrMany::<VerdictWord>::deserialize(input)?;
    Ok(words.into_iter().map(|word| word.0).collect())
}

pub(super) fn write_verdicts<S: Serializer>(
    list: &[Verdict],
    output: S,
) -> Result<S::Ok, S::Error> {
    output.collect_seq(list.iter().map(|verdict| verdict.as_str()))
}

/// The code of a reason.
struct Code(String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        if Reason::CODES.contains(&code.as_str()) {
            return Ok(Self(code));
        }
        Err(D::Error::unknown_variant(&code, &Reason::CODES))
    }
}

pub(super) fn reasons<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let OneOrMany(codes) = OneOrMany::<Code>::deserialize(input)?;
    Ok(codes.into_iter().map(|code| code.0).collect())
}

/// A filter as its text.
pub(super) mod filter {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use tcs_fleet::Filter;

    pub(in crate::rules) fn serialize<S: Serializer>(
        filter: &Filter,
        output: S,
    ) -> Result<S::Ok, S::Error> {
        output.serialize_str(filter.text())
    }

    pub(in crate::rules) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Filter, D::Error> {
        Filter::parse(&String::deserialize(input)?).map_err(D::Error::custom)
    }
}
