//! The tutorial's five services, from the smallest to one that runs several tasks.

pub mod basic;
pub mod logging;
pub mod minimal;
pub mod monitoring;
pub mod nonblocking;
