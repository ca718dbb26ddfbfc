//! `tcsd` as an operator has it: a configuration, a broker, and what is then so.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::settings::{NatsSection, Settings};

#[path = "support/nats.rs"]
mod nats;

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

async fn crash_test(mode: &str) {
    let server = nats::Server::start(&nats::server()).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("services.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
    command.arg("--config").arg(&config).args(["--launcher", mode]).stderr(Stdio::null());
    command.env("NATS_URL", server.url()).env("RUNTIME_DIRECTORY", dir.path());
    let mut tcsd = Tcsd(command.current_dir(dir.path()).spawn().unwrap());

    let section = NatsSection { port: Some(server.port()), ..NatsSection::default() };
    let settings = Settings::from_process(&section, None).unwrap();
    let bus = Bus::open(&settings, "test", Duration::from_secs(5)).await.unwrap();
    let cwd = dir.path().display().to_string();
    let host = tcs_core::bus::publish::hostname();
    let given = config.display().to_string();
    let id = tcs_core::id::LauncherId::derive(&given, &cwd, &host, mode).unwrap();
    let name = id.object_name();
    let ask = async |command: &str| {
        bus.request(name.as_str(), command, &json!({}), Duration::from_secs(20)).await
    };
    let expected = [
        ("left.a", "failed"),
        ("failure.a", "failed"),
        ("abnormal.a", "failed"),
        ("always.a", "failed"),
        ("lives.a", "running"),
        ("hello_world.a", "running"),
    ];
    let mut seen = Value::Null;
    for _ in 0..600 {
        if let Ok(list) = ask("list").await {
            seen = list["services"].clone();
            let is_so = |(id, status): &(&str, &str)| {
                let mut all = seen.as_array().into_iter().flatten();
                all.any(|it| it["service_id"] == *id && it["status"] == *status)
            };
            if expected.iter().all(is_so) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (id, status) in expected {
        let all = seen.as_array().unwrap();
        let it = all.iter().find(|it| it["service_id"] == id).unwrap();
        assert_eq!(it["status"], status, "{mode}: {seen:#}");
        let restarts = match id {
            "failure.a" | "abnormal.a" | "always.a" => 2,
            _ => 0,
        };
        assert_eq!(it["restarts"], restarts, "{mode}: {it:#}");
    }
    // each answer comes after the effect; the same again changes nothing
    let stopped = ask("stop.lives.a").await.unwrap();
    assert_eq!((&stopped["result"], &stopped["changed"]), (&json!("stopped"), &json!(true)));
    assert_eq!(ask("stop.lives.a").await.unwrap()["changed"], false);
    let started = ask("start.lives.a").await.unwrap();
    let restarted = ask("restart.lives.a").await.unwrap();
    assert!(started["pid"].is_u64() && started["pid"] != restarted["pid"]);
    assert!(ask("start.nobody.a").await.unwrap_err().to_string().contains("no such service"));

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
