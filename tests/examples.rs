//! The tutorial's services do what the tutorial says of them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, json};
use tcs_core::config::{Config, Environment};
use tcs_core::service::{Outcome, Registry};
use tcs_core::testing::Rig;
use tcs_core::wire::Status;
use tcs_launcher::services::examples::basic::Basic;
use tcs_launcher::services::examples::minimal::Minimal;
use tcs_launcher::services::examples::monitoring::Monitoring;
use tcs_launcher::services::examples::nonblocking::Nonblocking;
use tcs_launcher::services::hello_world::HelloWorld;

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

#[test]
fn hello_world_and_the_smallest_run_and_stop() {
    let mut rig = Rig::start::<HelloWorld>(json!({"interval": 1, "message": "hi"}));
    rig.run_for(MINUTE);
    assert_eq!(rig.stop(), Outcome::Cancelled);
    let mut rig = Rig::start::<Minimal>(json!({}));
    rig.run_for(MINUTE);
    assert_eq!(rig.wait_for_status(Status::Ok), "Service running");
    assert_eq!(rig.stop(), Outcome::Cancelled);
    assert_eq!(rig.wait_for_status(Status::Shutdown), "Service stopped");
}

#[test]
fn basic_refuses_settings_that_make_no_sense() {
    let mut rig = Rig::start::<Basic>(json!({"samples": 0}));
    assert!(matches!(rig.ended(), Outcome::StartFailed(_)));
    assert!(rig.wait_for_status(Status::Failed).contains("nothing to average"));
    let mut rig = Rig::start::<Basic>(json!({"samples": "many"}));
    assert!(matches!(rig.ended(), Outcome::StartFailed(_)));
    let mut rig = Rig::start::<Basic>(json!({"samples": 3}));
    rig.run_for(MINUTE);
    assert_eq!(rig.stop(), Outcome::Cancelled);
}

/// What is said arrives a moment later.
fn was_busy(rig: &Rig) {
    let start = tcs_core::clock::monotonic();
    while !rig.statuses().iter().any(|(status, _)| *status == Status::Busy) {
        assert!(start.elapsed() < MINUTE, "{:?}", rig.statuses());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn monitoring_degrades_fails_and_is_repaired() {
    let mut rig = Rig::start::<Monitoring>(json!({"interval": 1, "fails_every": 5}));
    rig.run_for(Duration::from_secs(3));
    rig.check_health();
    was_busy(&rig);
    rig.run_for(Duration::from_secs(3));
    rig.check_health();
    rig.wait_for_status(Status::Degraded);
    rig.run_for(Duration::from_secs(10));
    rig.check_health();
    rig.wait_for_status(Status::Failed);
    let reply = rig.call("repair", Map::new()).unwrap();
    assert_eq!(reply["failures"], 3);
    rig.wait_for_status(Status::Idle);
    let sent = rig.sent();
    let with_metrics = sent.iter().find(|one| one.data["details"]["metrics"]["failures"] == 3);
    assert!(with_metrics.is_some());
    assert_eq!(rig.stop(), Outcome::Cancelled);
}

#[test]
fn nonblocking_works_and_ends_its_tasks() {
    let mut rig = Rig::start::<Nonblocking>(json!({"workers": 2, "interval": 0.5}));
    rig.run_for(Duration::from_secs(10));
    was_busy(&rig);
    assert_eq!(rig.stop(), Outcome::Cancelled);
}
