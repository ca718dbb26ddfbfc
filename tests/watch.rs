//! The dashboard in a real terminal, against real brokers.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use tcs_core::clock;
use tcs_testkit::nats::{LIMIT, Server, server};
use tcs_testkit::tcsctl::{self, at, recording};
use tcs_testkit::terminal::Terminal;

#[path = "watch/terminal.rs"]
mod terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcsctl");

async fn filled() -> Server {
    let server = Server::start(&server()).await;
    let args = ["replay", "--instant", "--create-streams", &recording("process-launcher")];
    at(&server.url(), &args).expect(0);
    server
}

fn watch(server: &Server, size: (u16, u16)) -> Terminal {
    tcsctl::watch(&server.url(), &[], size)
}

fn replay(name: &str, more: &[&str], vars: &[(&str, &str)]) -> Terminal {
    let file = recording(name);
    let args: Vec<&str> =
        ["watch", "--replay", &file, "--speed", "100"].iter().chain(more).copied().collect();
    Terminal::start(PROGRAM, &args, vars, (80, 24))
}

/// What stands below the columns' titles, without the events.
fn table(text: &str) -> &str {
    let below = text.split_once("VERDICT").map_or("", |(_, below)| below);
    below.split_once("─ events").map_or(below, |(table, _)| table)
}

