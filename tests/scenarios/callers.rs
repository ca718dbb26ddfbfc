//! People who ask: several at once, in any order, twice, and with patience.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tcs_core::clock;
use tcs_core::fleet::Verdict;
use tcs_testkit::{nats, programs};

use super::{BEATS, Site, bad, marked};

/// Random operations by several callers at once, on services that stop at once, slowly, only by
/// force, and that crash: each is answered, there are never two instances, and at the end each
/// service is where it was asked to be.
#[tokio::test(flavor = "multi_thread")]
async fn several_callers_at_once() {
    let well = bad(&["forever"]);
    let deaf = bad(&["deaf", "forever"]);
    let crashes = bad(&["sleep", "150", "exit", "1"]);
    let slow = bad(&["sleep", "100", "notify", "READY=1", "forever"]);
    let config = format!(
        "{BEATS}services:
  - {{type: many, variant: well, restart: always, restart_sec: 0, restart_max: 0, launch: {{exec: {well}, env: {{SCENE: callers-well}}}}}}
  - {{type: many, variant: deaf, restart: always, launch: {{exec: {deaf}, stop_timeout: 0.2, env: {{SCENE: callers-deaf}}}}}}
  - {{type: many, variant: crashes, restart: always, restart_sec: 0.1, restart_max: 0, launch: {{exec: {crashes}, env: {{SCENE: callers-crashes}}}}}}
  - {{type: many, variant: slow, restart: always, launch: {{exec: {slow}, ready: notify, env: {{SCENE: callers-slow}}}}}}
"
    );
    let site = Arc::new(Site::start("process", &config).await);
    let names = ["well", "deaf", "crashes", "slow"];
    for name in names {
        site.until(&format!("many.{name}"), |_| true).await;
    }
    // nobody ever sees two of one
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (over, looks) = (Arc::clone(&stop), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let counted = Arc::clone(&looks);
    let looker = std::thread::spawn(move || {
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            for name in names {
                let there = marked(&format!("SCENE=callers-{name}"));
                assert!(there.len() <= 1, "two of {name}: {there:?}");
            }
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let seed = std::process::id();
    println!("seed {seed}");
    let begin = clock::monotonic();
    let callers = (0..4_u32).map(|caller| {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let mut random = seed.wrapping_mul(2_654_435_761).wrapping_add(caller);
            let mut next = |below: u32| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 16) % below
            };
            let mut answers = [0; 2];
            for _ in 0..40 {
                let operation = ["start", "stop", "restart"][next(3) as usize];
                let name = names[next(4) as usize];
                let asked = site.ask(&format!("{operation}.many.{name}")).await;
                match &asked {
                    Ok(_) => answers[0] += 1,
                    // overtaken by somebody else, or it crashed: an answer too
                    Err(tcs_core::bus::rpc::RequestError::Refused(_)) => answers[1] += 1,
                    Err(other) => panic!("{operation} {name}: {other}"),
                }
            }
            answers
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut answers = [0; 2];
    for caller in callers {
        let of_one = caller.await.unwrap();
        answers = [answers[0] + of_one[0], answers[1] + of_one[1]];
    }
    println!(
        "160 operations by 4 callers in {:.1} s: {} done, {} refused or overtaken",
        begin.elapsed().as_secs_f64(),
        answers[0],
        answers[1]
    );
    // and never stuck: the last word counts
    for name in names {
        site.ask(&format!("stop.many.{name}")).await.unwrap();
        assert!(
            marked(&format!("SCENE=callers-{name}")).is_empty(),
            "{name} is there after its stop"
        );
    }
    site.ask("start.many.well").await.unwrap();
    assert_eq!(marked("SCENE=callers-well").len(), 1);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    looker.join().unwrap();
    println!("looked {} times for two of one", looks.load(std::sync::atomic::Ordering::Relaxed));
}

/// A service at work is left to finish; not for ever, where that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_stopped_when_it_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("exposing");
    std::fs::write(&file, "").unwrap();
    let config = format!("{BEATS}services:\n  - {{type: bad.busy, variant: a, file: {file:?}}}\n");
    let site = Arc::new(Site::of(&programs::badfleet(), "process", &config).await);
    let mut watch = site.watch();
    let busy = |it: &tcs_core::fleet::ServiceView| it.status == Some(tcs_core::wire::Status::Busy);
    watch.sees("busy", "bad.busy.a", busy).await;
    let pid = site.pid("bad.busy.a").await;

    let asking = Arc::clone(&site);
    let patient = tokio::spawn(async move {
        let begin = clock::monotonic();
        let answer = asking.ask_with("stop.bad.busy.a", json!({"when_idle": true})).await;
        (answer.unwrap(), begin.elapsed())
    });
    // it stays as long as it is at work
    let begin = clock::monotonic();
    watch
        .see_while(
            "busy for 2 s more",
            |_| begin.elapsed() > Duration::from_secs(2),
            |view| view.get("bad.busy.a").is_some_and(busy),
        )
        .await;
    assert!(!patient.is_finished());
    assert_eq!(site.pid("bad.busy.a").await, pid);
    std::fs::remove_file(&file).unwrap();
    let idle = clock::monotonic();
    let (answer, waited) = nats::within_limit("the answer", patient).await.unwrap();
    println!(
        "stopped {:.2} s after its work was done (idle is told 1 s later)",
        idle.elapsed().as_secs_f64()
    );
    assert!(waited > Duration::from_secs(2));
    assert_eq!((&answer["result"], &answer["exit_code"]), (&json!("stopped"), &json!(0)));
    watch.sees("stopped", "bad.busy.a", |it| it.verdict == Verdict::Stopped).await;

    // and not for ever
    std::fs::write(&file, "").unwrap();
    site.ask("start.bad.busy.a").await.unwrap();
    watch.sees("busy", "bad.busy.a", busy).await;
    let begin = clock::monotonic();
    let patience = json!({"when_idle": true, "max_wait_s": 1.0});
    let answer = site.ask_with("stop.bad.busy.a", patience).await.unwrap();
    println!("stopped in its work after {:.2} s (max_wait 1 s)", begin.elapsed().as_secs_f64());
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(answer["result"], "stopped");
}

/// A caller who lost the reply asks again, and nothing is done twice; somebody else's request is
/// another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_was_lost_does_not_double_the_action() {
    let exec = bad(&["forever"]);
    let config =
        format!("{BEATS}services:\n  - {{type: silent, variant: a, launch: {{exec: {exec}}}}}\n");
    let site = Site::start("process", &config).await;
    let first = site.pid("silent.a").await;
    // the request as a library would write it, whose answer nobody waits for
    let subject = site.bus.subjects().rpc(site.tcsd.name.as_str(), "restart.silent.a");
    let client = async_nats::connect(site.server.url()).await.unwrap();
    let body = |id: &str| {
        let meta =
            json!({"id": id, "sender": "tcsctl:somebody@here:1", "ts": [2026, 11, 23, 1, 2, 3, 4]});
        serde_json::to_vec(&json!({"data": {}, "meta": meta})).unwrap()
    };
    client.publish(subject.clone(), body("msg-7").into()).await.unwrap();
    client.flush().await.unwrap();
    let again = |it: &Value| it["status"] == "running" && it["pid"] != first;
    let second = site.until("silent.a", again).await["pid"].clone();
    for _ in 0..3 {
        let reply = client.request(subject.clone(), body("msg-7").into()).await.unwrap();
        let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
        assert_eq!(
            (&reply["data"]["result"], &reply["data"]["pid"]),
            (&json!("restarted"), &second)
        );
    }
    assert_eq!(site.story("silent.a").await.iter().filter(|it| *it == "start").count(), 2);
    let events = site.events(Some("silent.a")).await;
    let asked = events.iter().rev().find(|it| it.event.name() == "start").unwrap();
    assert_eq!(asked.requested_by.as_deref(), Some("tcsctl:somebody@here:1"));
    let reply = client.request(subject, body("msg-8").into()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_ne!(reply["data"]["pid"], second, "another request");
    // a client that gives two commands one id: both are done
    let stop = site.bus.subjects().rpc(site.tcsd.name.as_str(), "stop.silent.a");
    let reply = client.request(stop, body("msg-8").into()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(reply["data"]["result"], "stopped");
    site.until("silent.a", |it| it["status"] == "stopped").await;
}
