//! Who is let in, and what nobody may take.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;
use tcs_testkit::flood::memory;
use tcs_testkit::http::{Events, Reply, get, open, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const TOKEN: &str = "0123456789abcdef0123";

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_not_answered() {
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &["--allow-host", "wall.example.org"]).await;
    let port = serve.port;
    for path in ["/", "/metrics", "/api/v1/fleet", "/api/v1/stream", "/healthz"] {
        for host in ["evil.example.org", "127.0.0.1.evil.org", "wall.example.org.evil", ""] {
            let reply = request(port, "GET", path, &[("host", host)]).await.expect(421);
            assert_guarded(&reply);
        }
    }
    for host in ["localhost", "LOCALHOST:80", "[::1]", "wall.example.org", "wall.example.org:443"] {
        request(port, "GET", "/healthz", &[("host", host)]).await.expect(200);
    }
    // two names, and one in the address itself
    let two = [("host", "localhost"), ("host", "evil.example.org")];
    request(port, "GET", "/", &two).await.expect(421);
    let whole = "http://evil.example.org/api/v1/fleet";
    request(port, "GET", whole, &[("host", "localhost")]).await.expect(421);
    // without any
    assert!(raw(port, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 421"));
}

/// What comes for bytes as they are, until the server closes.
fn raw(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(nats::LIMIT)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Nothing of others may run, frame it, or keep it.
fn assert_guarded(reply: &Reply) {
    let policy = reply.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{reply:#?}");
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(reply.header(name), value, "{reply:#?}");
    }
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_does_not_stay_in_the_address() {
    let server = filled(&server(), "process-launcher").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let serve = Serve::ready(&server.url(), &["--token-file", file.to_str().unwrap()]).await;
    let port = serve.port;
    for path in ["/", "/page.js", "/metrics", "/api/v1/fleet", "/api/v1/stream", "/api/v1/logs"] {
        let reply = get(port, path).await.expect(401);
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        assert_guarded(&reply);
        let wrong = [("authorization", "Bearer 0123456789abcdef0124")];
        request(port, "GET", path, &wrong).await.expect(401);
    }
    let bearer = format!("Bearer {TOKEN}");
    request(port, "GET", "/metrics", &[("authorization", &bearer)]).await.expect(200);
    // the address works once, for the page alone, and gives a cookie
    get(port, "/?token=0123456789abcdef0124").await.expect(401);
    get(port, &format!("/api/v1/fleet?token={TOKEN}")).await.expect(401);
    let reply = get(port, &format!("/?view=wall&token={TOKEN}&host=srv01")).await.expect(303);
    assert_eq!(reply.header("location"), "./?view=wall&host=srv01");
    let cookie = reply.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    for path in ["/", "/api/v1/fleet"] {
        request(port, "GET", path, &[("cookie", cookie)]).await.expect(200);
    }
    // programs that look after others need none
    get(port, "/healthz").await.expect(200);
    get(port, "/readyz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_opened_to_others_without_a_token() {
    let start =
        |more: &[&str]| tcsctl::run(&[&["serve", "--server", "nats://127.0.0.1:1"], more].concat());
    let refused = start(&["--listen", "0.0.0.0:0"]).expect(2);
    assert!(refused.err.contains("--token-file"), "{refused:#?}");
    start(&["--token-file", "/nowhere"]).expect(2);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "short").unwrap();
    let refused = start(&["--token-file", file.to_str().unwrap()]).expect(2);
    assert!(refused.err.contains("openssl rand"), "{refused:#?}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = start(&["--listen", &address]).expect(1);
    assert!(refused.err.contains(&format!("cannot listen on {address}")), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_ended_keep_nobody_out() {
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let half = |text: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", serve.port)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.set_read_timeout(Some(nats::LIMIT)).unwrap();
        stream
    };
    let mut open: Vec<TcpStream> = (0..50).map(|_| half("GET / HTTP/1.1\r\nHost: lo")).collect();
    open.push(half(""));
    get(serve.port, "/").await.expect(200);
    // they are closed by the server
    for mut stream in open {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
    }
    get(serve.port, "/").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_their_memory_too() {
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let port = serve.port;
    let mut one = Events::open(port, "/api/v1/stream").await;
    one.next().await.unwrap();
    let (before, _) = memory(serve.pid());
    let mut streams = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        let response = open(port, "GET", "/api/v1/stream", &[]).await;
        match response.status().as_u16() {
            200 => streams.push(response),
            503 => refused += 1,
            status => panic!("{status}"),
        }
    }
    assert_eq!((streams.len(), refused), (63, 137));
    let (now, _) = memory(serve.pid());
    let grown = now.saturating_sub(before);
    eprintln!("{} streams take {} kB", streams.len(), grown / 1024);
    assert!(grown < 10_000_000, "{grown} bytes");
    // all else is answered, and who leaves makes room
    get(port, "/api/v1/fleet").await.expect(200);
    drop(streams);
    wait_for("room for a stream", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        answer.ends_with(b"200")
    })
    .await;
}

/// Twenty services, each of which says another 40 kB.
fn change(client: &mut tcs_testkit::raw::Client, round: usize) {
    for i in 0..20 {
        let name = format!("bulk.s{i:02}");
        let data = json!({"name": name, "status": "ok", "message": format!("round {round}"),
            "details": {"metrics": {"text": "x".repeat(40_000), "round": round}}});
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s"}}).to_string();
        client.publish(&format!("svc.status.{name}"), None, body.as_bytes());
    }
    client.flush();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_keep_up_is_cut_and_begins_anew() {
    const ROUNDS: usize = 25;
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let mut client = tcs_testkit::raw::Client::connect(server.port());
    change(&mut client, 0);
    let mut quick = Events::open(serve.port, "/api/v1/stream").await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(([127, 0, 0, 1], serve.port).into()).await.unwrap();
    slow.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut start = vec![0; 400];
    slow.read_exact(&mut start).await.unwrap();
    let (before, _) = memory(serve.pid());
    for round in 1..=ROUNDS {
        change(&mut client, round);
        let message = format!("round {round}");
        quick
            .until(|name, data| {
                name == "service"
                    && data["id"] == "bulk.s19"
                    && data["service"]["message"] == message.as_str()
            })
            .await;
    }
    let (_, most) = memory(serve.pid());
    eprintln!("a client that takes nothing costs {} kB", most.saturating_sub(before) / 1024);
    // it gets what was under way, and the end, though all was 20 MB
    let mut rest = Vec::new();
    nats::within_limit("the end of the slow one", slow.read_to_end(&mut rest)).await.unwrap();
    let text = String::from_utf8_lossy(&rest);
    assert!(text.ends_with("0\r\n\r\n"), "{}", &text[text.len().saturating_sub(99)..]);
    assert!(!text.contains(&format!("round {ROUNDS}")), "it has kept up");
    let mut again = Events::open(serve.port, "/api/v1/stream").await;
    let (name, snapshot) = again.next().await.unwrap();
    assert_eq!(name, "snapshot");
    assert!(snapshot.to_string().contains(&format!("round {ROUNDS}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_do_not_hold_its_end() {
    let server = filled(&server(), "process-launcher").await;
    let mut serve = Serve::ready(&server.url(), &[]).await;
    let mut events = Events::open(serve.port, "/api/v1/stream").await;
    events.next().await.unwrap();
    signal("TERM", serve.pid());
    nats::within_limit("the end of the stream", async { while events.next().await.is_some() {} })
        .await;
    wait_for("it has ended", || serve.child.try_wait().unwrap().is_some()).await;
    assert!(serve.child.wait().unwrap().success());
}
