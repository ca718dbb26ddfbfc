//! The places that may say something, in order of precedence.

use std::path::{Path, PathBuf};

use super::error::SettingsError;
use super::section::NatsSection;
use super::values::Origin;
use crate::context;
use crate::secret::{Env, Secret};

enum Place {
    Flag,
    File(PathBuf),
    Env,
    Context(String),
}

/// All places, the strongest first.
pub(super) struct Layers(Vec<(Place, NatsSection)>);

/// A value, its origin, and the number of its place (0 is the strongest).
pub(super) struct Found<'a, T> {
    pub(super) value: &'a T,
    pub(super) origin: Origin,
    pub(super) place: usize,
}

impl Layers {
    pub(super) fn collect(
        flags: &NatsSection,
        file: Option<(&Path, &NatsSection)>,
        outside: Env<'_>,
    ) -> Result<Self, SettingsError> {
        let mut layers = vec![(Place::Flag, flags.clone())];
        let add_context = |layers: &mut Vec<_>, name: &str| -> Result<(), SettingsError> {
            layers.push((Place::Context(name.to_owned()), context::load(name, outside)?));
            Ok(())
        };
        if let Some(name) = &flags.context {
            add_context(&mut layers, name)?;
        }
        let mut named = flags.context.clone();
        if let Some((path, section)) = file {
            layers.push((Place::File(path.to_owned()), section.clone()));
            if let (None, Some(name)) = (&named, &section.context) {
                add_context(&mut layers, name)?;
                named.clone_from(&section.context);
            }
        }
        layers.push((Place::Env, environment(outside)?));
        if named.is_none() {
            if let Some(name) = outside.var("NATS_CONTEXT") {
                add_context(&mut layers, &name)?;
            } else if !layers.iter().any(|(_, section)| names_server(section))
                && let Some(name) = context::selected(outside)?
            {
                add_context(&mut layers, &name)?;
            }
        }
        Ok(Self(layers))
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (usize, &NatsSection)> {
        self.0.iter().map(|(_, section)| section).enumerate()
    }

    /// Where place number `place` is; `var` is the variable, should it be the environment.
    pub(super) fn origin(&self, place: usize, var: &'static str) -> Origin {
        match &self.0[place].0 {
            Place::Flag => Origin::Flag,
            Place::File(path) => Origin::File(path.clone()),
            Place::Env => Origin::Env(var),
            Place::Context(name) => Origin::Context(name.clone()),
        }
    }

    /// The strongest place that says something.
    pub(super) fn first<'a, T>(
        &'a self,
        var: &'static str,
        get: impl Fn(&'a NatsSection) -> Option<&'a T>,
    ) -> Option<Found<'a, T>> {
        self.from(0, var, get)
    }

    /// The strongest place that says something, from `place` on down.
    pub(super) fn from<'a, T>(
        &'a self,
        place: usize,
        var: &'static str,
        get: impl Fn(&'a NatsSection) -> Option<&'a T>,
    ) -> Option<Found<'a, T>> {
        self.sections().skip(place).find_map(|(place, section)| {
            get(section).map(|value| Found { value, origin: self.origin(place, var), place })
        })
    }
}

fn names_server(section: &NatsSection) -> bool {
    section.url.is_some() || section.host.is_some() || section.port.is_some()
}

fn environment(outside: Env<'_>) -> Result<NatsSection, SettingsError> {
    let secret = |name| outside.var(name).map(Secret::new);
    let port = outside.var("NATS_PORT").map(|value| {
        value.parse().ok().filter(|port| *port != 0).ok_or(SettingsError::Variable {
            name: "NATS_PORT",
            value,
            expected: "a port",
        })
    });
    Ok(NatsSection {
        url: secret("NATS_URL"),
        host: outside.var("NATS_HOST"),
        port: port.transpose()?,
        user: outside.var("NATS_USER"),
        password: secret("NATS_PASSWORD"),
        token: secret("NATS_TOKEN"),
        creds: secret("NATS_CREDS"),
        nkey: secret("NATS_NKEY"),
        jwt: secret("NATS_JWT"),
        seed: secret("NATS_SEED"),
        cert: outside.var("NATS_CERT"),
        key: outside.var("NATS_KEY"),
        ca: outside.var("NATS_CA"),
        inbox_prefix: outside.var("NATS_INBOX_PREFIX"),
        js_domain: outside.var("NATS_JS_DOMAIN"),
        js_api_prefix: outside.var("NATS_JS_API_PREFIX"),
        ..NatsSection::default()
    })
}
