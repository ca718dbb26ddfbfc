//! From the command line to settings: where to connect and as whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tcs_core::bus::settings::{NatsSection, Settings, SettingsError};
use tcs_core::bus::{Env, Secret};
use tcs_core::config::{Config, ConfigErrors, DEFAULT_PATH, Environment};

use crate::cli::ConnectionArgs;

/// For one answer, or a whole one-shot command, when nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the flags say.
pub fn flags(args: &ConnectionArgs) -> NatsSection {
    let secret = |text: &Option<String>| text.clone().map(Secret::new);
    let path =
        |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    NatsSection {
        url: secret(&args.server),
        host: args.host.clone(),
        port: args.port,
        user: args.user.clone(),
        password: secret(&args.password),
        token: secret(&args.token),
        creds: path(&args.creds).map(Secret::new),
        nkey: path(&args.nkey).map(Secret::new),
        cert: path(&args.tlscert),
        key: path(&args.tlskey),
        ca: path(&args.tlsca),
        subject_prefix: args.prefix.clone(),
        context: args.context.clone(),
        js_domain: args.domain.clone(),
        js_api_prefix: args.api_prefix.clone(),
        ..NatsSection::default()
    }
}

/// What was resolved, and what was doubtful on the way.
#[derive(Debug)]
pub struct Resolved {
    /// Where to connect and as whom.
    pub settings: Settings,
    /// Warnings, a line each.
    pub warnings: Vec<String>,
}

/// Why the settings cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The file that was named cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// Values do not fit.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Resolves everything (`docs/spec/configuration.md#where-settings-come-from`): flags, then the
/// file's `nats` section, then the environment (and `.env`, as the Python tools do), then the
/// selected `nats` context, then the default. A file that is merely lying there and cannot be used
/// is warned of: the console must come up.
pub fn resolve(args: &ConnectionArgs) -> Result<Resolved, ResolveError> {
    let mut warnings = Vec::new();
    let (environment, dotenv) = Environment::new(std::env::vars_os()).with_dotenv(Path::new("."));
    if !dotenv.is_empty() {
        warnings.push(dotenv.to_string());
    }
    let explicit = args.config.is_some();
    let path = args.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    let section = match Config::load_nats(path, explicit, &environment) {
        Ok(section) => section,
        Err(errors) if explicit => return Err(errors.into()),
        Err(errors) => {
            let first = errors.to_string().lines().next().unwrap_or_default().to_owned();
            warnings.push(format!("not used: {first}"));
            None
        }
    };
    let (flags, path) = (flags(args), path.to_owned());
    let settings = Settings::resolve_by(move || {
        let file = section.as_ref().map(|section| (path.as_path(), section));
        let env = |name: &str| environment.get(name).map(str::to_owned);
        let read = |path: &Path| std::fs::read_to_string(path);
        Settings::resolve(&flags, file, Env { env: &env, read: &read })
    })?;
    Ok(Resolved { settings, warnings })
}
