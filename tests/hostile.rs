//! The dashboard in a real terminal, while the fleet on a real broker does its worst.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use serde_json::{Value, json};
use tcs_core::bus::rpc::{Announcement, Command, Responders};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::bus::{Bus, Secret};
use tcs_testkit::nats::{self, LIMIT, Server, server};
use tcs_testkit::terminal::{Terminal, count};

/// What a terminal would obey: titles, the clipboard, a reset, the mouse, questions that it answers
/// as if they were typed, colours, device strings, the same by C1; and what deceives the eye.
const EVIL: [&str; 14] = [
    "\x1b]0;OWNED\x07",
    "\x1b]52;c;T1dORUQ=\x1b\\",
    "\x1bc",
    "\x1b[?1003h",
    "\x1b[6n",
    "\x1b[31;47;9m",
    "\x1b[?1049l",
    "\x1bP+q544e\x1b\\",
    "\u{9b}2J",
    "\u{90}tmux;\u{9c}",
    "\x07\x08\r\n\t\0",
    "\u{202e}gnorw\u{200b}\u{feff}",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "漢字\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{26a0}\u{fe0f}",
];

/// The private modes that the dashboard itself sets and resets.
const OUR_MODES: [&str; 6] = ["?1049", "?25", "?2004", "?2026", "?1000", "?1006"];

/// Everything in the bytes that is neither text nor one of the dashboard's own sequences.
fn foreign(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        if c == '\x1b' {
            let after = rest[1..].strip_prefix('[').unwrap_or_default();
            let numbers = after.find(|c: char| !matches!(c, '0'..='9' | ';' | '?')).unwrap_or(0);
            let ours = match after[numbers..].chars().next() {
                Some('H' | 'm') => !after[..numbers].contains('?'),
                Some('J') => &after[..numbers] == "2",
                Some('h' | 'l') => OUR_MODES.contains(&&after[..numbers]),
                _ => false,
            };
            if ours {
                taken = 2 + numbers + 1;
            } else {
                found.push(rest.chars().take(16).collect());
            }
        } else if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}') {
            found.push(rest.chars().take(16).collect());
        }
        rest = &rest[taken..];
    }
    found
}

#[test]
fn the_search_finds_what_is_foreign() {
    for evil in &EVIL[..12] {
        // to leave the alternate screen is ours: how often is asked elsewhere
        let none = usize::from(*evil != "\x1b[?1049l" && *evil != "\x1b[31;47;9m");
        let bytes = format!("\x1b[?2026h\x1b[2J\x1b[3;4H\x1b[0;31mok{evil}\x1b[?2026l");
        assert!(foreign(bytes.as_bytes()).len() >= none, "{evil:?}");
    }
    assert_eq!(foreign("\x1b[?25l\x1b[12;1H\x1b[1;38;5;4m漢e\u{301}".as_bytes()), [""; 0]);
}

struct Site {
    server: Server,
    client: async_nats::Client,
}

impl Site {
    async fn start() -> Self {
        let config = format!("{}max_payload: 4MB\n", nats::JETSTREAM);
        let server = Server::start_with(&server(), &config).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        let context = jetstream::new(client.clone());
        for kind in ["registry", "status", "heartbeat"] {
            let subjects = vec![format!("svc.{kind}.>")];
            let name = format!("svc_{kind}");
            let config = stream::Config { name, subjects, ..stream::Config::default() };
            context.create_stream(config).await.unwrap();
        }
        Self { server, client }
    }

    async fn send(&self, subject: &str, data: &Value) {
        let mut meta = json!({"id": "m", "sender": "evil", "ts": [2026, 11, 23]});
        if subject.starts_with("journal.") {
            meta["message_type"] = json!("journal.publish");
        }
        let body = json!({"data": data, "meta": meta}).to_string();
        self.send_raw(subject, body.into_bytes()).await;
    }

    async fn send_raw(&self, subject: &str, body: Vec<u8>) {
        self.client.publish(format!("svc.{subject}"), body.into()).await.unwrap();
    }

    /// Until the server has all of it.
    async fn settle(&self) {
        self.client.flush().await.unwrap();
    }

    fn watch(&self, size: (u16, u16)) -> Terminal {
        let args = ["watch", "--all", "--server", &self.server.url()];
        Terminal::start(env!("CARGO_BIN_EXE_tcsctl"), &args, &[], size)
    }

