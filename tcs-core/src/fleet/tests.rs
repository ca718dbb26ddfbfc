//! The model against `truth.md`, with literal times.

mod recordings;
