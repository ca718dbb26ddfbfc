//! A service that runs by itself, as a process: arguments, log lines, signals, exit codes.

use std::process::{Child, Command, Stdio};

use tcs_testkit::nats::LIMIT;
use tcs_testkit::programs::example;

use super::{Held, Site, on_each_site};

fn start(site: &Site, dir: &std::path::Path, arguments: &[&str]) -> Child {
    Command::new(example("tcs-core", "standalone"))
        .args(arguments)
        .current_dir(dir)
        .env("NATS_URL", site.server.url())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

fn told(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_its_life_and_ends_in_order() {
    on_each_site(async |site| {
        let dir = tempfile::tempdir().unwrap();
        let arguments = ["jk15", "--runner-id", "l.standalone", "--parent-name", "launcher.l"];
        let child = start(&site, dir.path(), &arguments);
        let runs = |said: &[Held]| said.last().is_some_and(|one| one.text("status") == "ok");
        let said = site.wait_until("status", "standalone.jk15", runs).await;
        assert_eq!(said[0].text("parent"), "launcher.l");
        assert_eq!(said[0].data["pid"], child.id());
        site.wait_until("heartbeat", "standalone.jk15", |beats| !beats.is_empty()).await;
        signal(&child, "TERM");
        let (code, text) = tokio::task::spawn_blocking(move || told(child)).await.unwrap();
        assert_eq!(code, Some(0), "{text}");
        let said = site.said("standalone.jk15").await;
        assert_eq!(said.last().unwrap(), "shutdown Service stopped", "{said:?}");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("standalone.jk15 (blocking service, tcs "), "{text}");
        assert!(lines.contains(&"[INFO ] svc|standalone.jk15: Service running"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_last_words_reach_a_broker_that_stands_still_at_its_end() {
    on_each_site(async |site| {
        let dir = tempfile::tempdir().unwrap();
        let child = start(&site, dir.path(), &["jk15"]);
        let runs = |said: &[Held]| said.last().is_some_and(|one| one.text("status") == "ok");
        site.wait_until("status", "standalone.jk15", runs).await;
        site.server.signal("STOP");
        signal(&child, "TERM");
        let ended = tokio::task::spawn_blocking(move || told(child)).await;
        site.server.signal("CONT");
        let (code, text) = ended.unwrap();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("has not confirmed the last messages"), "{text}");
        let stopped =
            |said: &[Held]| said.last().is_some_and(|one| one.text("message") == "Service stopped");
        site.wait_until("status", "standalone.jk15", stopped).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_exit_codes() {
    on_each_site(async |site| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bad.yaml"), "services:\n- type: [\n").unwrap();
        for (arguments, code, says) in [
            (&["--colour"][..], 2, "unknown option --colour"),
            (&["a.b"], 1, "variant `a.b` contains a dot"),
            (&["missing.yaml"], 1, "missing.yaml"),
            (&["bad.yaml"], 1, "bad.yaml:"),
        ] {
            let child = start(&site, dir.path(), arguments);
            let (exit, text) =
                tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(|| told(child)))
                    .await
                    .unwrap()
                    .unwrap();
            assert_eq!(exit, Some(code), "{arguments:?}: {text}");
            assert!(text.contains(says), "{arguments:?}: {text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_that_its_parent_blocks_are_heard() {
    on_each_site(async |site| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(example("tcs-launcher", "tcs-badchild"));
        command.args(["deaf", "exec"]).arg(example("tcs-core", "standalone")).arg("jk15");
        command.current_dir(dir.path()).env("NATS_URL", site.server.url()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let runs = |said: &[Held]| said.last().is_some_and(|one| one.text("status") == "ok");
        site.wait_until("status", "standalone.jk15", runs).await;
        // to the process and to its group, as `timeout` does
        signal(&child, "TERM");
        signal(&child, "TERM");
        let (code, text) = tokio::task::spawn_blocking(move || told(child)).await.unwrap();
        assert_eq!(code, Some(0), "{text}");
    })
    .await;
}
