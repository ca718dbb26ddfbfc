//! `start`, `stop`, `restart` and `logs` in a real terminal, at a site whose services a real `tcsd`
//! runs: what they ask, what they say while they wait, and what of it is left on the screen.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use serde_json::{Value, json};
use tcs_core::bus::rpc::{Announcement, Command, Responders};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, Secret};
use tcs_core::clock;
use tcs_testkit::nats::{LIMIT, Server, server, wait_for};
use tcs_testkit::proxy::Proxy;
use tcs_testkit::site::{Site, line_of, lives};
use tcs_testkit::tcsctl::at;
use tcs_testkit::terminal::Terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcsctl");

/// `slow.a` ends when it may: when the file is there. It writes its process number once it can be
/// asked to end.
const CONFIG: &str = "
services:
  - {type: quick, variant: a, launch: {exec: [sleep, '1000']}}
  - {type: quick, variant: b, launch: {exec: [sleep, '1000']}}
  - {type: quick, variant: c, launch: {exec: [sleep, '1000']}}
  - type: slow
    variant: a
    launch:
      exec: [sh, -c, 'trap : TERM; echo $$ >FOLDER/slow; until [ -e FOLDER/may-end ]; do sleep 0.05; done']
      stop_timeout: 600
  - type: gone
    variant: a
    autostart: false
    launch: {exec: [/no/such/program]}
  - {type: idle, variant: a, launch: {enabled: false, exec: [sleep, '1000']}}
  - type: talker
    variant: a
    launch: {exec: [sh, -c, 'echo guiding; until [ -e FOLDER/clouds ]; do sleep 0.05; done; echo clouds; until [ -e FOLDER/rain ]; do sleep 0.05; done; echo rain; touch FOLDER/rained; exec sleep 1000']}
";

const QUICK: [&str; 3] = ["quick.a", "quick.b", "quick.c"];

/// The site once all of it runs.
async fn site() -> Site {
    let site = Site::start(CONFIG).await;
    let start = clock::monotonic();
    let all = ["quick.a", "quick.b", "quick.c", "slow.a", "talker.a"];
    loop {
        let up = running(&site.server);
        if all.iter().all(|id| up.contains_key(*id)) && can_be_asked(&site, &up) {
            return site;
        }
        assert!(start.elapsed() < LIMIT, "only these run: {up:?}");
    }
}

/// Whether `slow.a` would not end at once.
fn can_be_asked(site: &Site, up: &BTreeMap<String, u32>) -> bool {
    let told = std::fs::read_to_string(site.path("slow")).unwrap_or_default();
    told.trim().parse().is_ok_and(|pid: u32| up.get("slow.a") == Some(&pid))
}

/// The process of each service that is up.
fn running(server: &Server) -> BTreeMap<String, u32> {
    let listed = at(&server.url(), &["--all", "--json"]);
    let Ok(document) = serde_json::from_str::<Value>(&listed.out) else { return BTreeMap::new() };
    let pid = |one: &Value| {
        let up = one["phase"] == "running" && one["verdict"] == "ok";
        let pid = u32::try_from(one["pid"].as_u64().filter(|_| up)?).ok()?;
        Some((one["id"].as_str()?.to_owned(), pid))
    };
    document["services"].as_array().into_iter().flatten().filter_map(pid).collect()
}

/// `tcsctl` in a terminal.
fn tcsctl(server: &Server, args: &[&str], size: (u16, u16)) -> Terminal {
    let vars = [("NATS_URL", server.url())];
    let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (*name, &**value)).collect();
    Terminal::start(PROGRAM, args, &vars, size)
}

/// The same of a shell's line, in which `$T` is `tcsctl`.
fn shell(server: &Server, line: &str) -> Terminal {
    let url = server.url();
    Terminal::start("/bin/sh", &["-c", line], &[("NATS_URL", &url), ("T", PROGRAM)], (80, 24))
}

