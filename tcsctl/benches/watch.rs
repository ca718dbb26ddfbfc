//! What `tcsctl watch` costs as a whole process: in a terminal of 160x50, at a real broker whose
//! fleet is at rest (50 services, a beat every 10 s each), of 1,000 services with 100 messages a
//! second, and of 10,000 with 10,000 a second.
//!
//! Prints a table: the messages a second that were really sent, processor time (of one core, from
//! `/proc`, so that whatever else runs on the machine matters little), frames and bytes a second,
//! bytes a frame, peak memory, from a key to the frame that shows what it did, and from news to the
//! frame that tells it. `TCS_BENCH_SECONDS=60` is how long each is measured.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tcs_testkit::crowd::{self, beat_all, status, subject};
use tcs_testkit::flood::make_streams;
use tcs_testkit::nats;
use tcs_testkit::terminal::{Terminal, count};

const FRAME: &[u8] = b"\x1b[?2026l";
/// Keys pressed while that is measured, as fast as a person does.
const KEYS: usize = 400;
const BETWEEN_KEYS: Duration = Duration::from_millis(130);
/// Pieces of news.
const NEWS: usize = 20;

struct Case {
    services: usize,
    /// Messages a second.
    rate: u64,
}

fn main() {
    let seconds = std::env::var("TCS_BENCH_SECONDS").map_or(60, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("tcsctl watch, 160x50, {seconds} s each; ms: median, p99");
    println!(
        "{:>8} {:>8} {:>7}  {:>6} {:>8} {:>8} {:>7} {:>8}  {:>13}  {:>13}",
        "server",
        "services",
        "msg/s",
        "CPU",
        "frames/s",
        "B/frame",
        "B/s",
        "peak MB",
        "key ms",
        "news ms"
    );
    let binary = nats::current_server().unwrap_or_else(nats::server);
    for case in [
        Case { services: 50, rate: 5 },
        Case { services: 1_000, rate: 100 },
        Case { services: 10_000, rate: 10_000 },
    ] {
        runtime.block_on(run(&binary, &case, Duration::from_secs(seconds)));
    }
}

async fn run(binary: &nats::Binary, case: &Case, span: Duration) {
    let server = nats::Server::start(binary).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    make_streams(&client).await;
    crowd::start(&client, case.services).await;
    let sent = Arc::new(AtomicU64::new(0));
    let beating = tokio::spawn(beat_all(client.clone(), case.services, case.rate, sent.clone()));

    let args = ["watch", "--server", &server.url()];
    let mut terminal = Terminal::start(env!("CARGO_BIN_EXE_tcsctl"), &args, &[], (160, 50));
    terminal.see(&format!("{} ok", case.services));
    // what is read once, at the start, has been read
    tokio::time::sleep(Duration::from_secs(8)).await;

    let before = (terminal.cpu(), terminal.bytes().len(), sent.load(Ordering::Relaxed));
    let begin = Instant::now();
    tokio::time::sleep(span).await;
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = (terminal.cpu() - before.0) / seconds;
    let rate = (sent.load(Ordering::Relaxed) - before.2) as f64 / seconds;
    let written = terminal.bytes().split_off(before.1);
    let frames = count(&written, FRAME);
    let keys = tokio::task::block_in_place(|| keys(&mut terminal));
    let news = news(&client, &terminal, case.services).await;
    println!(
        "{:>8} {:>8} {rate:>7.0}  {:>5.2}% {:>8.1} {:>8.0} {:>7.0} {:>8.0}  {}  {}",
        server.version(),
        case.services,
        cpu * 100.0,
        frames as f64 / seconds,
        written.len() as f64 / frames.max(1) as f64,
        written.len() as f64 / seconds,
        terminal.peak_memory() as f64 / 1e6,
        figures(keys),
        figures(news),
    );
    beating.abort();
    terminal.keys("q");
    terminal.end();
}

/// From a key to the frame in which the choice has moved.
fn keys(terminal: &mut Terminal) -> Vec<f64> {
    let chosen = |terminal: &Terminal| {
        terminal.screen(|screen| {
            (0..50).find(|row| screen.cell(*row, 20).is_some_and(vt100::Cell::inverse))
        })
    };
    terminal.keys("g");
    std::thread::sleep(BETWEEN_KEYS);
    let times = (0..KEYS).map(|i| {
        let before = chosen(terminal);
        let begin = Instant::now();
        terminal.keys(["j", "k"][i % 2]);
        while chosen(terminal) == before {
            let text = || terminal.screen(vt100::Screen::contents);
            assert!(begin.elapsed() < nats::LIMIT, "the key does nothing:\n{}", text());
            std::thread::sleep(Duration::from_micros(100));
        }
        let took = begin.elapsed();
        std::thread::sleep(BETWEEN_KEYS + Duration::from_millis(i as u64 % 40));
        took.as_secs_f64()
    });
    times.collect()
}

/// From a message to the frame that tells it.
async fn news(client: &async_nats::Client, terminal: &Terminal, services: usize) -> Vec<f64> {
    let mut times = Vec::new();
    for i in 0..NEWS {
        let begin = Instant::now();
        let word = if i % 2 == 0 { "error" } else { "ok" };
        let wanted = if i % 2 == 0 { "1 error" } else { &format!("{services} ok") };
        client.publish(subject("status", 0), status(0, word).into()).await.unwrap();
        client.flush().await.unwrap();
        while !terminal.text().contains(wanted) {
            assert!(begin.elapsed() < nats::LIMIT, "the news are not told");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(begin.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(370)).await;
    }
    times
}

fn figures(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share).round() as usize] * 1e3;
    format!("{:>6.1} {:>6.1}", at(0.5), at(0.99))
}
