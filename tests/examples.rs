//! The tutorial's services do what the tutorial says of them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::config::{Config, Environment};
use tcs_core::service::{Outcome, Registry, Service};
use tcs_core::testing::Rig;
use tcs_core::wire::Status;
use tcs_samples::examples::basic::Basic;
use tcs_samples::examples::minimal::Minimal;
use tcs_samples::examples::monitoring::Monitoring;
use tcs_samples::examples::nonblocking::Nonblocking;
use tcs_samples::hello_world::HelloWorld;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn the_sample_names_services_that_are_there_with_settings_that_fit() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples.yaml");
    let config = Config::load(&path, true, &Environment::default()).unwrap();
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let registry = Registry::of_this_program().unwrap();
    let (rust, programs): (Vec<_>, Vec<_>) =
        config.services.iter().partition(|entry| entry.launch.exec.is_none());
    assert_eq!((rust.len(), programs.len()), (10, 1));
    for entry in rust {
        let registration = registry.find(entry.service_type.as_str()).unwrap();
        let report = registration.check()(&entry.settings).unwrap();
        assert!(report.is_empty(), "{report}");
    }
}

#[tokio::test]
async fn hello_world_and_the_smallest_run_and_stop() {
    let mut rig = Rig::<HelloWorld>::start(json!({"interval": 1, "message": "hi"})).await;
    rig.run_for(MINUTE).await;
    assert_eq!(rig.stop().await, Outcome::Cancelled);
    let mut rig = Rig::<Minimal>::start(json!({})).await;
    rig.run_for(MINUTE).await;
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Service running");
    assert_eq!(rig.stop().await, Outcome::Cancelled);
    assert_eq!(rig.wait_for_status(Status::Shutdown).await, "Service stopped");
}

#[tokio::test]
async fn basic_refuses_settings_that_make_no_sense() {
    let mut rig = Rig::<Basic>::start(json!({"samples": 0})).await;
    assert!(matches!(rig.ended().await, Outcome::StartFailed(_)));
    assert!(rig.wait_for_status(Status::Failed).await.contains("nothing to average"));
    let mut rig = Rig::<Basic>::start(json!({"samples": "many"})).await;
    assert!(matches!(rig.ended().await, Outcome::StartFailed(_)));
    let mut rig = Rig::<Basic>::start(json!({"samples": 3})).await;
    rig.run_for(MINUTE).await;
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}

fn was_busy<S: Service>(rig: &Rig<S>) {
    let said = rig.statuses();
    assert!(said.iter().any(|(status, _)| *status == Status::Busy), "{said:?}");
}

#[tokio::test]
async fn monitoring_degrades_fails_and_is_repaired() {
    let mut rig = Rig::<Monitoring>::start(json!({"interval": 1, "fails_every": 5})).await;
    rig.run_for(Duration::from_secs(3)).await;
    rig.check_health().await;
    was_busy(&rig);
    rig.run_for(Duration::from_secs(3)).await;
    rig.check_health().await;
    rig.wait_for_status(Status::Degraded).await;
    rig.run_for(Duration::from_secs(10)).await;
    rig.check_health().await;
    rig.wait_for_status(Status::Failed).await;
    let reply = rig.call("repair", Value::Null).await.unwrap();
    assert_eq!(reply["failures"], 3);
    rig.wait_for_status(Status::Idle).await;
    let sent = rig.sent();
    let with_metrics = sent.iter().find(|one| one.data["details"]["metrics"]["failures"] == 3);
    assert!(with_metrics.is_some());
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}

#[tokio::test]
async fn nonblocking_works_and_ends_its_tasks() {
    let mut rig = Rig::<Nonblocking>::start(json!({"workers": 2, "interval": 0.5})).await;
    rig.run_for(Duration::from_secs(10)).await;
    was_busy(&rig);
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}
