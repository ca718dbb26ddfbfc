//! The `nats` section: what Python's has, and what ours adds.

use std::collections::BTreeSet;

use super::decode;
use super::environment::Environment;
use super::expand;
use super::problem::{Problem, Problems};
use super::value::{Mapping, Node, Value};
use crate::bus::settings::NatsSection;

/// Variables by which the NATS client itself, and our own, takes credentials.
const CREDENTIALS: [&str; 6] =
    ["NATS_PASSWORD", "NATS_TOKEN", "NATS_CREDS", "NATS_NKEY", "NATS_JWT", "NATS_SEED"];

/// The keys whose values are credentials, or may hold them.
const SECRET_KEYS: [&str; 7] = ["password", "token", "creds", "nkey", "jwt", "seed", "url"];

/// The variables that hold credentials: the usual ones, and those that the file takes them from.
/// `root` as it was before variables were replaced.
pub(super) fn credentials(root: Option<&Node>, environment: &Environment) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = CREDENTIALS.iter().map(ToString::to_string).collect();
    if environment.get("NATS_URL").is_some_and(|url| url.contains('@')) {
        names.insert("NATS_URL".to_owned());
    }
    let child = |node: &Node, key: &str| match &node.value {
        Value::Map(map) => map.get(key).cloned(),
        _ => None,
    };
    let Some(section) = root.and_then(|root| child(root, "nats")) else { return names };
    for key in SECRET_KEYS {
        let Some(Node { value: Value::Text(text), .. }) = child(&section, key) else { continue };
        names.extend(expand::names(&text).map(str::to_owned));
        names.extend(text.strip_prefix("env://").map(str::to_owned));
    }
    names
}

/// Reads the section; `None` for an empty one.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<NatsSection> {
    if node.is_null() {
        problems.push(
            Problem::warning(node.at, "an empty `nats` section: Python services exit at once")
                .hint("remove it, or give it a `host`"),
        );
        return None;
    }
    let mut node = node.clone();
    if let Value::Map(map) = &mut node.value {
        // Python ignores what it does not know, so a file may have it
        if let Some(key) = map.get_key("config_subject") {
            let message = "`nats.config_subject` does nothing: settings come from this file only";
            problems.push(Problem::warning(key.at, message));
        }
        if let Some(node) = map.get("subject_prefix").filter(|node| node.is_null()) {
            let message = "an empty `subject_prefix`: Python publishes under `None.`";
            let problem = Problem::warning(node.at, message);
            problems.push(problem.hint("remove the key for the default, `svc`"));
        }
        *map = map.without(&["config_subject"]);
        if let (Some(key), Some(hosts)) = (map.get_key("host").cloned(), hosts(map)) {
            map.insert(key, hosts);
        }
    }
    let section: NatsSection = decode::section(&node, "nats", false, problems)?;
    Some(NatsSection { required: section.required.or(Some(true)), ..section })
}

/// A list of hosts as one text.
fn hosts(map: &Mapping) -> Option<Node> {
    let node = map.get("host")?;
    let Value::List(items) = &node.value else { return None };
    let hosts: Option<Vec<&str>> = items.iter().map(Node::scalar_text).collect();
    Some(Node::new(Value::Text(hosts?.join(",")), node.at))
}

#[cfg(test)]
mod tests {
    use super::NatsSection;
    use crate::config::{Config, Environment, schema};

    /// Each key of the section is in the sample, there or as a comment, and is read as it stands.
    #[test]
    fn the_sample_shows_every_key() {
        let sample = include_str!("../../../config/services.sample.yaml");
        let lines = sample.lines().skip_while(|line| *line != "nats:").skip(1);
        let lines = lines.take_while(|line| line.starts_with("  "));
        let key_of = |line: &str| {
            let line = line.trim_start().trim_start_matches("# ");
            line.split_once(": ").map(|(key, _)| (key.to_owned(), line.to_owned()))
        };
        let schema = schema();
        let keys = schema["$defs"]["NatsSection"]["properties"].as_object().unwrap();
        let shown: Vec<(String, String)> =
            lines.filter_map(key_of).filter(|(key, _)| keys.contains_key(key)).collect();
        for (key, _) in keys.iter().filter(|(_, about)| about.get("deprecated").is_none()) {
            assert!(shown.iter().any(|(shown, _)| shown == key), "the sample has no `{key}`");
        }
        let variables = [("NATS_PASSWORD", "x"), ("NATS_TOKEN", "x")];
        let environment = Environment::new(variables);
        for (_, line) in &shown {
            let text = format!("nats:\n  {line}\nservices: []\n");
            let config = Config::parse("x.yaml", text.as_bytes(), &environment);
            let config = config.unwrap_or_else(|errors| panic!("{line}: {errors}"));
            assert!(config.warnings.is_empty(), "{line}: {}", config.warnings);
            assert!(config.nats.is_some_and(|it| it != NatsSection::default()));
        }
    }
}
