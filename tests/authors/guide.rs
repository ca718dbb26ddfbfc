//! The examples of the Python framework's guide: in virtual time, under a launcher in both modes, and
//! each by itself.

use std::process::{Command, Stdio};

use tcs_core::fleet::{Phase, ServiceView, Verdict};
use tcs_core::wire::Status;
use tcs_testkit::nats::{self, Server};
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::{Site, signal};

use super::outside::{built, crates, program};

/// Each with the status in which it stays, if it does not complete, and the words.
const EXAMPLES: [(&str, Option<Status>, &str); 11] = [
    ("advanced_service", None, ""),
    ("complex_processor", Some(Status::Ok), "Service running"),
    ("data_importer", None, ""),
    ("failing_service", Some(Status::Ok), "Service running"),
    ("hello_world", Some(Status::Ok), "the author's own"),
    ("manual_service", Some(Status::Ok), "Operation successful"),
    ("recovering_service", Some(Status::Error), "no signal"),
    ("resilient_service", Some(Status::Ok), "Service running"),
    ("simple_service", None, ""),
    ("telescope_control", Some(Status::Ok), "Service running"),
    ("telescope_monitor", Some(Status::Idle), "asked"),
];

fn config() -> String {
    let entry = |(name, ..): &(&str, Option<Status>, &str)| {
        format!("  - {{type: {name}, variant: main, restart: no}}\n")
    };
    format!("services:\n{}", EXAMPLES.iter().map(entry).collect::<String>())
}

fn is_so(it: &ServiceView, status: Option<Status>, words: &str) -> bool {
    match status {
        None => it.phase == Phase::Completed,
        Some(_) => {
            it.status == status && it.message.as_deref().is_some_and(|text| text.starts_with(words))
        }
    }
}

#[test]
fn in_virtual_time() {
    let text = built(&crates(), &["test", "--package", "guide"]);
    assert!(text.contains("11 passed"), "{text}");
}

async fn under_a_launcher(mode: &str) {
    let mut site = Site::of(&program("observatory"), mode, &config()).await;
    let mut watch = site.watch();
    for (name, status, words) in EXAMPLES {
        let id = format!("{name}.main");
        watch.sees(&format!("{status:?}: {words}"), &id, |it| is_so(it, status, words)).await;
    }
    calls(&site.server.url());
    watch.sees("recovered", "recovering_service.main", |it| it.status == Some(Status::Ok)).await;
    assert!(site.tcsd.stop().await.success());
}

/// A command of a service's own is listed, completed and called.
fn calls(url: &str) {
    let id = "recovering_service.main";
    let listed = tcsctl::at(url, &["call", id]).expect(0);
    assert!(listed.out.contains("commands:") && listed.out.contains("  recover\n"), "{listed:?}");
    let mut completing = tcsctl::command(&["--", "tcsctl", "call", id, "re"]);
    completing.env("COMPLETE", "bash").env("NATS_URL", url).env("_CLAP_COMPLETE_INDEX", "3");
    completing.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9");
    completing.env("_CLAP_COMPLETE_SPACE", "true");
    assert_eq!(tcsctl::finish(completing).out.trim(), "recover");
    let unknown = tcsctl::at(url, &["call", id, "reset"]);
    assert_ne!(unknown.code, Some(0), "{unknown:?}");
    let mistyped = tcsctl::at(url, &["call", id, "recover", "[1]"]).expect(2);
    assert!(mistyped.err.contains("parameters must be an object, not `[1]`"), "{mistyped:?}");
    let called = tcsctl::at(url, &["call", id, "recover", "{}"]).expect(0);
    assert!(called.out.contains("done"), "{called:?}");
    for (line, command) in [(vec!["call", id], "commands"), (vec!["call", id, "recover"], "call")] {
        let reply = tcsctl::at(url, &[&line[..], &["--json"]].concat()).expect(0).json();
        assert_eq!(reply["command"], command, "as its schema has it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_tasks() {
    under_a_launcher("async").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_processes() {
    under_a_launcher("process").await;
}

/// By themselves each says to the broker how it is, and how it ended: also one that is done before it
/// is connected.
#[tokio::test(flavor = "multi_thread")]
async fn by_themselves() {
    let alone = program("alone");
    let server = Server::start(&nats::server()).await;
    // the launcher makes the streams
    let mut site = Site::at(server, &program("observatory"), "async", "services: []\n").await;
    site.tcsd.arguments.push("--allow-empty".to_owned());
    site.tcsd.run();
    site.answer("list", |_| true).await;
    let mut watch = site.watch();
    for (name, status, words) in EXAMPLES {
        let mut child = Command::new(&alone)
            .args([name, "alone", "--no-banner"])
            .env("NATS_URL", site.server.url())
            .stderr(Stdio::null())
            .current_dir(site.tcsd.dir())
            .spawn()
            .unwrap();
        let id = format!("{name}.alone");
        if status.is_some() {
            watch.sees(&format!("{status:?}"), &id, |it| is_so(it, status, words)).await;
            signal("TERM", child.id());
        } else {
            let stopped = |it: &ServiceView| it.verdict == Verdict::Stopped;
            watch.sees("its last status", &id, stopped).await;
        }
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "{name}: {ended}");
    }
    assert!(site.tcsd.stop().await.success());
}
