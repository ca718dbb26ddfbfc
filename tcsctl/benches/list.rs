//! `tcsctl --all --json` as a whole process, beside a bare reader of the same messages: connect,
//! find the streams, read the newest message of each subject, parse it into a struct, put it into a
//! map. For 1,000, 10,000 and 50,000 services of four subjects each (declared, start, status,
//! heartbeat), on each nats-server that is there.
//!
//! Prints a table: wall time (median of the runs, with its range) and peak memory of both, and the
//! ratio. `TCS_BENCH_SERVICES=1000,10000` picks the sizes, `TCS_BENCH_RUNS=5` the runs.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::{HashMap, HashSet};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::DeliverPolicy, consumer::push::OrderedConfig, stream};
use futures_util::StreamExt;
use tcs_testkit::nats;

const KINDS: [&str; 3] = ["registry", "status", "heartbeat"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["read", url] => block_on(read(url)),
        ["measure", command @ ..] => measure(command),
        _ => compare(),
    }
    ExitCode::SUCCESS
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn compare() {
    let sizes = std::env::var("TCS_BENCH_SERVICES").unwrap_or("1000,10000,50000".to_owned());
    let runs = std::env::var("TCS_BENCH_RUNS").map_or(5, |runs| runs.parse().unwrap());
    println!("tcsctl --all --json beside a bare reader: wall ms (least to most), peak MB");
    println!(
        "{:>8} {:>9}  {:>22} {:>6}  {:>22} {:>6}  {:>5}",
        "server", "services", "tcsctl", "MB", "bare reader", "MB", "ratio"
    );
    for binary in nats::servers() {
        for size in sizes.split(',') {
            let services: usize = size.trim().parse().unwrap();
            let server = block_on(nats::Server::start(&binary));
            block_on(fill(&server.url(), services));
            let console =
                [env!("CARGO_BIN_EXE_tcsctl"), "--server", &server.url(), "--all", "--json"];
            let me = std::env::current_exe().unwrap().display().to_string();
            let bare = [me.as_str(), "read", &server.url()];
            let (mut ours, mut floor) = (Vec::new(), Vec::new());
            for run in 0..=runs {
                let pair = (measured(&console), measured(&bare));
                // the first pair warms up
                if run > 0 {
                    ours.push(pair.0);
                    floor.push(pair.1);
                }
            }
            let ratio = median(&ours).0 / median(&floor).0;
            println!(
                "{:>8} {services:>9}  {}  {}  {ratio:>5.2}",
                server.version(),
                figures(&ours),
                figures(&floor)
            );
        }
    }
}

