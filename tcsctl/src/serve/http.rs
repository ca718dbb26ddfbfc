//! Connections: how many, how long they may take to ask and to take the answer, and how they end.
//!
//! `axum::serve` bounds neither the number of connections nor the time that a request's head may
//! take: a few clients that send nothing would keep all others out. Here the connection that has had no
//! request in hand for longest makes room for a new one, and one address has half of them at most.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_TYPE;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tcs_core::clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::GRACE;
use super::shares::{Share, Shares, is_unbounded, owner};
use super::stream::EVENTS;

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at a time; others wait to be accepted, unless one makes room.
    pub(super) connections: usize,
    /// Of these, those of one address that [`bounds`](Self::bounds) it.
    pub(super) of_one: usize,
    /// Whether an address may not hold all of them.
    pub(super) bounds: fn(IpAddr) -> bool,
    /// The head of a request has come by then, or the connection is closed; also one without requests.
    pub(super) head: Duration,
    /// A request is answered, and its answer taken, by then; streams of events go on.
    pub(super) answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, answer) = (Duration::from_secs(10), Duration::from_mins(2));
        Self { connections: 256, of_one: 128, bounds: |it| !is_unbounded(it), head, answer }
    }
}

/// Bytes of a request's head, and of what is kept unsent.
const MAX_BUFFER: usize = 16 * 1024;
/// A client that takes nothing for so long is gone, in milliseconds.
#[cfg(target_os = "linux")]
const UNTAKEN_MS: u32 = 30_000;
/// After accepting has failed, most likely for want of descriptors.
const AGAIN: Duration = Duration::from_millis(100);

/// The address at which a request came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local(pub(super) IpAddr);

/// The address from which a request came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client(pub(super) IpAddr);

/// The connections without a request in hand, in the order in which they came to be so.
#[derive(Default)]
struct Idle {
    all: Mutex<BTreeMap<u64, (IpAddr, CancellationToken)>>,
    /// The places given so far: who was ended still leaves its own, which no other one has then.
    places: AtomicU64,
    /// One more is.
    came: Notify,
}

impl Idle {
    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, (IpAddr, CancellationToken)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the one that has been so for longest; whether there is any.
    fn end_oldest(&self) -> bool {
        let oldest = self.all().pop_first();
        if let Some((_, (_, connection))) = &oldest {
            connection.cancel();
        }
        oldest.is_some()
    }

    /// Ends the oldest connection of one address.
    fn end_oldest_of(&self, address: IpAddr) -> bool {
        let mut all = self.all();
        let place = all.iter().find(|(_, (of, _))| *of == address).map(|(place, _)| *place);
        let oldest = place.and_then(|place| all.remove(&place));
        if let Some((_, connection)) = &oldest {
            connection.cancel();
        }
        oldest.is_some()
    }

    /// Room for a connection, if need be that of another one.
    async fn make_room(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(room).acquire_owned();
        tokio::pin!(permit);
        let mut is_made = room.available_permits() > 0;
        loop {
            is_made = is_made || self.end_oldest();
            tokio::select! {
                biased;
                permit = permit.as_mut() => return permit.ok(),
                () = self.came.notified(), if !is_made => {}
            }
        }
    }
}

/// One connection.
struct Connection {
    idle: Arc<Idle>,
    /// Whose it is, as it is counted.
    owner: IpAddr,
    /// Another one needs its room.
    ended: CancellationToken,
    state: Mutex<State>,
}

enum State {
    /// Its place in [`Idle`].
    Idle(u64),
    /// Since then a request is in hand; `None`: a stream of events.
    Busy(Option<Instant>),
}

impl Connection {
    fn new(idle: &Arc<Idle>, owner: IpAddr) -> Arc<Self> {
        let (ended, state) = (CancellationToken::new(), Mutex::new(State::Busy(None)));
        let connection = Self { idle: Arc::clone(idle), owner, ended, state };
        connection.rest();
        Arc::new(connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, state: &State) {
        if let State::Idle(place) = state {
            self.idle.all().remove(place);
        }
    }

    fn rest(&self) {
        let mut state = self.state();
        self.leave(&state);
        let mut idle = self.idle.all();
        let place = self.idle.places.fetch_add(1, Ordering::Relaxed);
        idle.insert(place, (self.owner, self.ended.clone()));
        *state = State::Idle(place);
        self.idle.came.notify_one();
    }

    fn work(&self, since: Option<Instant>) {
        let mut state = self.state();
        self.leave(&state);
        *state = State::Busy(since);
    }

    fn is_overdue(&self, limit: Duration) -> bool {
        matches!(*self.state(), State::Busy(Some(since)) if since.elapsed() > limit)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let state = self.state();
        self.leave(&state);
    }
}

/// The body of an answer. Once it is sent, or given up, its connection is idle.
struct Answer {
    body: Body,
    connection: Arc<Connection>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.rest();
    }
}

