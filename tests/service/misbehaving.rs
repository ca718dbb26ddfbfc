//! Services that do what they should not: the heart beats on, memory and rates are bounded.

use std::sync::{Condvar, Mutex};

use tcs_core::prelude::serde_json::Map;
use tcs_core::prelude::*;
use tcs_core::service::{Cause, Outcome};
use tcs_testkit::nats::{LIMIT, within_limit};
use tokio_util::sync::CancellationToken;

use super::{Held, live, on_each_site};

/// Blocks its thread until the test lets it go.
#[derive(Default)]
struct Blocker;

/// Shut while a test wants a service blocked.
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    const fn new() -> Self {
        Self { shut: Mutex::new(false), opened: Condvar::new() }
    }

    fn shut(&self) {
        *self.shut.lock().unwrap() = true;
    }

    fn pass(&self) {
        let shut = self.shut.lock().unwrap();
        drop(self.opened.wait_while(shut, |shut| *shut).unwrap());
    }

    fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.opened.notify_all();
    }
}

static BLOCKED: Gate = Gate::new();

#[service("blocker")]
impl BlockingService for Blocker {
    async fn run(&self, ctx: &Context) -> Result<()> {
        BLOCKED.pass(); // no `.await`: the thread stands still
        ctx.stopped().await;
        Ok(())
    }
}

