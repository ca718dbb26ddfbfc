//! The `nats` section: what Python's has, and what ours adds.

use std::fmt;

use super::problem::{Problem, Problems, Severity};
use super::section::Section;
use super::value::{Node, Value};
use crate::id;

const KEYS: [&str; 19] = [
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
    "ca",
    "cert",
    "key",
    "tls_first",
    "inbox_prefix",
    "js_domain",
    "js_api_prefix",
    "context",
];

/// How to reach the broker, as the file says it; `None`: it does not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NatsSection {
    /// One address or a comma list. A Python list of hosts arrives here too.
    pub url: Option<String>,
    /// Host name or address; `user:password@host` works.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Whether a program should wait for the broker; true where a section does not say.
    pub required: bool,
    /// What all subjects begin with; may have dots.
    pub subject_prefix: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<String>,
    /// Token.
    pub token: Option<String>,
    /// Credentials file.
    pub creds: Option<String>,
    /// File of an `NKey` seed.
    pub nkey: Option<String>,
    /// Certificates of the authorities to trust, PEM.
    pub ca: Option<String>,
    /// Client certificate, PEM.
    pub cert: Option<String>,
    /// Key of the client certificate, PEM.
    pub key: Option<String>,
    /// TLS before the server's first word.
    pub tls_first: Option<bool>,
    /// What reply subjects begin with.
    pub inbox_prefix: Option<String>,
    /// `JetStream` domain.
    pub js_domain: Option<String>,
    /// What the `JetStream` API's subjects begin with.
    pub js_api_prefix: Option<String>,
    /// Name of a `nats` context, or its file.
    pub context: Option<String>,
}

impl fmt::Debug for NatsSection {
    /// Without secrets: addresses may hold a password too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSection")
            .field("port", &self.port)
            .field("required", &self.required)
            .field("subject_prefix", &self.subject_prefix)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
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
    Some(NatsSection {
        url: section.text("url").or(hosts),
        host,
        port,
        required: section.flag("required").unwrap_or(true),
        subject_prefix: subject_prefix(&mut section),
        user: section.text("user"),
        password: section.text("password"),
        token: section.text("token"),
        creds: section.text("creds"),
        nkey: section.text("nkey"),
        ca: section.text("ca"),
        cert: section.text("cert"),
        key: section.text("key"),
        tls_first: section.flag("tls_first"),
        inbox_prefix: section.text("inbox_prefix"),
        js_domain: section.text("js_domain"),
        js_api_prefix: section.text("js_api_prefix"),
        context: section.text("context"),
    })
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
