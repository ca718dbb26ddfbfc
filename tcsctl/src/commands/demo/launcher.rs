//! A `tcsd` over the sample configuration, in a folder of its own and at the private broker.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::commands::session::Ended;
use crate::exit::Exit;

const SAMPLE: &str = include_str!("examples.yaml");
/// Its own output.
const LOG: &str = "tcsd.log";

const WEATHER: &str = include_str!("weather.py");

/// For importing serverish, the first time from a cold disk.
const IMPORT: Duration = Duration::from_secs(10);

/// For stopping its services; each may take ten seconds.
const STOPPING: Duration = Duration::from_secs(20);

/// A running launcher. Dropped, it is killed, and what it started goes with it.
#[derive(Debug)]
pub(super) struct Launcher {
    child: Child,
    folder: TempDir,
}

impl Launcher {
    /// Finds the program and starts it.
    pub(super) async fn start(broker: &str) -> Result<Self, Ended> {
        let program = find()?;
        let failed = |what: &dyn std::fmt::Display| {
            Ended::new(Exit::No, format!("cannot start {}: {what}", program.display()))
        };
        let python = python().await;
        let prepare = || -> std::io::Result<_> {
            let folder = tempfile::Builder::new().prefix("tcsctl-demo-").tempdir()?;
            let mut services = SAMPLE.to_owned();
            let home = folder.path();
            if let Some(python) = python {
                std::fs::write(home.join("demo_weather.py"), WEATHER)?;
                services.push_str(&weather(&python, home));
            }
            std::fs::write(home.join("services.yaml"), services)?;
            let log = std::fs::File::create(home.join(LOG))?;
            Ok((log.try_clone()?, log, folder))
        };
        let (out, err, folder) = prepare().map_err(|error| failed(&error))?;
        let address = broker.trim_start_matches("nats://");
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let mut command = Command::new(&program);
        for (name, _) in std::env::vars_os() {
            // settings of this machine do not reach the private broker
            if name.to_string_lossy().starts_with("NATS_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(["--config", "services.yaml", "--no-banner"])
            .current_dir(folder.path())
            .env("NATS_HOST", host)
            .env("NATS_PORT", port)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0) // Ctrl-C in the terminal is for us, we end it
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        Ok(Self { child, folder })
    }

    /// An error once it has ended by itself, with its last words.
    pub(super) fn check(&mut self) -> Result<(), Ended> {
        let Ok(Some(status)) = self.child.try_wait() else { return Ok(()) };
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it printed nothing");
        Err(Ended::new(Exit::No, format!("tcsd ended with {status}: {last}")))
    }

    /// Ends it, and with it all that it started.
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.child.id() {
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).ok();
        }
        if tokio::time::timeout(STOPPING, self.child.wait()).await.is_err() {
            self.child.kill().await.ok();
        }
    }
}

fn weather(python: &Path, folder: &Path) -> String {
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    format!(
        "  # a Python service, over serverish
  - type: examples.weather
    variant: python
    module: demo_weather
    launch: {{python: {}, env: {{PYTHONPATH: {}}}}}
",
        quoted(python),
        quoted(folder)
    )
}

/// Beside this program, or in PATH.
fn find() -> Result<PathBuf, Ended> {
    let own = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("tcsd")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("tcsd"));
    own.into_iter().chain(in_path).find(|program| program.is_file()).ok_or_else(|| {
        Ended::new(
            Exit::No,
            "there is no tcsd program next to tcsctl or in PATH\n\
             hint: install the package tcsd; from a checkout: make install",
        )
    })
}

/// An interpreter that has serverish, where there is one.
async fn python() -> Option<PathBuf> {
    let active = std::env::var_os("VIRTUAL_ENV").filter(|path| !path.is_empty());
    let folders = active.map(PathBuf::from).into_iter();
    let own = [".venv", ".tools/venv"].map(PathBuf::from);
    let local = folders.chain(own).map(|folder| folder.join("bin/python"));
    let local =
        local.filter(|python| python.is_file()).filter_map(|it| std::path::absolute(it).ok());
    for python in local.chain([PathBuf::from("python3")]) {
        let import = Command::new(&python)
            .args(["-c", "import serverish.monitoring"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        if let Ok(Ok(status)) = tokio::time::timeout(IMPORT, import).await
            && status.success()
        {
            return Some(python);
        }
    }
    None
}
