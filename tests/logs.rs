//! What services write: never lost without a word, never without bound, never in the way.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::DateTime;
use serde_json::{Value, json};
use tcs_core::bus::Item;
use tcs_core::wire::Kind;
use tcs_testkit::tcsd::{self, Site};
use tcs_testkit::{nats, programs};

/// `exec` of the misbehaving program.
fn bad(script: &str) -> String {
    let program = programs::badchild().display().to_string();
    let words = [program.as_str()].into_iter().chain(script.split(','));
    let words: Vec<_> = words.map(|word| Value::from(word).to_string()).collect();
    format!("[{}]", words.join(", "))
}

async fn prepared(mode: &str, config: &str) -> Site {
    Site::prepared(Path::new(env!("CARGO_BIN_EXE_tcsd")), mode, config).await
}

/// The log files of a service, oldest first.
fn files(dir: &Path, id: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut all: Vec<_> =
        entries.filter(|path| name(path).starts_with(&format!("{id}."))).collect();
    all.sort_unstable();
    all
}

fn peak_megabytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// 150 MB in lines, in one line, and in no characters at all, on both outputs at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_blocks_nobody_and_fills_nothing() {
    let floods =
        [("lines", "stdout", "say"), ("line", "stderr", "complain"), ("binary", "stdout", "say")];
    let mut config = "launch: {log: {dir: logs, max_size: 100K, keep: 3}}\nservices:\n".to_owned();
    for (what, to, last) in floods {
        let exec = bad(&format!("flood,{to},{what},50000000,{last},done,exit,0"));
        let _ = writeln!(config, "  - {{type: {what}, variant: a, launch: {{exec: {exec}}}}}");
    }
    let site = Site::start("process", &config).await;
    for (what, ..) in floods {
        let id = format!("{what}.a");
        site.until(&id, |it| it["status"] == "completed").await;
        let logs = site.ask_with(&format!("logs.{id}"), json!({"lines": 1000})).await.unwrap();
        let lines = logs["lines"].as_array().unwrap();
        let long = lines.iter().map(|it| it["message"].as_str().unwrap().len()).max().unwrap();
        // a byte that is no character takes three as the sign that says so
        assert!(long <= 3 * 8192 + 40, "{id}: {long}");
        let last = lines.last().unwrap()["message"].as_str().unwrap();
        let end = if what == "line" { " bytes more" } else { "done" };
        assert!(last.ends_with(end), "{id}: {last}");
        assert!(what == "line" || logs["dropped"].as_u64().unwrap() > 0, "{id}: {logs:?}");
        let bytes: u64 = files(&site.tcsd.dir().join("logs"), &id)
            .iter()
            .map(|it| it.metadata().unwrap().len())
            .sum();
        assert!(bytes <= 3 * 100 * 1024, "{id}: {bytes}");
    }
    let peak = peak_megabytes(site.tcsd.pid());
    println!("peak of tcsd: {peak} MB");
    assert!(peak < 100, "{peak} MB");
    assert!(site.tcsd.log().contains("lines are not shown here: they came too fast"), "said");
}

/// A file a run; the last runs are there, whole, also of what ends with the launcher.
#[tokio::test(flavor = "multi_thread")]
async fn each_run_has_a_file_and_the_last_are_kept() {
    let crashes = bad("say,hello,complain,[ERROR] svc|crashes.a: lost,exit,1");
    let config = format!(
        "launch: {{log: {{dir: logs, keep: 2}}}}
services:
  - {{type: crashes, variant: a, restart: always, restart_max: 3, restart_sec: 0.05, launch: {{exec: {crashes}}}}}
  - {{type: lives, variant: a, launch: {{exec: {}}}}}
",
        bad("say,alive,forever")
    );
    let mut site = Site::start("process", &config).await;
    site.until("crashes.a", |it| it["status"] == "failed").await;
    site.answer("logs.lives.a", |logs| logs.to_string().contains("alive")).await;
    site.tcsd.stop().await;
    let dir = site.tcsd.dir().join("logs");
    let crashes = files(&dir, "crashes.a");
    assert_eq!(crashes.len(), 2);
    for file in crashes {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(" out [INFO ] hello\n"), "{text}");
        assert!(text.contains(" err [ERROR] svc|crashes.a: lost\n"), "{text}");
    }
    let lives = files(&dir, "lives.a");
    assert!(fs::read_to_string(&lives[0]).unwrap().contains("alive"));
}

