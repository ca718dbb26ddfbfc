//! `tcsd` as an operator has it: a configuration, a broker, and what is then so.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::rpc::RequestError;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::fleet::Verdict;

#[path = "support/nats.rs"]
mod nats;
#[path = "support/python.rs"]
mod python;

const CONFIG: &str = "
services:
  - {type: left, variant: a, launch: {exec: [sh, -c, 'exit 1']}}
  - {type: failure, variant: a, restart: on-failure, restart_max: 2, restart_sec: 0.1, launch: {exec: [sh, -c, 'exit 1']}}
  - {type: abnormal, variant: a, restart: on-abnormal, restart_max: 2, restart_sec: 0.1, launch: {exec: [sh, -c, 'exit 137']}}
  - {type: always, variant: a, restart: always, restart_max: 2, restart_sec: 0.1, launch: {exec: [sh, -c, 'exit 0']}}
  - {type: lives, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: hello_world, variant: a}
";

/// Killed, not asked, should the test fail.
struct Tcsd(Child);

impl Drop for Tcsd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broker and a launcher on it.
struct Site {
    tcsd: Tcsd,
    bus: Bus,
    launcher: tcs_core::id::ObjectName,
    _server: nats::Server,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start(mode: &str, text: &str) -> Self {
        let server = nats::Server::start(&nats::server()).await;
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("services.yaml");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
        command.arg("--config").arg(&config).args(["--launcher", mode]).stderr(Stdio::null());
        command.env("NATS_URL", server.url()).env("RUNTIME_DIRECTORY", dir.path());
        let tcsd = Tcsd(command.current_dir(dir.path()).spawn().unwrap());

        let section = NatsSection { port: Some(server.port()), ..NatsSection::default() };
        let settings = Settings::from_process(&section, None).unwrap();
        let bus = Bus::open(&settings, "test", Duration::from_secs(5)).await.unwrap();
        let cwd = dir.path().display().to_string();
        let host = tcs_core::bus::publish::hostname();
        let given = config.display().to_string();
        let id = tcs_core::id::LauncherId::derive(&given, &cwd, &host, mode).unwrap();
        Self { tcsd, bus, launcher: id.object_name(), _server: server, _dir: dir }
    }

    async fn ask(&self, command: &str) -> Result<serde_json::Map<String, Value>, RequestError> {
        let limit = Duration::from_secs(20);
        self.bus.request(self.launcher.as_str(), command, &json!({}), limit).await
    }

    /// Asks until the answer is as wanted.
    async fn answer(&self, command: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = tcs_core::clock::monotonic();
        loop {
            let answer = self.ask(command).await.map(Value::Object);
            match answer {
                Ok(answer) if is_so(&answer) => return answer,
                other => assert!(start.elapsed() < nats::LIMIT, "in vain: {command}: {other:#?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The launcher's word on one service, once it is as wanted.
    async fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let one = |list: &Value| {
            let all = list["services"].as_array()?;
            all.iter().find(|it| it["service_id"] == id).cloned()
        };
        let list = self.answer("list", |list| one(list).is_some_and(|it| is_so(&it))).await;
        one(&list).unwrap()
    }
}

async fn crash_test(mode: &str) {
    let site = Site::start(mode, CONFIG).await;
    let expected = [
        ("left.a", "failed"),
        ("failure.a", "failed"),
        ("abnormal.a", "failed"),
        ("always.a", "failed"),
        ("lives.a", "running"),
        ("hello_world.a", "running"),
    ];
    for (id, status) in expected {
        let it = site.until(id, |it| it["status"] == status).await;
        let restarts = match id {
            "failure.a" | "abnormal.a" | "always.a" => 2,
            _ => 0,
        };
        assert_eq!(it["restarts"], restarts, "{mode}: {it:#}");
    }
    // each answer comes after the effect; the same again changes nothing
    let stopped = site.ask("stop.lives.a").await.unwrap();
    assert_eq!((&stopped["result"], &stopped["changed"]), (&json!("stopped"), &json!(true)));
    assert_eq!(site.ask("stop.lives.a").await.unwrap()["changed"], false);
    let started = site.ask("start.lives.a").await.unwrap();
    let restarted = site.ask("restart.lives.a").await.unwrap();
    assert!(started["pid"].is_u64() && started["pid"] != restarted["pid"]);
    assert!(site.ask("start.nobody.a").await.unwrap_err().to_string().contains("no such service"));

    let mut tcsd = site.tcsd;
    let pid = nix::unistd::Pid::from_raw(tcsd.0.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = tokio::task::spawn_blocking(move || tcsd.0.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(1), "wanted services had failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_test_in_processes() {
    crash_test("process").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_test_with_tasks() {
    crash_test("async").await;
}

/// Python services of the field: one whose start fails, which it says and then exits with 0; one
/// that runs, with a heart that its launcher waits for.
#[tokio::test(flavor = "multi_thread")]
async fn unchanged_python_services() {
    let site = Site::start("process", &format!(
        "
services:
  - type: field
    variant: failing
    restart: on-failure
    restart_max: 1
    restart_sec: 0.1
    module: field_service
    launch: {{env: {{TCS_TEST_FIELD: failing}}}}
  - {{type: field, variant: steady, restart: always, restart_sec: 0.1, module: field_service, launch: {{ready: heartbeat}}}}
launch: {{python: {:?}, env: {{PYTHONPATH: {:?}}}}}
",
        python::interpreter(),
        python::script("")
    ))
    .await;
    // exit code 0, and still a crash: restarted once, then given up
    let failing = site.until("field.failing", |it| it["status"] == "failed").await;
    assert_eq!((&failing["restarts"], &failing["last_exit_code"]), (&json!(1), &json!(0)));

    let first = site.until("field.steady", |it| it["status"] == "running").await;
    let pid = i32::try_from(first["pid"].as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    let again = |it: &Value| it["status"] == "running" && it["pid"] != first["pid"];
    let second = site.until("field.steady", again).await;
    assert_eq!(second["restarts"], 1);
    let at_work = |logs: &Value| logs["lines"].to_string().contains("at work");
    site.answer("logs.field.steady", at_work).await;

    // and this is the picture
    let observer = tcs_core::observer::Observer::new(site.bus.clone());
    let verdict = async |id: &str| {
        let patience = tcs_core::observer::Patience::default();
        let picture = observer.snapshot(patience).await;
        let view = picture.view(tcs_core::clock::monotonic());
        view.get(id).map(|service| service.verdict)
    };
    assert_eq!(verdict("field.failing").await, Some(Verdict::Failed));
    assert_eq!(verdict("field.steady").await, Some(Verdict::Ok));
}