    async fn launcher(&self, name: &str, service: &str, evil: &str) -> impl Sized + use<> {
        let section =
            NatsSection { url: Some(Secret::new(self.server.url())), ..NatsSection::default() };
        let settings = Settings::from_process(&section, None).unwrap();
        let bus = Bus::connect(&settings, "a launcher", LIMIT).await.unwrap();
        let answer = |command: &str, value: Value| {
            Command::new(&format!("{command}.{service}"), move |_| {
                let value = value.as_object().cloned().unwrap();
                async move { Ok(value) }
            })
        };
        let long = evil.repeat(1_000_000 / evil.len());
        let commands = [
            answer("restart", json!({"result": format!("restarted {evil}"), "pid": 7})),
            answer(
                "logs",
                json!({"lines": [
                    {"message": long, "level": 40, "timestamp": [2026, 11, 23, 2, 13, 4]},
                    format!("bare {evil}"),
                    {"message": format!("{evil} last line"), "level": 20, "timestamp": [2026, 11, 23, 2, 13, 5]},
                ]}),
            ),
        ];
        let announcement = Announcement {
            name: name.to_owned(),
            description: evil.to_owned(),
            version: "1.0.0".to_owned(),
        };
        Responders::new(bus).serve(announcement, commands).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_fleet_says_reaches_the_terminal_as_a_command() {
    let site = Site::start().await;
    let evil = EVIL.concat();
    let start = |id: &str, parent: &str| {
        json!({"event": "start", "service_id": id, "status": "startup", "hostname": evil,
               "pid": 7, "parent": parent, "runner_id": evil})
    };
    site.send("registry.start.main.evil", &start("main.evil", "launcher.evil")).await;
    // not believed, and shown as malformed
    site.send("registry.start.x.y", &start(&format!("named.{evil}"), "launcher.evil")).await;
    site.send(
        "registry.crashed.crashed.a",
        &json!({"event": "crashed", "service_id": "crashed.a", "exit_code": 1, "signal": evil,
                "error": evil, "will_restart": false, "parent": "launcher.evil"}),
    )
    .await;
    site.send(
        "registry.declared.declared.a",
        &json!({"event": "declared",
        "service_id": "declared.a", "restart_policy": evil, "parent": evil}),
    )
    .await;
    site.send("registry.other.other.a", &json!({"event": evil, "service_id": "other.a"})).await;
    for (id, status) in [("main.evil", "error"), ("status.odd", evil.as_str())] {
        site.send(
            &format!("status.{id}"),
            &json!({"name": id, "status": status, "message": evil, "hostname": evil,
                "parent": "launcher.evil", "details": {
                    "metrics": {evil.as_str(): evil, "m": [evil], "n": {"o": evil}},
                    "children": [{"name": evil, "status": "ok", "message": evil}]}}),
        )
        .await;
    }
    for (name, parent) in [("ring.a", "ring.b"), ("ring.b", "ring.a"), ("ring.self", "ring.self")] {
        let data = json!({"name": name, "status": "ok", "parent": parent});
        site.send(&format!("status.{name}"), &data).await;
        let data = json!({"service_id": name, "status": "ok", "metrics": {evil.as_str(): 1}});
        site.send(&format!("heartbeat.{name}"), &data).await;
    }
    // not even messages, and subjects that are no names
    site.send_raw("status.raw.a", evil.clone().into_bytes()).await;
    site.send_raw("status.raw.b", vec![0x1b, b']', 0xff, 0xfe, 0x9b, b'2', b'J']).await;
    site.send_raw("heartbeat.raw.\x1b]0;OWNED\x07", b"{}".to_vec()).await;
    let name = "status.named.\u{9b}2J\x1bc";
    site.send(name, &json!({"name": "named.\u{9b}2J\x1bc", "status": "failed"})).await;
    site.settle().await;
    let _launcher = site.launcher("launcher.evil", "main.evil", &evil).await;

    let mut terminal = site.watch((120, 40));
    terminal.see("ring.self");
    terminal.see("crashed.a");
    terminal.see("\\u{1b}]0;OWNED\\u{7}");
    // through every row's detail, at sizes where it stands beside the table and over it
    let rounds: [((u16, u16), &[&str]); 3] = [
        ((120, 40), &["j"]),
        ((80, 24), &["\r", "G", "\x1b", "j"]),
        ((40, 10), &["\r", "\x1b", "j"]),
    ];
    for (size, round) in rounds {
        terminal.resize(size);
        step(&mut terminal, "g");
        for _ in 0..12 {
            for key in round {
                step(&mut terminal, key);
            }
        }
        for key in ["e", "\x1b", "a", "\x1b", "?", "?", ":", "\x1b", "y", "Y", "z", "z", "s", "s"] {
            step(&mut terminal, key);
        }
    }
    terminal.resize((120, 40));
    terminal.see("─ events ─");
    to_the_table(&mut terminal);
    // what is typed and pasted is shown as well, and goes back out in what `Y` copies
    terminal.keys("/\x1b[200~\u{9b}2J]0;OWNED\u{7}main.evil\x1b[201~");
    terminal.keys("\x15main.evil\r");
    terminal.see("/main.evil");
    terminal.keys("G");
    terminal.keys("r");
    terminal.see("restart?");
    terminal.keys("y");
    // a word that no launcher says is not shown at all
    terminal.see("restart main.evil: done, pid 7");
    terminal.keys("L");
    terminal.see("bare \\u{1b}]0;OWNED\\u{7}");
    terminal.keys("w");
    terminal.see("02:13:05");
    // and live, through its journal
    let line = json!({"level": 50, "message": format!("live {evil}"), "conversation_id": evil,
        "timestamp": [2026, 11, 23, 2, 13, 6], "op": evil});
    while !terminal.text().contains("live \\u{1b}]0;OWNED") {
        site.send("journal.main.evil", &line).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    terminal.keys("\x1b");
    terminal.see("VERDICT");
    assert!(terminal.screen(vt100::Screen::alternate_screen), "nobody made it leave");
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_given_back();
    let bytes = terminal.bytes();
    // but what `y` and `Y` put on the clipboard, in base64
    let (bytes, copied) = without_copies(&bytes);
    assert!(copied > 0, "something was copied");
    assert_eq!(foreign(&bytes), [""; 0]);
    for evil in &EVIL[..12] {
        assert_eq!(count(&bytes, evil.as_bytes()), usize::from(*evil == "\x1b[?1049l"), "{evil:?}");
    }
}

/// A key, and the frame that shows what it did, so that each is seen; some show nothing new.
fn step(terminal: &mut Terminal, key: &str) {
    let before = count(&terminal.bytes(), b"\x1b[?2026l");
    terminal.keys(key);
    terminal.wait_at_most(Duration::from_millis(150), |_| {
        count(&terminal.bytes(), b"\x1b[?2026l") > before
    });
}

/// Closes whatever is open: on a busy machine an Esc may have been read together with the next
/// key, which is then another one.
fn to_the_table(terminal: &mut Terminal) {
    let is_table = |text: &str| text.contains("VERDICT") && text.contains("Enter detail");
    for _ in 0..20 {
        if terminal.wait_at_most(Duration::from_secs(1), is_table).is_some() {
            return;
        }
        terminal.keys("\x1b");
    }
    panic!("it does not close:\n{}", terminal.text());
}

/// Takes out the dashboard's own copies, each of which must hold base64 and nothing else.
fn without_copies(bytes: &[u8]) -> (Vec<u8>, usize) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut pieces = text.split("\x1b]52;c;");
    let mut rest = pieces.next().unwrap().to_owned();
    let mut copied = 0;
    for piece in pieces {
        let (base64, after) = piece.split_once("\x1b\\").unwrap();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        assert!(base64.chars().all(is_base64), "{base64}");
        assert_ne!(base64, "T1dORUQ=", "the fleet's own");
        rest.push_str(after);
        copied += 1;
    }
    (rest.into_bytes(), copied)
}

#[tokio::test(flavor = "multi_thread")]
async fn megabytes_do_not_fill_the_memory() {
    let site = Site::start().await;
    // a megabyte in JSON, where an escape takes six bytes
    let long = "\u{1b}[31m漢x".repeat(75_000);
    let mut terminal = site.watch((100, 30));
    for i in 0..300 {
        let id = format!("long.s{i:03}");
        let data = match i % 3 {
            0 => json!({"name": id, "status": "error", "message": long}),
            1 => json!({"name": id, "status": "ok", "parent": long,
                        "details": {"metrics": {"m": long, long.as_str(): 1}}}),
            _ => json!({"name": long, "status": "ok"}),
        };
        site.send(&format!("status.{id}"), &data).await;
        // a slow machine gets its time for each hundred
        if i % 99 == 0 {
            site.settle().await;
            terminal.see(&id);
        }
    }
    terminal.keys("G\rj\x1b");
    terminal.see("VERDICT");
    // 300 MB have come by; what is kept of each is some kilobytes
    let peak = terminal.peak_memory();
    println!("peak of memory: {} MB", peak / 1_000_000);
    assert!(peak < 200_000_000, "{} MB", peak / 1_000_000);
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    assert_eq!(foreign(&terminal.bytes()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_services_are_shown_and_moved_through() {
    const SERVICES: usize = 50_000;
    let site = Site::start().await;
    for i in 0..SERVICES {
        let id = format!("crowd.s{i:05}");
        let data = json!({"service_id": id, "status": "ok", "interval_seconds": 3600.0});
        site.send(&format!("heartbeat.{id}"), &data).await;
    }
    site.settle().await;
    let mut terminal = site.watch((100, 30));
    terminal.see("50000 ok");
    terminal.keys("G");
    terminal.see("crowd.s49999");
    terminal.keys("/s4242\r");
    terminal.wait("ten are left", |text| {
        text.contains("crowd.s42429") && !text.contains("crowd.s49999")
    });
    terminal.keys("\x1b");
    terminal.keys("g");
    terminal.see("crowd.s00000");
    let peak = terminal.peak_memory();
    println!("peak of memory: {} MB", peak / 1_000_000);
    assert!(peak < 600_000_000, "{} MB", peak / 1_000_000);
    terminal.keys("q");
    assert_eq!(terminal.end(), 0);
    terminal.assert_given_back();
}