/// The disk is full, and then is not: told once, counted, gone on with. Needs the right to mount.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_survived() {
    let config = format!(
        "launch: {{log: {{dir: small, max_size: 50K, keep: 10}}}}
services:
  - {{type: chatter, variant: a, restart: always, restart_max: 0, restart_sec: 0, launch: {{exec: {}}}}}
",
        bad("flood,stdout,lines,300,sleep,1100,exit,1")
    );
    let mut site = prepared("process", &config).await;
    let small = site.tcsd.dir().join("small");
    fs::create_dir(&small).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&small);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        println!("NOT TESTED: no right to mount a small disk");
        return;
    }
    fs::write(small.join("other"), vec![b'x'; 60_000]).unwrap();
    site.tcsd.run();
    let said = |site: &Site, what: &str| site.tcsd.log().matches(what).count();
    nats::wait_for("the failure is told", || said(&site, "its output is not kept") > 0).await;
    // the service goes on meanwhile; a run is long enough to be started again at once, and writes
    // more than there is room for now and less than there will be
    let before = site.until("chatter.a", |it| it["restarts"].as_u64() > Some(0)).await;
    let more = before["restarts"].as_u64().unwrap() + 1;
    site.until("chatter.a", |it| it["restarts"].as_u64() > Some(more)).await;
    let failures = said(&site, "its output is not kept");
    fs::remove_file(small.join("other")).unwrap();
    nats::wait_for("it works again", || said(&site, "its log file works again") > 0).await;
    println!("told {failures} times");
    site.tcsd.stop().await;
    let kept: String =
        files(&small, "chatter.a").iter().map(|it| fs::read_to_string(it).unwrap()).collect();
    assert!(kept.contains("lines are missing here"), "{}", &kept[..kept.len().min(2000)]);
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_are_objects_and_nothing_else() {
    let config = format!(
        "services:
  - {{type: odd, variant: a, launch: {{exec: {}}}}}
  - {{type: hello_world, variant: a, interval: 0.05}}
",
        bad("flood,stderr,binary,20000,say,\u{1b}[2J\"quoted\",exit,3")
    );
    let site = prepared("async", &config).await;
    let mut command = site.tcsd.command();
    command.arg("--json-logs");
    let mut tcsd = command.spawn().unwrap();
    site.until("odd.a", |it| it["status"] == "failed").await;
    site.answer("logs.hello_world.a", |logs| logs.to_string().contains("Hello, world!")).await;
    tcsd::signal("TERM", tcsd.id());
    assert_eq!(tcsd.wait().unwrap().code(), Some(1));
    let log = site.tcsd.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |service: &str, text: &str| {
        lines
            .iter()
            .any(|it| it["service"] == service && it["text"].as_str().unwrap().contains(text))
    };
    assert!(has("odd.a", "\u{1b}[2J\"quoted\"") && has("hello_world.a", "Hello, world!"), "{log}");
    assert!(lines.iter().any(|it| it["level"] == "ERROR" && it["service"].is_null()), "{log}");
    let of_odd = lines.iter().filter(|it| it["service"] == "odd.a");
    let streams: Vec<_> = of_odd.map(|it| it["stream"].as_str().unwrap()).collect();
    assert!(streams.contains(&"stdout") && streams.contains(&"stderr"), "{streams:?}");
    assert!(lines.iter().all(|it| !it["service"].is_null() || it["stream"].is_null()), "{log}");
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(time.parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{line}");
    }
}

/// What tasks of the launcher's own process log can be read like a process's output.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_have_logs_too() {
    let config = "launch: {log: {dir: logs}}
services:
  - {type: hello_world, variant: a, interval: 0.05, message: first}
  - {type: hello_world, variant: b, interval: 0.05, message: second}
