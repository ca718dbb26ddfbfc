//! Scenarios 8, 9, 10 and 16: launchers that die, come back, and meet; and what is left behind.

use std::path::Path;

use tcs_core::clock;
use tcs_core::fleet::{Phase, ServiceView, Verdict};
use tcs_core::wire::Event;
use tcs_testkit::{nats, tcsd};

use super::{BEATS, Site, bad, because, marked, soon};

/// One of each kind, all with `word` in their environment.
fn services(word: &str) -> String {
    let exec = bad(&["forever"]);
    let family = bad(&["grandchild", "near", "escape", "far", "forever"]);
    format!(
        "launch: {{heartbeat: 0.3, env: {{SCENE: {word}}}}}
services:
  - {{type: hello_world, variant: a, restart: always}}
  - {{type: silent, variant: a, restart: always, launch: {{exec: {exec}}}}}
  - {{type: family, variant: a, restart: always, launch: {{exec: {family}}}}}
"
    )
}

const IDS: [&str; 3] = ["family.a", "hello_world.a", "silent.a"];

/// Row 8, and 9 after it; "SIGKILL of tcsd" of what it must survive.
#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_is_killed_is_lost_with_its_children_and_comes_back() {
    let word = "a-launcher-that-is-killed";
    let mut site = Site::start("process", &services(word)).await;
    let launcher = site.tcsd.name.to_string();
    let mut watch = site.watch();
    for id in IDS {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
        site.pid(id).await;
    }
    nats::wait_for("the whole family", || marked(word).len() >= 5).await;

    site.tcsd.kill().await;
    let killed = clock::monotonic();
    // the guard too
    let folder = site.tcsd.path("");
    nats::wait_for("nothing to be left", || marked(&folder).is_empty()).await;
    println!("nothing is left {:.2} s after SIGKILL (wanted: 2 s)", killed.elapsed().as_secs_f64());
    watch.sees("lost", &launcher, |it| it.verdict == Verdict::Lost).await;
    for id in IDS {
        let lost = |it: &ServiceView| it.verdict == Verdict::Lost && because(it, "launcher_lost");
        watch.sees("lost with it", id, lost).await;
    }
    println!("8: all lost {:.2} s after (12 intervals: 3.6 s)", killed.elapsed().as_secs_f64());
    watch
        .sees("one cause, told at the launcher", &launcher, |it| {
            it.reasons[0].to_string() == "launcher lost: 3 services"
        })
        .await;

    // row 9: the same launcher again
    site.tcsd.run();
    let started = clock::monotonic();
    watch
        .see("9: all run, none twice, nothing of before", |view| {
            IDS.iter().chain([&launcher.as_str()]).all(|id| {
                view.get(id).is_some_and(|it| it.verdict == Verdict::Ok && it.reasons.is_empty())
            })
        })
        .await;
    soon("9: from the start of tcsd to ok", started.elapsed());
    let log = site.tcsd.log();
    let said = "the previous launcher was killed or crashed; 3 services were running";
    assert!(log.contains(said), "{log}");
    // to those who look from afar, too
    let statuses = site.statuses(&launcher).await;
    let has_said = |it: &tcs_core::wire::StatusMessage| {
        it.message.as_ref().is_some_and(|message| message.ends_with(said))
    };
    assert!(statuses.iter().any(has_said), "{statuses:#?}");
    for id in IDS {
        let starts = site.story(id).await.iter().filter(|name| *name == "start").count();
        assert_eq!(starts, 2, "{id}");
    }
    // between a fork and what follows there is one more
    nats::wait_for("the whole family, each once", || marked(word).len() == 5).await;

    // and once more while that one lives: refused, and nothing happens to anybody
    let mut second = site.tcsd.command().spawn().unwrap();
    let status = tokio::task::spawn_blocking(move || second.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(1));
    let (held, holder) = ("is already supervised on this host: launcher ", site.tcsd.pid());
    let log = site.tcsd.log();
    assert!(log.contains(held) && log.contains(&format!(", pid {holder}, since ")), "{log}");
    assert_eq!(site.story("silent.a").await.len(), 6, "{:?}", site.story("silent.a").await);
}