/// Wall seconds and peak bytes of one run, by a process of its own that waits for it.
fn measured(command: &[&str]) -> (f64, f64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("measure")
        .args(command)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

fn measure(command: &[&str]) {
    let begin = Instant::now();
    let status =
        Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    let wall = begin.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    let usage =
        nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    println!("{} {}", wall.as_secs_f64(), usage.max_rss() * 1024);
}

fn median(runs: &[(f64, f64)]) -> (f64, f64) {
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    (middle(runs.iter().map(|run| run.0).collect()), middle(runs.iter().map(|run| run.1).collect()))
}

fn figures(runs: &[(f64, f64)]) -> String {
    let walls = || runs.iter().map(|run| run.0 * 1e3);
    let (least, most) = (walls().fold(f64::MAX, f64::min), walls().fold(0.0, f64::max));
    let (wall, peak) = median(runs);
    format!("{:>7.0} ({least:>5.0}-{most:<6.0}) {:>6.1}", wall * 1e3, peak / 1e6)
}

// ---- the fleet

async fn fill(url: &str, services: usize) {
    let client = async_nats::connect(url).await.unwrap();
    let context = jetstream::new(client);
    for kind in KINDS {
        let subjects = vec![format!("svc.{kind}.>")];
        let config =
            stream::Config { name: format!("svc_{kind}"), subjects, ..stream::Config::default() };
        context.create_stream(config).await.unwrap();
    }
    let mut acks = Vec::new();
    for i in 0..services {
        for (subject, body) in messages(i) {
            acks.push(context.publish(subject, body.into()).await.unwrap());
            if acks.len() == 500 {
                for ack in acks.drain(..) {
                    ack.await.unwrap();
                }
            }
        }
    }
    for ack in acks {
        ack.await.unwrap();
    }
}

/// The usual four messages of one service, in Python's form.
fn messages(i: usize) -> [(String, String); 4] {
    let id = format!("examples.service{:03}.unit{i:05}", i % 100);
    let ts = "[2026, 11, 23, 0, 17, 20, 85331]";
    let meta = format!(
        r#""meta": {{"id": "msg-{i}", "sender": "Messenger_Q2fTUkECQ7", "ts": {ts}, "trace_level": 10, "message_type": "", "tags": []}}"#
    );
    let launcher = format!("launcher.launcher.1fUQ1F.srv{:02}-process-launcher", i % 20);
    let host = format!("srv{:02}", i % 20);
    let event = |name: &str, more: &str| {
        let body = format!(
            r#"{{"data": {{"event": "{name}", "service_id": "{id}", "timestamp": {ts}, {more}, "parent": "{launcher}", "runner_id": "1fUQ1F.{host}-process-launcher.examples.service"}}, {meta}}}"#
        );
        (format!("svc.registry.{name}.{id}"), body)
    };
    let status = format!(
        r#"{{"data": {{"name": "{id}", "status": "ok", "timestamp": {ts}, "message": "Service running", "parent": "{launcher}", "pid": {}, "hostname": "{host}"}}, {meta}}}"#,
        1000 + i
    );
    let beat = format!(
        r#"{{"data": {{"service_id": "{id}", "timestamp": {ts}, "status": "ok"}}, {meta}}}"#
    );
    [
        event("declared", r#""restart_policy": "on-failure""#),
        event(
            "start",
            &format!(r#""status": "startup", "hostname": "{host}", "pid": {}"#, 1000 + i),
        ),
        (format!("svc.status.{id}"), status),
        (format!("svc.heartbeat.{id}"), beat),
    ]
}

// ---- the floor

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsing is what is measured")]
struct Body {
    data: Data,
    meta: Meta,
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsing is what is measured")]
struct Data {
    event: Option<String>,
    service_id: Option<String>,
    name: Option<String>,
    status: Option<String>,
    timestamp: Option<Vec<i64>>,
    message: Option<String>,
    parent: Option<String>,
    pid: Option<u32>,
    hostname: Option<String>,
    runner_id: Option<String>,
    restart_policy: Option<String>,
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsing is what is measured")]
struct Meta {
    id: String,
    sender: String,
    ts: Vec<i64>,
}

#[derive(serde::Deserialize)]
struct Names {
    streams: Vec<String>,
}

async fn read(url: &str) {
    let client = async_nats::ConnectOptions::new()
        .subscription_capacity(1 << 18)
        .connect(url)
        .await
        .unwrap();
    let tasks: Vec<_> = KINDS
        .into_iter()
        .map(|kind| tokio::spawn(read_kind(client.clone(), format!("svc.{kind}.>"))))
        .collect();
    let mut all = 0;
    for task in tasks {
        all += task.await.unwrap().len();
    }
    println!("{all}");
}

async fn read_kind(client: async_nats::Client, subject: String) -> HashMap<String, Body> {
    let context = jetstream::new(client.clone());
    let names: Names =
        context.request("STREAM.NAMES", &serde_json::json!({"subject": subject})).await.unwrap();
    let stream: jetstream::stream::Stream = context.get_stream(&names.streams[0]).await.unwrap();
    let consumer = stream
        .create_consumer(OrderedConfig {
            deliver_subject: client.new_inbox(),
            deliver_policy: DeliverPolicy::LastPerSubject,
            filter_subject: subject,
            ..OrderedConfig::default()
        })
        .await
        .unwrap();
    let expected = consumer.cached_info().num_pending as usize;
    let mut messages = consumer.messages().await.unwrap();
    let mut bodies = HashMap::with_capacity(expected);
    let mut subjects = HashSet::new();
    while subjects.len() < expected {
        let next = tokio::time::timeout(Duration::from_secs(30), messages.next()).await.unwrap();
        let message = next.unwrap().unwrap();
        let body: Body = serde_json::from_slice(&message.payload).unwrap();
        subjects.insert(message.subject.to_string());
        bodies.insert(message.subject.to_string(), body);
    }
    bodies
}