";
    let mut site = Site::start("async", config).await;
    let holds = |logs: &Value, text: &str| logs.to_string().contains(text);
    site.answer("logs.hello_world.a", |it| holds(it, "first") && !holds(it, "second")).await;
    site.answer("logs.hello_world.b", |it| holds(it, "second") && !holds(it, "first")).await;
    site.tcsd.stop().await;
    let file = &files(&site.tcsd.dir().join("logs"), "hello_world.b")[0];
    assert!(fs::read_to_string(file).unwrap().contains("second"));
    // once, not twice, in the launcher's own, with the time
    let log = site.tcsd.log();
    for end in
        ["[INFO ] svc|hello_world.a: first", "[INFO ] tcsd: hello_world.a started: Rust, as a task"]
    {
        let line = log.lines().find(|line| line.ends_with(end)).unwrap_or_else(|| panic!("{log}"));
        let time = line.strip_suffix(end).unwrap().trim_end();
        assert!(time.ends_with('Z') && DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_has_all_lines_where_that_is_wanted() {
    let config = format!(
        "services:
  - {{type: told, variant: a, launch: {{log: {{journal: true}}, exec: {0}}}}}
  - {{type: quiet, variant: a, launch: {{exec: {0}}}}}
",
        bad("say,one,say,two,sleep,100,exit,1")
    );
    let mut site = prepared("process", &config).await;
    let follow = site.bus.follow(&[Kind::Journal], true);
    site.bus.flush().await;
    site.tcsd.run();
    site.until("quiet.a", |it| it["status"] == "failed").await;
    // started again until the listener is there
    let mut seen = Vec::new();
    while seen.iter().filter(|it: &&String| it.contains("told.a")).count() < 2 {
        site.ask("restart.told.a").await.unwrap();
        site.ask("restart.quiet.a").await.unwrap();
        let batch = tokio::time::timeout(std::time::Duration::from_millis(200), follow.next(64));
        for item in batch.await.unwrap_or_default() {
            if let Item::Message(raw) = item {
                seen.push(format!("{} {}", raw.subject(), String::from_utf8_lossy(raw.payload())));
            }
        }
    }
    assert!(seen.iter().all(|it| it.starts_with("svc.journal.told.a ")), "{seen:?}");
    assert!(seen.iter().any(|it| it.contains("one")), "{seen:?}");
}

/// Credentials reach those who need them, and are shown to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_only_those_who_need_them_and_no_log() {
    let config = "nats: {user: me, password: '${SITE_PW}', required: false}
services:
  - {type: bare, variant: a, launch: {exec: [sh, -c, 'env; echo broken by hunter-own >&2; exit 3'], env: {DB_TOKEN: hunter-own}}}
  - {type: asks, variant: a, launch: {nats: true, exec: [sh, -c, 'env; sleep 1000']}}
  - {type: module, variant: a, module: shows, launch: {log: {dir: logs}}}
";
    let mut site = prepared("process", config).await;
    site.tcsd.environment.push(("SITE_PW".to_owned(), "hunter-site".to_owned()));
    site.tcsd.environment.push(("NATS_TOKEN".to_owned(), "hunter-token".to_owned()));
    let program = "import os, sys, time
print(os.environ, flush=True)
print(open('/proc/self/cmdline').read().split(chr(0)), flush=True)
time.sleep(1000)
";
    fs::write(site.tcsd.dir().join("shows.py"), program).unwrap();
    fs::write(site.tcsd.dir().join(".env"), "X_PW='hunter-dotenv'\nY='hello world'\n").unwrap();
    site.tcsd.run();
    site.until("bare.a", |it| it["status"] == "failed").await;
    let has = |logs: &Value, text: &str| logs.to_string().contains(text);
    let bare = site.answer("logs.bare.a", |it| has(it, "broken by ***")).await;
    assert!(!has(&bare, "SITE_PW") && !has(&bare, "NATS_TOKEN"), "{bare}");
    assert!(has(&bare, "DB_TOKEN=***") && has(&bare, "X_PW=***"), "{bare}");
    assert!(has(&bare, "Y=hello world"), "{bare}");
    let given = |it: &Value| has(it, "SITE_PW=***") && has(it, "NATS_TOKEN=***");
    site.answer("logs.asks.a", given).await;
    let given = |it: &Value| has(it, "'SITE_PW': '***'") && has(it, "--runner-id");
    site.answer("logs.module.a", given).await;
    site.tcsd.stop().await;
    let log = site.tcsd.log();
    assert!(log.contains(": broken by *** (exit 3)"), "{log}");
    assert!(log.contains(": program, sh -c env; echo broken by *** >&2; exit 3"), "{log}");
    assert!(log.contains("module.a started, pid ") && log.contains("python3 -m shows"), "{log}");
    let events = format!("{:?}", site.history().await);
    let files: String = files(&site.tcsd.dir().join("logs"), "module.a")
        .iter()
        .map(|it| fs::read_to_string(it).unwrap())
        .collect();
    for text in [&log, &events, &files] {
        assert!(!text.contains("hunter-"), "{text}");
    }
}

/// A service that runs in the launcher's own process logs into the launcher's own log.
#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_of_a_task_are_in_no_log_either() {
    for json in [false, true] {
        let config = "services:
  - {type: bad.tells, variant: a, password: hunter-task, launch: {log: {dir: logs}}}
";
        let mut site = Site::prepared(&programs::badfleet(), "async", config).await;
        if json {
            site.tcsd.arguments.push("--json-logs".to_owned());
        }
        site.tcsd.run();
        site.until("bad.tells.a", |it| it["status"] == "failed").await;
        let has = |logs: &Value, text: &str| logs.to_string().contains(text);
        site.answer("logs.bad.tells.a", |it| has(it, "logging in with ***")).await;
        site.tcsd.stop().await;
        let log = site.tcsd.log();
        for text in ["logging in with ***", "aside", "refused: ***"] {
            assert!(log.contains(text), "{text}: {log}");
        }
        let files = files(&site.tcsd.dir().join("logs"), "bad.tells.a");
        let files: String = files.iter().map(|it| fs::read_to_string(it).unwrap()).collect();
        let events = format!("{:?}", site.events(None).await);
        assert!(files.contains("logging in with ***"), "{files}");
        for text in [&log, &events, &files] {
            assert!(!text.contains("hunter-"), "{text}");
        }
    }
}

