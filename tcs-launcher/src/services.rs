//! The service types of `tcsd` itself: one to see that all is well, and the tutorial's
//! (`docs/tutorial.md`). Each registers itself, under the name of its file.

pub mod examples;
pub mod hello_world;
