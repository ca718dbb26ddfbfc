//! Each example of the guide in virtual time.

use guide::*;
use tcs_core::prelude::*;
use tcs_core::service::Outcome;
use tcs_core::testing::{Rig, assert_registered};

#[test]
fn they_are_found() {
    for name in [
        "advanced_service",
        "complex_processor",
        "data_importer",
        "failing_service",
        "hello_world",
        "manual_service",
        "recovering_service",
        "resilient_service",
        "simple_service",
        "telescope_control",
        "telescope_monitor",
    ] {
        assert_registered(name);
    }
}

#[tokio::test]
async fn data_importer() {
    let mut rig = Rig::with(data_importer::DataImporter).await;
    assert_eq!(rig.ended().await, Outcome::Completed);
}

#[tokio::test]
async fn telescope_monitor() {
    let mut rig = Rig::with(telescope_monitor::TelescopeMonitor).await;
    rig.run_for(secs(3.5)).await;
    // new words alone are sent a second later: those of the second question or of the third
    let words = rig.wait_for_status(Status::Idle).await;
    assert!(["asked 2 times", "asked 3 times"].contains(&words.as_str()), "{words}");
    rig.run_for(secs(60.0)).await;
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}

#[tokio::test]
async fn complex_processor() {
    let mut rig = Rig::with(complex_processor::ComplexProcessor).await;
    rig.run_for(secs(10.5)).await;
    assert_eq!(complex_processor::PROCESSED.load(Relaxed), 15);
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}

#[tokio::test]
async fn simple_service() {
    let mut rig = Rig::with(simple_service::SimpleService).await;
    assert_eq!(rig.ended().await, Outcome::Completed);
}

#[tokio::test]
async fn advanced_service() {
    type Service = advanced_service::AdvancedService;
    let mut rig = Rig::<Service>::start(json!({"api_url": "http://a"})).await;
    assert_eq!(rig.ended().await, Outcome::Completed);
    let said = rig.statuses();
    assert!(said.iter().any(|(_, words)| words == "Service running"), "{said:?}");
    let config = advanced_service::Settings::default();
    assert_eq!((config.timeout, config.max_retries), (30, 3));
    let mut rig = Rig::with(advanced_service::AdvancedService).config(config).await;
    assert_eq!(rig.ended().await, Outcome::Completed);
}

#[tokio::test]
async fn telescope_control() {
    let mut rig = Rig::with(telescope_control::TelescopeControl).await;
    rig.run_for(secs(10.5)).await;
    assert_eq!(telescope_control::MOVES.load(Relaxed), 10);
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}

#[tokio::test]
async fn failing_service() {
    let mut rig = Rig::with(failing_service::FailingService::default()).await;
    failing_service::BROKEN.store(true, Relaxed);
    rig.run_for(secs(2.5)).await;
    rig.check_health().await;
    assert_eq!(rig.wait_for_status(Status::Degraded).await, "2 errors");
    assert!(rig.wait_for_status(Status::Failed).await.ends_with("errors"));
    failing_service::BROKEN.store(false, Relaxed);
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Service running");
}

#[tokio::test]
async fn manual_service() {
    manual_service::BROKEN.store(true, Relaxed);
    let mut rig = Rig::with(manual_service::ManualService).await;
    assert_eq!(rig.wait_for_status(Status::Error).await, "Operation failed");
    manual_service::BROKEN.store(false, Relaxed);
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Operation successful");
}

#[tokio::test]
async fn recovering_service() {
    let mut rig = Rig::with(recovering_service::RecoveringService).await;
    assert_eq!(rig.wait_for_status(Status::Error).await, "no signal");
    rig.call("recover", Value::Null).await.unwrap();
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Error resolved");
}

/// The five steps of the guide.
#[tokio::test]
async fn resilient_service() {
    use resilient_service::AWAY;
    let mut rig = Rig::with(resilient_service::ResilientService::default()).await;
    // 1. Normal operation: Status = OK
    rig.run_for(secs(5.0)).await;
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Service running");
    // 2. Connection error: Error logged, status = DEGRADED (via healthcheck)
    AWAY.store(true, Relaxed);
    rig.run_for(secs(3.0)).await;
    rig.check_health().await;
    rig.wait_for_status(Status::Degraded).await;
    // 3. Reconnect successful: Status = OK
    AWAY.store(false, Relaxed);
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Service running");
    // 4. Multiple reconnect failures: Status = FAILED (too many errors)
    AWAY.store(true, Relaxed);
    rig.wait_for_status(Status::Failed).await;
    // 5. Admin fixes database: healthcheck detects it, status = OK again
    AWAY.store(false, Relaxed);
    rig.wait_for_status(Status::Ok).await;
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}