/// The problems, the newest failure first, with their cause, stand there before any key is pressed;
/// one key leads to the output of the worst.
#[tokio::test(flavor = "multi_thread")]
async fn problems_stand_above_the_table_and_lead_to_it() {
    let server = filled().await;
    let mut terminal = watch(&server, (80, 24));
    let shown = terminal.wait("the block", |text| text.matches("failed  @vm").count() == 2);
    let block: Vec<_> =
        shown.lines().skip(2).take_while(|line| !line.contains("VERDICT")).collect();
    assert_eq!(block.len(), 2, "{shown}");
    assert!(block.iter().all(|line| line.contains("failed  @vm")), "{shown}");
    assert!(block.iter().all(|line| line.contains("SIGKILL")), "{shown}");
    let is_chosen = |row: u16| {
        move |screen: &vt100::Screen| screen.cell(row, 4).is_some_and(vt100::Cell::inverse)
    };
    terminal.wait("the first is chosen", |_| terminal.screen(is_chosen(2)));
    terminal.keys("j");
    terminal.wait("the second is chosen", |_| terminal.screen(is_chosen(3)));
    terminal.keys("\r");
    terminal.see("Enter detail");
    terminal.wait("chosen in the table", |_| !terminal.screen(is_chosen(3)));
    terminal.keys("P");
    terminal.see("2 problems (P): × ");
    terminal.keys("P");
    terminal.see_no("2 problems (P)");
    terminal.keys("gL");
    terminal.see("log of ");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_is_wrong_and_answers_keys() {
    let server = filled().await;
    let mut terminal = watch(&server, (80, 24));
    terminal.see("× failed");
    terminal.see("link ok");
    terminal.see("JetStream ok");
    terminal.see("2 stopped hidden");
    // two keys from what is wrong to its log
    terminal.keys("n");
    terminal.keys("L");
    terminal.see("log of ");
    terminal.see("no launcher answers");
    terminal.keys("\x1b");
    terminal.see_no("log of ");
    // a filter, as it is typed
    terminal.keys("/hello");
    terminal.wait("only one is left", |text| {
        let table = table(text);
        table.contains("hello_world.main") && !table.contains("nonblocking.tutorial  ")
    });
    terminal.keys("\r");
    terminal.see("/hello");
    // its detail, with the evidence
    terminal.keys("j\r");
    let detail = terminal.see("Why");
    assert!(detail.contains("SIGKILL") || detail.contains("exit code -9"), "{detail}");
    terminal.keys("\x1b");
    terminal.see("VERDICT");
    terminal.keys("?");
    terminal.see("any other key closes it");
    terminal.keys("?");
    terminal.see_no("any other key closes it");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_given_back();
}

/// The message before it was there before the dashboard was.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_message_hides_no_service() {
    let server = filled().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    for body in [r#"{"data": {"name": "hidden.a", "status": "failed"}}"#, "{"] {
        let stored = context.publish("svc.status.hidden.a", body.into());
        stored.await.unwrap().await.unwrap();
    }
    let terminal = watch(&server, (120, 40));
    terminal.see("hidden.a");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mouse_chooses_opens_and_sorts() {
    let server = filled().await;
    let mut terminal = watch(&server, (100, 30));
    let text = terminal.see("hello_world.main");
    // in the table, not in the block
    let row = text.lines().position(|line| line.contains("─ hello_world.main")).unwrap() + 1;
    let click =
        |column: usize, row: usize| format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m");
    terminal.keys(&click(30, row));
    let reversed =
        |screen: &vt100::Screen| screen.cell(row as u16 - 1, 30).is_some_and(vt100::Cell::inverse);
    terminal.wait("the row is chosen", |_| terminal.screen(reversed));
    terminal.keys(&click(30, row));
    terminal.see("heartbeat ");
    terminal.keys("\x1b");
    terminal.see("SERVICE");
    let titles = terminal.text().lines().position(|line| line.contains("SERVICE")).unwrap() + 1;
    terminal.keys(&click(20, titles));
    terminal.see("by service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_resizes_leaves_a_whole_screen() {
    let server = filled().await;
    let mut terminal = watch(&server, (80, 24));
    terminal.see("× failed");
    for i in 0..60_u16 {
        terminal.resize((20 + i * 37 % 180, 5 + i * 13 % 60));
        terminal.keys(["j", "\r", "e", "\x1b", "k"][usize::from(i) % 5]);
    }
    terminal.resize((10, 3));
    terminal.resize((80, 24));
    // whichever pane the storm left open; one at a time, as several at once are read as one
    let is_back = |text: &str| text.contains("VERDICT") && text.lines().count() == 24;
    for _ in 0..10 {
        terminal.keys("\x1b");
        if terminal.wait_at_most(Duration::from_secs(3), is_back).is_some() {
            break;
        }
    }
    let text = terminal.wait("the table is back", is_back);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_given_back();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_typed_while_the_size_changes_does_not_wait_for_the_next_one() {
    let server = filled().await;
    let mut terminal = watch(&server, (80, 24));
    terminal.see("VERDICT");
    for i in 0..60_u16 {
        terminal.resize((80 + i % 7, 24 + i % 5));
        terminal.keys("?");
        terminal.see("any other key closes it");
        terminal.resize((90, 30));
        terminal.keys("?");
        terminal.see_no("any other key closes it");
    }
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_and_comes_is_told_and_waited_for() {
    let mut server = filled().await;
    let mut terminal = watch(&server, (80, 24));
    terminal.see("× failed");
    server.stop();
    terminal.see("DISCONNECTED");
    let text = terminal.see("× failed");
    assert!(text.contains("no link"), "{text}");
    // every key works meanwhile
    terminal.keys("/hello");
    terminal.wait("filtered", |text| !table(text).contains("nonblocking.tutorial  "));
    terminal.keys("\x1b");
    server.run().await;
    terminal.see_no("DISCONNECTED");
    terminal.see("live");
    terminal.see("× failed");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_yet_is_waited_for() {
    let mut server = filled().await;
    server.stop();
    let mut terminal = watch(&server, (80, 24));
    terminal.see("NOT CONNECTED YET");
    terminal.keys("?");
    terminal.see("any other key closes it");
    terminal.keys("?");
    server.run().await;
    terminal.see("× failed");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

/// What the streams hold of the past is shown, and what has changed since.
#[tokio::test(flavor = "multi_thread")]
async fn a_past_time_is_shown_and_the_difference_to_now_told() {
    let server = filled().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let report = async |status: &str| {
        let body = format!(r#"{{"data": {{"name": "focuser.a", "status": "{status}"}}}}"#);
        let stored = context.publish("svc.status.focuser.a", body.into()).await.unwrap();
        stored.await.unwrap();
    };
    report("warning").await;
    let then = clock::wall().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    report("failed").await;
    let mut terminal = watch(&server, (100, 30));
    let row = |word: &'static str| {
        move |text: &str| {
            table(text).lines().any(|it| it.contains("focuser.a") && it.contains(word))
        }
    };
    terminal.wait("it is failed", row("failed"));
    terminal.keys("/focuser\r");
    terminal.see("/focuser");
    terminal.keys(&format!("@{then}\r"));
    terminal.see("THE PAST");
    terminal.wait("it was degraded", row("degraded"));
    terminal.keys("r");
    terminal.see("the past is shown: Esc returns to the present");
    // its failure is the next problem
    terminal.keys("\x1b)");
    terminal.wait("it is failed", |text| text.contains("THE PAST") && row("failed")(text));
    terminal.keys("(");
    terminal.wait("where it got into trouble", row("degraded"));
    terminal.keys("\x1b");
    terminal.see("since ");
    terminal.see("focuser.a  degraded → failed");
    terminal.keys("\x1b");
    terminal.see_no("degraded → failed");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);

    let mut terminal = tcsctl::watch(&server.url(), &["--at", &then, "focuser"], (80, 24));
    terminal.wait("it begins there", |text| text.contains("THE PAST") && row("degraded")(text));
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

/// One key compares hosts; it does not change what is selected.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_compared_with_one_key() {
    let server = filled().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let metrics = r#"{"host_load1": 0.61, "host_mem_total_bytes": 24000000000,
        "host_mem_available_bytes": 20900000000}"#;
    let name = "launcher.b81QpL.srv02-process-launcher";
    for (subject, data) in [
        ("status", format!(r#"{{"name": "{name}", "status": "ok", "hostname": "srv02.oca"}}"#)),
        (
            "heartbeat",
            format!(r#"{{"service_id": "{name}", "status": "ok", "metrics": {metrics}}}"#),
        ),
    ] {
        let body = format!(r#"{{"data": {data}, "meta": {{"sender": "srv02"}}}}"#);
        let stored = context.publish(format!("svc.{subject}.{name}"), body.into());
        stored.await.unwrap().await.unwrap();
    }
    let mut terminal = watch(&server, (80, 24));
    terminal.see("srv02");
    let chosen = terminal.wait("a problem", |text| text.contains("failed  @vm"));
    let worst = chosen.lines().nth(2).unwrap().to_owned();
    terminal.keys("o");
    terminal.see("LOAD  MEMORY");
    terminal.see("srv02  0.61  3.1 GB of 24 GB");
    let text = terminal.wait("both", |text| text.contains("× vm ") && text.contains("─ vm ─"));
    assert_eq!(text.lines().nth(2).unwrap(), worst, "{text}");
    let inverse = |screen: &vt100::Screen| screen.cell(2, 4).is_some_and(vt100::Cell::inverse);
    assert!(terminal.screen(inverse), "{text}");
    terminal.keys("o");
    terminal.see("flat");
    terminal.see_no("LOAD  MEMORY");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

/// Of a real process, from its launcher's samples.
#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_the_last_minutes_takes_one_key() {
    let config = "services:\n  - {type: use, variant: one, launch: {exec: [sleep, \"1000\"]}}\n";
    let site = tcs_testkit::tcsd::Site::start("process", config).await;
    let mut terminal = watch(&site.server, (80, 24));
    terminal.see("use.one");
    terminal.keys("GU");
    terminal.see("use.one: usage, last 10 min");
    // two samples at least, and a row with the figures beside it
    let is_curve = |line: &str| line.starts_with(" MEM") && line.contains("B (");
    let is_row =
        |line: &str| line.contains("─ use.one ") && line.contains("B ") && line.contains('%');
    let text = terminal.wait("the curve and the row", |text| {
        text.lines().any(is_curve) && text.lines().any(is_row)
    });
    assert!(text.contains("CPU") && text.contains("THR") && text.contains("EXIT"), "{text}");
    terminal.keys("U");
    terminal.see_no("usage, last 10 min");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_what_services_use_is_told() {
    const USERS: &str = "jetstream {store_dir: \"STORE\"}\nauthorization: {users: [\
        {user: all, password: a}, \
        {user: viewer, password: v, permissions: {publish: {deny: \"svc.rpc.>\"}}}]}\n";
    let server = Server::start_with(&tcs_testkit::nats::server(), USERS).await;
    let login = ["--user", "all", "--password", "a"];
    let file = recording("process-launcher");
    let replayed = ["replay", "--instant", "--create-streams", &file];
    at(&server.url(), &[&replayed[..], &login].concat()).expect(0);
    let options = async_nats::ConnectOptions::with_user_and_password("all".into(), "a".into());
    let client = options.connect(server.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let name = "launcher.b81QpL.srv02-process-launcher";
    for (subject, data) in [("status", "name"), ("heartbeat", "service_id")] {
        let body = format!(r#"{{"data": {{"{data}": "{name}", "status": "ok"}}}}"#);
        let stored = context.publish(format!("svc.{subject}.{name}"), body.into());
        stored.await.unwrap().await.unwrap();
    }
    let login = ["--user", "viewer", "--password", "v"];
    let mut terminal = tcsctl::watch(&server.url(), &login, (160, 40));
    terminal.see("srv02-process");
    terminal.keys("U");
    terminal.see(
        "resource usage is not known: launcher.b81QpL.srv02-process-launcher: no right to publish",
    );
    terminal.keys("\x1bq");
    assert_eq!(terminal.end(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_is_asked_and_its_answer_shown() {
    use tcs_core::bus::Bus;
    use tcs_core::bus::rpc::{Announcement, Command, Responders};
    use tcs_core::bus::settings::{NatsSection, Settings};

    let server = filled().await;
    let listed = at(&server.url(), &["--json", "--all"]).expect(0).json();
    let services = listed["services"].as_array().unwrap();
    let service = services.iter().find(|s| s["id"] == "hello_world.main").unwrap();
    let launcher = service["parent"].as_str().unwrap().to_owned();

    let section = NatsSection {
        url: Some(tcs_core::bus::Secret::new(server.url())),
        ..NatsSection::default()
    };
    let settings = Settings::from_process(&section, None).unwrap();
    let bus = Bus::connect(&settings, "a launcher", LIMIT).await.unwrap();
    let data = |value: serde_json::Value| value.as_object().cloned().unwrap();
    let restart = Command::new("restart.hello_world.main", move |_| async move {
        Ok(data(serde_json::json!({"result": "restarted", "pid": 4711})))
    });
    let logs = Command::new("logs.hello_world.main", move |_| async move {
        Ok(data(serde_json::json!({"lines": [
            {"message": "slewing \u{1b}[2Jnow", "level": 20, "timestamp": [2026, 11, 23, 2, 13, 5]},
            {"message": "no stars", "level": 40, "timestamp": [2026, 11, 23, 2, 13, 6]}]})))
    });
    let announcement = Announcement {
        name: launcher,
        description: "a launcher".to_owned(),
        version: "1.0.0".to_owned(),
    };
    let responders = Responders::new(bus);
    let _serving = responders.serve(announcement, [restart, logs]).await.unwrap();

    let mut terminal = watch(&server, (100, 30));
    terminal.see("× failed");
    terminal.keys("/hello_world\r");
    terminal.see("/hello_world");
    terminal.keys("jr");
    terminal.see("restart?");
    terminal.keys("y");
    terminal.see("restart hello_world.main: restarted, pid 4711, by ");
    terminal.keys("L");
    let log = terminal.see("no stars");
    assert!(log.contains("02:13:06"), "{log}");
    terminal.see("slewing \\u{1b}[2Jnow");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn keys_and_theme_come_from_a_file_with_its_faults_told() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    std::fs::create_dir_all(folder.path().join("tcsctl")).unwrap();
    let write =
        |text: &str| std::fs::write(folder.path().join("tcsctl/console.yaml"), text).unwrap();
    write("theme: night\nkeys:\n  quit: Q\n");
    let mut terminal = replay("process-launcher", &[], &[("XDG_CONFIG_HOME", home)]);
    terminal.see("Q quit");
    let ground = terminal.screen(|screen| screen.cell(5, 60).unwrap().bgcolor());
    assert_eq!(ground, vt100::Color::Idx(16));
    terminal.keys("qQ");
    assert_eq!(terminal.end(), 0);
    write("keys:\n  pause: q\n");
    let mut terminal = replay("process-launcher", &[], &[("XDG_CONFIG_HOME", home)]);
    assert_eq!(terminal.end(), 2);
    terminal.see("key `q` is bound to both `pause` and `quit`");
}

#[test]
fn its_state_is_written_into_a_file_for_a_report() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let dump = |vars: &[(&str, &str)], told: &str| {
        let mut terminal = replay("process-launcher", &[], vars);
        terminal.see("THE RECORDING HAS ENDED");
        terminal.keys(":dump\r");
        let text = terminal.see(told);
        terminal.keys("q");
        assert_eq!(terminal.end(), 0);
        let line = text.lines().find(|line| line.contains(told)).unwrap();
        line.split_once(told).unwrap().1.trim().to_owned()
    };
    let path = dump(&[("TMPDIR", home)], "written: ");
    let files: Vec<_> = std::fs::read_dir(home).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(files, [std::path::PathBuf::from(path)], "that one, and nothing half done");
    let mode = std::fs::metadata(&files[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what the fleet says is for this user to pass on");
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], "tcsctl.state.v1");
    assert_eq!(document["size"], serde_json::json!([80, 24]));
    let services = document["services"].as_array().unwrap();
    let failed = services.iter().find(|service| service["id"] == "hello_world.main").unwrap();
    assert_eq!(failed["verdict"], "failed");

    // nowhere to write: a folder that is not there, and one that is a file
    let missing = folder.path().join("missing");
    for (place, why) in [(&missing, "entity not found"), (&files[0], "not a directory")] {
        let place = place.to_str().unwrap();
        let told = dump(&[("TMPDIR", place)], "not written: ");
        // the reason first: where it is cut, it is the place that is known anyway
        let all = format!("{why}: {place} (TMPDIR)");
        assert!(told == all || all.starts_with(told.strip_suffix('…').unwrap()), "{told}");
        assert!(told.starts_with(&format!("{why}: {home}")), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twins_tell_the_same_in_lines() {
    let file = recording("process-launcher");
    let plain = tcsctl::run(&["watch", "--replay", &file, "--speed", "200", "--plain"]).expect(0);
    assert!(plain.out.contains("hello_world.main"), "{plain:#?}");
    assert!(plain.out.contains("failed"), "{plain:#?}");
    assert!(!plain.out.contains('\x1b'), "{plain:#?}");
    let json = tcsctl::run(&["watch", "--replay", &file, "--speed", "200", "--json"]).expect(0);
    let lines = json.objects();
    assert!(lines.iter().any(|line| line["kind"] == "snapshot"), "{json:#?}");
    // in the picture to begin with, or in a change of it
    let mut services = lines.iter().flat_map(|line| {
        let all = line["services"].as_array().cloned().unwrap_or_default();
        all.into_iter().chain([line["service"].clone()])
    });
    let last = services.rfind(|it| it["id"] == "hello_world.main").unwrap();
    assert_eq!(last["verdict"], "failed", "{json:#?}");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let file = recording("process-launcher");
    let output = tcsctl::run(&["watch", "--replay", &file]).expect(2);
    assert!(output.err.contains("needs a terminal"), "{output:#?}");
    assert!(output.err.contains("hint: --plain"), "{output:#?}");
}
