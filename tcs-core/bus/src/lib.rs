//! The NATS edge, and the only code that names the client library.
//!
//! [`settings`] says where to connect and as whom, [`Bus`] is the connection (cheap to clone,
//! shared by all), [`LinkState`] how it stands, and [`streams`] finds what a site keeps. With the
//! feature `observer` `Follow` reads it: the newest of each subject first, then all that comes.

#![cfg_attr(
    not(feature = "observer"),
    allow(dead_code, reason = "of what reads and what sends share, the former uses more")
)]

/// The vendored client library, under its own name; see `vendor/async-nats/README.md`.
extern crate tcs_async_nats as async_nats;

mod abilities;
mod address;
mod api;
pub mod clock;
mod connect;
pub mod connection_log;
mod context;
mod denial;
mod dial;
mod failure;
pub mod guard;
mod link;
pub mod outbox;
mod outgoing;
pub mod publish;
#[cfg(feature = "observer")]
mod reading;
mod release;
pub mod rpc;
mod secret;
pub mod settings;
mod stored;
pub mod streams;
pub mod subscribe;
mod time;

/// The target under which the client library logs; it logs each attempt to connect.
pub const CLIENT_LIBRARY: &str = "tcs_async_nats";

pub use address::{AddressError, Scheme, ServerUrl};
pub use api::ApiError;
pub use connect::{Bus, ConnectError, REQUEST_TIMEOUT};
pub use context::ContextError;
pub use denial::{Action, Denial};
pub use dial::RETRY_AT_MOST;
pub use failure::Failure;
pub use link::{LinkState, Server};
#[cfg(feature = "observer")]
pub use reading::*;
pub use secret::{Env, Secret, SecretError};
pub use time::{Arrivals, BrokerClock, ClockQuality};
