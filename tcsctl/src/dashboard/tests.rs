//! Screens, as text and as styled runs.

pub(crate) mod fixture;
