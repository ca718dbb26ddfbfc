//! The services of `tcsd` itself: one to see that all is well, and the tutorial's
//! (`docs/tutorial.md`). A launcher of somebody's own has them if it asks for them
//! (`use tcs_samples as _;`).

pub mod examples;
pub mod hello_world;
