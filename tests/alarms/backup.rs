//! A backup holds the alarms too: who was notified, who has acknowledged, what is shelved.

use serde_json::Value;
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats::{on_each_server, wait_for};
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::signal;

use super::deaths::watched;
use super::{Sink, alarm};

/// The alarms of a moment, without where the document comes from.
fn at(url: &str, moment: &str) -> Value {
    let args = ["alarms", "--all", "--json", "--at", moment];
    tcsctl::at(url, &args).expect(0).json()["alarms"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_of_a_backup_are_those_before_in_a_cluster_of_three() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let mut site = watched(&binary, &sink, 2).await;
        let url = site.server.url();
        let is_told = |id: &str| alarm(&url, id)["told"][0]["st"] == "done";
        for id in ["dome.main", "dome.n1"] {
            signal("KILL", site.pid(id).await);
            wait_for("the outcome", || is_told(&format!("failed/{id}"))).await;
        }
        let act = |args: &[&str]| tcsctl::at(&url, args).expect(0);
        act(&["ack", "failed/dome.main", "-m", "changing the cable"]);
        act(&["note", "failed/dome.n1", "-m", "as last night"]);
        act(&["shelve", "dome.n1", "--for", "2h", "-m", "washing"]);
        site.tcsd.stop().await;
        let moment = tcs_core::clock::wall().to_rfc3339();
        let before = at(&url, &moment);
        let state = |document: &Value, id: &str| {
            let mut all = document.as_array().unwrap().iter();
            all.find(|it| it["id"] == id).map(|it| it["state"].clone()).unwrap_or_default()
        };
        assert_eq!(state(&before, "failed/dome.main"), "acked");

        let backup = site.tcsd.path("backup");
        act(&["backup", &backup]);
        let cluster = Cluster::start(&binary).await;
        tcsctl::at(&cluster.urls(), &["restore", &backup]).expect(0);
        for node in &cluster.nodes {
            assert_eq!(at(&node.url(), &moment), before, "{}", node.url());
        }
    })
    .await;
}
