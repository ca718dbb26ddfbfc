//! Writing and running services.
//!
//! A service implements one of three traits ([`BlockingService`], for most services;
//! [`OneShotService`]; [`PermanentService`]), and `#[service]` before the `impl` registers it. A
//! host ([`run`]) runs its life cycle (see the private module `lifecycle`), reports its status, and
//! returns its [`Outcome`]. [`main()`] is a host for one service that runs by itself; a launcher
//! runs many.
//!
//! In order: the settings are read, the service is created (`new`), started, run, and stopped. Its
//! code runs as tasks of the caller's runtime; its monitor sends from the reporter's thread.

use std::time::Duration;

mod clock;
mod context;
mod handler;
mod host;
mod kinds;
mod lifecycle;
pub mod log;
mod main;
mod message;
mod notify;
mod outcome;
mod registry;
mod schema;
pub mod signals;
mod subscription;
mod task;

pub use clock::Clock;
pub use context::Context;
pub use host::{HostOptions, Progress, run};
pub use kinds::{BlockingService, OneShotService, PermanentService, Service};
pub use lifecycle::Limits;
pub use main::{main, main_of};
pub use message::Message;
pub use notify::{ERROR, NotifySocket, notify};
pub use outcome::{Cause, ExitCode, Failure, Outcome};
pub use registry::{Registration, Registry, RegistryError};
pub use schema::Schema;
pub use subscription::Subscription;
pub use task::Task;

/// A duration in seconds. Negative values and NaN give zero; values that are too long give the
/// maximum.
///
/// ```
/// use tcs_core::prelude::*;
/// assert_eq!(secs(1.5), Duration::from_millis(1500));
/// assert_eq!(secs(-1.0), Duration::ZERO);
/// ```
pub fn secs(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) => time,
        Err(_) if seconds > 0.0 => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

#[cfg(feature = "testing")]
pub(crate) use {
    host::{Make, run_made},
    kinds::{Kind, Made},
    registry::{create, read_config},
};

/// Used by the code that `#[service]` generates.
#[doc(hidden)]
pub mod private {
    pub use super::kinds::{Blocking, OneShot, Permanent, made_by_default};
    pub use super::registry::{Submitted, is_nameless};
    pub use inventory::submit;
}
