//! `tcsd` as a whole process, at a real broker: how long from the death of a process to the
//! `crashed` event that a follower has in hand; how long 500 services take to start; what they
//! cost in memory, and in time while nothing happens. Prints figures; on each nats-server that is there.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcs_core::bus::{Bus, Follow, Item};
use tcs_core::wire::{Event, Kind, Message, RegistryMessage, decode};
use tcs_testkit::nats;
use tcs_testkit::tcsd::Site;

const CRASHING: usize = 200;
const ROUNDS: usize = 3;
const MANY: usize = 500;

/// How long programs that do nothing are looked at.
const REST: Duration = Duration::from_mins(1);

/// Nothing takes that long.
const LIMIT: Duration = Duration::from_mins(2);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for binary in nats::servers() {
        println!("tcsd at nats-server {}", binary.version);
        runtime.block_on(async {
            crashes(&binary).await;
            rest(&binary).await;
            many(&binary, "process", "programs, a process each", &programs(MANY, "")).await;
            many(&binary, "process", "Rust services, a process each", &tasks(MANY)).await;
            many(&binary, "async", "Rust services, tasks of tcsd", &tasks(MANY)).await;
        });
    }
}

fn programs(count: usize, policy: &str) -> String {
    let mut text = "services:\n".to_owned();
    for n in 0..count {
        let _ = writeln!(
            text,
            "  - {{type: sleeps, variant: n{n}, {policy} launch: {{exec: [sleep, infinity]}}}}"
        );
    }
    text
}

fn tasks(count: usize) -> String {
    let mut text = "services:\n".to_owned();
    for n in 0..count {
        let _ = writeln!(text, "  - {{type: hello_world, variant: n{n}, interval: 3600}}");
    }
    text
}

/// The registry events, as a follower has them.
struct Events {
    bus: Bus,
    follow: Follow,
    waiting: Vec<RegistryMessage>,
}

impl Events {
    fn of(bus: &Bus) -> Self {
        let follow = bus.follow(&[Kind::Registry], false);
        Self { bus: bus.clone(), follow, waiting: Vec::new() }
    }

    async fn next(&mut self) -> RegistryMessage {
        while self.waiting.is_empty() {
            let batch = tokio::time::timeout(LIMIT, self.follow.next(64)).await.unwrap();
            for item in batch {
                let Item::Message(raw) = item else { continue };
                let subject = self.bus.subjects().parse(raw.subject()).unwrap();
                if let Message::Registry(event) = decode(subject, raw.payload()).unwrap().message {
                    self.waiting.insert(0, event);
                }
            }
        }
        self.waiting.pop().unwrap()
    }
}

/// Kills each service once a round, and waits for the news.
async fn crashes(binary: &nats::Binary) {
    let policy = "restart: always, restart_sec: 0, restart_max: 0,";
    let site = site(binary, "process", &programs(CRASHING, policy)).await;
    let mut events = Events::of(&site.bus);
    let mut pids: BTreeMap<String, u32> = BTreeMap::new();
    let mut took = Vec::new();
    while pids.len() < CRASHING {
        started(&mut pids, &events.next().await);
    }
    for _ in 0..ROUNDS {
        for (id, pid) in pids.clone() {
            let killed = Instant::now();
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
            loop {
                let event = events.next().await;
                started(&mut pids, &event);
                if matches!(event.event, Event::Crashed(_)) {
                    assert_eq!(event.service_id, id);
                    took.push(killed.elapsed());
                    break;
                }
            }
            while pids[&id] == pid {
                started(&mut pids, &events.next().await);
            }
        }
    }
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!(
        "  from SIGKILL to the event, of {CRASHING} services, {} times: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// What the supervision of programs that do nothing takes of a core.
async fn rest(binary: &nats::Binary) {
    let site = site(binary, "process", &programs(MANY, "")).await;
    let mut events = Events::of(&site.bus);
    let mut ready = 0;
    while ready < MANY {
        ready += usize::from(matches!(events.next().await.event, Event::Ready { .. }));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = computed(site.tcsd.pid());
    tokio::time::sleep(REST).await;
    let spent = computed(site.tcsd.pid()).saturating_sub(before);
    let share = spent.as_secs_f64() / REST.as_secs_f64();
    println!(
        "  {MANY} programs at rest for {} s: tcsd takes {:.2} % of a core",
        REST.as_secs(),
        share * 100.0
    );
}

/// Time that a process has computed.
fn computed(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn started(pids: &mut BTreeMap<String, u32>, event: &RegistryMessage) {
    if let Event::Start { pid: Some(pid), .. } = event.event
        && event.parent.is_some()
    {
        pids.insert(event.service_id.clone(), pid);
    }
}

async fn many(binary: &nats::Binary, mode: &str, what: &str, config: &str) {
    let idle = {
        let site = site(binary, mode, "services:\n").await;
        site.answer("list", |_| true).await;
        resident(site.tcsd.pid())
    };
    let begin = Instant::now();
    let site = site(binary, mode, config).await;
    let mut events = Events::of(&site.bus);
    let mut ready = 0;
    while ready < MANY {
        let event = events.next().await;
        ready += usize::from(matches!(event.event, Event::Ready { .. }));
    }
    let took = begin.elapsed();
    let full = resident(site.tcsd.pid());
    println!(
        "  {MANY} {what}: ready after {:.2} s; tcsd holds {:.1} MB, {:.1} KB a service",
        took.as_secs_f64(),
        full as f64 / 1e3,
        (full.saturating_sub(idle)) as f64 / MANY as f64
    );
}

async fn site(binary: &nats::Binary, mode: &str, config: &str) -> Site {
    let mut site = Site::at(
        nats::Server::start(binary).await,
        Path::new(env!("CARGO_BIN_EXE_tcsd")),
        mode,
        config,
    )
    .await;
    site.bus.create_missing_streams().await;
    site.tcsd.run();
    site
}

/// Thousands of bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024 / 1000
}
