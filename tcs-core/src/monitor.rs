//! How a program reports its status, that of its components, and that it is alive.
//!
//! ```
//! use tcs_core::monitor::create_monitor;
//! use tcs_core::wire::Status;
//!
//! let monitor = create_monitor("guider.jk15");
//! monitor.set_status(Status::Ok, "guiding on HD 12345");
//! monitor.submonitor("camera").set_status(Status::Ok, "exposing");
//! let task = monitor.track_task("exposure"); // busy until it is dropped, then idle
//! ```
//!
//! Without a broker the calls work and publish nothing; they are published once there is one.
//!
//! **Who owns what.** A [`Reporter`] is one thread with the connection; it speaks for all monitors
//! of the program, so that a service that is busy or blocked still beats. A [`Monitor`] is a
//! handle: a change goes into a pure core (`core`) at once and in order, and is frozen there into
//! a report; the monitor's task on the reporter's thread (`speak`) sends it. Code of the
//! program's author (health checks, metrics) is called on the author's own runtime
//! (`callbacks`).
//!
//! **What is sent when.** A status when the own status or the aggregate changes (not when words,
//! metrics or a part alone do), 20 at once and then 10 a second; what is merged is counted in
//! `details.coalesced`, the last one is always sent. The same again after an outage and every
//! 6 hours. A heartbeat every 10 s. While the broker is away statuses wait in the outbox and
//! heartbeats are dropped.

mod callbacks;
mod core;
mod handle;
mod health;
mod lag;
mod pace;
mod remote;
mod reporter;
mod shared;
mod speak;

pub use handle::{Builder, Monitor, TaskGuard, create_monitor};
pub use health::Health;
pub use reporter::{Recorded, Reporter};
