//! A way to a server that can stop delivering without being closed, as a firewall that forgets a
//! connection, or a cable that is pulled, does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// For each direction, the connection before which all are dead.
#[derive(Debug, Default)]
struct Dead {
    from_server: AtomicUsize,
    from_client: AtomicUsize,
    changed: Notify,
}

/// A proxy to a server that can stop delivering without closing the connection.
pub struct Proxy {
    port: u16,
    dead: Arc<Dead>,
    accepted: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts a proxy to the server on this loopback port.
    pub async fn start(server: u16) -> Self {
        Self::with_latency(server, Duration::ZERO).await
    }

    /// The same; what it has read it delivers so much later.
    pub async fn with_latency(server: u16, latency: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dead = Arc::new(Dead::default());
        let accepted = Arc::new(AtomicUsize::new(0));
        let (shared, count) = (Arc::clone(&dead), Arc::clone(&accepted));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let dead = Arc::clone(&shared);
                let n = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = forward((n, latency), from_client, to_server, &dead, |dead| &dead.from_client) => {}
                        () = forward((n, latency), from_server, to_client, &dead, |dead| &dead.from_server) => {}
                    }
                });
            }
        });
        Self { port, dead, accepted }
    }

    /// `nats://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Delivers nothing more in either direction, on connections that are there and on new ones.
    pub fn stop(&self) {
        self.set(usize::MAX, usize::MAX);
    }

    /// How many connections it has taken so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Delivers nothing more on the connections that are there, in either direction.
    pub fn forget(&self) {
        self.set(self.accepted(), self.accepted());
    }

    /// Like [`Self::forget`], only for what the server sends.
    pub fn forget_from_server(&self) {
        self.set(self.accepted(), 0);
    }

    /// Like [`Self::forget`], only for what the client sends.
    pub fn forget_from_client(&self) {
        self.set(0, self.accepted());
    }

    /// Delivers nothing more of what the server sends.
    pub fn stop_from_server(&self) {
        self.set(usize::MAX, 0);
    }

    /// Delivers again, including what waited.
    pub fn go_on(&self) {
        self.set(0, 0);
    }

    fn set(&self, from_server: usize, from_client: usize) {
        self.dead.from_server.store(from_server, Ordering::SeqCst);
        self.dead.from_client.store(from_client, Ordering::SeqCst);
        self.dead.changed.notify_waiters();
    }
}

async fn forward(
    (connection, latency): (usize, Duration),
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    dead: &Dead,
    way: impl Fn(&Dead) -> &AtomicUsize,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else { return };
        loop {
            let changed = dead.changed.notified();
            if connection >= way(dead).load(Ordering::SeqCst) {
                break;
            }
            changed.await;
        }
        tokio::time::sleep(latency).await;
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
