//! Reading the configuration again, and what that would do.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{OutgoingMessage, Publisher, hostname};
use tcs_core::bus::rpc::RequestError;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::id::{LauncherId, ObjectName};
use tcs_core::wire::Timestamp;
use tcs_testkit::nats;

use super::{LIMIT, Tcsd, write_config};

/// The launcher of a file, asked as `tcsctl` does.
struct Remote {
    bus: Bus,
    launcher: ObjectName,
}

impl Remote {
    async fn new(server: &nats::Server, tcsd: &Tcsd) -> Self {
        let section = NatsSection { port: Some(server.port()), ..NatsSection::default() };
        let settings = Settings::from_process(&section, None).unwrap();
        let bus = Bus::connect(&settings, "test", LIMIT).await.unwrap();
        let cwd = tcsd.dir.path().display().to_string();
        let id = LauncherId::derive("services.yaml", &cwd, &hostname(), "process").unwrap();
        Self { bus, launcher: id.object_name() }
    }

    async fn ask(&self, command: &str, data: &Value) -> Result<Value, RequestError> {
        let answer = self.bus.request(self.launcher.as_str(), command, data, LIMIT).await;
        answer.map(Value::Object)
    }

    /// The launcher's list, once it is as wanted.
    async fn list(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = tcs_core::clock::monotonic();
        loop {
            match self.ask("list", &json!({})).await {
                Ok(list) if is_so(&list) => return list,
                other => assert!(start.elapsed() < LIMIT, "in vain: {other:#?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn listed<'a>(list: &'a Value, id: &str) -> &'a Value {
    let services = list["services"].as_array().unwrap();
    services.iter().find(|it| it["service_id"] == id).unwrap_or(&Value::Null)
}

/// `tcsd plan` from anywhere: exit code, standard output, standard error.
fn plan(tcsd: &Tcsd) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcsd"));
    command.arg("plan").arg("--config").arg(tcsd.dir.path().join("services.yaml"));
    let output = command.current_dir("/").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_it_changes_and_a_plan_what_it_would() {
    let server = nats::Server::start(&nats::server()).await;
    let file = |nats: &str, services: &str| {
        let port = server.port();
        format!("nats: {{host: 127.0.0.1, port: {port}{nats}}}\nservices:\n{services}")
    };
    let sleeps = "exec: [sleep, '1000']";
    let before = format!(
        "  - {{type: stays, variant: a, launch: {{{sleeps}, start_timeout: 2}}}}
  - {{type: env, variant: a, launch: {{{sleeps}, env: {{A: one}}}}}}
  - {{type: level, variant: a, launch: {{{sleeps}}}}}
  - {{type: down, variant: a, gain: 1, launch: {{{sleeps}, enabled: false}}}}
  - {{type: gone, variant: a, launch: {{{sleeps}, stop_timeout: 3}}}}
"
    );
    let after = format!(
        "  - {{type: new, variant: a, launch: {{{sleeps}, after: [stays.a]}}}}
  - {{type: stays, variant: a, launch: {{{sleeps}, start_timeout: 2}}}}
  - {{type: env, variant: a, restart: always, launch: {{{sleeps}, env: {{A: two}}}}}}
  - {{type: level, variant: a, launch: {{{sleeps}, level: 1}}}}
  - {{type: down, variant: a, gain: 2, launch: {{{sleeps}, enabled: false}}}}
"
    );
    let mut tcsd = Tcsd::start(&file("", &before), |_| {});
    let remote = Remote::new(&server, &tcsd).await;
    let is = |list: &Value, id: &str, status: &str| listed(list, id)["status"] == status;
    let old = remote
        .list(|list| {
            ["stays.a", "env.a", "level.a", "gone.a"].iter().all(|id| is(list, id, "running"))
        })
        .await;
    // from another folder its name is another: it is found once its own messages are stored
    let none = "nothing has changed (5 services)\n";
    nats::wait_for("the launcher to be found", || plan(&tcsd).1 == none).await;

    // it says that it is busy
    let status = json!({"name": "env.a", "status": "busy", "hostname": hostname(),
        "timestamp": Timestamp::new(tcs_core::clock::wall())});
    let parcel = OutgoingMessage::new(remote.bus.subjects().status("env.a"), &status).unwrap();
    Publisher::new(remote.bus.clone()).send(&parcel).await.unwrap();
    remote.list(|list| listed(list, "env.a")["busy"] == true).await;

    write_config(tcsd.dir.path(), &file("", &after));
    let (code, planned, told) = plan(&tcsd);
    let lines = "added    new.a  starts; waits for stays.a (2 s at most)
changed  env.a  restarts, BUSY now  (launch.env, restart); stop timeout 10 s
changed  level.a  goes on  (launch.level)
changed  down.a  is not started  (gain)
removed  gone.a  stops; stop timeout 3 s
1 unchanged
";
    assert_eq!((code, planned.as_str()), (Some(0), lines), "{told}");
    assert!(told.contains(&format!("{} would, on a reload:", remote.launcher.as_str())), "{told}");
    let list = remote.list(|_| true).await;
    for id in ["stays.a", "env.a", "gone.a"] {
        assert_eq!(listed(&list, id)["pid"], listed(&old, id)["pid"], "nothing was done");
    }

    let answer = remote.ask("reload", &json!({})).await.unwrap();
    let of = |id: &str| listed(&answer, id);
    assert_eq!(answer["unchanged"], 1, "{answer:#}");
    assert_eq!(
        (&of("new.a")["change"], &of("new.a")["result"]),
        (&json!("added"), &json!("started"))
    );
    assert_eq!(of("env.a")["fields"], json!(["launch.env", "restart"]));
    assert_eq!(
        (&of("env.a")["then"], &of("env.a")["result"]),
        (&json!("restarts"), &json!("started"))
    );
    assert_eq!(
        (&of("level.a")["then"], &of("level.a")["result"]),
        (&json!("goes_on"), &json!("updated"))
    );
    assert_eq!(
        (&of("gone.a")["change"], &of("gone.a")["result"]),
        (&json!("removed"), &json!("stopped"))
    );
    let list = remote.list(|_| true).await;
    for (id, same) in [("stays.a", true), ("level.a", true), ("env.a", false)] {
        assert_eq!(listed(&list, id)["pid"] == listed(&old, id)["pid"], same, "{id}");
    }
    // in the log, too
    for line in lines.lines() {
        tcsd.logged(line);
    }

    // removed, and there again before it has ended
    let deaf = format!(
        "{after}  - {{type: deaf, variant: a, launch: {{stop_timeout: 1, exec: $DEAF}}}}\n"
    );
    write_config(tcsd.dir.path(), &file("", &deaf));
    remote.ask("reload", &json!({})).await.unwrap();
    let pid = tcsd.deaf("deaf.a");
    write_config(tcsd.dir.path(), &file("", &after));
    tcsd.signal(Signal::SIGHUP);
    tcsd.logged("removed  deaf.a  stops");
    write_config(tcsd.dir.path(), &file("", &deaf));
    let answer = remote.ask("reload", &json!({})).await.unwrap();
    assert_eq!(listed(&answer, "deaf.a")["result"], "started", "{answer:#}");
    assert_ne!(listed(&answer, "deaf.a")["pid"], pid.as_raw());

    // what tcsd itself would have to be started again for
    write_config(tcsd.dir.path(), &file(", user: nobody, password: x", &after));
    assert!(plan(&tcsd).1.starts_with("note: `nats` has changed: tcsd itself keeps"));
    tcsd.signal(Signal::SIGHUP);
    tcsd.logged("note: `nats` has changed: tcsd itself keeps its connection");

    // a mistake changes nothing, and is said with its place
    write_config(tcsd.dir.path(), &file("", "  - {type: stays, variant: a.b}\n"));
    let (code, planned, told) = plan(&tcsd);
    assert_eq!((code, planned.as_str()), (Some(1), ""));
    assert!(told.contains("services.yaml:3:28: error: "), "{told}");
    let refused = remote.ask("reload", &json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("services.yaml:3:28: error: "), "{refused}");
    assert!(is(&remote.list(|_| true).await, "stays.a", "running"));

    write_config(tcsd.dir.path(), &file("", &before));
    tcsd.signal(Signal::SIGTERM);
    assert_eq!(tcsd.end(), Some(0));
    let (code, planned, told) = plan(&tcsd);
    assert!(told.contains("no launcher of ") && told.contains("what a start would do"), "{told}");
    assert_eq!(code, Some(0));
    assert!(planned.starts_with("added    stays.a  starts\n"), "{planned}");
    assert!(planned.contains("added    down.a  is not started\n"), "{planned}");
}