/// SIGKILL at any moment of a start leaves nothing, and the next one starts each once.
#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_killed_in_the_middle_of_its_start_leaves_nothing() {
    let word = "killed-in-the-middle";
    let mut site =
        Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), "process", &services(word)).await;
    for n in 0..8 {
        site.tcsd.run();
        let most = std::time::Duration::from_millis(n * 25);
        let begin = clock::monotonic();
        // as soon as something is there, and a little later each time
        nats::wait_for("its first child", || !marked(word).is_empty()).await;
        while begin.elapsed() < most {
            tokio::task::yield_now().await;
        }
        site.tcsd.kill().await;
        let killed = clock::monotonic();
        let folder = site.tcsd.path("");
        nats::wait_for("nothing to be left", || marked(&folder).is_empty()).await;
        println!("killed, and nothing left {:.2} s later", killed.elapsed().as_secs_f64());
    }
    site.tcsd.run();
    for id in IDS {
        site.pid(id).await;
    }
    // more are there for a moment only: a process that is about to become another program
    nats::wait_for("the whole family, each once", || marked(word).len() == 5).await;
    assert!(site.tcsd.stop().await.success());
    assert!(marked(&site.tcsd.path("")).is_empty(), "an end in order leaves nothing");
}

/// Row 10, and `declared.others`: both say it, and take it back when the other has gone.
#[tokio::test(flavor = "multi_thread")]
async fn two_launchers_that_declare_one_service_say_so() {
    let exec = bad(&["forever"]);
    let config = |own: &str| {
        format!(
            "{BEATS}services:
  - {{type: shared, variant: a, launch: {{exec: {exec}}}}}
  - {{type: {own}, variant: a, launch: {{exec: {exec}}}}}
"
        )
    };
    let mut site = Site::start("process", &config("one")).await;
    let first = site.tcsd.name.to_string();
    let mut watch = site.watch();
    watch.sees("ok", "shared.a", |it| it.verdict == Verdict::Ok).await;
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut other = tcsd::Tcsd::new(tcsd, &site.server.url(), "process", &config("two"));
    let second = other.name.to_string();
    other.run();
    let started = clock::monotonic();
    let conflict = |it: &ServiceView| it.verdict == Verdict::Degraded && because(it, "conflict");
    for id in ["shared.a", &first, &second] {
        watch.sees("conflict", id, conflict).await;
    }
    soon("10: from the second's start to the conflict, at both", started.elapsed());
    let service = watch.service("shared.a");
    assert!(service.headline().contains(&first) && service.headline().contains(&second));
    for id in ["one.a", "two.a"] {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
    }

    // each names the other in its own words
    for (by, names) in [(&first, &second), (&second, &first)] {
        nats::within_limit("they name each other", async {
            while others(&site, by).await != Some(vec![names.clone()]) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
    }
    assert!(site.tcsd.log().contains(&format!("also declared by another launcher: {second}")));
    assert!(other.log().contains(&format!("also declared by another launcher: {first}")));

    // the first one ends: no conflict any more, and its word is taken back
    assert!(site.tcsd.stop().await.success());
    let ended = clock::monotonic();
    let clear = |it: &ServiceView| !because(it, "conflict");
    for id in ["shared.a", &second] {
        watch.sees("no conflict", id, clear).await;
    }
    soon("10: from the first's end to no conflict", ended.elapsed());
    nats::within_limit("it is taken back", async {
        while others(&site, &second).await != Some(Vec::new()) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(other.log().contains("shared.a is no longer declared by another launcher"));
    assert!(other.stop().await.success());
}

/// One file on two hosts, both started while there was no broker: neither lock nor broker could tell
/// them of each other, so each runs all. Both say so as soon as there is a broker.
#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_that_run_one_file_say_so_as_soon_as_there_is_a_broker() {
    if !tcsd::can_name_hosts() {
        return println!("not tried: a host name of its own needs rights that are not here");
    }
    let exec = bad(&["forever"]);
    let launch = format!("{{exec: {exec}, env: {{SCENE: two-hosts}}}}");
    let config = format!("{BEATS}services:\n  - {{type: shared, variant: a, launch: {launch}}}\n");
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", &config).await;
    let url = site.server.url();
    let mut other = tcsd::Tcsd::new(program, &url, "process", &config).on_host("tcs-other-host");
    site.server.kill();
    site.tcsd.run();
    other.run();
    let runs = |tcsd: &tcsd::Tcsd| tcsd.log().contains("shared.a ready");
    nats::wait_for("both run it", || runs(&site.tcsd) && runs(&other)).await;
    site.server.run().await;
    let met = clock::monotonic();
    let mut watch = site.watch();
    let names = [site.tcsd.name.to_string(), other.name.to_string()];
    assert!(names[1].contains("tcs-other-host") && names[0] != names[1], "{names:?}");
    for id in ["shared.a", &names[0], &names[1]] {
        watch.sees("conflict", id, |it| because(it, "conflict")).await;
    }
    soon("S2: from the broker's start to the conflict, at both", met.elapsed());
    let told = |by: &tcsd::Tcsd, whom: &str| {
        by.log().contains(&format!("shared.a is also declared by another launcher: {whom}"))
    };
    nats::wait_for("each names the other", || {
        told(&site.tcsd, &names[1]) && told(&other, &names[0])
    })
    .await;
    for (by, whom) in [(&names[0], &names[1]), (&names[1], &names[0])] {
        nats::within_limit("and declares it", async {
            while others(&site, by).await != Some(vec![whom.clone()]) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
    }
    // one instance under each, whatever the other does
    for tcsd in [&site.tcsd, &other] {
        let mut own = marked(&format!("RUNTIME_DIRECTORY={}", tcsd.path("")));
        let services = marked("SCENE=two-hosts");
        own.retain(|pid| services.contains(pid));
        assert_eq!(own.len(), 1, "{}", tcsd.name);
    }
    assert!(other.stop().await.success());
    for id in ["shared.a", &names[0]] {
        watch.sees("no conflict", id, |it| !because(it, "conflict")).await;
    }
    let over = "shared.a is no longer declared by another launcher";
    nats::wait_for("it is taken back", || site.tcsd.log().contains(over)).await;
    site.pid("shared.a").await;
}

/// Whom a launcher names in its newest `declared` of the shared service.
async fn others(site: &Site, by: &str) -> Option<Vec<String>> {
    let events = site.events(Some("shared.a")).await;
    events.into_iter().rev().find_map(|it| match it.event {
        Event::Declared(declared) if it.parent.as_deref() == Some(by) => Some(declared.others),
        _ => None,
    })
}

/// Row 16.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_from_the_configuration_is_declared_no_longer() {
    let exec = bad(&["forever"]);
    let stays =
        format!("{BEATS}services:\n  - {{type: stays, variant: a, launch: {{exec: {exec}}}}}\n");
    let both = format!("{stays}  - {{type: goes, variant: a, launch: {{exec: {exec}}}}}\n");
    let mut site = Site::start("process", &both).await;
    let mut watch = site.watch();
    for id in ["stays.a", "goes.a"] {
        watch.sees("ok, declared", id, |it| it.verdict == Verdict::Ok && it.declared).await;
    }
    assert!(site.tcsd.stop().await.success());
    site.tcsd.configure(&stays);
    site.tcsd.run();
    let started = clock::monotonic();
    watch
        .sees("no longer declared", "goes.a", |it| {
            !it.declared && because(it, "no_longer_declared")
        })
        .await;
    soon("16: from the start of tcsd to no longer declared", started.elapsed());
    let it = watch.service("goes.a");
    assert_eq!((it.verdict, it.phase, it.in_default), (Verdict::Stopped, Phase::Stopped, false));
    watch.sees("ok, declared", "stays.a", |it| it.verdict == Verdict::Ok && it.declared).await;
}

/// The same by a reload; what stays is declared again and not touched.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reload_removes_is_declared_no_longer() {
    let exec = bad(&["forever"]);
    let stays =
        format!("{BEATS}services:\n  - {{type: stays, variant: a, launch: {{exec: {exec}}}}}\n");
    let both = format!("{stays}  - {{type: goes, variant: a, launch: {{exec: {exec}}}}}\n");
    let site = Site::start("process", &both).await;
    let mut watch = site.watch();
    for id in ["stays.a", "goes.a"] {
        watch.sees("ok, declared", id, |it| it.verdict == Verdict::Ok && it.declared).await;
    }
    let pid = site.pid("stays.a").await;
    site.tcsd.configure(&stays);
    let asked = clock::monotonic();
    let answer = site.ask("reload").await.unwrap();
    println!("{}", serde_json::Value::Object(answer));
    let gone = |it: &ServiceView| !it.declared && it.verdict == Verdict::Stopped;
    watch.sees("stopped, no longer declared", "goes.a", gone).await;
    soon("16: from the asking for a reload to no longer declared", asked.elapsed());
    watch.sees("ok, declared", "stays.a", |it| it.verdict == Verdict::Ok && it.declared).await;
    assert_eq!(site.pid("stays.a").await, pid, "it is not touched");
    assert_eq!(site.story("stays.a").await, ["declared", "start", "ready", "declared"]);
    assert_eq!(site.story("goes.a").await, ["declared", "start", "ready", "stopping", "stop"]);
}
