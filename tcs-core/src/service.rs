//! Writing and running services.
//!
//! A service implements one of three traits ([`BlockingService`], the one for most;
//! [`OneShotService`]; [`PermanentService`]) and registers itself with
//! [`service!`](crate::service!). A host ([`run`]) takes it through its life (the private
//! `lifecycle` says what follows what), tells its status on the way, and returns its [`Outcome`].
//! [`main()`] is a host for one service that runs by itself; a launcher runs many.
//!
//! In order: settings are read and the service is made (`new`), it is started, runs, is stopped.
//! Its code runs as tasks of the caller's runtime; its monitor speaks from the reporter's thread.

mod clock;
mod context;
mod host;
mod kinds;
mod lifecycle;
pub mod log;
mod main;
mod notify;
mod outcome;
mod registry;
pub mod signals;

pub use clock::Clock;
pub use context::ServiceContext;
pub use host::{HostOptions, Progress, run};
pub use kinds::{BlockingService, OneShotService, PermanentService};
pub use lifecycle::Limits;
pub use main::{main, main_of};
pub use notify::{ERROR, notify};
pub use outcome::{Cause, ExitCode, Failure, Outcome};
pub use registry::{Registration, Registry, RegistryError, Service};

#[doc(hidden)]
pub use {
    inventory::submit,
    registry::{Submitted, is_name, is_nameless},
};
