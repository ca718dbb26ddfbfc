//! The guide's resilient service, through its five-step flow; and the test helpers themselves.

use tcs_core::prelude::*;
use tcs_core::service::{Outcome, Registry};
use tcs_core::testing::{Rig, assert_registered};

/// A database that may be away.
static AWAY: AtomicBool = AtomicBool::new(false);

struct Connection(&'static AtomicBool);

impl Connection {
    fn open() -> Result<Self> {
        ensure!(!AWAY.load(Relaxed), "connection refused");
        Ok(Self(&AWAY))
    }

    fn fetch(&self) -> Result<()> {
        ensure!(!self.0.load(Relaxed), "connection reset");
        Ok(())
    }
}

#[derive(Default)]
struct Resilient {
    errors: AtomicU32,
}

const CRITICAL: u32 = 5;

#[service("resilient")]
impl BlockingService for Resilient {
    async fn on_start(&self) -> Result<Connection> {
        Connection::open() // an error here makes it `failed`
    }

    async fn run(&self, link: &mut Connection, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            let Err(error) = link.fetch() else {
                self.errors.store(0, Relaxed);
                continue;
            };
            let n = self.errors.fetch_add(1, Relaxed) + 1;
            ctx.warning(format!("connection error {n}: {error}"));
            match Connection::open() {
                Ok(again) => *link = again,
                Err(_) => _ = ctx.sleep(secs(f64::from(2_u32.pow(n.min(6))))).await,
            }
        }
        Ok(())
    }

    async fn healthcheck(&self) -> Health {
        match self.errors.load(Relaxed) {
            0 => Health::no_opinion(),
            n @ 1..CRITICAL => Health::degraded(format!("{n} errors")),
            n => Health::failed(format!("{n} errors")),
        }
    }
}

#[tokio::test]
async fn ok_degraded_ok_failed_ok() {
    assert_registered("resilient");
    let mut rig = Rig::with(Resilient::default()).await;
    // 1: all is well
    rig.run_for(secs(5.0)).await;
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Service running");
    // 2: the connection is lost; the next health check says so
    AWAY.store(true, Relaxed);
    rig.run_for(secs(3.0)).await;
    rig.check_health().await;
    assert_eq!(rig.wait_for_status(Status::Degraded).await, "1 errors");
    // 3: it is there again
    AWAY.store(false, Relaxed);
    assert_eq!(rig.wait_for_status(Status::Ok).await, "Service running");
    // 4: it fails again and again
    AWAY.store(true, Relaxed);
    rig.run_for(secs(120.0)).await;
    rig.wait_for_status(Status::Failed).await;
    // 5: repaired
    AWAY.store(false, Relaxed);
    rig.wait_for_status(Status::Ok).await;
    assert_eq!(rig.stop().await, Outcome::Cancelled);
}

#[test]
fn a_forgotten_registration_is_told_with_what_to_do() {
    let forgotten = std::panic::catch_unwind(|| assert_registered("resiliant"));
    let text = *forgotten.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("no service type `resiliant`") && text.contains("`resilient`"), "{text}");
    assert!(text.contains("#[service]"), "{text}");
    let registry = Registry::of_this_program().unwrap();
    assert_eq!(registry.find("resilient").unwrap().kind(), "blocking");
    assert!("a.b".parse::<tcs_core::id::Variant>().unwrap_err().to_string().contains("dot"));
}
