//! How a file has what is not plain in its `nats` section.

use std::collections::BTreeMap;
use std::fmt::Display;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tcs_wire::Kind;
use tcs_wire::id::check_name;

fn checked<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<Option<T>, D::Error> {
    let value = Option::<T>::deserialize(deserializer)?;
    value.as_ref().map_or(Ok(()), check).map_err(D::Error::custom)?;
    Ok(value)
}

fn range<T: Ord + Copy + Display>(value: T, low: T, high: T) -> Result<(), String> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(format!("expected a number from {low} to {high}, found {value}"))
}

pub(super) fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    checked(deserializer, |port| range(*port, 1, u16::MAX))
}

pub(super) fn replicas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    checked(deserializer, |replicas| range(*replicas, 1, 5))
}

pub(super) fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    checked(deserializer, |host: &String| {
        if host.contains("://") {
            return Err(
                "expected a name without a scheme\nhint: write the address as `url:`".to_owned()
            );
        }
        Ok(())
    })
}

pub(super) fn prefix<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    checked(deserializer, |prefix: &String| {
        check_name("subject prefix", prefix).map_err(|error| error.to_string())
    })
}

/// Names of streams, any of them.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Streams {
    /// Stream of the registry events.
    registry: Option<StreamName>,
    /// Stream of the statuses.
    status: Option<StreamName>,
    /// Stream of the heartbeats.
    heartbeat: Option<StreamName>,
}

/// What `check_name` takes, for the schema; or a variable.
pub(super) const PREFIX: &str =
    r"^[^\s.*>\x00-\x1f\x7f-\x9f]+(\.[^\s.*>\x00-\x1f\x7f-\x9f]+)*$|\$\{[A-Za-z_]";

#[derive(Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend(
    "type" = ["string", "integer"],
    "pattern" = r"^[^\s.*>/\\\x00-\x1f\x7f-\x9f]+$|\$\{[A-Za-z_]",
))]
struct StreamName(String);

impl TryFrom<String> for StreamName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
        if name.is_empty() || name.contains(is_bad) {
            return Err(format!(
                "`{name}` is not a stream name: no blanks, `.`, `*`, `>`, `/`, `\\`"
            ));
        }
        Ok(Self(name))
    }
}

pub(super) fn streams<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Kind, String>, D::Error> {
    let Streams { registry, status, heartbeat } = Streams::deserialize(deserializer)?;
    let names = Kind::FLEET.into_iter().zip([registry, status, heartbeat]);
    Ok(names.filter_map(|(kind, name)| Some((kind, name?.0))).collect())
}
