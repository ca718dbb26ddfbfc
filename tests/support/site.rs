//! A site as an operator of `tcsctl` has it: a broker, and a real `tcsd` with its services.
//!
//! Included with `#[path = "support/site.rs"] mod site;` beside `mod nats;`, by tests of the package
//! `tcsctl`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::nats::{Server, server};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcsctl");

/// The launcher's binary beside ours.
fn tcsd() -> PathBuf {
    let path = Path::new(PROGRAM).with_file_name("tcsd");
    assert!(path.exists(), "no {}: cargo build -p tcs-launcher --bin tcsd", path.display());
    path
}

/// Killed, not asked, should the test fail.
struct Tcsd(Child);

impl Drop for Tcsd {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A broker, and a launcher on it.
pub struct Site {
    pub server: Server,
    _tcsd: Tcsd,
    folder: tempfile::TempDir,
}

impl Site {
    /// With these services; `FOLDER` in it is a folder of the test's own, in which they run.
    pub async fn start(config: &str) -> Self {
        Self::at(Server::start(&server()).await, config)
    }

    /// The same on a broker that runs already.
    pub fn at(server: Server, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services.yaml");
        let config = config.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(tcsd());
        command
            .arg("--config")
            .arg(&path)
            .env("NATS_URL", server.url())
            .env("RUNTIME_DIRECTORY", folder.path())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let tcsd = Tcsd(command.spawn().unwrap());
        Self { server, _tcsd: tcsd, folder }
    }

    /// A file of the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Whether a process is there, and not only its entry.
pub fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The first line of the screen on which all of these stand.
pub fn line_of<'a>(text: &'a str, wanted: &[&str]) -> Option<&'a str> {
    text.lines().find(|line| wanted.iter().all(|wanted| line.contains(wanted)))
}
