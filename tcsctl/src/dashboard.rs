//! The full-screen dashboard: `tcsctl watch`.
//!
//! ```text
//!   keys, mouse, signals ─┐
//!   messages, link ───────┼─> Event ─> State::update(event, now) ─> Action ─> run (network, clipboard)
//!   one-second clock ─────┘                    │
//!                                              └─> view::draw(&State) ─> Screen (differences only)
//! ```
//!
//! [`event`] says what can happen and what can be wanted; [`keymap`] is the one table of commands,
//! of which a [`page`] may bind some keys otherwise;
//! [`state`] is pure: no clock, no terminal, no network; [`view`] only reads. [`terminal`] owns the
//! terminal and gives it back, and [`run`] joins them: it waits for one event, drains what waits,
//! updates, and draws once, at most 20 times a second.

pub mod bell;
pub mod config;
pub mod event;
mod foreground;
pub mod key;
pub mod keymap;
pub mod layout;
pub mod own;
mod pace;
pub mod page;
pub mod run;
pub mod source;
pub mod state;
pub mod terminal;
pub mod theme;
pub mod view;

#[cfg(test)]
mod tests;
