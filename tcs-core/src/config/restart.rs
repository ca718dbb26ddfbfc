//! `restart`, `restart_sec`, `restart_max`, `restart_window` of an entry, as the Python launchers
//! read them (`docs/spec/configuration.md#restart-policy`).

use std::num::NonZeroU32;

use super::nearest::nearest;
use super::problem::Problem;
use super::section::Section;
use super::value::Value;
pub use crate::wire::policy::{RestartPolicy, RestartWhen};

/// The keys, which are the launcher's and not the service's.
pub(super) const KEYS: [&str; 4] = ["restart", "restart_sec", "restart_max", "restart_window"];

/// Reads the four keys of an entry.
pub(super) fn read(entry: &mut Section<'_, '_>) -> RestartPolicy {
    let default = RestartPolicy::default();
    let limit = entry.whole("restart_max").unwrap_or(0);
    RestartPolicy {
        when: when(entry).unwrap_or(default.when),
        delay: entry.seconds("restart_sec").unwrap_or(default.delay),
        limit: NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX)),
        window: entry.seconds("restart_window").unwrap_or(default.window),
        backoff: None,
    }
}

fn when(entry: &mut Section<'_, '_>) -> Option<RestartWhen> {
    let node = entry.node("restart")?;
    let words = RestartWhen::ALL.map(RestartWhen::as_str);
    let one_of = format!("one of {}", words.join(", "));
    match &node.value {
        // YAML 1.1 reads an unquoted `no` as false
        Value::Bool(false) => Some(RestartWhen::No),
        Value::Text(text) => {
            let found = RestartWhen::ALL.into_iter().find(|when| when.as_str() == text);
            if found.is_none() {
                // a warning, because such files run today, without restarts
                let message =
                    format!("`restart` is {one_of}; `{text}` is none, so nothing is restarted");
                let near = nearest(text, words);
                entry.problems.push(Problem::warning(node.at, message).suggest(near));
            }
            found
        }
        Value::Bool(true)
        | Value::Null
        | Value::Int(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_) => {
            let message = format!("`restart` must be {one_of}, found {}", node.kind());
            let hint = "`always` restarts after every end, `on-failure` after failures only";
            entry.problems.push(Problem::error(node.at, message).hint(hint));
            None
        }
    }
}
