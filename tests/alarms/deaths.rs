//! Sentinels and brokers that die while people are to be told, and how soon they are told.
//!
//! `TCS_ALARM_SITES` (1; `make soak`: 13) is how many sites there are, one after the other, with
//! eight raises each: ten alarms in ten minutes would be told as one digest. `TCS_ALARM_ROUNDS` (8;
//! `make soak`: 50) is how often it is measured how soon a death is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tcs_core::bus::publish::random_id;
use tcs_core::clock;
use tcs_testkit::cluster::Cluster;
use tcs_testkit::flood::number;
use tcs_testkit::nats::{self, Binary, Server, wait_for, wait_within};
use tcs_testkit::programs::program;
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::{Site, Tcsd, signal};

use super::{Sink, alarms, config_with};

/// Raises at one site.
const RAISES: usize = 8;
/// For so long who has claimed a notification is not taken for dead.
const LEASE: Duration = Duration::from_secs(30);
/// For what has to wait for a lease, or for a cluster's election.
pub(crate) const LONG: Duration = Duration::from_mins(3);

fn dome(n: usize) -> String {
    if n == 0 { "dome.main".to_owned() } else { format!("dome.n{n}") }
}

fn below(end: u64) -> Duration {
    Duration::from_millis(u64::from_str_radix(&random_id()[..8], 16).unwrap() % end)
}

/// A lease, an election, or the time after which sentinels watch: each takes longer than most tests
/// wait.
pub(crate) async fn wait_long(what: &str, is_so: impl FnMut() -> bool) {
    wait_within(LONG, what, is_so).await;
}

/// The raises of services that have come, by service: each one's key, and when.
fn raised(sink: &Sink) -> BTreeMap<String, Vec<(Instant, String)>> {
    let mut raised: BTreeMap<String, Vec<(Instant, String)>> = BTreeMap::new();
    for (at, post) in &*sink.posts.lock().unwrap() {
        if post["rule"] == "failed" && post["why"] == "raised" {
            let key = post["episode"].as_str().unwrap().to_owned();
            let of = post["object"].as_str().unwrap().to_owned();
            raised.entry(of).or_default().push((*at, key));
        }
    }
    raised
}

/// The process of a service that runs.
fn pid(url: &str, id: &str) -> Option<u32> {
    let list = tcsctl::at(url, &["list", "--json"]).json();
    let it = list["services"].as_array()?.iter().find(|it| it["id"] == id)?.clone();
    it["pid"].as_u64()?.try_into().ok()
}

/// A site whose sentinels have watched for long enough to raise something.
pub(crate) async fn watched(binary: &Binary, sink: &Sink, services: usize) -> Site {
    watched_site(binary, &config_with(sink, "", services)).await
}

/// The same for a launcher with this configuration.
pub(crate) async fn watched_site(binary: &Binary, config: &str) -> Site {
    let server = Server::start(binary).await;
    let mut site = Site::at(server, &program("tcsd"), "process", config).await;
    site.tcsd.run();
    let url = site.server.url();
    wait_long("two sentinels", || is_watched(&url)).await;
    site
}

pub(crate) fn is_watched(url: &str) -> bool {
    alarms(url)["watched_by"].as_array().is_some_and(|by| by.len() == 2)
}

/// Whether a sentinel has claimed this service's notification, and has not stored how it ended.
fn claimed(seen: &[Value], object: &str) -> Option<Value> {
    let of = |it: &&Value| it["episode"].as_str().is_some_and(|it| it.contains(object));
    seen.iter().rfind(of).filter(|it| it["st"] == "claim").cloned()
}

/// What one site brought: kills, those of them between a claim and its outcome, repeats.
#[derive(Debug, Default)]
struct Count {
    raises: usize,
    inside: usize,
    repeats: usize,
}

