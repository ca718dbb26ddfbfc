//! As much HTTP as a notification needs: one request over a connection of its own, and whether it
//! was taken. Errors name the host and never the path, which may hold a secret.

use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// No answer within this is a failure: well below a claim's lease.
const LIMIT: Duration = Duration::from_secs(10);
/// As much of an answer is read to find its first line.
const MAX_LINE: usize = 4096;

/// Where a request goes. No `Debug`: the path may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    is_tls: bool,
    /// As it is written: `host` or `host:port`.
    authority: String,
    host: String,
    port: u16,
    path: String,
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("a URL that begins with http:// or https:// is expected"),
        };
        if rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a URL has no blanks");
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("write user and password as a header `Authorization`, not in the URL");
        }
        let port_at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match port_at {
            Some(at) => {
                (&authority[..at], authority[at + 1..].parse().map_err(|_| "no such port")?)
            }
            None => (authority, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err("the URL names no host");
        }
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (authority, host) = (authority.to_owned(), host.to_owned());
        Ok(Self { is_tls, authority, host, port, path: format!("{slash}{path}") })
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What is sent.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The whole request; a line break in a header would begin another one.
    fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let Self { method, url, headers, body } = self;
        let mut text = format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: tcsctl/{}\r\nConnection: close\r\n\
             Content-Length: {}\r\n",
            url.path,
            url.authority,
            env!("CARGO_PKG_VERSION"),
            body.len()
        );
        for (name, value) in headers {
            check_header(name, value)?;
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        Ok([text.as_bytes(), body].concat())
    }

    /// Sends it; an error where the answer is not a success.
    pub(super) async fn send(&self) -> Result<(), String> {
        let host = &self.url.authority;
        let sent = tokio::time::timeout(LIMIT, self.exchange()).await;
        let status = sent
            .map_err(|_| format!("{host}: no answer within {} s", LIMIT.as_secs()))?
            .map_err(|error| format!("{host}: {error}"))?;
        match status {
            200..=299 => Ok(()),
            status => Err(format!("{host} answered {status}")),
        }
    }

    async fn exchange(&self) -> Result<u16, String> {
        let bytes = self.to_bytes()?;
        let address = (self.url.host.as_str(), self.url.port);
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        if !self.url.is_tls {
            return status_of(stream, &bytes).await;
        }
        let name =
            ServerName::try_from(self.url.host.clone()).map_err(|error| error.to_string())?;
        let connecting = TlsConnector::from(tls()?).connect(name, stream).await;
        status_of(connecting.map_err(|error| error.to_string())?, &bytes).await
    }
}

/// Whether a header can be sent; its value may be a secret.
pub(super) fn check_header(name: &str, value: &str) -> Result<(), String> {
    let is_name = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
    if name.is_empty() || !name.chars().all(is_name) || value.chars().any(char::is_control) {
        return Err(format!("the header `{}` cannot be sent", name.escape_debug()));
    }
    Ok(())
}

/// By the certificates of this host.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// The status in the first line of the answer.
async fn status_of(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> Result<u16, String> {
    let said = |error: std::io::Error| error.to_string();
    stream.write_all(request).await.map_err(said)?;
    stream.flush().await.map_err(said)?;
    let mut line = Vec::new();
    let mut buffer = [0; 512];
    while !line.contains(&b'\n') && line.len() < MAX_LINE {
        match stream.read(&mut buffer).await.map_err(said)? {
            0 => break,
            count => line.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&line);
    let mut words = text.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let status = words.next().filter(|_| is_http).and_then(|word| word.parse().ok());
    status.ok_or_else(|| "the answer is not HTTP".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
        let parts = |text: &str| {
            let url: Url = text.parse().ok().unwrap();
            (url.is_tls, url.host, url.port, url.path)
        };
        let expected =
            |tls, host: &str, port, path: &str| (tls, host.to_owned(), port, path.to_owned());
        assert_eq!(parts("https://ntfy.sh/topic"), expected(true, "ntfy.sh", 443, "/topic"));
        assert_eq!(parts("http://h:81?a=b#c"), expected(false, "h", 81, "/?a=b"));
        assert_eq!(parts("http://[::1]:8080"), expected(false, "::1", 8080, "/"));
        assert_eq!(parts("http://[::1]/x"), expected(false, "::1", 80, "/x"));
        for wrong in ["ftp://h", "h/x", "http://", "http://h:x", "http://u:p@h/", "http://h/a b"] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_cannot_begin_another_request() {
        let request = |value: &str| Request {
            method: "POST",
            url: "http://h/x".parse().ok().unwrap(),
            headers: vec![("Title".to_owned(), value.to_owned())],
            body: b"{}".to_vec(),
        };
        let text = String::from_utf8(request("a").to_bytes().unwrap()).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\nHost: h\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 2\r\nTitle: a\r\n\r\n{}"), "{text}");
        assert!(request("a\r\nHost: x").to_bytes().is_err());
    }
}
