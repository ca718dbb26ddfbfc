//! `tcsd` while somebody floods its site: with services that nobody declares, and with statuses of
//! 750 kB. It holds little, answers, and supervises.
//!
//! `TCS_FLOOD_IDS` (70,000; `make soak`: 600,000) is how many ids there are, `TCS_FLOOD_RATE` how
//! many a second, `TCS_FLOOD_ROUNDS` how often each of 200 ids sends its bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a panic is the report")]

use serde_json::Value;
use tcs_testkit::flood::{self, memory, number};
use tcs_testkit::tcsd::{Site, signal};

/// A debug build decodes ten times slower than it receives, so that its queue is full.
const AT_MOST: u64 = if cfg!(debug_assertions) { 160_000_000 } else { 128_000_000 };

const CONFIG: &str = "services:\n  - {type: sleeps, variant: a, restart: always, restart_sec: 0, \
                      launch: {exec: [sleep, infinity]}}\n";

fn pid(list: &Value) -> Option<u64> {
    list["services"][0]["pid"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooded_launcher_holds_little_and_supervises() {
    let (ids, rate) = (number("TCS_FLOOD_IDS", 70_000), number("TCS_FLOOD_RATE", 54_000));
    let rounds = number("TCS_FLOOD_ROUNDS", 1);
    let site = Site::start("process", CONFIG).await;
    let list = site.answer("list", |list| pid(list).is_some()).await;
    let first = pid(&list).unwrap();
    let before = memory(site.tcsd.pid()).0;
    let client = async_nats::connect(site.server.url()).await.unwrap();
    for what in ["ids", "bytes"] {
        match what {
            "ids" => flood::of_ids(&client, ids, rate).await,
            _ => flood::of_bytes(&client, 200, 750_000, rounds).await,
        }
        site.answer("list", |list| pid(list).is_some()).await;
        let (now, peak) = memory(site.tcsd.pid());
        let mega = |bytes: u64| bytes / 1_000_000;
        println!("{what}: {} MB before, {} at most, {} now", mega(before), mega(peak), mega(now));
        assert!(peak < AT_MOST, "{what}: {} MB", mega(peak));
    }
    signal("KILL", u32::try_from(first).unwrap());
    site.answer("list", |list| pid(list).is_some_and(|pid| pid != first)).await;
}
