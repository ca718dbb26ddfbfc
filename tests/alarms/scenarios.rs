//! The life of alarms (`docs/spec/alarms.md#life-of-an-alarm`) with two sentinels, a receiver of POSTs,
//! heartbeats each second, and real processes, on both servers.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_testkit::nats::{Binary, Server, on_each_server, wait_for, wait_within};
use tcs_testkit::programs::program;
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::{Site, Tcsd, signal};

use super::deaths::{is_watched, wait_long, watched, watched_site};
use super::{Sink, alarm, alarms, config_with};

/// A site with these services besides the sentinels, which watch.
async fn watched_with(binary: &Binary, sink: &Sink, more: &str, services: &str) -> Site {
    watched_site(binary, &(config_with(sink, more, 0) + services)).await
}

fn state(url: &str, id: &str) -> String {
    alarm(url, id)["state"].as_str().unwrap_or_default().to_owned()
}

/// Told, of services alone.
fn told(sink: &Sink) -> Vec<String> {
    sink.told().into_iter().filter(|it| !it.contains("/_") && !it.contains("sentinel")).collect()
}

/// Crashes that are followed by restarts are told once, when it has failed.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_before_a_failure_are_told_once() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let crashing = "  - {type: crashing, variant: main, restart: always, restart_sec: 0.2, restart_max: 2, \
                        launch: {enabled: false, exec: [sh, -c, 'exit 3']}}\n";
        let site = watched_with(&binary, &sink, "", crashing).await;
        let url = site.server.url();
        // by now it may have crashed
        tcsctl::at(&url, &["start", "crashing.main"]);
        wait_for("it has failed", || state(&url, "failed/crashing.main") == "active").await;
        wait_for("it is told", || alarm(&url, "failed/crashing.main")["told"][0]["st"] == "done").await;
        let crashes = site.story("crashing.main").await;
        assert!(crashes.iter().filter(|it| it.starts_with("crashed")).count() >= 2, "{crashes:?}");
        assert_eq!(told(&sink), ["failed/crashing.main raised"]);
    })
    .await;
}

/// A service that hangs is lost, and returns, which somebody has to see.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_is_lost_and_returns() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let site =
            watched_with(&binary, &sink, "", "  - {type: hello_world, variant: main}\n").await;
        let url = site.server.url();
        site.until("hello_world.main", |it| it["status"] == "running").await;
        let pid = site.pid("hello_world.main").await;
        signal("STOP", pid);
        wait_long("it is lost", || state(&url, "lost/hello_world.main") == "active").await;
        signal("CONT", pid);
        wait_long("it has returned", || state(&url, "lost/hello_world.main") == "returned").await;
        let expected = ["lost/hello_world.main raised", "lost/hello_world.main cleared"];
        wait_for("its end is told", || told(&sink) == expected).await;
        tcsctl::at(&url, &["ack", "lost/hello_world.main", "-m", "seen"]).expect(0);
        assert_eq!(state(&url, "lost/hello_world.main"), "normal");
    })
    .await;
}

/// The launcher of 14 services is told of, and none of these.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_launcher_is_told_in_place_of_its_services() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let site = watched(&binary, &sink, 1).await;
        let url = site.server.url();
        let service = |n: usize| {
            format!("  - {{type: dome, variant: n{n}, launch: {{exec: [sleep, '1000']}}}}\n")
        };
        let services: String = (0..14).map(service).collect();
        let config = format!("launch: {{heartbeat: 1}}\nservices:\n{services}");
        let mut other = Tcsd::new(&program("tcsd"), &url, "process", &config);
        other.run();
        let name = other.name.to_string();
        wait_for("heartbeats of all", || {
            let list = tcsctl::at(&url, &["dome.n", "--json"]).json();
            let services = list["services"].as_array().unwrap();
            services.iter().filter(|it| !it["last_heartbeat_at"].is_null()).count() == 14
        })
        .await;
        other.kill().await;
        let id = format!("launcher_lost/{name}");
        wait_long("it is lost", || state(&url, &id) == "active").await;
        wait_for("it is told", || alarm(&url, &id)["told"][0]["st"] == "done").await;
        // what is told after it shows that nothing was told of its services
        signal("KILL", site.pid("dome.main").await);
        let last = "failed/dome.main raised".to_owned();
        wait_long("what comes after it", || sink.told().contains(&last)).await;
        let posts = sink.posts.lock().unwrap();
        let of = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        let raised: Vec<&Value> = posts.iter().map(|(_, post)| post).collect();
        let about =
            |it: &&Value| of(it, "object").contains("dome.n") || of(it, "rule") == "launcher_lost";
        let raised: Vec<&&Value> = raised.iter().filter(|it| about(it)).collect();
        assert_eq!(raised.len(), 1, "{raised:#?}");
        assert!(of(raised[0], "message").contains("14"), "{raised:#?}");
    })
    .await;
}

