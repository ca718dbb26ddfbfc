//! Service framework, wire protocol and fleet model for observatory services over NATS.
//!
//! A complete service:
//!
//! ```
//! use tcs_core::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Config { #[serde(default = "five")] interval: f64 }
//! fn five() -> f64 { 5.0 }
//!
//! struct HelloWorld { config: Config }
//!
//! impl BlockingService for HelloWorld {
//!     type Config = Config;
//!     fn new(config: Config) -> Self { Self { config } }
//!     async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
//!         while ctx.sleep_secs(self.config.interval).await { ctx.info("hello") }
//!         Ok(())
//!     }
//! }
//! # mod in_its_own_file { use super::HelloWorld;
//! tcs_core::service!(HelloWorld, "hello_world"); // without a name: that of the file
//! # }
//! # fn main() {
//! # let mut rig = tcs_core::testing::Rig::start::<HelloWorld>(serde_json::json!({}));
//! # rig.run_for(std::time::Duration::from_secs(11));
//! # assert_eq!(rig.stop(), tcs_core::service::Outcome::Cancelled);
//! # }
//! ```
//!
//! It reports itself: status, heartbeats, `health` and `stats` on request. It runs alone
//! (`fn main() -> ExitCode { tcs_core::main::<HelloWorld>() }`) or under `tcsd`. The tutorial is
//! in `docs/tutorial.md`.
//!
//! Rooms, inside out: [`wire`] and [`id`] say what travels, [`fleet`] is the pure model of what is
//! so, [`bus`] is the NATS edge, and [`observer`] joins the two. [`config`] reads files;
//! [`mod@service`] and [`monitor`] are what a service author uses, [`testing`] what their tests use.

pub mod config;
pub mod manual;
pub mod monitor;
pub mod service;
pub mod testing;

pub use service::main;
pub use tcs_bus as bus;
pub use tcs_bus::{clock, observer};
pub use tcs_fleet as fleet;
pub use tcs_wire as wire;
pub use tcs_wire::id;

/// What a service's file needs.
pub mod prelude {
    pub use crate::bus::rpc::Call;
    pub use crate::monitor::Monitor;
    pub use crate::service::{
        BlockingService, ExitCode, OneShotService, PermanentService, ServiceContext,
    };
    pub use crate::wire::Status;
    pub use anyhow;
    pub use serde::Deserialize;
}
