//! What a sentinel costs as a whole process: 5,000 services that send a heartbeat with metrics every 10 s,
//! under 50 rules, on a real broker.
//!
//! Prints processor time (of one core, from `/proc`) and peak memory. `TCS_BENCH_SECONDS=60` is how long it is
//! measured, `TCS_BENCH_SERVICES=5000` how many services there are.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tcs_testkit::flood::{cpu, make_streams, memory, number};
use tcs_testkit::nats::{self, Server, wait_within};
use tcs_testkit::{crowd, tcsctl};

/// The rules, with the six that are there by default.
const RULES: usize = 50;
/// It reads the fleet and watches after some 15 s.
const LIMIT: Duration = Duration::from_mins(2);

fn main() {
    let seconds = number("TCS_BENCH_SECONDS", 60) as u64;
    let services = number("TCS_BENCH_SERVICES", 5_000);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let binary = nats::current_server().unwrap_or_else(nats::server);
    runtime.block_on(run(&binary, services, Duration::from_secs(seconds)));
}

/// Killed when it is measured.
struct Sentinel(Child);

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn run(binary: &nats::Binary, services: usize, span: Duration) {
    let server = Server::start(binary).await;
    let url = server.url();
    let client = async_nats::connect(&url).await.unwrap();
    make_streams(&client).await;
    crowd::start(&client, services).await;
    let sent = Arc::new(AtomicU64::new(0));
    let rate = services as u64 / 10;
    let beating = tokio::spawn(crowd::beat_all(client.clone(), services, rate, sent));

    let file = server.dir().join("services.yaml");
    std::fs::write(&file, config()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcsctl"));
    command.args(["sentinel", file.to_str().unwrap(), "main"]).env("NATS_URL", &url);
    let sentinel = Sentinel(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let pid = sentinel.0.id();
    let is_watched = || {
        let output = tcsctl::at(&url, &["alarms", "--json"]);
        !output.out.is_empty() && output.json()["watched_by"][0] == "sentinel.main"
    };
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(wait_within(LIMIT, "it watches", is_watched));
    });
    // what is read once, at the start, has been read
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (before, begin) = (cpu(pid), Instant::now());
    tokio::time::sleep(span).await;
    let share = (cpu(pid) - before) / begin.elapsed().as_secs_f64();
    let (now, peak) = memory(pid);
    println!(
        "sentinel, nats-server {}, {services} services, {RULES} rules, {rate} messages/s: {:.2} % of a core, \
         {} MB, {} MB at most",
        server.version(),
        share * 100.0,
        now / 1_000_000,
        peak / 1_000_000
    );
    beating.abort();
}

/// Metrics of some services, verdicts and reasons of others.
fn config() -> String {
    let mut rules = String::new();
    for i in 0..RULES - 6 {
        let when = match i % 4 {
            0 => "metric: load, above: 1000000".to_owned(),
            1 => format!("metric: temperature, below: -{}", 100 + i),
            2 => "verdict: [stopped, unknown]".to_owned(),
            _ => "verdict: degraded, not_reason: flapping".to_owned(),
        };
        let covers =
            if i % 2 == 0 { format!("service{i:03}.") } else { format!("host:srv{:02}", i % 20) };
        writeln!(
            rules,
            "      rule{i}: {{match: '{covers}', when: {{{when}}}, for: 30s, severity: warning}}"
        )
        .unwrap();
    }
    format!(
        "services:\n  - type: sentinel\n    variant: main\n    channels: {{none: {{exec: ['true']}}}}\n    \
         rules:\n{rules}"
    )
}