/// An acknowledgement covers no higher severity than it names.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_up_to_a_warning_does_not_cover_what_is_critical() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let site = watched(&binary, &sink, 1).await;
        let url = site.server.url();
        signal("KILL", site.pid("dome.main").await);
        wait_for("it is raised", || state(&url, "failed/dome.main") == "active").await;
        let ack = json!({"data": {"episode": alarm(&url, "failed/dome.main")["episode"], "op": "ack",
            "up_to": "warning", "note": "x", "by": "ann"}, "meta": {"id": "m", "sender": "s", "ts": [2026, 1, 1]}});
        let client = async_nats::connect(&url).await.unwrap();
        let subject = "svc.alarm.ack.failed.dome.main";
        client.request(subject, ack.to_string().into()).await.unwrap();
        assert_eq!(state(&url, "failed/dome.main"), "active");
    })
    .await;
}

/// Acknowledgements that race the end never open an alarm again.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_races_the_end_opens_nothing() {
    let rounds = tcs_testkit::flood::number("TCS_ALARM_RACES", 10);
    on_each_server(async |binary| {
        let sink = Sink::start();
        let rules =
            "    rules: {failed: {when: {verdict: failed}, severity: critical, clear_after: 0s}}\n";
        let dome = |n: usize| {
            format!("  - {{type: dome, variant: n{n}, launch: {{exec: [sleep, '1000']}}}}\n")
        };
        let services: String = (0..rounds).map(dome).collect();
        let site = watched_with(&binary, &sink, rules, &services).await;
        let url = site.server.url();
        for n in 0..rounds {
            let (service, id) = (format!("dome.n{n}"), format!("failed/dome.n{n}"));
            signal("KILL", site.pid(&service).await);
            wait_for("it is raised", || state(&url, &id) == "active").await;
            std::thread::scope(|scope| {
                scope.spawn(|| tcsctl::at(&url, &["start", &service]).expect(0));
                scope.spawn(|| tcsctl::at(&url, &["ack", &id, "-m", "x"]));
            });
            wait_for("it is over", || state(&url, &id) == "normal").await;
        }
        // sentinels have looked at all of them since
        let last = format!("failed/dome.n{}", rounds - 1);
        assert_eq!(state(&url, &last), "normal");
        let document = alarms(&url);
        let all = document["alarms"].as_array().unwrap().iter().filter(|it| it["rule"] == "failed");
        let all: Vec<&Value> = all.collect();
        assert!(all.iter().all(|it| it["state"] == "normal" && it["occurrences"] == 1), "{all:#?}");
        assert_eq!(all.len(), rounds);
    })
    .await;
}

/// Nothing of a service is told while the broker is away, and nothing after it has returned.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak"]
async fn a_broker_that_is_away_is_told_once_by_each_sentinel() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let mut site = watched(&binary, &sink, 3).await;
        site.server.kill();
        tokio::time::sleep(Duration::from_mins(2)).await;
        site.server.run().await;
        let url = site.server.url();
        wait_long("two sentinels", || is_watched(&url)).await;
        // what is told after it shows that nothing else was
        signal("KILL", site.pid("dome.main").await);
        let last = "failed/dome.main raised".to_owned();
        wait_long("what comes after it", || sink.told().contains(&last)).await;
        let told = sink.told();
        let (unreachable, others): (Vec<&String>, Vec<&String>) =
            told.iter().partition(|it| it.starts_with("broker_unreachable/"));
        assert!((1..=2).contains(&unreachable.len()), "{told:?}");
        assert_eq!(others, [&last]);
    })
    .await;
}

/// A sentinel that has never seen the broker tells so, again and again until somebody takes it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak"]
async fn a_broker_that_was_never_there_is_told_until_somebody_takes_it() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        sink.broken.store(true, Ordering::Relaxed);
        let server = Server::start(&binary).await;
        let mut site =
            Site::at(server, &program("tcsd"), "process", &config_with(&sink, "", 0)).await;
        site.server.kill();
        site.tcsd.run();
        wait_long("it is refused", || site.tcsd.log().contains("channel chat: ")).await;
        assert_eq!(sink.told(), [""; 0]);
        sink.broken.store(false, Ordering::Relaxed);
        let unreachable = "broker_unreachable/_broker raised";
        wait_long("each tells", || sink.told() == [unreachable; 2]).await;
    })
    .await;
}

/// A broker that has lost its store gets it back from the sentinels, and nothing is told again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_loses_is_written_again() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let mut site = watched(&binary, &sink, 2).await;
        let url = site.server.url();
        signal("KILL", site.pid("dome.main").await);
        wait_for("it is told", || alarm(&url, "failed/dome.main")["told"][0]["st"] == "done").await;
        tcsctl::at(&url, &["ack", "failed/dome.main", "-m", "cable"]).expect(0);
        tcsctl::at(&url, &["shelve", "dome.n1", "--for", "1h", "-m", "reboot"]).expect(0);
        site.server.kill();
        site.server.wipe();
        site.server.run().await;
        wait_long("it is written again", || {
            let alarm = alarm(&url, "failed/dome.main");
            alarm["state"] == "acked" && alarm["acked"]["note"] == "cable"
        })
        .await;
        wait_long("the loss is an alarm", || !alarm(&url, "store_reset/_broker").is_null()).await;
        signal("KILL", site.pid("dome.n1").await);
        wait_long("the shelf too", || {
            alarm(&url, "failed/dome.n1")["shelved"]["reason"] == "reboot"
        })
        .await;
        assert_eq!(told(&sink), ["failed/dome.main raised"]);
    })
    .await;
}

