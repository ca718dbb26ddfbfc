//! Where to connect and as whom: flags, then the configuration file's `nats` section, then the
//! environment, then the selected `nats` context, then `localhost:4222`
//! (`docs/spec/configuration.md#where-settings-come-from`). Each value remembers where it came
//! from.
//!
//! Two rules keep what belongs together together:
//! - **One identity**: the first place that names one (user, creds, nkey, jwt, token, or a user
//!   in the URL that is used) decides its kind; places below only complete it (a password, a
//!   seed).
//! - **The selected context is all or nothing**: it is read only where nothing above names a
//!   server, so that its credentials never go to another one. A context that is *named* fills in
//!   whatever its betters leave open: named by a flag it stands right below the flags, named by
//!   `NATS_CONTEXT` right below the environment.

mod error;
mod form;
mod layers;
pub(crate) mod section;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::address::{self, ServerUrl, UserInfo};
use super::context;
use super::secret::{Env, Secret};
pub use error::SettingsError;
use layers::{Found, Layers};
pub use section::NatsSection;
use tcs_wire::id::check_name;
use tcs_wire::{Kind, Subjects};
pub use values::{Auth, Origin, Sourced, Tls};

/// Resolved connection settings. Neither `Debug` nor `Display` shows a secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Servers to try.
    pub servers: Sourced<Vec<ServerUrl>>,
    /// Who to be there.
    pub auth: Sourced<Auth>,
    /// Encryption.
    pub tls: Sourced<Tls>,
    /// All subjects.
    pub subjects: Sourced<Subjects>,
    /// Prefix of reply subjects, without a dot at the end.
    pub inbox_prefix: String,
    /// Prefix of the JetStream API, without a dot at the end.
    pub api_prefix: Sourced<String>,
    /// Names of the streams to use, where they are not to be found by their subjects.
    pub streams: BTreeMap<Kind, String>,
    /// Copies of each stream that is made; `None`: by the size of the cluster.
    pub replicas: Option<u8>,
    /// Whether a program should refuse to work without NATS; true when nobody says.
    pub required: bool,
    /// Resolves the settings anew; see [`Settings::resolve_by`].
    again: Option<Again>,
}

#[derive(Clone)]
struct Again(Arc<dyn Fn() -> Result<Settings, SettingsError> + Send + Sync>);

impl fmt::Debug for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Again")
    }
}

/// The names of the contexts of the `nats` command on this machine.
pub fn context_names() -> Vec<String> {
    let env = |name: &str| std::env::var(name).ok();
    context::names(Env { env: &env, read: &|path: &Path| std::fs::read_to_string(path) })
}

impl Settings {
    /// Resolves `flags` over the `file`'s section over what is `outside`.
    pub fn resolve(
        flags: &NatsSection,
        file: Option<(&Path, &NatsSection)>,
        outside: Env<'_>,
    ) -> Result<Self, SettingsError> {
        let layers = Layers::collect(flags, file, outside)?;
        let (servers, identity) = servers(&layers)?;
        let auth = auth(&layers, identity.as_ref(), outside)?;
        Ok(Self {
            inbox_prefix: inbox_prefix(&layers, &auth.value),
            auth,
            servers,
            tls: tls(&layers, outside)?,
            subjects: subjects(&layers)?,
            api_prefix: api_prefix(&layers)?,
            streams: layers
                .sections()
                .map(|(_, section)| &section.streams)
                .find(|streams| !streams.is_empty())
                .cloned()
                .unwrap_or_default(),
            replicas: layers.first("", |s| s.replicas.as_ref()).map(|f| *f.value),
            required: layers.first("", |s| s.required.as_ref()).is_none_or(|f| *f.value),
            again: None,
        })
    }

    /// Resolves them by `resolve`, now and again before each attempt to connect: a credentials
    /// file that was renewed on disk is used.
    pub fn resolve_by(
        resolve: impl Fn() -> Result<Self, SettingsError> + Send + Sync + 'static,
    ) -> Result<Self, SettingsError> {
        let settings = resolve()?;
        Ok(Self { again: Some(Again(Arc::new(resolve))), ..settings })
    }

