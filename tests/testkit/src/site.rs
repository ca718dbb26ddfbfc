//! A site as an operator of `tcsctl` has it: a broker, and a real `tcsd` with its services.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::nats::{Server, server};
use crate::programs::program;

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
    /// The broker.
    pub server: Server,
    _tcsd: Tcsd,
    folder: tempfile::TempDir,
}

impl Site {
    /// Starts a site with these services; `FOLDER` in `config` is a folder of the test's own, in
    /// which they run.
    pub async fn start(config: &str) -> Self {
        Self::at(Server::start(&server()).await, config)
    }

    /// The same on a broker that runs already.
    pub fn at(server: Server, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services.yaml");
        let config = config.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(program("tcsd"));
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
