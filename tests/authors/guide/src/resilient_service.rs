use tcs_core::prelude::*;

#[derive(Default)]
pub struct ResilientService {
    pub errors: AtomicU32, // since the last recovery
}

const MAX_ERRORS_BEFORE_CRITICAL: u32 = 5;

#[service]
impl BlockingService for ResilientService {
    /// Setup called before main loop.
    async fn on_start(&self) -> Result<Connection> {
        Connection::open().await.context("Failed to connect") // an error: FAILED
    }

    /// Main loop with error recovery.
    async fn run(&self, link: &mut Connection, ctx: &Context) -> Result<()> {
        while ctx.sleep(secs(1.0)).await {
            match link.fetch().await {
                Ok(data) => {
                    self.process(data).await?; // an error: ERROR, and the restart policy
                    self.errors.store(0, Relaxed); // Reset counter
                }
                Err(error) => {
                    let n = self.errors.fetch_add(1, Relaxed) + 1;
                    ctx.warning(format!("Connection error #{n}: {error}"));
                    // Try to reconnect
                    match Connection::open().await {
                        Ok(new) => *link = new,
                        Err(_) => {
                            ctx.error("Reconnect failed, backing off...");
                            ctx.sleep(secs(2_f64.powf(n.into()).min(60.0))).await;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Periodic health check (default every 30s).
    async fn healthcheck(&self) -> Health {
        match self.errors.load(Relaxed) {
            0 => Health::no_opinion(), // Healthy
            n @ 1..MAX_ERRORS_BEFORE_CRITICAL => Health::degraded(format!("{n} errors")),
            n => Health::failed(format!("{n} errors")),
        }
    }
}

// ---

/// Whether the database is away.
pub static AWAY: AtomicBool = AtomicBool::new(false);

pub struct Connection;

impl Connection {
    async fn open() -> Result<Self> {
        ensure!(!AWAY.load(Relaxed), "connection refused");
        Ok(Self)
    }

    async fn fetch(&self) -> Result<u32> {
        ensure!(!AWAY.load(Relaxed), "connection reset");
        Ok(1)
    }
}

impl ResilientService {
    async fn process(&self, data: u32) -> Result<()> {
        ensure!(data > 0, "no data");
        Ok(())
    }
}