    /// The identity as it is to be had now.
    pub(super) fn fresh_auth(&self) -> Result<Auth, SettingsError> {
        match &self.again {
            Some(again) => Ok((again.0)()?.auth.value),
            None => Ok(self.auth.value.clone()),
        }
    }

    /// The same from this process's environment and file system.
    pub fn from_process(
        flags: &NatsSection,
        file: Option<(&Path, &NatsSection)>,
    ) -> Result<Self, SettingsError> {
        let flags = flags.clone();
        let file = file.map(|(path, section)| (path.to_owned(), section.clone()));
        Self::resolve_by(move || {
            let env = |name: &str| std::env::var(name).ok();
            let read = |path: &Path| std::fs::read_to_string(path);
            let file = file.as_ref().map(|(path, section)| (path.as_path(), section));
            Self::resolve(&flags, file, Env { env: &env, read: &read })
        })
    }

    /// What was resolved and must not be shown, files read.
    pub fn secrets(&self) -> Vec<String> {
        let secrets = match &self.auth.value {
            Auth::Anonymous => vec![],
            Auth::User(_, secret)
            | Auth::Token(secret)
            | Auth::Creds(secret)
            | Auth::NKey(secret) => vec![secret],
            Auth::Jwt(jwt, seed) => vec![jwt, seed],
        };
        secrets.into_iter().map(|secret| secret.reveal().to_owned()).collect()
    }

    /// Whether the JetStream API is another account's, by its prefix: neither the default one nor
    /// a domain's.
    pub(super) fn has_imported_api(&self) -> bool {
        let tokens: Vec<&str> = self.api_prefix.value.split('.').collect();
        !matches!(tokens[..], ["$JS", "API"] | ["$JS", _, "API"])
    }

    /// The servers, without credentials, with commas between.
    pub fn shown_servers(&self) -> String {
        let servers: Vec<_> = self.servers.value.iter().map(ToString::to_string).collect();
        servers.join(", ")
    }

