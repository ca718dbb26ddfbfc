//! Service framework, wire protocol and fleet model for observatory services over NATS.
//!
//! A complete service:
//!
//! ```
//! use tcs_core::prelude::*;
//!
//! #[derive(Config)]
//! struct Settings { #[default(5.0)] interval: f64 }
//!
//! #[derive(Default)]
//! struct HelloWorld;
//!
//! # mod hello_world { use super::*;
//! #[service] // the service type is the module's name: hello_world
//! impl BlockingService for HelloWorld {
//!     type Config = Settings;
//!     async fn run(&self, ctx: &Context) -> Result<()> {
//!         while ctx.sleep(secs(ctx.config().interval)).await { ctx.info("hello"); }
//!         Ok(())
//!     }
//! }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let mut rig = tcs_core::testing::Rig::with(HelloWorld).await;
//! # rig.run_for(secs(11.0)).await;
//! # assert_eq!(rig.stop().await, tcs_core::service::Outcome::Cancelled);
//! # }
//! ```
//!
//! It reports its status, sends heartbeats, and answers `health` and `stats` requests. It runs
//! alone (`fn main() -> ExitCode { tcs_core::main::<HelloWorld>() }`) or under `tcsd`. The tutorial
//! is in `docs/tutorial.md`.
//!
//! Modules: [`wire`] and [`id`] define the messages, `fleet` is the pure model of the fleet,
//! [`bus`] connects to NATS, and `observer` joins the two (both need the feature `observer`).
//! [`config`] reads configuration files; authors of services use [`mod@service`] and
//! [`monitor`], and [`testing`] in their tests.

// `#[service]` and the derives refer to this crate as `tcs_core`
extern crate self as tcs_core;

/// The version of this build, for display: `0.1.0 (1a2b3c4, 2026-11-26)` with commit and date in
/// packages and after `make install`, else `0.1.0`.
pub const BUILD: &str = match option_env!("TCS_BUILD") {
    Some(build) => build,
    None => env!("CARGO_PKG_VERSION"),
};

pub mod config;
pub mod manual;
pub mod monitor;
pub mod service;
#[cfg(feature = "testing")]
pub mod testing;

pub use service::main;
pub use tcs_bus as bus;
pub use tcs_bus::clock;
#[cfg(feature = "observer")]
pub use tcs_bus::observer;
#[cfg(feature = "observer")]
pub use tcs_fleet as fleet;
pub use tcs_macros::service;
pub use tcs_wire as wire;
pub use tcs_wire::id;

/// What a service's file needs: `use tcs_core::prelude::*;`
///
/// Errors are `anyhow`'s (`Result`, `bail!`, `ensure!`, `.context(...)`), serde's derives come
/// without serde among the crate's dependencies, and `tokio` is there for its own tools and for
/// `#[tokio::test]`.
pub mod prelude {
    pub use std::sync::Arc;
    pub use std::sync::atomic::Ordering::{self, Relaxed};
    pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
    pub use std::time::Duration;

    pub use ::anyhow::{self, Context as _, Result, anyhow, bail, ensure};
    pub use serde::de::Deserialize;
    pub use serde::ser::Serialize;
    pub use serde_json::{self, Value, json};
    pub use tcs_macros::{Config, Deserialize, Serialize, service};
    pub use tokio;

    pub use crate::monitor::{Health, Monitor};
    pub use crate::service::{
        BlockingService, Context, ExitCode, Message, OneShotService, PermanentService, Task, secs,
    };
    pub use crate::wire::{Level, Status};
}

/// Used by the code that the macros generate.
#[doc(hidden)]
pub mod __private {
    pub use crate::service::private::*;
    pub use anyhow::Result;
    pub use serde::{self, Deserialize as SerdeDeserialize, Serialize as SerdeSerialize};
}
