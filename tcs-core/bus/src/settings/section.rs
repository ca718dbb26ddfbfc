//! The `nats` section: what one place says of the connection.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::form;
use crate::secret::Secret;
use tcs_wire::Kind;

/// What one place (flags, a file's `nats` section, a context) says; `None`: nothing.
///
/// `password`, `token`, `jwt` and `seed` hold the value or a URI (`file://`, `env://`, `data:`);
/// `creds` and `nkey` name a file or are such a URI. In paths `~` and `$NAME` are expanded.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, description = "Address of the broker, and login.")]
pub struct NatsSection {
    /// Address of the broker, or several with commas: `nats://srv01:4222`.
    pub url: Option<Secret>,
    /// Host name of the broker, or several with commas; with `port`, in place of `url`.
    #[serde(deserialize_with = "form::host")]
    #[schemars(extend(
        "type" = ["string", "number", "array"],
        "not" = {"type": "string", "pattern": "://"},
        "items" = {"type": ["string", "number"], "not": {"type": "string", "pattern": "://"}},
    ))]
    pub host: Option<String>,
    /// TCP port; 4222 by default.
    #[serde(deserialize_with = "form::port")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// User name; without a password it is used as a token.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Secret>,
    /// Token.
    pub token: Option<Secret>,
    /// Credentials file.
    pub creds: Option<Secret>,
    /// NKey seed file.
    pub nkey: Option<Secret>,
    /// User JWT.
    pub jwt: Option<Secret>,
    /// Seed that belongs to `jwt`.
    pub seed: Option<Secret>,
    /// Client certificate file (PEM).
    pub cert: Option<String>,
    /// Private key file of the client certificate (PEM).
    pub key: Option<String>,
    /// File with the certificates of the authorities to trust (PEM).
    pub ca: Option<String>,
    /// Start TLS before the server has sent anything.
    pub tls_first: Option<bool>,
    /// Prefix of all subjects; `svc` by default.
    #[serde(deserialize_with = "form::prefix")]
    #[schemars(extend("type" = ["string", "number"], "pattern" = form::PREFIX))]
    pub subject_prefix: Option<String>,
    /// Prefix of reply subjects; `_INBOX.<user>` by default, or `_INBOX` without a user.
    pub inbox_prefix: Option<String>,
    /// JetStream domain of the streams.
    #[serde(rename = "domain", alias = "js_domain")]
    pub js_domain: Option<String>,
    /// Prefix of the JetStream API, `$JS.API` by default.
    #[serde(rename = "api_prefix", alias = "js_api_prefix")]
    pub js_api_prefix: Option<String>,
    /// Names of the streams; by default they are found by their subjects.
    #[serde(deserialize_with = "form::streams")]
    #[schemars(with = "form::Streams")]
    pub streams: BTreeMap<Kind, String>,
    /// Replicas of each stream; by default 3, or one per server if there are fewer.
    #[serde(deserialize_with = "form::replicas")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: Option<u8>,
    /// Context of the `nats` command: its name, or the path of its file.
    pub context: Option<String>,
    /// Start no service until the broker is connected; true by default if there is a `nats` section.
    pub required: Option<bool>,
}

impl NatsSection {
    /// Whether `host` is there, and one host.
    pub fn names_one_host(&self) -> bool {
        self.host.as_ref().is_some_and(|host| !host.contains(','))
    }

    /// What is given here and must not be shown.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let url = self.url.iter().flat_map(|url| {
            let logins = url.reveal().split(',').filter_map(|url| url.rsplit_once('@'));
            let logins = logins.filter_map(|(login, _)| login.rsplit([':', '/']).next());
            logins.map(str::to_owned).collect::<Vec<_>>()
        });
        let values = [&self.password, &self.token, &self.jwt, &self.seed, &self.nkey];
        let values = values.into_iter().flatten().map(Secret::reveal);
        // the others may name a file
        values.filter(|value| !value.contains("://")).map(str::to_owned).chain(url)
    }
}

impl fmt::Debug for NatsSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSection")
            .field("url", &self.url)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
