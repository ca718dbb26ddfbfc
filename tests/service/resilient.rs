//! The guide's resilient service, through its five-step flow; and the test helpers themselves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tcs_core::prelude::*;
use tcs_core::service::{Outcome, Registry};
use tcs_core::testing::{Rig, assert_registered};

/// A database that may be away.
#[derive(Default)]
struct Database {
    away: AtomicBool,
}

impl Database {
    fn connect(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.away.load(Ordering::Relaxed), "connection refused");
        Ok(())
    }
}

static DATABASE: Database = Database { away: AtomicBool::new(false) };

#[derive(Default)]
struct Resilient {
    connected: Mutex<bool>,
    errors: AtomicU32,
}

const CRITICAL: u32 = 5;

impl Resilient {
    fn is_connected(&self) -> bool {
        *self.connected.lock().unwrap()
    }

    fn connect(&self) -> anyhow::Result<()> {
        let result = DATABASE.connect();
        *self.connected.lock().unwrap() = result.is_ok();
        result
    }
}

impl BlockingService for Resilient {
    type Config = ();
    fn new((): ()) -> Self {
        Self::default()
    }

    async fn on_start(&self, _: &ServiceContext) -> anyhow::Result<()> {
        self.connect() // an error here makes it `failed`
    }

    async fn run(&self, ctx: &ServiceContext) -> anyhow::Result<()> {
        while ctx.sleep_secs(1.0).await {
            match DATABASE.connect() {
                Ok(()) => {
                    self.connect()?;
                    self.errors.store(0, Ordering::Relaxed);
                }
                Err(error) => {
                    let n = self.errors.fetch_add(1, Ordering::Relaxed) + 1;
                    ctx.warning(format!("connection error {n}: {error}"));
                    if self.connect().is_err() {
                        ctx.sleep_secs(f64::from(2_u32.pow(n.min(6)))).await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn healthcheck(&self) -> Option<Status> {
        match self.errors.load(Ordering::Relaxed) {
            CRITICAL.. => Some(Status::Failed),
            1.. => Some(Status::Degraded),
            0 if !self.is_connected() => Some(Status::Error),
            0 => None,
        }
    }
}

tcs_core::service!(Resilient, "resilient");

#[test]
fn ok_degraded_ok_failed_ok() {
    assert_registered("resilient");
    let mut rig = Rig::start::<Resilient>(serde_json::json!({}));
    let after = |rig: &mut Rig, seconds, status| {
        rig.run_for(Duration::from_secs(seconds));
        rig.check_health();
        rig.wait_for_status(status)
    };
    // 1: all is well
    assert_eq!(after(&mut rig, 5, Status::Ok), "Service running");
    // 2: the connection is lost
    DATABASE.away.store(true, Ordering::Relaxed);
    after(&mut rig, 2, Status::Degraded);
    // 3: it is there again
    DATABASE.away.store(false, Ordering::Relaxed);
    assert_eq!(after(&mut rig, 10, Status::Ok), "Service running");
    // 4: it fails again and again
    DATABASE.away.store(true, Ordering::Relaxed);
    after(&mut rig, 120, Status::Failed);
    // 5: repaired
    DATABASE.away.store(false, Ordering::Relaxed);
    after(&mut rig, 120, Status::Ok);
    assert_eq!(rig.stop(), Outcome::Cancelled);
}

#[test]
fn a_forgotten_registration_is_told_with_what_to_do() {
    let forgotten = std::panic::catch_unwind(|| assert_registered("resiliant"));
    let text = *forgotten.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("no service type `resiliant`") && text.contains("`resilient`"), "{text}");
    assert!(text.contains("tcs_core::service!(Type);"), "{text}");
    let registry = Registry::of_this_program().unwrap();
    assert_eq!(registry.find("resilient").unwrap().kind(), "blocking");
    assert!("a.b".parse::<tcs_core::id::Variant>().unwrap_err().to_string().contains("dot"));
}
