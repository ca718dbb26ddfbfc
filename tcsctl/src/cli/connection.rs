//! Where to connect and as whom, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::moment::span;

/// How to reach the server. `--config`, `--host`, `--port` and `--prefix` are as in the Python tool.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Server address, or several separated by commas: nats://, tls://, ws://, wss://
    #[arg(long, short, value_name = "URL", global = true, value_hint = ValueHint::Url)]
    pub server: Option<String>,
    /// Host name of the server
    #[arg(long, global = true, value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Port of the server
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Prefix of all subjects [default: svc]
    #[arg(long, global = true)]
    pub prefix: Option<String>,
    /// Configuration file whose `nats` section is used [default: config/services.yaml, if it exists]
    #[arg(long, short, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Name of a context of the `nats` command
    #[arg(long, value_name = "NAME", global = true)]
    pub context: Option<String>,
    /// JetStream domain, for example of a leaf node
    #[arg(long, visible_alias = "js-domain", value_name = "NAME", global = true)]
    pub domain: Option<String>,
    /// Prefix of the JetStream API [default: $JS.API]
    #[arg(
        long,
        visible_alias = "js-api-prefix",
        value_name = "PREFIX",
        global = true,
        conflicts_with = "domain"
    )]
    pub api_prefix: Option<String>,
    /// User name
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// Password (other users can see it: prefer `NATS_PASSWORD` or a context)
    #[arg(long, global = true)]
    pub password: Option<String>,
    /// Token
    #[arg(long, global = true)]
    pub token: Option<String>,
    /// Credentials file
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub creds: Option<PathBuf>,
    /// NKey seed file
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub nkey: Option<PathBuf>,
    /// Certificate file of the authorities to trust
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub tlsca: Option<PathBuf>,
    /// Client certificate file
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub tlscert: Option<PathBuf>,
    /// Client private key file
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub tlskey: Option<PathBuf>,
    /// How long to wait for the broker [default: 5s]
    #[arg(long, value_name = "DURATION", global = true, value_parser = span)]
    pub timeout: Option<Duration>,
    /// Also subscribe to subjects that no stream holds (slows Python publishers down)
    #[arg(long, global = true)]
    pub core: bool,
}

impl ConnectionArgs {
    /// As they are typed again, for a command line that connects to the same; without secrets.
    pub fn words(&self) -> Vec<String> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let given = [
            ("--server", self.server.clone().filter(|url| !url.contains('@'))),
            ("--host", self.host.clone()),
            ("--port", self.port.map(|port| port.to_string())),
            ("--prefix", self.prefix.clone()),
            ("--config", path(&self.config)),
            ("--context", self.context.clone()),
            ("--domain", self.domain.clone()),
            ("--api-prefix", self.api_prefix.clone()),
            ("--user", self.user.clone()),
            ("--creds", path(&self.creds)),
            ("--nkey", path(&self.nkey)),
            ("--tlsca", path(&self.tlsca)),
            ("--tlscert", path(&self.tlscert)),
            ("--tlskey", path(&self.tlskey)),
        ];
        let mut words: Vec<String> = given
            .into_iter()
            .filter_map(|(option, value)| Some([option.to_owned(), value?]))
            .flatten()
            .collect();
        if self.core {
            words.push("--core".to_owned());
        }
        words
    }
}

impl std::fmt::Debug for ConnectionArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // no secrets
        f.debug_struct("ConnectionArgs")
            .field("server", &self.server.is_some())
            .field("host", &self.host)
            .field("port", &self.port)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
