//! The NATS edge, and the only code that names the client library.
//!
//! [`settings`] says where to connect and as whom, [`Bus`] is the connection (cheap to clone,
//! shared by all), [`LinkState`] how it stands, and [`streams`] finds what a site keeps. [`Follow`]
//! reads it: the newest of each subject first, then all that comes.

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
#[cfg(feature = "observer")]
mod consumer;
#[cfg(feature = "observer")]
mod contact;
mod context;
#[cfg(feature = "observer")]
pub mod copy;
#[cfg(feature = "observer")]
mod coverage;
mod denial;
mod dial;
mod failure;
#[cfg(feature = "observer")]
mod feed;
#[cfg(feature = "observer")]
mod follow;
#[cfg(feature = "observer")]
mod gets;
pub mod guard;
#[cfg(feature = "observer")]
mod history;
mod link;
#[cfg(feature = "observer")]
mod mailbox;
#[cfg(feature = "observer")]
mod message;
#[cfg(feature = "observer")]
pub mod observer;
pub mod outbox;
pub mod publish;
#[cfg(feature = "observer")]
mod reader;
pub mod rpc;
mod secret;
pub mod settings;
mod stored;
pub mod streams;
pub mod subscribe;
mod time;

/// Under this name the client library logs; it tells of each attempt to connect.
pub const CLIENT_LIBRARY: &str = "tcs_async_nats";

pub use address::{AddressError, Scheme, ServerUrl};
pub use api::ApiError;
pub use connect::{Bus, ConnectError, REQUEST_TIMEOUT};
#[cfg(feature = "observer")]
pub use contact::{CONTACT_LOST_AFTER, Contact};
pub use context::ContextError;
#[cfg(feature = "observer")]
pub use coverage::{Progress, ReadMode, Reading};
pub use denial::{Action, Denial};
pub use dial::RETRY_AT_MOST;
pub use failure::Failure;
#[cfg(feature = "observer")]
pub use feed::{Fed, Feed, Interruption};
#[cfg(feature = "observer")]
pub use follow::{Follow, Heard, Note};
#[cfg(feature = "observer")]
pub use history::{Budget, Completeness, HistoryQuery};
pub use link::{LinkState, Server};
#[cfg(feature = "observer")]
pub use mailbox::{Cut, Item};
#[cfg(feature = "observer")]
pub use message::{RawMessage, Stored};
pub use secret::{Env, Secret, SecretError};
pub use time::{Arrivals, BrokerClock, ClockQuality};
