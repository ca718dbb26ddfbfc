//! The model against `docs/spec/truth.md`, with literal times.

mod consoles;
mod graph;
mod history;
mod law;
mod listing;
mod origins;
mod recordings;
mod relations;
mod rules;
mod scenarios;
mod support;
mod transitions;
mod why;
