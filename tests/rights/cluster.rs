//! The same on a cluster of three servers, where each of them may answer: the rights, and a console
//! that reads without consumers what another server has just stored.

use async_nats::jetstream;
use serde_json::json;
use tcs_core::clock;
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats::{Binary, LIMIT, on_each_server, within_limit};

use super::attacks::assert_nothing_works;
use super::site::{client, envelope, fill};
use super::{config, ctl, passwords};

/// Services whose status is written.
const SERVICES: usize = 150;

/// A client of the first, once the three have a leader.
async fn launcher(cluster: &Cluster) -> async_nats::Client {
    let launcher = client(&cluster.nodes[0], "launcher").await;
    let context = jetstream::new(launcher.clone());
    let start = clock::monotonic();
    while context.get_stream("none").await.is_err_and(|error| {
        let text = error.to_string();
        !text.contains("not found")
    }) {
        assert!(start.elapsed() < LIMIT, "no leader:\n{}", cluster.nodes[0].log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    launcher
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_gives_the_same_rights_and_a_fresh_picture() {
    on_each_server(async |binary: Binary| {
        let cluster = Cluster::start_with(&binary, &config(), &passwords()).await;
        let launcher = launcher(&cluster).await;
        let servers = &cluster.nodes;
        within_limit("streams", fill(&launcher, 3)).await;
        for (user, at) in [("viewer", 1), ("operator", 2)] {
            assert_nothing_works([&servers[0], &servers[at]], user).await;
        }

        // what one server has confirmed is seen at once at each, by who reads without consumers
        let context = jetstream::new(launcher);
        for round in 0..2 {
            let mut stored = Vec::new();
            for n in 0..SERVICES {
                let data = json!({"name": format!("s{n}.a"), "status": "ok", "message": format!("round {round}")});
                let subject = format!("svc.status.s{n}.a");
                stored.push(context.publish(subject, envelope(&data).into()).await.unwrap());
            }
            for stored in stored {
                stored.await.unwrap();
            }
            for server in servers {
                let document = ctl(server, "viewer", &["--all", "--json"]).json();
                let all = document["services"].as_array().unwrap();
                let fresh = all.iter().filter(|it| it["message"] == format!("round {round}"));
                assert_eq!(fresh.count(), SERVICES, "round {round} of {}", server.url());
            }
        }
        let output = ctl(&servers[2], "viewer", &["events"]).expect(0);
        assert!(output.out.contains("camera.a"), "{output:#?}");
    })
    .await;
}
