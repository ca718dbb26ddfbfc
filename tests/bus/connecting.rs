//! Several servers, links that are dead in one direction, and servers that refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tcs_testkit::nats;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Passes a connection on, until a direction is cut: then it goes on reading, and says nothing.
struct Proxy {
    port: u16,
    cut_up: Arc<AtomicBool>,
    cut_down: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut_up = Arc::new(AtomicBool::new(false));
        let cut_down = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (up, down, count) = (cut_up.clone(), cut_down.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
                let (client_in, client_out) = client.into_split();
                let (server_in, server_out) = server.into_split();
                // A new connection finds the way open again, the old one stays dead.
                let (mine_up, mine_down) = (Arc::new(AtomicBool::new(false)), Arc::default());
                tokio::spawn(pass(client_in, server_out, up.clone(), mine_up));
                tokio::spawn(pass(server_in, client_out, down.clone(), mine_down));
            }
        });
        Self { port, cut_up, cut_down, connections }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    cut: Arc<AtomicBool>,
    dead: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            return;
        }
        if cut.load(Ordering::SeqCst) {
            dead.store(true, Ordering::SeqCst);
        }
        if !dead.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_or_refusing_server_leaves_the_others_their_turn() {
    let binary = nats::server();
    let server = Server::start(&binary).await;
    let guarded = Server::start_with(&binary, "authorization { token: x }").await;
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent = format!("nats://{}", silent.local_addr().unwrap());
    let other = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nonsense = format!("nats://{}", other.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.ok();
        }
    });
    for first in [&silent, &guarded.url(), &nonsense] {
        for list in [format!("{first},{}", server.url()), format!("{},{first}", server.url())] {
            let bus = Bus::connect(&settings(&list, None), NAME, TIMEOUT).await.unwrap();
            assert!(bus.is_connected());
        }
    }
    let list = format!("{silent},{},{nonsense},nats://127.0.0.1:1", guarded.url());
    let error = Bus::connect(&settings(&list, None), NAME, TIMEOUT).await.unwrap_err().to_string();
    let line = |url: &str| error.lines().find(|line| line.contains(url)).unwrap();
    assert!(line(&silent).ends_with("no answer in time"), "{error}");
    assert!(line(&guarded.url()).contains("login refused"), "{error}");
    assert!(line(&nonsense).contains("not a NATS server"), "{error}");
    assert!(line("127.0.0.1:1").ends_with("connection refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_dead_in_either_direction_is_made_anew() {
    // What is tested is the client, and one direction takes half a minute: one server will do.
    let server = Server::start(&nats::server()).await;
    let writer = Writer::new(&server).await;
    writer.stream("S", &["svc.status.>"], 1).await;
    // What the server sends gets lost; the link is idle.
    let idle = Proxy::start(server.port()).await;
    // What we send gets lost, while data come.
    let busy = Proxy::start(server.port()).await;
    let (idle_bus, busy_bus) = tokio::join!(connect_to(&idle), connect_to(&busy));
    let follow = busy_bus.follow(&[Kind::Status], false);
    let mut told = Told::new(follow);
    writer.put("svc.status.a", "1").await;
    told.until("read", |told| told.newest.contains_key("svc.status.a")).await;
    let (mut idle_link, mut busy_link) = (idle_bus.link(), busy_bus.link());
    let cut_at = tcs_core::clock::monotonic();
    idle.cut_down.store(true, Ordering::SeqCst);
    busy.cut_up.store(true, Ordering::SeqCst);
    let feed = tokio::spawn(async move {
        for count in 0_u64.. {
            writer.put("svc.status.a", &count.to_string()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let lost = |state: &LinkState| matches!(state, LinkState::Disconnected { .. });
    let limit = Duration::from_mins(1);
    let state = tokio::time::timeout(limit, idle_link.wait_for(lost)).await.unwrap().unwrap();
    let LinkState::Disconnected { since, .. } = *state else { panic!() };
    drop(state);
    // By the monotonic times of the events themselves: 5.4 s after the last sign of it.
    let after = since.saturating_duration_since(cut_at);
    assert!(after > Duration::from_secs(1), "{after:?}");
    idle.cut_down.store(false, Ordering::SeqCst);
    let back = idle_link.wait_for(LinkState::is_connected);
    drop(tokio::time::timeout(limit, back).await.unwrap().unwrap());
    let state = tokio::time::timeout(limit, busy_link.wait_for(lost)).await;
    drop(state.unwrap().unwrap());
    busy.cut_up.store(false, Ordering::SeqCst);
    let back = busy_link.wait_for(LinkState::is_connected);
    drop(tokio::time::timeout(limit, back).await.unwrap().unwrap());
    feed.abort();
}

async fn connect_to(proxy: &Proxy) -> Bus {
    connect(&proxy.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_and_is_not_hammered() {
    on_each_server(async |binary| {
        let config = format!("{JETSTREAM}max_connections: 1\n");
        let server = Server::start_with(&binary, &config).await;
        let _first = connect(&server.url()).await;
        let proxy = Proxy::start(server.port()).await;
        let error = Bus::connect(&settings(&proxy.url(), None), NAME, TIMEOUT).await.unwrap_err();
        let ConnectError::Failed { failure, .. } = error else { panic!("{error}") };
        assert_eq!(failure, Failure::TooMany);
        let bus = Bus::open(&settings(&proxy.url(), None), NAME, TIMEOUT).await.unwrap();
        let before = proxy.connections.load(Ordering::SeqCst);
        let mut link = bus.link();
        let tried = |state: &LinkState| match state {
            LinkState::Connecting { attempt, .. } => *attempt as usize,
            _ => 0,
        };
        drop(within_limit("tried twice", link.wait_for(|it| tried(it) >= 2)).await.unwrap());
        // each attempt is one connection, and another may be under way
        let connections = proxy.connections.load(Ordering::SeqCst) - before;
        let attempts = tried(&link.borrow());
        assert!(connections <= attempts + 1, "{connections} in {attempts} attempts");
    })
    .await;
}
