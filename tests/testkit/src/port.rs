//! A port of loopback that is known before anybody listens on it, and that nobody else is given.

use tokio::net::TcpSocket;

/// A free port, kept for one program after the other: a socket is bound to it, which does not
/// listen. The system gives such a port to nobody who asks for any; who names it can listen there,
/// as servers set `SO_REUSEADDR`.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _held: TcpSocket,
}

impl Port {
    /// One that is free now, and for as long as this is held.
    pub fn free() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { number: held.local_addr().unwrap().port(), _held: held }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[test]
fn a_port_is_kept_and_can_be_listened_on_again_and_again() {
    use std::net::{TcpListener, TcpStream};
    let ports: Vec<Port> = (0..100).map(|_| Port::free()).collect();
    let numbers: std::collections::BTreeSet<u16> = ports.iter().map(Port::number).collect();
    assert_eq!(numbers.len(), ports.len());
    let address = ("127.0.0.1", ports[0].number());
    for _ in 0..3 {
        assert!(TcpStream::connect(address).is_err(), "nobody listens");
        let listener = TcpListener::bind(address).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        // the server closes first: its end stays in the system for a while
        drop((server, listener, client));
    }
    for _ in 0..2000 {
        let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(!numbers.contains(&other), "given to somebody else");
    }
}