/// Accepts connections until `stop`, and then waits for those in hand.
pub(super) async fn accept(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let idle = Arc::new(Idle::default());
    let shares = Arc::new(Shares::default());
    let tasks = TaskTracker::new();
    let accepting = async {
        loop {
            let Ok((stream, client)) = listener.accept().await else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let client = client.ip();
            let share = shares.take(client);
            let is_too_many = share.held > limits.of_one && (limits.bounds)(client);
            // who has requests in hand on all of them is not waited for: others come first
            if is_too_many && !idle.end_oldest_of(owner(client)) {
                continue;
            }
            let Some(permit) = idle.make_room(&room).await else { return };
            let connection = Connection::new(&idle, owner(client));
            let held = (permit, share);
            let serving =
                serve((stream, client), routes.clone(), (connection, limits), stop.clone(), held);
            tasks.spawn(serving);
        }
    };
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    tasks.close();
    tokio::time::timeout(GRACE, tasks.wait()).await.ok();
}

/// Has the kernel close the connection of a client that takes nothing any more.
#[cfg(target_os = "linux")]
fn end_when_untaken(stream: &TcpStream) {
    use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
    setsockopt(stream, TcpUserTimeout, &UNTAKEN_MS).ok();
}

/// Other kernels have no such limit.
#[cfg(not(target_os = "linux"))]
const fn end_when_untaken(_: &TcpStream) {}

