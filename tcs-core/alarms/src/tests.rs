//! The model against `docs/spec/alarms.md`, in virtual time.

mod floods;
mod fold;
mod law;
mod replay;
mod rule_changes;
mod scenarios;
mod sentinels;
pub(crate) mod support;
mod taken;
mod world;
