//! Why a service is as it is, from real ends and from messages: `tcsctl events` and `tcsctl why`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "why/kills.rs"]
mod kills;
#[path = "why/page.rs"]
mod page;
#[path = "why/reboots.rs"]
mod reboots;