async fn serve(
    (stream, client): (TcpStream, IpAddr),
    routes: Router,
    (connection, limits): (Arc<Connection>, Limits),
    stop: CancellationToken,
    _held: (OwnedSemaphorePermit, Share),
) {
    let Ok(local) = stream.local_addr() else { return };
    // each of them is for the better; without them it works too
    stream.set_nodelay(true).ok();
    end_when_untaken(&stream);
    let routes = TowerToHyperService::new(routes);
    let of_answers = Arc::clone(&connection);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Local(local.ip()));
        request.extensions_mut().insert(Client(client));
        let connection = Arc::clone(&of_answers);
        connection.work(Some(clock::monotonic()));
        let answered = routes.call(request.map(Body::new));
        async move {
            let response = answered.await?;
            if response.headers().get(CONTENT_TYPE).is_some_and(|it| *it == EVENTS) {
                connection.work(None);
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Answer { body, connection }))
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let overdue = async {
        while !connection.is_overdue(limits.answer) {
            tokio::time::sleep(limits.answer / 4).await;
        }
    };
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended.is_ok()),
        () = connection.ended.cancelled() => Some(false),
        () = overdue => Some(false),
        () = stop.cancelled() => None,
    };
    // what a client does wrong is its own affair
    if ended.is_none() {
        served.as_mut().graceful_shutdown();
        served.await.ok();
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// No test waits for these.
    const NEVER: Duration = Duration::from_hours(1);
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    async fn server(limits: Limits) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = || {
            let some = Bytes::from_static(&[b'x'; 4096]);
            Body::from_stream(stream::repeat(Ok::<_, std::convert::Infallible>(some)))
        };
        let endless = async move || ([(CONTENT_TYPE, EVENTS)], body());
        let slow = async move || body();
        let routes = Router::new()
            .route("/", get(async || "ok"))
            .route("/endless", get(endless))
            .route("/slow", get(slow));
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, routes, limits, stop.clone()));
        (address, stop)
    }

    async fn send(address: std::net::SocketAddr, text: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text).await.unwrap();
        stream
    }

    /// Until it is closed, or an answer begins.
    async fn first(stream: &mut TcpStream) -> String {
        let mut start = [0; 15];
        let got = stream.read(&mut start).await.unwrap_or(0);
        String::from_utf8_lossy(&start[..got]).into_owned()
    }

    #[tokio::test]
    async fn who_sends_no_request_makes_room_for_those_who_do() {
        let limits = Limits { connections: 4, head: NEVER, answer: NEVER, ..Limits::default() };
        let (address, stop) = server(limits).await;
        let mut silent = vec![send(address, b"").await, send(address, b"").await];
        silent.push(send(address, b"GET / HTTP/1.1\r\nHo").await);
        silent.push(send(address, b"").await);
        let mut kept = Vec::new();
        for mut oldest in silent {
            let mut new = send(address, GET).await;
            assert_eq!(first(&mut new).await, "HTTP/1.1 200 OK");
            assert_eq!(first(&mut oldest).await, "");
            kept.push(new);
        }
        // those that were answered, and are kept open, too
        let mut others = Vec::new();
        for mut oldest in kept {
            let mut new = send(address, GET).await;
            assert_eq!(first(&mut new).await, "HTTP/1.1 200 OK");
            let mut rest = Vec::new();
            oldest.read_to_end(&mut rest).await.ok();
            others.push(new);
        }
        stop.cancel();
    }

    #[tokio::test]
    async fn who_is_being_answered_is_not_cut_for_another_one() {
        let limits = Limits { connections: 2, head: NEVER, answer: NEVER, ..Limits::default() };
        let (address, stop) = server(limits).await;
        let request = b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut streams = [send(address, request).await, send(address, request).await];
        for stream in &mut streams {
            assert_eq!(first(stream).await, "HTTP/1.1 200 OK");
        }
        let mut waits = send(address, GET).await;
        for stream in &mut streams {
            let mut more = vec![0; 1 << 20];
            stream.read_exact(&mut more).await.unwrap();
        }
        drop(streams);
        assert_eq!(first(&mut waits).await, "HTTP/1.1 200 OK");
        stop.cancel();
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_in_time_is_cut_and_a_stream_of_events_goes_on() {
        let answer = Duration::from_millis(100);
        let limits = Limits { connections: 4, head: NEVER, answer, ..Limits::default() };
        let (address, stop) = server(limits).await;
        let mut endless = send(address, b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut slow = send(address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut some = vec![0; 1 << 16];
        while slow.read(&mut some).await.is_ok_and(|got| got > 0) {}
        let mut more = vec![0; 1 << 20];
        endless.read_exact(&mut more).await.unwrap();
        stop.cancel();
    }

    /// From an address of its own.
    async fn send_from(from: [u8; 4], to: std::net::SocketAddr, text: &[u8]) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let mut stream = socket.connect(to).await.unwrap();
        stream.write_all(text).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn one_address_does_not_hold_all_connections() {
        const GREEDY: [u8; 4] = [127, 0, 0, 2];
        const PROXY: [u8; 4] = [127, 0, 0, 1];
        let bounds = |it| it != IpAddr::from(PROXY);
        let limits = Limits { connections: 8, of_one: 2, bounds, head: NEVER, answer: NEVER };
        let (address, stop) = server(limits).await;
        let request = b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = send_from(GREEDY, address, request).await;
            assert_eq!(first(&mut stream).await, "HTTP/1.1 200 OK");
            held.push(stream);
        }
        // a third is closed at once, and what others want is answered
        let mut third = send_from(GREEDY, address, GET).await;
        assert_eq!(first(&mut third).await, "");
        let mut other = send_from([127, 0, 0, 3], address, GET).await;
        assert_eq!(first(&mut other).await, "HTTP/1.1 200 OK");
        for _ in 0..4 {
            let mut stream = send_from(PROXY, address, GET).await;
            assert_eq!(first(&mut stream).await, "HTTP/1.1 200 OK");
            held.push(stream);
        }
        stop.cancel();
    }

    #[tokio::test]
    async fn an_address_with_too_many_loses_its_own_oldest_idle_one() {
        const MANY: [u8; 4] = [127, 0, 0, 2];
        let (of_one, bounds) = (2, |_| true);
        let limits = Limits { connections: 8, of_one, bounds, head: NEVER, answer: NEVER };
        let (address, stop) = server(limits).await;
        let mut other = send_from([127, 0, 0, 3], address, b"").await;
        let mut silent = [send_from(MANY, address, b"").await, send_from(MANY, address, b"").await];
        let mut kept = Vec::new();
        for oldest in &mut silent {
            let mut stream =
                send_from(MANY, address, b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(first(&mut stream).await, "HTTP/1.1 200 OK");
            assert_eq!(first(oldest).await, "");
            kept.push(stream);
        }
        other.write_all(GET).await.unwrap();
        assert_eq!(first(&mut other).await, "HTTP/1.1 200 OK");
        stop.cancel();
    }

    #[tokio::test]
    async fn who_takes_the_place_of_another_connection_makes_room_too() {
        let (of_one, bounds) = (1, |_| true);
        let limits = Limits { connections: 8, of_one, bounds, head: NEVER, answer: NEVER };
        let (address, stop) = server(limits).await;
        let connect = async |text: &'static [u8]| send_from([127, 0, 0, 2], address, text).await;
        let mut oldest = connect(b"").await;
        let silent = connect(b"").await;
        assert_eq!(first(&mut oldest).await, "");
        let mut new = connect(GET).await;
        assert_eq!(first(&mut new).await, "HTTP/1.1 200 OK");
        drop(silent);
        stop.cancel();
    }
}