/// A sentinel dies around each raise: at odd ones as soon as it has claimed, else at any moment.
async fn deaths(binary: &Binary, count: &mut Count) {
    // so that it may die between what it has sent and the answer
    let sink = Sink::answering_after(Duration::from_millis(20));
    let site = watched(binary, &sink, RAISES).await;
    let client = async_nats::connect(site.server.url()).await.unwrap();
    let mut sent = client.subscribe("svc.alarm.sent.chat.failed.>").await.unwrap();
    client.flush().await.unwrap();
    let mut seen: Vec<Value> = Vec::new();
    for n in 0..RAISES {
        let pids = [site.pid("sentinel.a").await, site.pid("sentinel.b").await];
        let object = format!("/{}@", dome(n));
        signal("KILL", site.pid(&dome(n)).await);
        let victim = if n % 2 == 1 {
            let claim = loop {
                let message = tokio::time::timeout(LONG, sent.next()).await.unwrap().unwrap();
                let body: Value = serde_json::from_slice(&message.payload).unwrap();
                seen.push(body["data"].clone());
                if let Some(claim) = claimed(&seen, &object) {
                    break claim;
                }
            };
            if n % 4 == 1 {
                tokio::time::sleep(below(20)).await;
            }
            pids[usize::from(claim["by"] == "sentinel.b")]
        } else {
            tokio::time::sleep(below(400)).await;
            pids[n / 2 % 2]
        };
        signal("KILL", victim);
        count.raises += 1;
        let id = if victim == pids[0] { "sentinel.a" } else { "sentinel.b" };
        site.until(id, |it| it["status"] == "running" && it["pid"] != victim).await;
    }
    wait_long("all are told", || raised(&sink).len() == RAISES).await;
    // also what was sent, and of which that was not stored, comes to an end
    wait_long("all outcomes", || {
        let document = alarms(&site.server.url());
        let all = document["alarms"].as_array().cloned().unwrap_or_default();
        let domes = all.iter().filter(|it| it["rule"] == "failed" && it["told"][0]["st"] == "done");
        domes.filter(|it| it["service"].as_str().unwrap().starts_with("dome.")).count() == RAISES
    })
    .await;
    for (object, posts) in raised(&sink) {
        assert!(posts.iter().all(|(_, key)| *key == posts[0].1), "{object}: {posts:?}");
        count.repeats += posts.len() - 1;
    }
    while let Ok(Some(message)) = tokio::time::timeout(Duration::ZERO, sent.next()).await {
        let body: Value = serde_json::from_slice(&message.payload).unwrap();
        seen.push(body["data"].clone());
    }
    // a claim that another one followed had no outcome
    let again = seen.iter().filter(|it| it["st"] == "claim" && it["attempt"] != 1);
    count.inside += again.count();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_raise_is_lost_by_sentinels_that_die() {
    let mut count = Count::default();
    for site in 0..number("TCS_ALARM_SITES", 1) {
        let binaries = nats::servers();
        deaths(&binaries[site % binaries.len()], &mut count).await;
        println!(
            "{} raises, a sentinel killed at each: {} kills between claim and send, {} between send \
             and outcome (repeated with the same key), none lost",
            count.raises,
            count.inside.saturating_sub(count.repeats),
            count.repeats
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_soon_deaths_are_told() {
    let rounds = number("TCS_ALARM_ROUNDS", RAISES);
    let mut took: Vec<Duration> = Vec::new();
    while took.len() < rounds {
        let sink = Sink::start();
        let site = watched(&nats::server(), &sink, RAISES).await;
        for n in 0..RAISES {
            let pid = site.pid(&dome(n)).await;
            let begin = clock::monotonic();
            signal("KILL", pid);
            wait_for("a POST", || raised(&sink).contains_key(&dome(n))).await;
            took.push(raised(&sink)[&dome(n)][0].0 - begin);
        }
    }
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    println!("SIGKILL to POST, {} rounds: p50 {:.0} ms, p99 {:.0} ms", took.len(), at(50), at(99));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_a_leader_loses_and_doubles_nothing() {
    let services = 6;
    let binary = nats::current_server().unwrap_or_else(nats::server);
    let mut cluster = Cluster::start(&binary).await;
    cluster.make_streams().await;
    let config = json!({"name": "svc_alarm", "subjects": ["svc.alarm.>"], "storage": "file",
        "max_msgs_per_subject": 64, "allow_direct": true, "num_replicas": 3});
    cluster.ask("STREAM.CREATE.svc_alarm", &config, |it| it["config"]["name"].is_string()).await;
    let (sink, url) = (Sink::start(), cluster.urls());
    let config = config_with(&sink, "", services);
    let mut tcsd = Tcsd::new(&program("tcsd"), &url, "process", &config);
    tcsd.run();
    wait_long("two sentinels", || is_watched(&url)).await;
    let mut pids = Vec::new();
    wait_long("all run", || {
        pids = (0..services).filter_map(|n| pid(&url, &dome(n))).collect();
        pids.len() == services
    })
    .await;
    signal("KILL", pids[0]);
    wait_long("the first is told", || raised(&sink).len() == 1).await;
    let leader = cluster.leader("svc_alarm").await;
    let begin = clock::monotonic();
    for (n, pid) in pids.into_iter().enumerate().skip(1) {
        if n == services / 2 {
            cluster.nodes[leader].kill();
        }
        signal("KILL", pid);
    }
    wait_long("all are told", || raised(&sink).len() == services).await;
    cluster.nodes[leader].run().await;
    wait_long("all outcomes", || {
        let document = alarms(&url);
        let all = document["alarms"].as_array().cloned().unwrap_or_default();
        let done = |it: &&Value| it["rule"] == "failed" && it["told"][0]["st"] == "done";
        all.iter().filter(done).count() == services
    })
    .await;
    let took = begin.elapsed();
    let raised = raised(&sink);
    // where it takes longer than a lease until anything can be stored, another sentinel repeats it
    let is_once = raised.values().all(|posts| posts.len() == 1);
    assert!(is_once || took > LEASE, "{took:?}: {raised:#?}");
    tcsd.stop().await;
}
