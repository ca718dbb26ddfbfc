//! What authors of services have: crates outside of this workspace, with one dependency by path.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "authors/both_languages.rs"]
mod both_languages;
#[path = "authors/docs.rs"]
mod docs;
#[path = "authors/guide.rs"]
mod guide;
#[path = "authors/mistakes.rs"]
mod mistakes;
#[path = "authors/new.rs"]
mod new;
#[path = "authors/outside.rs"]
mod outside;
