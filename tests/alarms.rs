//! Alarms end to end: two sentinels under a real tcsd, real processes, and a receiver of POSTs.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "alarms/backup.rs"]
mod backup;
#[path = "alarms/deaths.rs"]
mod deaths;
#[path = "alarms/past.rs"]
mod past;
#[path = "alarms/report.rs"]
mod report;
#[path = "alarms/scenarios.rs"]
mod scenarios;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde_json::Value;
use tcs_core::clock;
use tcs_testkit::nats::{self, Server, on_each_server, wait_for};
use tcs_testkit::programs::program;
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::{Site, signal};

use deaths::wait_long;

/// Takes what is posted to it, until the test ends.
#[derive(Clone)]
struct Sink {
    port: u16,
    posts: Arc<Mutex<Vec<(Instant, Value)>>>,
    /// When it was asked by GET.
    gets: Arc<Mutex<Vec<DateTime<Utc>>>>,
    /// It answers 500, and takes nothing.
    broken: Arc<AtomicBool>,
}

impl Sink {
    fn start() -> Self {
        Self::answering_after(Duration::ZERO)
    }

    /// It takes so long before it answers.
    fn answering_after(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let gets = Arc::new(Mutex::new(Vec::new()));
        let broken = Arc::new(AtomicBool::new(false));
        let (taken, asked, fails) = (Arc::clone(&posts), Arc::clone(&gets), Arc::clone(&broken));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !is_whole(&request) {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(count) => request.extend_from_slice(&buffer[..count]),
                    }
                }
                let text = String::from_utf8_lossy(&request);
                let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
                if head.starts_with("GET ") {
                    asked.lock().unwrap().push(clock::wall());
                }
                if fails.load(Ordering::Relaxed) {
                    stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").ok();
                    continue;
                }
                if let Ok(body) = serde_json::from_str(body) {
                    taken.lock().unwrap().push((clock::monotonic(), body));
                }
                std::thread::sleep(pause);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok();
            }
        });
        Self { port, posts, gets, broken }
    }

    /// Alarm and why, of each POST.
    fn told(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let word = |post: &Value, key: &str| post[key].as_str().unwrap_or_default().to_owned();
        let told = |(_, post): &(Instant, Value)| {
            format!("{}/{} {}", word(post, "rule"), word(post, "object"), word(post, "why"))
        };
        posts.iter().map(told).collect()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.and_then(|it| it.parse().ok()).is_none_or(|length: usize| body.len() >= length)
}

fn config(sink: &Sink) -> String {
    config_with(sink, "", 2)
}

/// With settings that both sentinels have besides, and so many services: `dome.main`, `dome.n1`, ...
fn config_with(sink: &Sink, more: &str, services: usize) -> String {
    let sentinel = |variant: &str| {
        format!(
            "  - type: sentinel\n    variant: {variant}\n    restart: always\n    restart_sec: 0.1\n    \
             channels:\n      chat: {{webhook: {{url: 'http://127.0.0.1:{}/x?token=s3cret'}}}}\n    \
             escalate: {{critical: [{{chat: 0s}}], warning: []}}\n{more}",
            sink.port
        )
    };
    let dome = |n: usize| {
        let variant = if n == 0 { "main".to_owned() } else { format!("n{n}") };
        format!("  - {{type: dome, variant: {variant}, launch: {{exec: [sleep, '1000']}}}}\n")
    };
    let domes: String = (0..services).map(dome).collect();
    format!("launch: {{heartbeat: 1}}\nservices:\n{}{}{domes}", sentinel("a"), sentinel("b"))
}

/// The document of `tcsctl alarms --json`; nothing where there is no stream yet.
fn alarms(url: &str) -> Value {
    let output = tcsctl::at(url, &["alarms", "--all", "--json"]);
    if output.out.is_empty() { Value::Null } else { output.json() }
}

