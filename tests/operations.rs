//! What a site does by plan: schedules and planned work, as `tcsctl` shows and commands them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "operations/dashboard.rs"]
mod dashboard;
#[path = "operations/maintenance.rs"]
mod maintenance;
#[path = "operations/order.rs"]
mod order;
#[path = "operations/planned.rs"]
mod planned;
#[path = "operations/profiles.rs"]
mod profiles;
#[path = "operations/schedules.rs"]
mod schedules;

use serde_json::Value;
use tcs_testkit::tcsctl::at;
use tcs_testkit::tcsd::Site;

/// A service in the JSON of the list, once it is as wanted.
async fn listed(site: &Site, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begin = tcs_core::clock::monotonic();
    loop {
        let document = at(&site.server.url(), &["list", id, "--json"]).json();
        let services = document["services"].as_array().unwrap();
        let found = services.iter().find(|it| it["id"] == id);
        if let Some(found) = found.filter(|it| is_so(it)) {
            return found.clone();
        }
        assert!(begin.elapsed() < tcs_testkit::nats::LIMIT, "in vain: {id}: {document:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
