//! The settings of `type: serve`, which `tcsctl` runs (`docs/spec/serve.md#as-a-service`).

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tcs_fleet::Filter;

/// Settings of `type: serve`: the status page and metrics of a site.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServeSettings {
    /// Address and port to listen on.
    pub listen: String,
    /// Host names by which browsers may call it, besides localhost and its own address.
    pub allow_hosts: Vec<String>,
    /// File with the token that clients must present.
    pub token_file: Option<PathBuf>,
    /// Allow other hosts to read without a token.
    pub no_token: bool,
    /// Title of the page.
    pub title: String,
    /// Only services that match this filter, as in `tcsctl list`.
    pub filter: String,
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8765".to_owned(),
            allow_hosts: Vec::new(),
            token_file: None,
            no_token: false,
            title: "TCS".to_owned(),
            filter: String::new(),
        }
    }
}

impl ServeSettings {
    /// The address and the filter; an error where one of them, or both together, cannot be used, with
    /// the key that it is about.
    pub fn check(&self) -> Result<(SocketAddr, Filter), (&'static str, String)> {
        let listen: SocketAddr = self.listen.parse().map_err(|_| {
            ("listen", format!("`{}` is not an address and a port: 127.0.0.1:8765", self.listen))
        })?;
        let filter = Filter::parse(&self.filter).map_err(|error| ("filter", error.to_string()))?;
        if self.token_file.is_some() && self.no_token {
            return Err((
                "no_token",
                "`token_file` asks for a token: leave one of them out".into(),
            ));
        }
        if !listen.ip().is_loopback() && self.token_file.is_none() && !self.no_token {
            let text =
                format!("{listen} can be reached from other hosts, and no token is asked for");
            return Err(("listen", text));
        }
        Ok((listen, filter))
    }
}
