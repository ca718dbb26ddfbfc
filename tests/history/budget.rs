//! What the timeline of a long night costs: printed, for a quiet machine and a release build.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tcs_testkit::flood::memory;
use tcs_testkit::past::Stored;
use tcs_testkit::terminal::Terminal;

use super::*;

const SERVICES: i64 = 60;
const HOURS: i64 = 10;
/// Seconds between two heartbeats.
const BEAT: i64 = 10;
/// Keys of which each moves or zooms.
const KEYS: usize = 100;

/// Ten hours of services that send heartbeats and now and then report an error for a minute.
fn night(until: DateTime<Utc>) -> Vec<Stored> {
    let mut messages = Vec::new();
    let from = until - TimeDelta::hours(HOURS);
    for n in 0..SERVICES {
        let (id, host) = (format!("guider.n{n:02}"), format!("srv0{}", n % 3));
        let mut say = |second: i64, kind: &str, mut data: Value| {
            let at = from + TimeDelta::seconds(second) + TimeDelta::milliseconds(n * 16);
            (data["hostname"], data["pid"]) = (json!(host), json!(100 + n));
            let body = json!({"data": data, "meta": {"id": "m", "sender": id}}).to_string();
            messages.push(Stored { at, subject: format!("svc.{kind}.{id}"), body: body.into() });
        };
        let event = json!({"event": "start", "service_id": id, "parent": "launcher.night.L"});
        say(0, "registry.start", event);
        say(1, "status", json!({"name": id, "status": "ok"}));
        for beat in 1..HOURS * 3600 / BEAT {
            let second = beat * BEAT;
            let data = json!({"service_id": id, "status": "ok", "interval_seconds": BEAT});
            say(second, "heartbeat", data);
            let word = match (beat + 37 * n) % 600 {
                0 => "error",
                6 => "ok",
                _ => continue,
            };
            say(second + 1, "status", json!({"name": id, "status": word, "message": "no signal"}));
        }
    }
    messages
}

/// Milliseconds from a key until the screen shows `wanted`.
fn until_seen(terminal: &mut Terminal, key: &str, is_it: impl Fn(&str) -> bool) -> f64 {
    let begin = tcs_core::clock::monotonic();
    terminal.keys(key);
    loop {
        let text = terminal.text();
        if is_it(&text) {
            return begin.elapsed().as_secs_f64() * 1e3;
        }
        assert!(begin.elapsed() < nats::LIMIT, "{key:?}:\n{text}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, for a release build: make bench"]
async fn budget() {
    on_each_server(async |binary| {
        let until = tcs_core::clock::wall();
        let messages = night(until);
        let server = past::server(&binary, &STREAMS, &messages).await;
        let since = (until - TimeDelta::hours(HOURS)).to_rfc3339();

        let begin = tcs_core::clock::monotonic();
        let args = ["timeline", "--since", &since, "--server", &server.url()];
        let mut child = tcsctl::command(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            if std::path::Path::new(&format!("/proc/{}/fd/0", child.id())).exists() {
                peak = peak.max(memory(child.id()).1);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        println!(
            "nats-server {}: tcsctl timeline of {} messages: {:.2} s, {} MB",
            server.version(),
            messages.len(),
            begin.elapsed().as_secs_f64(),
            peak / 1_000_000
        );

        let mut terminal = tcsctl::watch(&server.url(), &[], (160, 50));
        terminal.see("guider.n59");
        let is_whole = |text: &str| text.contains("timeline: ") && !text.contains("reading");
        println!("  the page: {:.0} ms", until_seen(&mut terminal, "T", is_whole));
        for span in ["3 h", "8 h", "12 h"] {
            let is_of = |text: &str| text.contains(&format!("timeline: {span} until"));
            let frame = until_seen(&mut terminal, "-", is_of);
            let whole = until_seen(&mut terminal, "", is_whole);
            println!(
                "  {span}: a frame after {frame:.1} ms, all of it after {:.0} ms",
                frame + whole
            );
        }
        let mut keys: Vec<f64> = ["\x1b[D", "+", "\x1b[D", "-"]
            .into_iter()
            .cycle()
            .take(KEYS)
            .map(|key| {
                let before = terminal.text();
                let took = until_seen(&mut terminal, key, |text| text != before);
                // as fast as a person types
                std::thread::sleep(Duration::from_millis(130));
                took
            })
            .collect();
        keys.sort_by(f64::total_cmp);
        println!(
            "  from a key that moves or zooms to its frame: {:.1} ms, p99 {:.1} ms",
            keys[KEYS / 2],
            keys[KEYS * 99 / 100]
        );
        println!("  {} MB at most", memory(terminal.pid()).1 / 1_000_000);
    })
    .await;
}
