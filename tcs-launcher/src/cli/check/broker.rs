//! `tcsd check --connect`: whether the broker takes us, and what is wrong with its streams.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tcs_core::bus::streams::SingleReplica;
use tcs_core::bus::{ApiError, Bus, LinkState};
use tcs_core::config::{Config, Environment};
use tcs_core::wire::Kind;

use super::super::{print, say};
use crate::daemon;

/// How long the broker may take for the connection, and for each answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints what was found. False: services could not be started by this broker, or their record not
/// be kept.
pub(super) fn look(path: &Path, explicit: bool, environment: &Environment) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut found = Vec::new();
    let looked = runtime
        .context("starting the runtime")
        .and_then(|runtime| runtime.block_on(connect(path, explicit, environment, &mut found)));
    found.iter().try_for_each(|line| print(line))?;
    Ok(looked.unwrap_or_else(|error| {
        say(&format!("broker: error: {error:#}"));
        false
    }))
}

/// What there is goes to `found`, what is wrong is said.
async fn connect(
    path: &Path,
    explicit: bool,
    environment: &Environment,
    found: &mut Vec<String>,
) -> anyhow::Result<bool> {
    let config = Config::load(path, explicit, environment)?;
    let settings = daemon::broker(&config, path, environment)?;
    let bus = Bus::connect(&settings, "tcsd check", PATIENCE).await?;
    if let LinkState::Connected { server, .. } = &*bus.link().borrow() {
        let login = &settings.auth.value;
        let version = &server.version;
        found.push(format!("broker: {}, nats-server {version}, login: {login}", server.url));
    }
    let mut is_well = true;
    for kind in Kind::FLEET {
        is_well &= streams(&bus, kind, found).await;
    }
    bus.release().await;
    Ok(is_well)
}

/// The streams of one kind; false: they cannot be used.
async fn streams(bus: &Bus, kind: Kind, found: &mut Vec<String>) -> bool {
    let kind_of = kind.token();
    let names = match bus.streams_of(&bus.subjects().all(kind)).await {
        Ok(names) => names,
        Err(error) => {
            say(&format!("broker: error: {kind_of}: {error}"));
            return false;
        }
    };
    if names.is_empty() {
        found.push(format!("{kind_of}: no stream yet; tcsd creates it when it starts"));
    }
    for name in &names {
        match bus.stream(name).await {
            Ok(facts) => {
                let replicas = match facts.replicas {
                    1 if !facts.clustered => String::new(),
                    1 => ", 1 replica".to_owned(),
                    many => format!(", {many} replicas"),
                };
                let messages = facts.messages;
                found.push(format!("{kind_of}: stream {name}, {messages} messages{replicas}"));
                if facts.is_at_risk() {
                    say(&format!("broker: warning: {}", SingleReplica(name)));
                }
            }
            // which is enough to publish
            Err(error @ ApiError::Denied(_)) => {
                say(&format!("broker: warning: {kind_of}: stream {name}: {error}"));
            }
            Err(error) => {
                say(&format!("broker: error: {kind_of}: stream {name}: {error}"));
                return false;
            }
        }
    }
    true
}
