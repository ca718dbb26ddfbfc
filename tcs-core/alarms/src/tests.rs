//! The model against `docs/spec/alarms.md`, in virtual time.

mod floods;
mod fold;
mod law;
mod scenarios;
pub(crate) mod support;
mod taken;
mod world;