    /// What was decided and who decided it, for `--verbose`: name, value, origin.
    pub fn decisions(&self) -> [(&'static str, String, &Origin); 5] {
        let tls = match &self.tls.value {
            Tls { ca: None, client: None, first: false } => "as the server demands".to_owned(),
            Tls { ca, client, first } => [
                ca.as_ref().map(|path| format!("authority {}", path.display())),
                client.as_ref().map(|(cert, _)| format!("certificate {}", cert.display())),
                first.then(|| "handshake first".to_owned()),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
        };
        [
            ("server", self.shown_servers(), &self.servers.origin),
            ("login", self.auth.value.to_string(), &self.auth.origin),
            ("tls", tls, &self.tls.origin),
            ("prefix", self.subjects.value.prefix().to_owned(), &self.subjects.origin),
            ("jetstream api", self.api_prefix.value.clone(), &self.api_prefix.origin),
        ]
    }
}

type Servers = (Sourced<Vec<ServerUrl>>, Option<(usize, UserInfo)>);

/// The first place that names a server. A host without port takes the port from a place below,
/// and the other way round; a URL stands for itself.
fn servers(layers: &Layers) -> Result<Servers, SettingsError> {
    let url = layers.first("NATS_URL", |s| s.url.as_ref());
    let host = layers.first("NATS_HOST", |s| s.host.as_ref());
    let port = layers.first("NATS_PORT", |s| s.port.as_ref());
    let place = |found: Option<usize>| found.unwrap_or(usize::MAX);
    let single = place(host.as_ref().map(|f| f.place)).min(place(port.as_ref().map(|f| f.place)));
    if let Some(Found { value, origin, place }) = url
        && place <= single
    {
        let (servers, user) = address::parse_list(value.reveal())
            .map_err(|source| SettingsError::Address { origin: origin.clone(), source })?;
        return Ok((Sourced { value: servers, origin }, user.map(|user| (place, user))));
    }
    let origin = match (&host, &port) {
        (Some(host), Some(port)) if port.place < host.place => port.origin.clone(),
        (Some(host), _) => host.origin.clone(),
        (None, Some(port)) => port.origin.clone(),
        (None, None) => Origin::Default,
    };
    let mut servers = Vec::new();
    let mut login = None;
    for name in host.map_or("localhost", |f| f.value.as_str()).split(',') {
        // Python's configs hold `user:password@host` here; an IPv6 address holds colons itself.
        let bracketed = if name.matches(':').count() > 1 && !name.contains(['[', '@']) {
            format!("[{name}]")
        } else {
            name.to_owned()
        };
        let (mut server, user) = address::parse(&bracketed)
            .map_err(|source| SettingsError::Address { origin: origin.clone(), source })?;
        if let Some(port) = &port {
            server.port = *port.value;
        }
        servers.push(server);
        login = login.or(user.map(|user| (single, user)));
    }
    Ok((Sourced { value: servers, origin }, login))
}

/// Order within one place as in the `nats` command: user, creds, nkey, jwt, token; then what the
/// URL says.
fn auth(
    layers: &Layers,
    url: Option<&(usize, UserInfo)>,
    outside: Env<'_>,
) -> Result<Sourced<Auth>, SettingsError> {
    for (place, section) in layers.sections() {
        let at = |var| layers.origin(place, var);
        let failed = |var| {
            let origin = at(var);
            move |source| SettingsError::Secret { origin, source }
        };
        let (value, origin) = if let Some(user) = &section.user {
            let password = layers.from(place, "NATS_PASSWORD", |s| s.password.as_ref());
            let auth = match password {
                Some(found) => {
                    let secret = outside.value("password", found.value.reveal());
                    Auth::User(user.clone(), secret.map_err(failed("NATS_PASSWORD"))?)
                }
                None => Auth::Token(Secret::new(user.clone())),
            };
            (auth, at("NATS_USER"))
        } else if let Some(creds) = &section.creds {
            let text = outside.content("creds", creds.reveal()).map_err(failed("NATS_CREDS"))?;
            (Auth::Creds(text), at("NATS_CREDS"))
        } else if let Some(nkey) = &section.nkey {
            let seed = outside.seed("nkey", nkey.reveal()).map_err(failed("NATS_NKEY"))?;
            (Auth::NKey(seed), at("NATS_NKEY"))
        } else if let Some(jwt) = &section.jwt {
            let jwt = outside.value("jwt", jwt.reveal()).map_err(failed("NATS_JWT"))?;
            let seed = layers.from(place, "NATS_SEED", |s| s.seed.as_ref()).ok_or_else(|| {
                SettingsError::Half { origin: at("NATS_JWT"), has: "jwt", lacks: "seed" }
            })?;
            let seed = outside.seed("seed", seed.value.reveal()).map_err(failed("NATS_SEED"))?;
            (Auth::Jwt(jwt, seed), at("NATS_JWT"))
        } else if let Some(token) = &section.token {
            let token = outside.value("token", token.reveal()).map_err(failed("NATS_TOKEN"))?;
            (Auth::Token(token), at("NATS_TOKEN"))
        } else {
            match url {
                Some((from, user)) if *from == place => {
                    let auth = match user.clone() {
                        UserInfo::User(user, password) => Auth::User(user, password),
                        UserInfo::Token(token) => Auth::Token(token),
                    };
                    (auth, at("NATS_URL"))
                }
                _ => continue,
            }
        };
        return Ok(Sourced { value, origin });
    }
    Ok(Sourced { value: Auth::Anonymous, origin: Origin::Default })
}

fn tls(layers: &Layers, outside: Env<'_>) -> Result<Sourced<Tls>, SettingsError> {
    let ca = layers.first("NATS_CA", |s| s.ca.as_ref());
    let cert = layers.first("NATS_CERT", |s| s.cert.as_ref());
    let key = layers.first("NATS_KEY", |s| s.key.as_ref());
    let first = layers.first("", |s| s.tls_first.as_ref());
    let client = match (&cert, &key) {
        (Some(cert), Some(key)) => Some((outside.expand(cert.value), outside.expand(key.value))),
        (None, None) => None,
        (Some(cert), None) => {
            let origin = cert.origin.clone();
            return Err(SettingsError::Half { origin, has: "certificate", lacks: "its key" });
        }
        (None, Some(key)) => {
            let origin = key.origin.clone();
            return Err(SettingsError::Half { origin, has: "key", lacks: "its certificate" });
        }
    };
    let origin = [&ca, &cert].into_iter().flatten().map(|f| f.origin.clone()).next();
    let origin = origin.or(first.as_ref().map(|f| f.origin.clone())).unwrap_or(Origin::Default);
    let value = Tls {
        ca: ca.map(|f| outside.expand(f.value)),
        client,
        first: first.is_some_and(|f| *f.value),
    };
    Ok(Sourced { value, origin })
}

fn subjects(layers: &Layers) -> Result<Sourced<Subjects>, SettingsError> {
    let Some(found) = layers.first("", |s| s.subject_prefix.as_ref()) else {
        return Ok(Sourced { value: Subjects::default(), origin: Origin::Default });
    };
    match Subjects::new(found.value) {
        Ok(value) => Ok(Sourced { value, origin: found.origin }),
        Err(source) => Err(SettingsError::Prefix { origin: found.origin, source }),
    }
}

/// Without a setting each user has a prefix of its own, so that a server can allow it to read its
/// own replies and no others.
fn inbox_prefix(layers: &Layers, auth: &Auth) -> String {
    if let Some(prefix) = layers.first("NATS_INBOX_PREFIX", |s| s.inbox_prefix.as_ref()) {
        return prefix.value.trim_end_matches('.').to_owned();
    }
    let can_be_subject = |user: &str| {
        user.split('.').all(|token| !token.is_empty())
            && !user.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*' || c == '>')
    };
    match auth {
        Auth::User(user, _) if can_be_subject(user) => format!("_INBOX.{user}"),
        Auth::User(..)
        | Auth::Anonymous
        | Auth::Token(_)
        | Auth::Creds(_)
        | Auth::NKey(_)
        | Auth::Jwt(..) => "_INBOX".to_owned(),
    }
}

/// The strongest place that names a prefix or a domain; in one place the prefix counts.
fn api_prefix(layers: &Layers) -> Result<Sourced<String>, SettingsError> {
    let prefix = layers.first("NATS_JS_API_PREFIX", |s| s.js_api_prefix.as_ref());
    let domain = layers.first("NATS_JS_DOMAIN", |s| s.js_domain.as_ref());
    let check = |what, text: &str, origin: &Origin| {
        check_name(what, text)
            .map_err(|source| SettingsError::JetStream { origin: origin.clone(), source })
    };
    match (prefix, domain) {
        (Some(prefix), domain) if domain.as_ref().is_none_or(|d| prefix.place <= d.place) => {
            let value = prefix.value.trim_end_matches('.').to_owned();
            check("JetStream API prefix", &value, &prefix.origin)?;
            Ok(Sourced { value, origin: prefix.origin })
        }
        (_, Some(Found { value: domain, origin, .. })) => {
            check("JetStream domain", domain, &origin)?;
            if domain.contains('.') {
                return Err(SettingsError::Domain { origin, domain: domain.clone() });
            }
            Ok(Sourced { value: format!("$JS.{domain}.API"), origin })
        }
        (_, None) => Ok(Sourced { value: DEFAULT_API.to_owned(), origin: Origin::Default }),
    }
}

/// The JetStream API of the domain that a server belongs to.
pub(super) const DEFAULT_API: &str = "$JS.API";

#[cfg(test)]
mod tests;