/// One alarm of it.
fn alarm(url: &str, id: &str) -> Value {
    let document = alarms(url);
    let all = document["alarms"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|alarm| alarm["id"] == id).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_once_acknowledged_and_stays_so_without_sentinels() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let server = Server::start(&binary).await;
        let mut site = Site::at(server, &program("tcsd"), "process", &config(&sink)).await;
        site.tcsd.run();
        let url = site.server.url();
        // both watch, and have watched for long enough to raise something
        let up = |view: &Value| view["status"] == "running";
        for id in ["dome.main", "dome.n1", "sentinel.a", "sentinel.b"] {
            site.until(id, up).await;
        }
        wait_long("two sentinels", || {
            alarms(&url)["watched_by"].as_array().is_some_and(|by| by.len() == 2)
        })
        .await;
        signal("KILL", site.pid("dome.main").await);
        wait_for("a POST", || !sink.told().is_empty()).await;
        wait_for("the outcome", || alarm(&url, "failed/dome.main")["told"][0]["st"] == "done")
            .await;
        let raised = alarm(&url, "failed/dome.main");
        assert_eq!((&raised["state"], &raised["severity"]), (&"active".into(), &"critical".into()));

        let at = |args: &[&str]| tcsctl::at(&url, args);
        at(&["ack", "failed/guider.main", "-m", "x"]).expect(1);
        at(&["ack", "failed/dome.main"]).expect(2);
        at(&["unack", "failed/dome.main"]).expect(1);
        at(&["ack", "failed/dome.main", "-m", "changing the cable"]).expect(0);
        let acked = alarm(&url, "failed/dome.main");
        assert_eq!(
            (&acked["state"], &acked["acked"]["note"]),
            (&"acked".into(), &"changing the cable".into())
        );
        at(&["note", "dome.main", "-m", "again"]).expect(0);
        let checked = at(&["check"]).expect(2);
        assert!(checked.out.contains(", 1 acknowledged; dome.main failed: "), "{checked:#?}");
        assert!(checked.out.contains(" (acknowledged by "), "{checked:#?}");

        // new processes, which know only what is stored
        for id in ["sentinel.a", "sentinel.b"] {
            let before = site.pid(id).await;
            signal("KILL", before);
            site.until(id, |view| view["status"] == "running" && view["pid"] != before).await;
        }
        at(&["shelve", "dome.main", "--for", "1h"]).expect(2);
        at(&["shelve", "dome.main", "-m", "x"]).expect(2);
        at(&["shelve", "dome.main", "--for", "8d", "-m", "x"]).expect(2);
        let told = at(&["shelve", "dome.main", "--for", "1h", "-m", "x"]).expect(0).err;
        assert!(
            told.contains(" UTC; it covers 1 alarm now") && !told.contains("UTC UTC"),
            "{told}"
        );
        let shelved = alarm(&url, "failed/dome.main");
        let checked = at(&["check", "dome.main"]).expect(0);
        assert!(checked.out.contains(" (shelved: x)"), "{checked:#?}");
        let shelf = shelved["shelved"]["id"].as_str().unwrap();
        at(&["unshelve", shelf]).expect(0);
        at(&["unshelve", shelf]).expect(1);

        // it runs again: over, and told to who was told of the raise
        at(&["start", "dome.main"]).expect(0);
        wait_for("its end", || alarm(&url, "failed/dome.main")["state"] == "normal").await;
        let cleared = "failed/dome.main cleared".to_owned();
        wait_for("its end is told", || sink.told().contains(&cleared)).await;
        // what comes after it shows that nothing was told twice meanwhile
        signal("KILL", site.pid("dome.n1").await);
        wait_for("the next one", || alarm(&url, "failed/dome.n1")["told"][0]["st"] == "done").await;
        let told = ["failed/dome.main raised", "failed/dome.main cleared", "failed/dome.n1 raised"];
        assert_eq!(sink.told(), told);
        let stats = at(&["alarms", "stats"]).expect(0).out;
        for part in ["2 raises in 1 d: 0.08 an hour", "     1  failed/dome.main", "no floods"] {
            assert!(stats.contains(part), "{part}: {stats}");
        }
        assert!(!site.tcsd.log().contains("s3cret"), "{}", site.tcsd.log());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sentinel_it_is_said_that_nobody_watches() {
    let server = Server::start(&nats::server()).await;
    let config = "services:\n  - {type: dome, variant: main, launch: {exec: [sleep, '1000']}}\n";
    let mut site = Site::at(server, &program("tcsd"), "process", config).await;
    site.tcsd.run();
    site.until("dome.main", |view| view["status"] == "running").await;
    let url = site.server.url();
    let at = |args: &[&str]| tcsctl::at(&url, args);
    let none = at(&["alarms"]).expect(0);
    assert!(none.err.contains("alarms are not kept: no stream of alarms"), "{none:#?}");
    assert!(none.out.contains("0 unacknowledged · NOT WATCHED"), "{none:#?}");
    at(&["alarms", "stats"]).expect(3);
    // the console evaluates the rules itself, and what it shows cannot be acknowledged
    signal("KILL", site.pid("dome.main").await);
    let is_shown = || at(&["alarms"]).expect(0).out.contains("failed/dome.main  critical  active");
    wait_for("the console shows it", is_shown).await;
    site.bus.create_missing_alarm_stream().await;
    let shown = at(&["alarms"]).expect(0);
    assert!(shown.out.contains("1 unacknowledged · NOT WATCHED"), "{shown:#?}");
    assert!(!shown.err.contains("not kept"), "{shown:#?}");
    let refused = at(&["ack", "failed/dome.main", "-m", "x"]).expect(1);
    assert!(refused.err.contains("no open alarm `failed/dome.main`"), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_differ_are_applied_and_a_channel_is_tried() {
    let sink = Sink::start();
    let server = Server::start(&nats::server()).await;
    let mut site = Site::at(server, &program("tcsd"), "process", &config(&sink)).await;
    site.tcsd.run();
    let url = site.server.url();
    let at = |args: &[&str]| tcsctl::at(&url, args);
    let watched = || alarms(&url)["watched_by"].as_array().is_some_and(|by| by.len() == 2);
    wait_long("two sentinels", watched).await;

    let tried = at(&["alarms", "test", "chat", "--json"]).expect(0).objects();
    assert_eq!(tried.len(), 2);
    let tested = "test/_channel.chat test";
    assert_eq!(sink.told(), [tested, tested]);
    let unknown = at(&["alarms", "test", "pager"]).expect(1);
    assert!(unknown.out.contains("no channel `pager`; there are: chat"), "{unknown:#?}");

    let mut follower = tcsctl::command(&["alarms", "--follow", "--server", &url]);
    let seen = site.tcsd.path("followed");
    follower.stdout(std::fs::File::create(&seen).unwrap());
    let mut follower = follower.spawn().unwrap();
    let seen = || std::fs::read_to_string(&seen).unwrap();
    wait_for("the follower", || seen().contains("watched by 2")).await;

    let apply = |file: &str| at(&["alarms", "apply", &site.tcsd.path(file)]);
    let stored = || !apply("services.yaml").err.contains("+ rules.");
    wait_for("their rules are stored", stored).await;
    let more = "    rules:\n      flapping: ~\n      warm: {when: {metric: t, above: 3}, severity: \
                info}\n";
    let config = config_with(&sink, more, 2);
    std::fs::write(site.tcsd.path("new.yaml"), &config).unwrap();
    let asked = apply("new.yaml").expect(2);
    for part in ["- rules.flapping: {", "+ rules.warm: {\"when\":{\"metric\":\"t\"", "--yes"] {
        assert!(asked.err.contains(part), "{part}: {asked:#?}");
    }
    at(&["alarms", "apply", &site.tcsd.path("new.yaml"), "--yes"]).expect(0);
    let differs = |state| alarm(&url, "rules_differ/sentinel.a")["state"] == state;
    wait_for("rules differ", || differs("active")).await;
    let again = apply("new.yaml").expect(0);
    assert!(again.err.contains("already active"), "{again:#?}");
    site.tcsd.configure(&config);
    at(&["reload", "--yes"]).expect(0);
    wait_long("the same rules", || differs("normal")).await;
    let line = |state: &str| {
        let text = seen();
        text.lines().any(|line| line.contains("rules_differ/sentinel.a") && line.contains(state))
    };
    wait_for("the follower tells", || line("  active  ") && line("  normal  ")).await;
    let said = site.statuses("sentinel.a").await.into_iter().filter_map(|it| it.message);
    let said: Vec<String> = said.collect();
    assert!(said.iter().any(|words| words.starts_with("reading the fleet until ")), "{said:?}");
    assert!(!said.iter().any(|words| words.contains("not kept")), "{said:?}");
    signal("INT", follower.id());
    assert_eq!(follower.wait().unwrap().code(), Some(0));

    // a step that nobody can carry out
    let gone = config
        .replace("critical: [{chat: 0s}]", "critical: [{chat: 0s}, {gone: 5m}]")
        .replace("channels:\n", "channels:\n      gone: {exec: ['true']}\n");
    std::fs::write(site.tcsd.path("gone.yaml"), gone).unwrap();
    let applied = at(&["alarms", "apply", &site.tcsd.path("gone.yaml"), "--yes"]).expect(1);
    let warning = "no running sentinel has the channel `gone`: its steps are skipped";
    assert!(
        applied.err.contains(warning) && applied.err.contains("are now active"),
        "{applied:#?}"
    );
    let misses = |state| alarm(&url, "channel_failing/_channel.gone")["state"] == state;
    wait_long("the channel is missed", || misses("active")).await;
    wait_long("their rules differ", || differs("active")).await;
    at(&["alarms", "apply", "--own"]).expect(2);
    let own = at(&["alarms", "apply", "--own", "--yes"]).expect(0);
    assert!(own.err.contains("the rules of sentinel."), "{own:#?}");
    wait_long("their own rules", || misses("normal") && differs("normal")).await;
    let own = at(&["alarms", "apply", "--own"]).expect(0);
    assert!(own.err.contains("no rules are applied"), "{own:#?}");
}

/// The switch is told only by who watches, and nobody counts as watching who still reads.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_the_fleet_does_not_watch_it() {
    let (sink, watcher) = (Sink::start(), Sink::start());
    let deadman =
        format!("    deadman: {{url: 'http://127.0.0.1:{}/', every: 1s}}\n", watcher.port);
    let server = Server::start(&nats::server()).await;
    let config = config_with(&sink, &deadman, 1);
    let mut site = Site::at(server, &program("tcsd"), "process", &config).await;
    site.tcsd.run();
    let url = site.server.url();
    let mut early = Vec::new();
    wait_long("two sentinels", || {
        let document = alarms(&url);
        let count = document["watched_by"].as_array().map_or(0, Vec::len);
        if count == 0 && document.is_object() {
            early.push(tcsctl::at(&url, &["alarms"]).out);
        }
        count == 2
    })
    .await;
    wait_for("the switch is told", || !watcher.gets.lock().unwrap().is_empty()).await;
    assert!(early.iter().any(|out| out.contains("NOT WATCHED yet: sentinel.")), "{early:?}");
    let mut ends = Vec::new();
    for id in ["sentinel.a", "sentinel.b"] {
        let said = site.statuses(id).await.into_iter().filter_map(|it| it.message);
        let said = said.filter_map(|text| {
            let end = text.strip_prefix("reading the fleet until ")?.strip_suffix(" UTC")?;
            end.parse::<NaiveTime>().ok()
        });
        ends.push(said.min().unwrap());
    }
    let first = watcher.gets.lock().unwrap()[0];
    // past midnight it is another day
    let early = *ends.iter().min().unwrap() - first.time();
    assert!(early <= TimeDelta::zero() || early > TimeDelta::hours(12), "{first}: {ends:?}");
}