/// What is left of the screen at the end, line by line.
fn left(terminal: &mut Terminal, code: u32) -> Vec<String> {
    assert_eq!(terminal.end(), code, "{}", terminal.text());
    // it has all been written, not yet all been read
    terminal.read_to_end();
    let text = terminal.text();
    text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The escape sequences that were written, each up to its letter; colours left out.
fn escapes(terminal: &Terminal) -> Vec<String> {
    let text = String::from_utf8(terminal.bytes()).unwrap();
    let sequence = |rest: &str| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).map_or(rest.len(), |at| at + 1);
        rest[..end].to_owned()
    };
    text.split('\x1b').skip(1).map(sequence).filter(|it| !it.ends_with('m')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_waits_one_line_says_so_and_goes() {
    let site = site().await;
    let may_end = site.path("may-end");
    for size in [(80, 24), (40, 24)] {
        let mut terminal = tcsctl(&site.server, &["restart", "slow.a"], size);
        let first = terminal.see("restart slow.a: waiting ");
        // counted up in its place, on one line, however narrow
        let second = terminal.wait("it is counted up", |now| {
            now.contains("restart slow.a: waiting ") && *now != first
        });
        for text in [&first, &second] {
            assert_eq!(text.trim_end().lines().count(), 1, "{text}");
            assert!(text.trim_end().chars().count() < usize::from(size.0), "{text}");
        }
        std::fs::write(&may_end, "").unwrap();
        let left = left(&mut terminal, 0);
        assert_eq!(left.len(), 1, "{left:#?}");
        assert!(left[0].starts_with("slow.a  restarted, pid "), "{left:#?}");
        assert!(escapes(&terminal).iter().all(|it| it == "[K"), "{:?}", escapes(&terminal));
        // the new one ends at once while the file is there: in order, so it is started again
        std::fs::remove_file(&may_end).unwrap();
        at(&site.server.url(), &["start", "slow.a"]).expect(0);
        wait_for("it runs again", || can_be_asked(&site, &running(&site.server))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_waiting_is_in_a_file() {
    let site = site().await;
    let (out, err) = (site.path("out"), site.path("err"));
    let line = format!("$T stop slow.a >{} 2>{}", out.display(), err.display());
    let mut terminal = shell(&site.server, &line);
    // longer than it takes until it would say so; what does not come cannot be waited for
    terminal.wait_at_most(Duration::from_secs(2), |text| !text.trim().is_empty());
    std::fs::write(site.path("may-end"), "").unwrap();
    assert_eq!(left(&mut terminal, 0), [""; 0]);
    assert_eq!(std::fs::read_to_string(err).unwrap(), "");
    let out = std::fs::read_to_string(out).unwrap();
    let by = "slow.a  stopped  (answered by launcher.";
    assert!(out.starts_with(by) && out.lines().count() == 1, "in full, whatever its width: {out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_named_is_touched_only_when_somebody_agrees() {
    let site = site().await;
    let before = running(&site.server);
    for answer in ["n\r", "\r", "maybe\r", "\x03", "\x04"] {
        let mut terminal = tcsctl(&site.server, &["stop", "quick"], (80, 24));
        let text = terminal.see("stop all 3? [y/N]");
        for id in QUICK {
            assert!(line_of(&text, &[id, "ok"]).is_some(), "what it is about: {text}");
        }
        terminal.keys(answer);
        let left = left(&mut terminal, 1);
        assert_eq!(left.last().unwrap(), "nothing was done", "{answer:?}: {left:#?}");
        assert_eq!(left.len(), 5, "{answer:?}: {left:#?}");
        assert_eq!(running(&site.server), before, "{answer:?}");
    }

    for answer in ["y\r", "Yes\r"] {
        let mut terminal = tcsctl(&site.server, &["restart", "quick"], (80, 24));
        terminal.see("restart all 3? [y/N]");
        terminal.keys(answer);
        let left = left(&mut terminal, 0);
        for (line, id) in left[4..].iter().zip(QUICK) {
            assert!(line.starts_with(&format!("{id}  restarted, pid ")), "{left:#?}");
        }
        assert_eq!(left.len(), 7, "{left:#?}");
    }
    assert!(QUICK.iter().all(|id| !lives(before[*id])), "they are others now");

    let mut terminal = tcsctl(&site.server, &["stop", "quick", "--yes"], (80, 24));
    let left = left(&mut terminal, 0);
    assert_eq!(left.len(), 3, "it asks nothing: {left:#?}");
    assert!(left.iter().all(|line| line.contains("  stopped, SIGTERM")), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_to_ask_it_does_nothing() {
    let site = site().await;
    let before = running(&site.server);
    let output = at(&site.server.url(), &["stop", "quick"]).expect(2);
    let said = "error: stop matches 3 services: confirm it in a terminal; nothing was done\n  \
                quick.a\n  quick.b\n  quick.c\nhint: --yes skips the confirmation\n";
    assert_eq!((output.out.as_str(), output.err.as_str()), ("", said));
    // nor where only the answer, or only the question, has nowhere to go
    for line in ["$T stop quick </dev/null", "echo y | $T stop quick", "$T stop quick 2>/dev/null"]
    {
        let mut terminal = shell(&site.server, line);
        let left = left(&mut terminal, 2).join("\n");
        assert!(line.contains("2>") || left.contains("confirm it"), "{line}: {left}");
    }
    // what was misspelt stops the rest as well
    let output = at(&site.server.url(), &["stop", "quick.a", "quikc.b"]).expect(1);
    let said = "error: no service matches `quikc.b`; nothing was done\n";
    assert!(output.err.starts_with(said), "{output:#?}");
    assert_eq!(running(&site.server), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_each_has_its_line() {
    let site = site().await;
    let mut terminal = tcsctl(&site.server, &["start", "quick.a", "gone.a", "quick.b"], (80, 24));
    let left = left(&mut terminal, 1);
    assert!(left[0].starts_with("quick.a  already started, pid "), "{left:#?}");
    assert!(left[1].starts_with("gone.a   "), "{left:#?}");
    let last = left.last().unwrap();
    assert!(last.starts_with("quick.b  already started, pid "), "{left:#?}");
    let between = left[1..left.len() - 1].join("");
    assert!(between.contains("/no/such/program"), "the reason: {left:#?}");

    // the cause is not what is cut; its event may be stored after the answer
    let told = || {
        let mut terminal = tcsctl(&site.server, &["gone"], (80, 24));
        let left = self::left(&mut terminal, 0).join("\n");
        line_of(&left, &["gone.a", "failed", "No such file"]).is_some()
    };
    wait_for("the cause is listed", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_no_longer_than_it_is_told_to() {
    let site = site().await;
    let args = ["restart", "slow.a", "quick.a", "--timeout", "5s"];
    let mut terminal = tcsctl(&site.server, &args, (160, 24));
    let left = left(&mut terminal, 3);
    assert_eq!(left.len(), 2, "{left:#?}");
    // in what connecting and reading have left of the time
    let late = ["slow.a   launcher.", " did not answer in ", "; the request may still take effect"];
    assert!(line_of(&left[0], &late).is_some(), "{left:#?}");
    assert!(left[1].starts_with("quick.a  restarted, pid "), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_no_longer_waits_is_told_what_that_means() {
    let site = site().await;
    let mut terminal = tcsctl(&site.server, &["stop", "quick.a", "slow.a"], (120, 24));
    terminal.see("stop slow.a (2 of 2): waiting ");
    terminal.keys("\x03");
    let left = left(&mut terminal, 3);
    assert_eq!(left.len(), 2, "nothing of the waiting is left: {left:#?}");
    assert!(left[0].starts_with("quick.a  stopped"), "{left:#?}");
    let said = "error: stop slow.a (2 of 2): interrupted; the request may still take effect";
    assert_eq!(left[1], said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_and_followed_until_it_is_enough() {
    let site = site().await;
    let mut terminal = tcsctl(&site.server, &["logs", "idle"], (80, 24));
    assert_eq!(left(&mut terminal, 1), ["error: idle.a: never started, no output"]);
    let fleet = tcs_testkit::tcsctl::at(&site.server.url(), &["--json"]).expect(0).json();
    let mut ids = fleet["services"].as_array().unwrap().iter().filter_map(|it| it["id"].as_str());
    let launcher = ids.find(|id| id.starts_with("launcher.")).unwrap();
    let mut terminal = tcsctl(&site.server, &["logs", launcher], (160, 24));
    let said =
        format!("error: {launcher} is a launcher; read its log on its host: journalctl -u tcsd");
    assert_eq!(left(&mut terminal, 1), [said]);
    let mut terminal = tcsctl(&site.server, &["logs", "talker", "-f"], (80, 24));
    terminal.see("guiding");
    std::fs::write(site.path("clouds"), "").unwrap();
    terminal.see("clouds");
    terminal.keys("\x03");
    let left = left(&mut terminal, 0);
    assert!(left[0].ends_with("  guiding") && left[1].ends_with("  clouds"), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_lost_between_the_held_ones_and_the_first_that_comes() {
    let site = site().await;
    // the journal is subscribed to long after the launcher has answered
    let proxy = Proxy::with_latency(site.server.port(), Duration::from_millis(200)).await;
    let vars = [("NATS_URL", &*proxy.url())];
    let mut terminal = Terminal::start(PROGRAM, &["logs", "talker", "-f"], &vars, (80, 24));
    terminal.see("guiding");
    std::fs::write(site.path("clouds"), "").unwrap();
    terminal.see("clouds");
    std::fs::write(site.path("rain"), "").unwrap();
    terminal.see("rain");
    terminal.keys("\x03");
    let left = left(&mut terminal, 0);
    let lines: Vec<_> = left.iter().filter(|line| line.contains("  out  ")).collect();
    let ends = ["  guiding", "  clouds", "  rain"];
    assert_eq!(lines.len(), 3, "{left:#?} {:?}", String::from_utf8_lossy(&terminal.bytes()));
    assert!(lines.iter().zip(ends).all(|(line, end)| line.ends_with(end)), "{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_written_during_an_outage_are_shown_after_it() {
    let mut site = site().await;
    let mut logs = tcsctl(&site.server, &["logs", "talker", "-f", "-n", "0"], (80, 24));
    let mut watch = tcsctl(&site.server, &["watch", "talker"], (100, 30));
    watch.see("● ok");
    watch.keys("GL");
    watch.see("guiding");
    // once lines are heard
    std::fs::write(site.path("clouds"), "").unwrap();
    logs.see("clouds");
    watch.see("clouds");
    site.server.stop();
    std::fs::write(site.path("rain"), "").unwrap();
    wait_for("the line", || site.path("rained").exists()).await;
    site.server.run().await;
    logs.see("rain");
    let shown = watch.see("rain");
    assert_eq!(shown.matches("clouds").count(), 1, "{shown}");
    watch.keys("q");
    assert_eq!(watch.end(), 0);
    logs.keys("\x03");
    let left = left(&mut logs, 0);
    let lines: Vec<_> = left.iter().filter(|line| line.contains("  out  ")).collect();
    assert!(lines.len() == 2 && lines[1].ends_with("  rain"), "{left:#?}");
}

/// A launcher that never answers, and services whose names are made to act on a terminal.
async fn evil(server: &Server, ids: [&str; 2]) -> impl Sized + use<> {
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = jetstream::new(client.clone());
    for kind in ["registry", "status", "heartbeat"] {
        let (name, subjects) = (format!("svc_{kind}"), vec![format!("svc.{kind}.>")]);
        let config = stream::Config { name, subjects, ..stream::Config::default() };
        context.create_stream(config).await.unwrap();
    }
    let section = NatsSection { url: Some(Secret::new(server.url())), ..NatsSection::default() };
    let settings = Settings::from_process(&section, None).unwrap();
    let bus = Bus::connect(&settings, "a launcher", LIMIT).await.unwrap();
    let never = Command::new("restart.>", |_| std::future::pending());
    let announcement = Announcement {
        name: "launcher.evil".to_owned(),
        description: "it keeps silent".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let serving = Responders::new(bus).serve(announcement, [never]).await.unwrap();
    for id in ids {
        let data = json!({"event": "start", "service_id": id, "status": "startup", "pid": 7,
            "hostname": "\x1b]0;OWNED\x07", "parent": "launcher.evil", "runner_id": "\x1bc"});
        let meta = json!({"id": "m", "sender": "evil", "ts": [2026, 11, 23]});
        let body = json!({"data": data, "meta": meta}).to_string();
        let subject = format!("svc.registry.start.{id}");
        context.publish(subject, body.into()).await.unwrap().await.unwrap();
    }
    serving
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_calls_itself_does_nothing_to_the_terminal() {
    let server = Server::start(&server()).await;
    let id = "evil.\x1b]0;OWNED\x07\x1b[2J\u{9b}2J\u{202e}xy";
    let _serving = evil(&server, [id, "evil.b\u{9b}2J\x1bc"]).await;
    let told = "evil.\\u{1b}]0;OWNED\\u{7}\\u{1b}[2J\\u{9b}2J\\u{202e}xy";
    let output = at(&server.url(), &["restart", "evil"]).expect(2);
    assert!(
        output.err.contains(&format!("\n  {told}\n  evil.b\\u{{9b}}2J\\u{{1b}}c\nhint: --yes")),
        "{output:#?}"
    );

    let mut terminal = tcsctl(&server, &["restart", "evil"], (120, 24));
    let text = terminal.see("restart all 2? [y/N]");
    assert!(text.contains(told), "{text}");
    terminal.keys("y\r");
    terminal.see(&format!("restart {told} (1 of 2): waiting "));
    terminal.keys("\x03");
    left(&mut terminal, 3);
    assert!(escapes(&terminal).iter().all(|it| it == "[K"), "{:?}", escapes(&terminal));
    let bytes = String::from_utf8(terminal.bytes()).unwrap();
    let acts = |c: char| c.is_control() && !matches!(c, '\r' | '\n' | '\x1b');
    assert!(!bytes.contains(acts) && !bytes.contains('\u{202e}'), "{bytes:?}");
}
