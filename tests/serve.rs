//! `tcsctl metrics` and `tcsctl serve` against real brokers and launchers, by a real HTTP client, a
//! real Prometheus where there is one, and a real browser.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "in a test a panic is the report")]

#[path = "serve/browser.rs"]
mod browser;
#[path = "serve/budget.rs"]
mod budget;
#[path = "serve/limits.rs"]
mod limits;
#[path = "serve/metrics.rs"]
mod metrics;
#[path = "serve/proxy.rs"]
mod proxy;
#[path = "serve/site.rs"]
mod site;

use std::process::Stdio;

use tcs_testkit::http;
use tcs_testkit::nats::{self, Server, on_each_server, server, wait_for};
use tcs_testkit::serve::Serve;
use tcs_testkit::tcsctl::{self, at, recording};
use tcs_testkit::tcsd::signal;

/// A broker that holds a recording.
async fn filled(binary: &nats::Binary, name: &str) -> Server {
    let server = Server::start(binary).await;
    at(&server.url(), &["replay", "--instant", "--create-streams", &recording(name)]).expect(0);
    server
}
