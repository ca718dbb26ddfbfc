//! The `nats` section: what Python's has, and what ours adds.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::Environment;
use super::expand;
use super::problem::{Problem, Problems, Severity};
use super::section::Section;
use super::value::{Node, Value};
use crate::bus::Secret;
use crate::bus::settings::NatsSection;
use crate::id;
use crate::wire::Kind;

const KEYS: [&str; 25] = [
    "host",
    "port",
    "required",
    "subject_prefix",
    "config_subject",
    "url",
    "user",
    "password",
    "token",
    "creds",
    "nkey",
    "jwt",
    "seed",
    "ca",
    "cert",
    "key",
    "tls_first",
    "inbox_prefix",
    "domain",
    "api_prefix",
    "js_domain",
    "js_api_prefix",
    "streams",
    "replicas",
    "context",
];

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
    let map = match &node.value {
        Value::Map(map) => map,
        Value::Null => {
            problems.push(
                Problem::warning(node.at, "an empty `nats` section: Python services end at once")
                    .hint("remove it, or give it a `host`"),
            );
            return None;
        }
        _ => {
            let message = format!("`nats` must have keys and values, found {}", node.kind());
            problems.push(Problem::error(node.at, message));
            return None;
        }
    };
    let mut section = Section { name: "`nats`", map, problems };
    // Python ignores what it does not know, so a file may have it
    section.unknown_keys(&KEYS, Severity::Warning);
    if let Some(key) = map.get_key("config_subject") {
        let message = "`config_subject` does nothing: settings come from this file only";
        section.problems.push(Problem::warning(key.at, message));
    }
    let port = port(&mut section);
    let (host, hosts) = host(&mut section, port);
    let secret = |text: Option<String>| text.map(Secret::new);
    Some(NatsSection {
        url: secret(section.text("url").or(hosts)),
        host,
        port,
        user: section.text("user"),
        password: secret(section.text("password")),
        token: secret(section.text("token")),
        creds: secret(section.text("creds")),
        nkey: secret(section.text("nkey")),
        jwt: secret(section.text("jwt")),
        seed: secret(section.text("seed")),
        cert: section.text("cert"),
        key: section.text("key"),
        ca: section.text("ca"),
        tls_first: section.flag("tls_first"),
        subject_prefix: subject_prefix(&mut section),
        inbox_prefix: section.text("inbox_prefix"),
        js_domain: section.text("domain").or_else(|| section.text("js_domain")),
        js_api_prefix: section.text("api_prefix").or_else(|| section.text("js_api_prefix")),
        streams: streams(&mut section),
        replicas: replicas(&mut section),
        context: section.text("context"),
        required: section.flag("required").or(Some(true)),
    })
}

/// `streams: {registry: NAME, status: NAME, heartbeat: NAME}`, any of them.
fn streams(section: &mut Section<'_, '_>) -> BTreeMap<Kind, String> {
    let Some(map) = section.mapping("streams") else { return BTreeMap::new() };
    let mut names = Section { name: "`nats.streams`", map, problems: &mut *section.problems };
    names.unknown_keys(&Kind::FLEET.map(Kind::token), Severity::Error);
    let mut streams = BTreeMap::new();
    for kind in Kind::FLEET {
        let Some(name) = names.text(kind.token()) else { continue };
        if let Some(node) = map.get(kind.token())
            && (name.is_empty()
                || name.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || ".*>/\\".contains(c)
                }))
        {
            let message =
                format!("`{name}` is not a stream name: no blanks, `.`, `*`, `>`, `/`, `\\`");
            names.problems.push(Problem::error(node.at, message));
        }
        streams.insert(kind, name);
    }
    streams
}

fn replicas(section: &mut Section<'_, '_>) -> Option<u8> {
    let number = section.whole("replicas")?;
    let replicas = u8::try_from(number).ok().filter(|replicas| (1..=5).contains(replicas));
    if replicas.is_none()
        && let Some(node) = section.node("replicas")
    {
        let message = format!("`replicas` must be 1 to 5 (1, 3 or 5 make sense), found {number}");
        section.problems.push(Problem::error(node.at, message));
    }
    replicas
}

fn port(section: &mut Section<'_, '_>) -> Option<u16> {
    let node = section.node("port")?;
    let port = node.scalar_text().and_then(|_| match &node.value {
        Value::Int(number) => u16::try_from(*number).ok(),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    });
    let port = port.filter(|&port| port > 0);
    if port.is_none() {
        let message = format!("`port` must be a number from 1 to 65535, found {}", node.kind());
        section.problems.push(Problem::error(node.at, message));
    }
    port
}

/// One host, or a list of hosts as addresses.
fn host(section: &mut Section<'_, '_>, port: Option<u16>) -> (Option<String>, Option<String>) {
    let hosts = section.texts("host");
    for (host, at) in &hosts {
        if host.contains("://") {
            let message = "`host` is a name without a scheme";
            section.problems.push(Problem::error(*at, message).hint("write the address as `url:`"));
        }
    }
    let is_list = matches!(section.node("host").map(|node| &node.value), Some(Value::List(_)));
    if !is_list {
        return (hosts.into_iter().next().map(|(host, _)| host), None);
    }
    let port = port.unwrap_or(4222);
    let addresses: Vec<String> =
        hosts.iter().map(|(host, _)| format!("nats://{host}:{port}")).collect();
    (None, (!addresses.is_empty()).then(|| addresses.join(",")))
}

fn subject_prefix(section: &mut Section<'_, '_>) -> Option<String> {
    let node = section.map.get("subject_prefix")?;
    if node.is_null() {
        section.problems.push(
            Problem::warning(node.at, "an empty `subject_prefix`: Python publishes under `None.`")
                .hint("remove the key for the default, `svc`"),
        );
        return None;
    }
    let prefix = section.text("subject_prefix")?;
    if let Err(error) = id::check_name("subject prefix", &prefix) {
        section.problems.push(Problem::error(node.at, error.to_string()));
    }
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::NatsSection;
    use crate::config::{Config, Environment};

    /// Keys of the Python fleet, and second names of ours.
    const NOT_SHOWN: [&str; 3] = ["config_subject", "js_domain", "js_api_prefix"];

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
        let shown: Vec<(String, String)> =
            lines.filter_map(key_of).filter(|(key, _)| super::KEYS.contains(&&**key)).collect();
        for key in super::KEYS.iter().filter(|key| !NOT_SHOWN.contains(key)) {
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