/// Whoever reads the launcher's own log has stopped: it supervises all the same, and tells later.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_its_own_log_that_stops_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, script) = (dir.path().join("fifo"), dir.path().join("tcsd"));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let tcsd = env!("CARGO_BIN_EXE_tcsd");
    let text = format!("#!/bin/sh\nexec '{tcsd}' \"$@\" 2> '{}'\n", fifo.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    // both ends: to open one alone waits for the other
    let reader = fs::File::options().read(true).write(true).open(&fifo).unwrap();
    let config = format!(
        "services:\n  - {{type: a, variant: a, launch: {{exec: {}}}}}\n  - {{type: flood, variant: a, launch: {{exec: {}}}}}\n",
        bad("forever"),
        bad("flood,stderr,lines,1000000,forever")
    );
    let site = Site::of(&script, "process", &config).await;
    let first = site.pid("a.a").await;
    let logs = async || site.ask_with("logs.flood.a", json!({"lines": 1})).await.unwrap();
    while logs().await["lines"].as_array().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let again = site.ask("restart.a.a").await.unwrap();
        assert_ne!(again["pid"], first);
    }
    // it is read again, for as long as it takes
    let lines = BufReader::new(reader).lines();
    let told = tokio::task::spawn_blocking(move || {
        lines.map(Result::unwrap).find(|it| it.contains(" lines of this log were dropped"))
    });
    let restart = async {
        loop {
            site.ask("restart.a.a").await.unwrap();
        }
    };
    let told = tokio::select! {
        told = told => told.unwrap(),
        () = restart => None,
    };
    assert!(told.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_along_is_told_of_lines_that_came_too_fast() {
    let config = format!(
        "services:\n  - {{type: flood, variant: a, launch: {{exec: {}}}}}\n",
        bad("flood,stdout,lines,100000000,forever")
    );
    let site = Site::start("process", &config).await;
    site.pid("flood.a").await;
    let mut lines = site.bus.subscribe("svc.journal.flood.a").await.unwrap();
    site.ask_with("logs.flood.a", json!({"lines": 1, "follow_s": 60})).await.unwrap();
    let told = async {
        loop {
            let (_, body) = lines.next().await.unwrap();
            let text = String::from_utf8(body).unwrap();
            if text.contains(" lines are not shown here: they came too fast") {
                return;
            }
        }
    };
    nats::within_limit("the lines", told).await;
}
