//! Reading what the streams hold and what comes, and the picture of a fleet from it: for consoles and
//! launchers. A service only sends.

mod consumer;
mod contact;
pub mod copy;
mod coverage;
mod feed;
mod follow;
mod gets;
mod history;
mod mailbox;
mod message;
pub mod observer;
mod probe;
mod reader;
mod shared;

pub use contact::{CONTACT_LOST_AFTER, Contact};
pub use coverage::{Progress, ReadMode, Reading};
pub use feed::{Fed, Feed, Interruption};
pub use follow::{Follow, Heard};
pub use history::{Budget, Completeness, HistoryQuery};
pub use mailbox::{Cut, Item};
pub use message::{RawMessage, Stored};
pub use shared::Note;