/// What comes and goes is told at most three times, once as chatter, and has one end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make soak"]
async fn what_comes_and_goes_is_told_as_such() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let rules = "    rules: {failed: {when: {verdict: failed}, severity: critical}}\n";
        let dome = "  - {type: dome, variant: main, launch: {exec: [sleep, '1000']}}\n";
        let site = watched_with(&binary, &sink, rules, dome).await;
        let url = site.server.url();
        for _ in 0..15 {
            signal("KILL", site.pid("dome.main").await);
            tokio::time::sleep(Duration::from_secs(5)).await;
            tcsctl::at(&url, &["start", "dome.main"]).expect(0);
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
        let ended = "failed/dome.main cleared";
        wait_within(Duration::from_mins(8), "five quiet minutes", || {
            state(&url, "failed/dome.main") == "normal"
        })
        .await;
        wait_for("its end is told", || told(&sink).last().is_some_and(|it| it == ended)).await;
        let told = told(&sink);
        let of = |why: &str| told.iter().filter(|it| it.ends_with(why)).count();
        assert!(of(" raised") <= 3 && of(" chatter") == 1, "{told:?}");
    })
    .await;
}

/// While a shelf lasts nobody is told; when it ends and the alarm is active, somebody is.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_shelf_is_told_while_its_alarm_is_active() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let site = watched(&binary, &sink, 2).await;
        let url = site.server.url();
        tcsctl::at(&url, &["shelve", "dome.main", "--for", "20s", "-m", "reboot"]).expect(0);
        signal("KILL", site.pid("dome.main").await);
        wait_for("it is shelved", || alarm(&url, "failed/dome.main")["shelved"].is_object()).await;
        // another one, which is told meanwhile
        signal("KILL", site.pid("dome.n1").await);
        wait_long("the end of the shelf", || told(&sink).len() == 2).await;
        // on a busy machine the other one may be told later
        let told = BTreeSet::from_iter(told(&sink));
        let expected = ["failed/dome.main shelf_ended", "failed/dome.n1 raised"];
        assert_eq!(told, BTreeSet::from(expected.map(str::to_owned)));
        assert_eq!(state(&url, "failed/dome.main"), "active");
    })
    .await;
}

/// What a receiver does not take is sent once it does, and another channel tells of it meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_told_by_another_channel() {
    on_each_server(async |binary| {
        let (chat, page) = (Sink::start(), Sink::start());
        let url = |sink: &Sink| format!("{{webhook: {{url: 'http://127.0.0.1:{}/'}}}}", sink.port);
        let sentinel = |variant: &str| {
            format!(
                "  - type: sentinel\n    variant: {variant}\n    channels: {{chat: {}, page: {}}}\n    \
                 escalate: {{critical: [{{chat: 0s}}], warning: [{{page: 0s}}]}}\n",
                url(&chat),
                url(&page)
            )
        };
        let config = format!(
            "launch: {{heartbeat: 1}}\nservices:\n{}{}  - {{type: dome, variant: main, launch: {{exec: \
             [sleep, '1000']}}}}\n",
            sentinel("a"),
            sentinel("b")
        );
        let server = Server::start(&binary).await;
        let mut site = Site::at(server, &program("tcsd"), "process", &config).await;
        site.tcsd.run();
        let url = site.server.url();
        wait_long("two sentinels", || is_watched(&url)).await;
        chat.broken.store(true, Ordering::Relaxed);
        signal("KILL", site.pid("dome.main").await);
        let failing = "channel_failing/_channel.chat raised".to_owned();
        wait_long("the other channel tells", || page.told() == [failing.clone()]).await;
        assert_eq!(chat.told(), [""; 0]);
        chat.broken.store(false, Ordering::Relaxed);
        wait_long("it is delivered", || chat.told().len() == 1).await;
        wait_for("the outcome", || alarm(&url, "failed/dome.main")["told"][0]["st"] == "done").await;
        wait_long("the channel works", || page.told().len() == 2).await;
        assert_eq!(page.told()[1], "channel_failing/_channel.chat cleared");
        assert_eq!(chat.told(), ["failed/dome.main raised"]);
    })
    .await;
}

/// Without sentinels it is said that nobody watches.
#[tokio::test(flavor = "multi_thread")]
async fn when_all_sentinels_are_stopped_nobody_watches() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let site = watched(&binary, &sink, 1).await;
        let url = site.server.url();
        for id in ["sentinel.a", "sentinel.b"] {
            tcsctl::at(&url, &["stop", id]).expect(0);
        }
        wait_for("nobody watches", || {
            tcsctl::at(&url, &["alarms"]).out.contains("NOT WATCHED since ")
        })
        .await;
    })
    .await;
}
