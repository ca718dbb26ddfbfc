//! Servers that do not work: each fails in its own way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A server that accepts and says nothing, for as long as it is held.
pub async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A server that drops connections before they are made: its queue is full, and nobody takes from
/// it. Held for as long as the sockets.
pub async fn dropping() -> (TcpListener, Vec<TcpStream>, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = socket.listen(0).unwrap();
    // one has a place in any queue: however long that takes
    let mut held = vec![TcpStream::connect(address).await.unwrap()];
    loop {
        let attempt = TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(500), attempt).await {
            Ok(stream) => held.push(stream.unwrap()),
            Err(_) => return (listener, held, format!("nats://{address}")),
        }
        assert!(held.len() < 100, "the queue is never full");
    }
}

/// A server that closes each connection at once, and how many there were.
pub async fn closing() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, count)
}
