//! `embed_monitor`, the example of a program that is no service: run as a person would run it.

use std::process::Command;

use tcs_core::clock;
use tcs_testkit::nats::LIMIT;
use tcs_testkit::programs::example;

use super::{Held, on_each_site};

fn part<'h>(said: &'h Held, name: &str) -> &'h serde_json::Value {
    let parts = said.data["details"]["children"].as_array().expect("parts");
    parts.iter().find(|part| part["name"] == name).expect(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_seen_at_work_and_says_its_last_word() {
    on_each_site(async |site| {
        let mut program = Command::new(example("tcs-core", "embed_monitor"));
        let mut child = program.env("NATS_URL", site.server.url()).spawn().unwrap();
        let pid = child.id();
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "{ended}");

        let said = site.held("status", "example.embedded").await;
        let story: Vec<_> =
            said.iter().map(|one| (one.text("status"), one.text("message"))).collect();
        let observing = said.iter().find(|one| one.text("message") == "observing").unwrap();
        assert_eq!(part(observing, "camera")["message"], "-15.2 C", "{story:?}");
        let busy = said.iter().find(|one| one.data["details"]["own_status"] == "busy").unwrap();
        assert_eq!(busy.text("message"), "Processing tasks (1 active)", "{story:?}");
        let last = said.last().unwrap();
        assert_eq!(last.data["details"]["own_status"], "shutdown", "{story:?}");
        assert_eq!(last.text("message"), "the night is over", "{story:?}");
        assert!(said.iter().all(|one| one.data["pid"] == pid));

        let beats = site.held("heartbeat", "example.embedded").await;
        assert!(!beats.is_empty() && beats[0].data["sequence"] == 1);
        assert!(beats.iter().all(|beat| beat.data["children_count"] == 1), "{beats:?}");
    })
    .await;
}

#[test]
fn without_a_broker_it_runs_as_well() {
    let begin = clock::monotonic();
    let mut program = Command::new(example("tcs-core", "embed_monitor"));
    // a port that nobody listens on: reserved, and free in this test
    let ended = program.env("NATS_URL", "nats://127.0.0.1:1").status().unwrap();
    assert!(ended.success(), "{ended}");
    assert!(begin.elapsed() < LIMIT * 2, "it waits for nobody");
}
