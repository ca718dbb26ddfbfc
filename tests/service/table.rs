//! The guide's table of exceptions, row by row: what is published, and how it ended.

use tcs_core::prelude::*;
use tcs_core::service::{Cause, Outcome};
use tcs_testkit::nats::on_each_server;
use tokio_util::sync::CancellationToken;

use super::{Site, live};

/// A service that fails where its settings say.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Trouble {
    /// `start`, `run`, `stop`: an error there; `panic in new` and so on: a panic.
    fails: String,
    /// `start`, `run`, `stop`: takes for ever there.
    hangs: String,
    /// Ends by itself.
    ends: bool,
    code: u8,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { fails: String::new(), hangs: String::new(), ends: false, code: 1 }
    }
}

struct Failing;

impl Failing {
    async fn at(&self, place: &str, ctx: &Context<Self>) -> Result<()> {
        let trouble = ctx.config();
        assert!(trouble.fails != format!("panic in {place}"), "no {place} today");
        if trouble.hangs == place {
            std::future::pending::<()>().await;
        }
        if trouble.fails == place {
            return Err(anyhow::Error::from(ExitCode(trouble.code)).context("port in use"));
        }
        Ok(())
    }
}

#[service("failing")]
impl BlockingService for Failing {
    type Config = Trouble;
    fn new(ctx: &Context) -> Result<Self> {
        let trouble = ctx.config();
        assert!(trouble.fails != "panic in new", "no new today");
        ensure!(trouble.fails != "new", "no such port");
        Ok(Self)
    }
    async fn on_start(&self, ctx: &Context) -> Result<()> {
        self.at("start", ctx).await
    }
    async fn run(&self, ctx: &Context) -> Result<()> {
        self.at("run", ctx).await?;
        if !ctx.config().ends {
            ctx.stopped().await;
        }
        Ok(())
    }
    async fn on_stop(&self, ctx: &Context) -> Result<()> {
        self.at("stop", ctx).await
    }
}

const INIT: &str = "startup Initializing service";
const STARTING: &str = "startup Starting service";
const RUNNING: &str = "ok Service running";
const STOPPING: &str = "shutdown Stopping service";
const STOPPED: &str = "shutdown Service stopped";

/// Runs it on each server, stops it once it runs, and compares what it said.
async fn row(fields: &str, stop: bool, said: &[&str]) -> Outcome {
    let outcomes = std::cell::RefCell::new(Vec::new());
    on_each_server(async |binary| {
        let site = Site::start(&binary).await;
        let outcome = one_life(&site, fields, stop, said).await;
        outcomes.borrow_mut().push(outcome);
    })
    .await;
    let mut outcomes = outcomes.into_inner();
    let outcome = outcomes.remove(0);
    assert!(outcomes.iter().all(|other| *other == outcome), "{outcome:?}, then {outcomes:?}");
    outcome
}

async fn one_life(site: &Site, fields: &str, stop: bool, said: &[&str]) -> Outcome {
    let reporter = site.reporter();
    let token = CancellationToken::new();
    let (progress, mut far) = tokio::sync::watch::channel(tcs_core::service::Progress::Starting);
    let when_running = token.clone();
    let stopper = tokio::spawn(async move {
        let running = |p: &_| matches!(p, tcs_core::service::Progress::Running(_));
        if far.wait_for(running).await.is_ok() && stop {
            when_running.cancel();
        }
    });
    let outcome = live::<Failing>(&reporter, fields, token, |options| {
        options.limits.start = Some(Duration::from_millis(300));
        options.limits.stop = Duration::from_millis(600);
        options.progress = Some(progress);
    })
    .await;
    stopper.await.unwrap();
    let seen = site.said("failing.t").await;
    let matches = seen.len() == said.len()
        && seen.iter().zip(said).all(|(seen, said)| seen.starts_with(said));
    assert!(matches, "{fields}: said {seen:#?}");
    outcome
}

#[tokio::test]
async fn initialisation_fails() {
    let said = [INIT, "failed Initialization failed: "];
    let outcome = row("  hangs: [1]\n", false, &said).await;
    let Outcome::StartFailed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.text.contains("test.yaml:4:"), "file and line: {failure}");
    let said_new = [INIT, "failed Initialization failed: no such port"];
    let outcome = row("  fails: new\n", false, &said_new).await;
    assert!(matches!(outcome, Outcome::StartFailed(f) if f.exit_code == 1));
    let outcome = row("  fails: panic in new\n", false, &said).await;
    let Outcome::StartFailed(failure) = outcome else { panic!("{outcome:?}") };
    assert!(failure.text.contains("no new today"), "{failure}");
    assert_eq!(failure.exit_code, 101);
}

#[tokio::test]
async fn start_up_fails() {
    let said = [INIT, STARTING, "failed Startup failed: port in use"];
    let outcome = row("  fails: start\n  code: 78\n", false, &said).await;
    assert_eq!(outcome.exit_code(), 78);
    assert!(matches!(outcome, Outcome::StartFailed(_)));
    let said = [INIT, STARTING, "failed Startup failed: panicked at "];
    let outcome = row("  fails: panic in start\n", false, &said).await;
    let Outcome::StartFailed(failure) = outcome else { panic!("{outcome:?}") };
    let Cause::Panic { place: Some(place) } = failure.cause else { panic!("{failure:?}") };
    assert!(place.contains("table.rs:"), "{place}");
    let said = [INIT, STARTING, "failed Startup failed: start-up took longer than 0.3 s"];
    let outcome = row("  hangs: start\n", false, &said).await;
    assert!(matches!(outcome, Outcome::StartFailed(f) if f.cause == Cause::TimedOut));
}

#[tokio::test]
async fn running_fails() {
    // the clean-up runs, and the error is the last word
    let said = [INIT, STARTING, RUNNING, "error Runtime error: port in use"];
    let outcome = row("  fails: run\n", false, &said).await;
    assert!(matches!(outcome, Outcome::Failed(f) if f.exit_code == 1));
    let said = [INIT, STARTING, RUNNING, "error Runtime error: panicked at "];
    let outcome = row("  fails: panic in run\n", false, &said).await;
    assert!(matches!(outcome, Outcome::Failed(f) if f.exit_code == 101));
}

#[tokio::test]
async fn stopping_fails() {
    let said = [INIT, STARTING, RUNNING, STOPPING, "error Shutdown failed: port in use"];
    let outcome = row("  fails: stop\n", true, &said).await;
    assert!(matches!(outcome, Outcome::StopFailed(_)));
    let said = [INIT, STARTING, RUNNING, STOPPING, "error Shutdown failed: clean-up took longer"];
    let outcome = row("  hangs: stop\n", true, &said).await;
    assert!(matches!(outcome, Outcome::StopFailed(f) if f.cause == Cause::TimedOut));
}

#[tokio::test]
async fn nothing_fails() {
    let said = [INIT, STARTING, RUNNING, STOPPING, STOPPED];
    assert_eq!(row("  fails: nowhere\n", true, &said).await, Outcome::Cancelled);
    assert_eq!(row("  ends: true\n", false, &said).await, Outcome::Completed);
    // a loop that looks at nothing is ended where it waits
    assert_eq!(row("  hangs: run\n", true, &said).await, Outcome::Cancelled);
}
