//! Service framework, wire protocol and fleet model for observatory services over NATS.
//!
//! Rooms, inside out: [`wire`] and [`id`] say what travels, [`fleet`] is the pure model of what is
//! so, [`bus`] is the NATS edge, and [`observer`] joins the two. [`config`] reads files; `service`
//! and `monitor` are what a service author uses.

pub mod bus;
pub mod clock;
pub mod config;
pub mod fleet;
mod guard;
pub mod id;
pub mod monitor;
pub mod observer;
pub mod service;
pub mod testing;
pub mod wire;
