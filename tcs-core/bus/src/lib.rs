//! The NATS edge, and the only code that names the client library.
//!
//! [`settings`] says where to connect and as whom, [`Bus`] is the connection (cheap to clone,
//! shared by all), [`LinkState`] how it stands, and [`streams`] finds what a site keeps. [`Follow`]
//! reads it: the newest of each subject first, then all that comes.

/// The vendored client library, under its own name; see `vendor/async-nats/README.md`.
extern crate tcs_async_nats as async_nats;

mod abilities;
mod address;
mod api;
pub mod clock;
mod connect;
pub mod connection_log;
mod consumer;
mod contact;
mod context;
pub mod copy;
mod coverage;
mod denial;
mod dial;
mod failure;
mod feed;
mod follow;
mod gets;
pub mod guard;
mod history;
mod link;
mod mailbox;
mod message;
pub mod observer;
pub mod outbox;
pub mod publish;
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
pub use contact::{CONTACT_LOST_AFTER, Contact};
pub use context::ContextError;
pub use coverage::{Progress, ReadMode, Reading};
pub use denial::{Action, Denial};
pub use dial::RETRY_AT_MOST;
pub use failure::Failure;
pub use feed::{Fed, Feed, Interruption};
pub use follow::{Follow, Heard, Note};
pub use history::{Budget, Completeness, HistoryQuery};
pub use link::{LinkState, Server};
pub use mailbox::{Cut, Item};
pub use message::{RawMessage, Stored};
pub use secret::{Env, Secret, SecretError};
pub use time::{Arrivals, BrokerClock, ClockQuality};
