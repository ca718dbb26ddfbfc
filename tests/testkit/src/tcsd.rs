//! `tcsd` as an operator has it: a broker, a launcher in a process of its own, and the picture.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::rpc::RequestError;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::fleet::{FleetView, ServiceView};
use tcs_core::id::{LauncherId, ObjectName};
use tcs_core::observer::{Following, Observation, Observed, Observer, Picture};
use tcs_core::wire::{Kind, Message, RegistryMessage, StatusMessage};

use crate::nats::{self, LIMIT};
pub use crate::process::signal;
use crate::programs::program;

/// A launcher with its configuration, killed with the test.
pub struct Tcsd {
    dir: tempfile::TempDir,
    program: PathBuf,
    mode: String,
    url: String,
    child: Option<Child>,
    /// Whether what it writes is kept, in a file.
    pub keeps_log: bool,
    /// Set for it, and so for all that it starts.
    pub environment: Vec<(String, String)>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// The host's name, where it is to be another: for root only ([`can_name_hosts`]).
    pub host: Option<String>,
    /// Its monitored name.
    pub name: ObjectName,
}

impl Tcsd {
    /// Not started yet.
    pub fn new(program: &Path, url: &str, mode: &str, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("services.yaml");
        std::fs::write(&path, config).unwrap();
        let (given, cwd) = (path.display().to_string(), dir.path().display().to_string());
        let host = tcs_core::bus::publish::hostname();
        let name = LauncherId::derive(&given, &cwd, &host, mode).unwrap().object_name();
        let (program, mode, url) = (program.to_owned(), mode.to_owned(), url.to_owned());
        Self {
            dir,
            program,
            mode,
            url,
            child: None,
            keeps_log: true,
            environment: Vec::new(),
            arguments: Vec::new(),
            host: None,
            name,
        }
    }

    /// As if on a host of that name.
    pub fn on_host(mut self, host: &str) -> Self {
        let (given, cwd) = (self.path("services.yaml"), self.dir().display().to_string());
        self.name = LauncherId::derive(&given, &cwd, host, &self.mode).unwrap().object_name();
        self.host = Some(host.to_owned());
        self
    }

    /// Its folder: working directory, configuration, what it leaves.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in its folder, as text.
    pub fn path(&self, name: &str) -> String {
        self.dir().join(name).display().to_string()
    }

    /// Writes another configuration.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.dir().join("services.yaml"), config).unwrap();
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let file = self.dir().join("tcsd.log");
        let file = || std::fs::File::options().create(true).append(true).open(file).unwrap();
        let log = if self.keeps_log { file().into() } else { Stdio::null() };
        let mut command = Command::new(&self.program);
        if let Some(host) = &self.host {
            command = Command::new("unshare");
            command.args(["--uts", "sh", "-c", "hostname \"$0\" && exec \"$@\"", host]);
            command.arg(&self.program);
        }
        command.arg("--config").arg(self.dir().join("services.yaml"));
        command.args(["--launcher", &self.mode]).stderr(log).current_dir(self.dir());
        command.env("NATS_URL", &self.url).env("RUNTIME_DIRECTORY", self.path(""));
        command.env(MARK, std::process::id().to_string());
        command.args(&self.arguments);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts it.
    pub fn run(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.child = Some(self.command().spawn().unwrap());
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// A signal by name: `STOP` freezes it, `CONT` thaws it.
    pub fn signal(&self, name: &str) {
        signal(name, self.pid());
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let begin = clock::monotonic();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < LIMIT, "tcsd does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it in order.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.end().await
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.end().await;
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("tcsd.log")).unwrap_or_default()
    }
}

impl Drop for Tcsd {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(8000);
            let from = (from..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(from);
            eprintln!("--- log of tcsd {}\n{}", self.name, &log[from..]);
        }
    }
}

/// In the environment of every tcsd that is started here, and so of all that it starts.
const MARK: &str = "TCS_TEST_PROCESS";

/// The processes that a tcsd of this test program has started, or one of those below it, and that
/// carry this word in their environment. Zombies have none. All of them were there at one moment: one
/// that ends while others are looked at is left out.
pub fn marked(word: &str) -> Vec<i32> {
    let ours = format!("{MARK}={}\0", std::process::id());
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
    let carries = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        environment.contains(&ours) && environment.contains(word)
    };
    let mut found: Vec<i32> = pids.filter(carries).collect();
    found.retain(carries);
    found
}

