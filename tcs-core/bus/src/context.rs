//! The `nats` command's context files, read and never written: `~/.config/nats/context/NAME.json`,
//! the selected name in `~/.config/nats/context.txt`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::secret::{Env, Secret};
use super::settings::section::NatsSection;

/// Why a context could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// A name that cannot be a file's.
    #[error("`{0}` is not a context name")]
    Name(String),
    /// No such context.
    #[error("no nats context `{name}`: there is no {}", path.display())]
    Missing {
        /// As asked for.
        name: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// It is there and cannot be read.
    #[error("nats context `{name}`: cannot read {}: {source}", path.display())]
    Read {
        /// As asked for.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not JSON, or of the wrong shape. Only the place is reported: the text may hold a password.
    #[error("nats context `{name}` is not valid: line {line}, column {column}")]
    Invalid {
        /// As asked for.
        name: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It wants something that only the Go client does.
    #[error("nats context `{name}` uses `{field}`, which is not supported here")]
    Unsupported {
        /// As asked for.
        name: String,
        /// The field in the file.
        field: &'static str,
    },
}

/// The fields that matter here; descriptions, colours and event prefixes do not.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    url: String,
    socks_proxy: String,
    token: String,
    user: String,
    password: String,
    creds: String,
    nkey: String,
    cert: String,
    key: String,
    ca: String,
    nsc: String,
    jetstream_domain: String,
    jetstream_api_prefix: String,
    inbox_prefix: String,
    user_jwt: String,
    user_seed: String,
    tls_first: bool,
    windows_cert_store: String,
    windows_cert_match: String,
}

fn folder(outside: Env<'_>) -> PathBuf {
    match outside.var("XDG_CONFIG_HOME") {
        Some(dir) => Path::new(&dir).join("nats"),
        None => outside.expand("~/.config/nats"),
    }
}

/// The name of the selected context, if there is one.
pub(super) fn selected(outside: Env<'_>) -> Result<Option<String>, ContextError> {
    let path = folder(outside).join("context.txt");
    match (outside.read)(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ContextError::Read { name: "(selected)".to_owned(), path, source }),
    }
}

/// The names of the contexts in the folder.
pub(super) fn names(outside: Env<'_>) -> Vec<String> {
    let files = std::fs::read_dir(folder(outside).join("context"));
    let name = |file: std::fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        name.strip_suffix(".json").map(str::to_owned)
    };
    let mut names: Vec<String> =
        files.into_iter().flatten().filter_map(|file| name(file.ok()?)).collect();
    names.sort_unstable();
    names
}

/// Reads the context called `name`, or the file `name` when it ends in `.json`.
pub(super) fn load(name: &str, outside: Env<'_>) -> Result<NatsSection, ContextError> {
    let is_file = Path::new(name).extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json"));
    let path = if is_file {
        outside.expand(name)
    } else if name.is_empty() || name.contains(['/', '\\']) || name.contains("..") {
        return Err(ContextError::Name(name.to_owned()));
    } else {
        folder(outside).join("context").join(format!("{name}.json"))
    };
    let text = (outside.read)(&path).map_err(|source| {
        let (name, path) = (name.to_owned(), path.clone());
        match source.kind() {
            ErrorKind::NotFound => ContextError::Missing { name, path },
            _ => ContextError::Read { name, path, source },
        }
    })?;
    let file: File = serde_json::from_str(&text).map_err(|error| ContextError::Invalid {
        name: name.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    section(name, file)
}

fn section(name: &str, file: File) -> Result<NatsSection, ContextError> {
    let unsupported = [
        ("socks_proxy", &file.socks_proxy),
        ("nsc", &file.nsc),
        ("windows_cert_store", &file.windows_cert_store),
        ("windows_cert_match", &file.windows_cert_match),
    ];
    if let Some((field, _)) = unsupported.into_iter().find(|(_, value)| !value.is_empty()) {
        return Err(ContextError::Unsupported { name: name.to_owned(), field });
    }
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    let secret = |value: String| text(value).map(Secret::new);
    Ok(NatsSection {
        url: secret(file.url),
        user: text(file.user),
        password: secret(file.password),
        token: secret(file.token),
        creds: secret(file.creds),
        nkey: secret(file.nkey),
        jwt: secret(file.user_jwt),
        seed: secret(file.user_seed),
        cert: text(file.cert),
        key: text(file.key),
        ca: text(file.ca),
        tls_first: file.tls_first.then_some(true),
        inbox_prefix: text(file.inbox_prefix),
        js_domain: text(file.jetstream_domain),
        js_api_prefix: text(file.jetstream_api_prefix),
        ..NatsSection::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/op".to_owned())
    }

    fn read(path: &Path) -> std::io::Result<String> {
        let text = match path.to_str().unwrap() {
            "/home/op/.config/nats/context.txt" => "site\n",
            "/home/op/.config/nats/context/site.json" => {
                r#"{"description":"x","url":"nats://a,b:4333","user":"op","password":"hush",
                    "ca":"~/ca.pem","tls_first":true,"color_scheme":"","nsc":""}"#
            }
            "/home/op/.config/nats/context/bad.json" => "{\n \"password\": hush }",
            "/home/op/.config/nats/context/proxy.json" => r#"{"socks_proxy":"socks5://p"}"#,
            "/tmp/x.json" => r#"{"url":"nats://elsewhere"}"#,
            _ => return Err(std::io::Error::from(ErrorKind::NotFound)),
        };
        Ok(text.to_owned())
    }

    const OUTSIDE: Env<'static> = Env { env: &env, read: &read };

    #[test]
    fn the_selected_one_and_a_file_by_path() {
        let name = selected(OUTSIDE).unwrap().unwrap();
        let section = load(&name, OUTSIDE).unwrap();
        assert_eq!(section.url.as_ref().map(Secret::reveal), Some("nats://a,b:4333"));
        assert_eq!(section.tls_first, Some(true));
        assert!(!format!("{section:?}").contains("hush"));
        let section = load("/tmp/x.json", OUTSIDE).unwrap();
        assert_eq!(section.url.as_ref().map(Secret::reveal), Some("nats://elsewhere"));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let text = |name| load(name, OUTSIDE).unwrap_err().to_string();
        assert_eq!(
            text("nowhere"),
            "no nats context `nowhere`: there is no /home/op/.config/nats/context/nowhere.json"
        );
        assert_eq!(text("../x"), "`../x` is not a context name");
        assert_eq!(text("bad"), "nats context `bad` is not valid: line 2, column 14");
        assert_eq!(
            text("proxy"),
            "nats context `proxy` uses `socks_proxy`, which is not supported here"
        );
    }

    #[test]
    fn nothing_selected_is_no_error() {
        let read = |_: &Path| Err(std::io::Error::from(ErrorKind::NotFound));
        assert!(selected(Env { env: &env, read: &read }).unwrap().is_none());
    }
}
