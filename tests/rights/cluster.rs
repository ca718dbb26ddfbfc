//! The same on a cluster of three servers, where each of them may answer: the rights, and a console
//! that reads without consumers what another server has just stored.

use std::fmt::Write as _;
use std::net::TcpListener;

use async_nats::jetstream;
use serde_json::json;
use tcs_core::clock;

use super::attacks::{assert_nothing_works, client, envelope, site};
use super::nats::{Binary, LIMIT, Server, on_each_server, within_limit};
use super::{config, ctl, passwords};

/// Services whose status is written.
const SERVICES: usize = 150;

async fn cluster(binary: &Binary) -> Vec<Server> {
    let free: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = free.iter().map(|it| it.local_addr().unwrap().port()).collect();
    drop(free);
    let mut routes = String::new();
    for port in &ports {
        write!(routes, "\"nats://127.0.0.1:{port}\", ").unwrap();
    }
    let mut servers = Vec::new();
    for (n, port) in ports.iter().enumerate() {
        let node = format!(
            "server_name: n{n}\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n"
        );
        let config = format!("{}\n{node}", config());
        servers.push(Server::start_with_environment(binary, &config, passwords()).await);
    }
    // until the three have a leader
    let context = jetstream::new(client(&servers[0], "launcher").await);
    let start = clock::monotonic();
    while context.get_stream("none").await.is_err_and(|error| {
        let text = error.to_string();
        !text.contains("not found")
    }) {
        assert!(start.elapsed() < LIMIT, "no leader:\n{}", servers[0].log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    servers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_gives_the_same_rights_and_a_fresh_picture() {
    on_each_server(async |binary: Binary| {
        let servers = cluster(&binary).await;
        let launcher = client(&servers[0], "launcher").await;
        within_limit("streams", site(&launcher, 3)).await;
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
            for server in &servers {
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
