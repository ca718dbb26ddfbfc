//! The tutorial's five services, from the smallest to one that runs several tasks, and four that
//! show what a fleet can look like: two of them do not do well.

pub mod basic;
pub mod crashing;
pub mod hanging;
pub mod importing;
pub mod instrument;
pub mod logging;
pub mod minimal;
pub mod monitoring;
pub mod nonblocking;