fn lag(beat: &Held) -> f64 {
    beat.data["lag_seconds"].as_f64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_blocked_service_beats_and_says_how_late_it_is() {
    on_each_site(async |site| {
        BLOCKED.shut();
        let reporter = site.reporter();
        let stop = CancellationToken::new();
        let (token, speaker) = (stop.clone(), reporter.clone());
        let life = tokio::spawn(async move { live::<Blocker>(&speaker, "", token, |_| {}).await });
        let late = |beats: &[Held]| beats.iter().filter(|beat| lag(beat) > 0.5).count() >= 5;
        let beats = site.wait_until("heartbeat", "blocker.t", late).await;
        let numbers: Vec<u64> =
            beats.iter().map(|b| b.data["sequence"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert_eq!(beats[0].data["interval_seconds"], 0.1);
        assert!(beats[0].data["next_heartbeat_expected"].is_array());
        BLOCKED.open();
        // free again: it says so, and stops as asked
        let free = |beats: &[Held]| lag(beats.last().unwrap()) < 0.2;
        site.wait_until("heartbeat", "blocker.t", free).await;
        stop.cancel();
        assert_eq!(within_limit("its end", life).await.unwrap(), Outcome::Cancelled);
    })
    .await;
}

#[derive(Default)]
struct Stuck;
static STUCK: Gate = Gate::new();

#[service("stuck")]
impl BlockingService for Stuck {
    async fn run(&self, _: &Context) -> Result<()> {
        STUCK.pass();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_never_gives_its_thread_back_is_told_and_not_waited_for() {
    on_each_site(async |site| {
        STUCK.shut();
        let reporter = site.reporter();
        let stop = CancellationToken::new();
        let (token, speaker) = (stop.clone(), reporter.clone());
        let life = tokio::spawn(async move {
            live::<Stuck>(&speaker, "", token, |o| o.limits.stop = Duration::from_millis(200)).await
        });
        let runs = |said: &[Held]| said.last().is_some_and(|one| one.text("status") == "ok");
        site.wait_until("status", "stuck.t", runs).await;
        stop.cancel();
        let outcome = within_limit("its end", life).await.unwrap();
        assert!(matches!(outcome, Outcome::StopFailed(f) if f.cause == Cause::Stuck));
        let said = site.said("stuck.t").await;
        assert!(said.last().unwrap().contains("blocks its thread"), "{said:?}");
        STUCK.open();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_that_panics_or_hangs_is_reported_and_numbers_that_are_none_are_null() {
    on_each_site(async |site| {
        let monitor = Monitor::builder("sick.a")
            .unwrap()
            .heartbeat(Duration::from_millis(50))
            .healthcheck(Duration::from_millis(50), Duration::from_millis(50))
            .start(&site.reporter());
        monitor.add_metrics(|| {
            Map::from_iter([
                ("nan".to_owned(), Value::from(f64::NAN)),
                ("good".to_owned(), Value::from(1.5)),
            ])
        });
        monitor.set_status(Status::Ok, "well");
        let panics = monitor.submonitor("panics");
        panics.add_health_check("broken", || -> Health { panic!("no camera") });
        let hangs = monitor.submonitor("hangs");
        hangs.add_async_health_check("stuck", || async {
            std::future::pending::<()>().await;
            Health::no_opinion()
        });
        let told = |said: &[Held]| {
            let last = &said.last().unwrap().data["details"]["children"];
            let text = last.to_string();
            text.contains("no camera") && text.contains("has not answered")
        };
        // one change may carry both or only the first: a later change carries all
        let start = tcs_core::clock::monotonic();
        let mut n = 0;
        let said = loop {
            n += 1;
            monitor.set_status(if n % 2 == 0 { Status::Ok } else { Status::Warning }, "");
            let said = site.wait_until("status", "sick.a", |said| said.len() > n).await;
            if told(&said) {
                break said;
            }
            assert!(start.elapsed() < LIMIT, "{said:#?}");
        };
        let last = said.last().unwrap();
        assert_eq!(last.text("status"), "error", "the aggregate");
        assert_eq!(last.data["details"]["metrics"], serde_json::json!({"nan": null, "good": 1.5}));
        let beats = site.wait_until("heartbeat", "sick.a", |beats| beats.len() > 5).await;
        assert_eq!(beats.last().unwrap().data["metrics"]["good"], 1.5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_changes_a_second_are_merged_and_the_last_one_is_sent() {
    on_each_site(async |site| {
        let reporter = site.reporter();
        let monitor = Monitor::builder("nervous.a")
            .unwrap()
            .heartbeat(Duration::from_millis(50))
            .start(&reporter);
        let start = tcs_core::clock::monotonic();
        let changes: u64 = 20_000;
        for i in 0..changes - 1 {
            monitor.set_status(if i % 2 == 0 { Status::Ok } else { Status::Warning }, "on and on");
        }
        monitor.set_status(Status::Idle, "at last");
        let took = start.elapsed();
        let ended = |said: &[Held]| said.last().is_some_and(|one| one.text("status") == "idle");
        let said = site.wait_until("status", "nervous.a", ended).await;
        let most = 22 + took.as_millis() / 100;
        assert!(said.len() as u128 <= most, "{} messages in {took:?}", said.len());
        let stands_for = |one: &Held| one.data["details"]["coalesced"].as_u64().unwrap_or(1);
        assert_eq!(said.iter().map(stands_for).sum::<u64>(), changes);
        site.wait_until("heartbeat", "nervous.a", |beats| beats.len() > 3).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_parts() {
    on_each_site(async |site| {
        let monitor = Monitor::builder("many.a")
            .unwrap()
            .heartbeat(Duration::from_millis(50))
            .start(&site.reporter());
        for i in 0..1000 {
            monitor.submonitor(&format!("part {i}")).set_status(Status::Ok, "x".repeat(2000));
        }
        monitor.submonitor("part 777").set_status(Status::Error, "overheated");
        monitor.set_status(Status::Idle, "all parts there");
        // the part that is in trouble leads
        let words = "part 777: overheated";
        let ended = |said: &[Held]| said.last().is_some_and(|one| one.text("message") == words);
        let said = site.wait_until("status", "many.a", ended).await;
        let last = said.last().unwrap();
        // 2 MB would never arrive: the gravest parts do
        assert_eq!(last.text("status"), "error");
        let children = last.data["details"]["children"].as_array().unwrap();
        assert_eq!(children[0]["message"], "overheated");
        assert!(children.len() >= 100 && last.data.to_string().len() < 900_000);
        let beats = site.wait_until("heartbeat", "many.a", |beats| beats.len() > 2).await;
        assert_eq!(beats.last().unwrap().data["children_count"], 1000);
    })
    .await;
}
