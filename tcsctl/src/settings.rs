//! From the command line to settings: where to connect and as whom.

use std::path::Path;
use std::time::Duration;

use tcs_core::bus::Secret;
use tcs_core::bus::settings::{NatsSection, Settings, SettingsError};

use crate::cli::ConnectionArgs;
use crate::output::Screen;

/// For one answer, or a whole one-shot command, when nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the flags say.
pub fn flags(args: &ConnectionArgs) -> NatsSection {
    let secret = |text: &Option<String>| text.clone().map(Secret::new);
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| path.to_string_lossy().into_owned())
    };
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
        ..NatsSection::default()
    }
}

/// Resolves everything (console.md: flags, file, environment, context, default).
pub fn resolve(args: &ConnectionArgs, _screen: &Screen) -> Result<Settings, SettingsError> {
    let file: Option<(&Path, &NatsSection)> = None;
    Settings::from_process(&flags(args), file)
}
