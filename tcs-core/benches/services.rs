//! What 1,000 services in one program cost: start-up, memory, CPU at a beat every 10 s.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark reports to whoever runs it"
)]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::clock;
use tcs_core::config::{Environment, ServiceSettings};
use tcs_core::monitor::Reporter;
use tcs_core::prelude::*;
use tcs_core::service::{HostOptions, Service as _, run};
use tcs_testkit::nats::{self, Server, wait_for};
use tokio_util::sync::CancellationToken;

const SERVICES: usize = 1000;
/// Three beats of each.
const WATCHED: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Idle;

#[service("idle")]
impl BlockingService for Idle {
    async fn run(&self, ctx: &Context) -> Result<()> {
        ctx.stopped().await;
        Ok(())
    }
}

fn memory_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

#[tokio::main]
async fn main() {
    let server = Server::start(&nats::server()).await;
    let flags = NatsSection { url: Some(server.url().as_str().into()), ..NatsSection::default() };
    let reporter = Reporter::open(Settings::from_process(&flags, None).unwrap(), "bench").unwrap();
    let bus = reporter.bus().unwrap().clone();
    wait_for("the connection", || bus.is_connected()).await;
    bus.create_missing_streams().await;
    let stop = CancellationToken::new();

    let (memory, begin) = (memory_kib(), clock::monotonic());
    let registration = Idle::registration();
    let lives: Vec<_> = (0..SERVICES)
        .map(|n| {
            let service_type = registration.service_type().unwrap();
            let variant = format!("v{n}").parse().unwrap();
            let settings =
                ServiceSettings::without_file(service_type, variant, &Environment::default());
            let (options, stop) = (HostOptions::new(reporter.clone()), stop.clone());
            tokio::spawn(async move { run(registration, &settings, options, stop).await })
        })
        .collect();
    // initialising, starting, running: three statuses of each
    let all = 3 * SERVICES as u64;
    wait_for("all statuses are stored", || reporter.counts().sent >= all).await;
    println!(
        "{SERVICES} services start in {:.2} s (three stored statuses each)",
        begin.elapsed().as_secs_f64()
    );
    println!("memory: {:.1} KiB per service", (memory_kib() - memory) / SERVICES as f64);

    let (before, begin) = (cpu(), clock::monotonic());
    tokio::time::sleep(WATCHED).await;
    let share = cpu().saturating_sub(before).as_secs_f64() / begin.elapsed().as_secs_f64();
    println!("CPU at a beat every 10 s: {:.1} % of a core", share * 100.0);

    let begin = clock::monotonic();
    stop.cancel();
    for life in lives {
        assert_eq!(life.await.unwrap().exit_code(), 0);
    }
    assert!(reporter.settled(nats::LIMIT).await);
    println!("all stop in {:.2} s", begin.elapsed().as_secs_f64());
}