/// Whether a process of ours may have a host name of its own.
pub fn can_name_hosts() -> bool {
    let tried = Command::new("unshare").args(["--uts", "hostname", "another"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// A broker and a launcher on it.
pub struct Site {
    // dropped first: otherwise its end would wait for a broker that is gone
    /// The launcher.
    pub tcsd: Tcsd,
    /// A connection of the test's own.
    pub bus: Bus,
    /// On that connection.
    pub observer: Observer,
    /// The broker.
    pub server: nats::Server,
}

impl Site {
    /// With `tcsd`.
    pub async fn start(mode: &str, config: &str) -> Self {
        Self::of(&program("tcsd"), mode, config).await
    }

    /// With another launcher.
    pub async fn of(program: &Path, mode: &str, config: &str) -> Self {
        let mut site = Self::prepared(program, mode, config).await;
        site.tcsd.run();
        site
    }

    /// The launcher is not started yet.
    pub async fn prepared(program: &Path, mode: &str, config: &str) -> Self {
        Self::at(nats::Server::start(&nats::server()).await, program, mode, config).await
    }

    /// The same at a broker of a given kind.
    pub async fn at(server: nats::Server, program: &Path, mode: &str, config: &str) -> Self {
        let section = NatsSection { port: Some(server.port()), ..NatsSection::default() };
        let settings = Settings::from_process(&section, None).unwrap();
        let bus = Bus::open(&settings, "test", Duration::from_secs(5)).await.unwrap();
        let tcsd = Tcsd::new(program, &server.url(), mode, config);
        Self { tcsd, observer: Observer::new(bus.clone()), bus, server }
    }

    /// Asks the launcher, once.
    pub async fn ask(&self, command: &str) -> Result<Map<String, Value>, RequestError> {
        self.ask_with(command, json!({})).await
    }

    /// The same with parameters.
    pub async fn ask_with(
        &self,
        command: &str,
        data: Value,
    ) -> Result<Map<String, Value>, RequestError> {
        self.bus.request(self.tcsd.name.as_str(), command, &data, LIMIT).await
    }

    /// Asks until the answer is as wanted.
    pub async fn answer(&self, command: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = clock::monotonic();
        loop {
            let answer = self.ask(command).await.map(Value::Object);
            match answer {
                Ok(answer) if is_so(&answer) => return answer,
                other => assert!(start.elapsed() < LIMIT, "in vain: {command}: {other:#?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The launcher's answer about one service, once `is_so` accepts it.
    pub async fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let one = |list: &Value| {
            let all = list["services"].as_array()?;
            all.iter().find(|it| it["service_id"] == id).cloned()
        };
        let list = self.answer("list", |list| one(list).is_some_and(|it| is_so(&it))).await;
        one(&list).unwrap()
    }

    /// The process of a service, once it runs.
    pub async fn pid(&self, id: &str) -> u32 {
        let it = self.until(id, |it| it["status"] == "running" && it["pid"].is_u64()).await;
        u32::try_from(it["pid"].as_u64().unwrap()).unwrap()
    }

    /// Follows the picture.
    pub fn watch(&self) -> Watch {
        Watch { picture: self.observer.blank(), following: self.observer.follow(&Kind::FLEET) }
    }

    /// All that the streams hold of registry and statuses, in the order in which it was stored.
    pub async fn history(&self) -> Vec<Arc<Observed>> {
        let kinds = [Kind::Registry, Kind::Status];
        let since = clock::wall() - chrono::TimeDelta::hours(1);
        let past = nats::within_limit("the history", self.observer.since(since, &kinds)).await;
        let messages = past.observations.into_iter().filter_map(|it| match it {
            Observation::Message(observed) => Some(observed),
            _ => None,
        });
        messages.collect()
    }

    /// The registry events of one name, or of all.
    pub async fn events(&self, id: Option<&str>) -> Vec<RegistryMessage> {
        let of = |it: &RegistryMessage| id.is_none_or(|id| id == it.service_id);
        let history = self.history().await;
        let events = history.iter().filter_map(|it| match &it.decoded.message {
            Message::Registry(event) if of(event) => Some(event.clone()),
            _ => None,
        });
        events.collect()
    }

    /// The same, once the streams hold what is waited for. Who asks the launcher learns of an event
    /// before they do.
    pub async fn events_once(
        &self,
        id: Option<&str>,
        what: &str,
        is_so: impl Fn(&[RegistryMessage]) -> bool,
    ) -> Vec<RegistryMessage> {
        let begin = clock::monotonic();
        loop {
            let events = self.events(id).await;
            if is_so(&events) {
                return events;
            }
            assert!(begin.elapsed() < LIMIT, "in vain: {what}: {events:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All registry events, once this one of a service is among them.
    pub async fn events_with(&self, id: &str, name: &str) -> Vec<RegistryMessage> {
        let is_it = |it: &RegistryMessage| it.service_id == id && it.event.name() == name;
        let what = format!("{name} of {id}");
        self.events_once(None, &what, |events| events.iter().any(is_it)).await
    }

    /// Waits until the registry events of a service are these.
    pub async fn tells(&self, id: &str, story: &[&str]) {
        let names = |events: &[RegistryMessage]| -> Vec<String> {
            events.iter().map(|it| it.event.name().to_owned()).collect()
        };
        let what = format!("{id} with {story:?}");
        self.events_once(Some(id), &what, |events| names(events) == story).await;
    }

    /// The names of the registry events of a service.
    pub async fn story(&self, id: &str) -> Vec<String> {
        self.events(Some(id)).await.iter().map(|it| it.event.name().to_owned()).collect()
    }

    /// The statuses of one name, once the last one is so.
    pub async fn statuses_once(
        &self,
        id: &str,
        what: &str,
        is_so: impl Fn(&StatusMessage) -> bool,
    ) -> Vec<StatusMessage> {
        let begin = clock::monotonic();
        loop {
            let statuses = self.statuses(id).await;
            if statuses.last().is_some_and(&is_so) {
                return statuses;
            }
            assert!(begin.elapsed() < LIMIT, "in vain: {what}: {statuses:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The statuses of one name.
    pub async fn statuses(&self, id: &str) -> Vec<StatusMessage> {
        let history = self.history().await;
        let statuses = history.iter().filter_map(|it| match &it.decoded.message {
            Message::Status(status) if status.name == id => Some(status.clone()),
            _ => None,
        });
        statuses.collect()
    }
}

/// The picture, followed.
pub struct Watch {
    /// What is known so far.
    pub picture: Picture,
    /// What it is told.
    pub following: Following,
}

impl Watch {
    /// As it is now.
    pub fn view(&self) -> FleetView {
        self.picture.view(clock::monotonic())
    }

    /// Waits until the picture is so; tells what was seen, and how long it took.
    pub async fn see(&mut self, what: &str, is_so: impl Fn(&FleetView) -> bool) -> Duration {
        self.see_while(what, is_so, |_| true).await
    }

    /// The same, and at each look on the way `holds` must hold.
    pub async fn see_while(
        &mut self,
        what: &str,
        is_so: impl Fn(&FleetView) -> bool,
        holds: impl Fn(&FleetView) -> bool,
    ) -> Duration {
        let begin = clock::monotonic();
        self.catch_up().await;
        loop {
            let view = self.view();
            assert!(holds(&view), "on the way to {what}:\n{}", told(&view));
            let took = begin.elapsed();
            if is_so(&view) {
                println!("seen after {:.2} s: {what}", took.as_secs_f64());
                return took;
            }
            assert!(took < LIMIT, "in vain: {what}\n{}", told(&view));
            let next = tokio::time::timeout(Duration::from_millis(20), self.following.next());
            if let Ok(batch) = next.await {
                self.picture.extend(batch.expect("it follows"));
            }
        }
    }

    /// Waits until nothing keeps the picture from being the whole truth.
    pub async fn complete(&mut self) {
        let begin = clock::monotonic();
        loop {
            self.catch_up().await;
            let problems = self.picture.problems("svc");
            if problems.is_empty() {
                return println!("complete after {:.2} s", begin.elapsed().as_secs_f64());
            }
            assert!(begin.elapsed() < LIMIT, "{problems:?}");
        }
    }

    /// Takes in what has come while nobody looked.
    async fn catch_up(&mut self) {
        let pause = Duration::from_millis(40);
        for _ in 0..20 {
            let next = tokio::time::timeout(pause, self.following.next()).await;
            let Ok(batch) = next else { return };
            self.picture.extend(batch.expect("it follows"));
        }
    }

    /// Waits until one service is so.
    pub async fn sees(
        &mut self,
        what: &str,
        id: &str,
        is_so: impl Fn(&ServiceView) -> bool,
    ) -> Duration {
        self.see(&format!("{id}: {what}"), |view| view.get(id).is_some_and(&is_so)).await
    }

    /// One service as it is now.
    pub fn service(&self, id: &str) -> ServiceView {
        let view = self.view();
        view.get(id).unwrap_or_else(|| panic!("no {id} in\n{}", told(&view))).clone()
    }
}

/// Whether one of the reasons has this code.
pub fn because(service: &ServiceView, code: &str) -> bool {
    service.reasons.iter().any(|reason| reason.code() == code)
}

/// A picture in words.
pub fn told(view: &FleetView) -> String {
    let mut text = format!("{:?}\n", view.link);
    for it in &view.services {
        let reasons: Vec<String> = it.reasons.iter().map(ToString::to_string).collect();
        let line = format!(
            "{}: {} {} {} {:?} [{}]\n",
            it.id,
            it.verdict,
            it.phase,
            it.liveness,
            it.status,
            reasons.join("; ")
        );
        text.push_str(&line);
    }
    text
}
