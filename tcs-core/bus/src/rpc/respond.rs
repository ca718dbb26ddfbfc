//! The answering side: one subscription a command, its subject as the queue group (as serverish
//! does it, so that a Python and a Rust responder of one subject never both answer), and one set
//! of service API subscriptions for the whole process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::micro::{self, Endpoint, Instance, Verb};
use crate::api::is_copy;
use crate::clock;
use crate::connect::Bus;
use crate::guard::guarded;
use crate::outgoing::{hostname, new_meta, random_id};
use tcs_wire::Meta;
use tcs_wire::id::split;
use tcs_wire::rpc::{self, Request};

/// Requests of one command that are worked on at once; the rest wait in NATS's own queue.
const AT_ONCE: usize = 16;
/// How long a request that acts is remembered (`docs/spec/wire.md#requests`).
const REMEMBERED: Duration = Duration::from_mins(10);
/// How many are remembered of one command.
const MAX_REMEMBERED: usize = 1000;
/// Bytes of a sender's name, and of a request's id, at most.
const MAX_NAME: usize = 256;

/// What a command answers: an object, or the text of its error.
pub type Reply = Result<Map<String, Value>, String>;
type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Reply> + Send + Sync>;

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Parameters.
    pub data: Map<String, Value>,
    /// Who asks, as they claim, and the id of the request.
    pub meta: Meta,
    /// What follows the command in the subject, for a command that ends in `.>`: of
    /// `start.>` the service to start. Empty otherwise.
    pub rest: String,
}

/// One thing that can be asked for.
#[derive(Clone)]
pub struct Command {
    name: String,
    handler: Handler,
    acts: bool,
}

impl Command {
    /// `name` is what follows `v1.` in the subject; with `.>` at its end it serves all that
    /// begins so. A handler that panics answers with an error.
    pub fn new<F, R>(name: &str, handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Reply> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |call| Box::pin(handler(call)));
        Self { name: name.to_owned(), handler, acts: false }
    }

    /// What follows `v1.` in the subject.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls its handler, as a request would.
    pub async fn call(&self, call: Call) -> Reply {
        guarded(async { (self.handler)(call).await })
            .await
            .unwrap_or_else(|panic| Err(format!("`{}` {panic}", self.name)))
    }

    /// For a command that changes something: a request that comes twice (same `meta.sender`, same
    /// `meta.id`, within 10 min) acts once, and gets the first answer again.
    #[must_use]
    pub fn acting(mut self) -> Self {
        self.acts = true;
        self
    }
}

/// What the service API announces of a monitored object.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// Its monitored name.
    pub name: String,
    /// In a few words.
    pub description: String,
    /// Version of the program, `1.2.3`.
    pub version: String,
}

/// Why commands cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen to `{subject}`: {why}")]
#[non_exhaustive]
pub struct ServeError {
    /// Where.
    pub subject: String,
    /// Why not.
    pub why: String,
}

/// All that this process answers to. Cheap to clone.
#[derive(Clone)]
pub struct Responders(Arc<Inner>);

struct Inner {
    bus: Bus,
    served: Mutex<Vec<Weak<Object>>>,
    announcing: Mutex<Option<AbortHandle>>,
}

struct Object {
    instance: Instance,
    endpoints: Mutex<Vec<Arc<Endpoint>>>,
}

/// A monitored object's commands. They are served until it is dropped.
pub struct Serving {
    bus: Bus,
    name: String,
    object: Arc<Object>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        for task in self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort(); // drops the subscription, which ends it at the server
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.announcing.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl Responders {
    /// Over this connection.
    pub fn new(bus: Bus) -> Self {
        let (served, announcing) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { bus, served, announcing }))
    }

    /// Serves the commands of one monitored object, and announces it.
    pub async fn serve(
        &self,
        announcement: Announcement,
        commands: impl IntoIterator<Item = Command>,
    ) -> Result<Serving, ServeError> {
        let Announcement { name, description, version } = announcement;
        let object = Arc::new(Object {
            instance: Instance {
                name: micro::name(&name),
                id: random_id(),
                version,
                description,
                metadata: BTreeMap::from([
                    ("tcs.service_id".to_owned(), name.clone()),
                    ("tcs.variant".to_owned(), split(&name).1.to_owned()),
                    ("tcs.host".to_owned(), hostname()),
                ]),
                started: clock::wall(),
            },
            endpoints: Mutex::default(),
        });
        let serving = Serving {
            bus: self.0.bus.clone(),
            name,
            object: Arc::clone(&object),
            tasks: Mutex::default(),
        };
        for command in commands {
            serving.add(command).await?;
        }
        {
            let mut served = self.0.served.lock().unwrap_or_else(PoisonError::into_inner);
            served.retain(|object| object.strong_count() > 0);
            served.push(Arc::downgrade(&object));
        }
        self.announce().await?;
        Ok(serving)
    }

    /// Answers the service API, from the first call on.
    async fn announce(&self) -> Result<(), ServeError> {
        let started = |inner: &Inner| {
            inner.announcing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        };
        if started(&self.0) {
            return Ok(());
        }
        let mut asked = stream::SelectAll::new();
        for verb in Verb::ALL {
            for subject in [format!("$SRV.{}", verb.token()), format!("$SRV.{}.>", verb.token())] {
                let requests = listen(&self.0.bus, &subject, None).await?;
                asked.push(requests.map(move |request| (verb, request)));
            }
        }
        let inner = Arc::downgrade(&self.0);
        let task = tokio::spawn(async move {
            while let Some((verb, request)) = asked.next().await {
                let Some(inner) = inner.upgrade() else { return };
                let Some(reply) = &request.reply else { continue };
                if forged(&inner.bus, &request).is_some() {
                    continue;
                }
                let served: Vec<_> = {
                    let served = inner.served.lock().unwrap_or_else(PoisonError::into_inner);
                    served.iter().filter_map(Weak::upgrade).collect()
                };
                for object in served {
                    if object.instance.is_meant(verb, &request.subject) {
                        let answer = {
                            let ends = object.endpoints.lock();
                            let ends = ends.unwrap_or_else(PoisonError::into_inner);
                            object.instance.answer(verb, &ends)
                        };
                        let body = answer.to_string().into_bytes();
                        inner.bus.send(reply.to_string(), None, body.into()).await;
                    }
                }
            }
        });
        let mut announcing = self.0.announcing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = announcing.replace(task.abort_handle()) {
            other.abort(); // two began at once
        }
        Ok(())
    }
}

impl Serving {
    /// Serves one more command.
    pub async fn add(&self, command: Command) -> Result<(), ServeError> {
        let subject = self.bus.subjects().rpc(&self.name, &command.name);
        let requests = listen(&self.bus, &subject, Some(&subject)).await?;
        let endpoint = Arc::new(Endpoint { subject, tally: Mutex::default() });
        self.object
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&endpoint));
        let task = tokio::spawn(answer_all(self.bus.clone(), command, endpoint, requests));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task.abort_handle());
        Ok(())
    }
}

async fn listen(bus: &Bus, subject: &str, queue: Option<&str>) -> Result<Subscriber, ServeError> {
    let client = bus.client();
    let subscriber = match queue {
        Some(queue) => client.queue_subscribe(subject.to_owned(), queue.to_owned()).await,
        None => client.subscribe(subject.to_owned()).await,
    };
    subscriber.map_err(|error| ServeError { subject: subject.to_owned(), why: error.to_string() })
}

type Memory = Mutex<HashMap<(String, String), (Instant, Arc<tokio::sync::OnceCell<Reply>>)>>;

/// Why this is no request that somebody sent: NATS checks neither the reply subject of a request
/// nor where a consumer delivers, so that messages of a stream, and answers meant for somebody
/// else, can be made to arrive here (SECURITY.md). Such a message is not answered either.
fn forged(bus: &Bus, message: &Message) -> Option<String> {
    if let Some(reply) = message.reply.as_deref()
        && !is_inbox(reply, &bus.settings().inbox_prefix)
    {
        return Some(format!("its reply subject `{}` is not an inbox", reply.escape_debug()));
    }
    let headers = message.headers.as_ref()?;
    (is_copy(headers) || headers.get("Nats-Msg-Id").is_some())
        .then(|| "it is a copy of a message in a stream".to_owned())
}

/// Inboxes begin with an underscore by convention (`_INBOX`, `_R_` across accounts, `_GR_` across
/// clusters), or as ours do.
fn is_inbox(reply: &str, own: &str) -> bool {
    reply.starts_with('_') || reply.strip_prefix(own).is_some_and(|rest| rest.starts_with('.'))
}

async fn answer_all(bus: Bus, command: Command, endpoint: Arc<Endpoint>, mut requests: Subscriber) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let memory: Arc<Memory> = Arc::default();
    let mut warned = false;
    while let Some(message) = requests.next().await {
        if let Some(why) = forged(&bus, &message) {
            // once: whoever sends them decides how many there are
            if !std::mem::replace(&mut warned, true) {
                tracing::warn!("`{}`: ignored a forged request: {why}", command.name);
            }
            continue;
        }
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let (bus, command) = (bus.clone(), command.clone());
        let (endpoint, memory) = (Arc::clone(&endpoint), Arc::clone(&memory));
        tokio::spawn(async move {
            let _permit = permit;
            let start = clock::monotonic();
            let reply = answer(&command, &endpoint.subject, &message, &memory).await;
            endpoint.note(clock::monotonic() - start, reply.as_ref().err().map(String::as_str));
            let Some(to) = message.reply else { return };
            let written = rpc::write_reply(&reply, new_meta());
            let most = bus.client().server_info().max_payload;
            let written = match written {
                Ok(body) if most > 0 && body.len() > most => {
                    let why = format!(
                        "the reply has {} bytes, more than the server's max_payload of {most}",
                        body.len()
                    );
                    tracing::warn!("`{}`: {why}", command.name);
                    rpc::write_reply(&Reply::Err(why), new_meta())
                }
                written => written,
            };
            match written {
                Ok(body) => bus.send(to.to_string(), None, body.into()).await,
                Err(error) => {
                    tracing::warn!("`{}`: the reply cannot be sent: {error}", command.name);
                }
            }
        });
    }
}

async fn answer(command: &Command, subject: &str, message: &Message, memory: &Memory) -> Reply {
    let Request { data, meta } = rpc::read_request(&message.payload)
        .map_err(|error| format!("the request cannot be read: {error}"))?;
    if meta.sender.is_empty() || meta.id.is_empty() {
        return Err("the request has no `meta.sender` and `meta.id`: nothing was done".to_owned());
    }
    // both are remembered, and published with what follows from the request
    if meta.sender.len() > MAX_NAME || meta.id.len() > MAX_NAME {
        return Err(format!(
            "`meta.sender` and `meta.id` must have at most {MAX_NAME} bytes: nothing was done"
        ));
    }
    let rest = subject.strip_suffix('>').and_then(|start| message.subject.strip_prefix(start));
    let rest = rest.unwrap_or_default().to_owned();
    let key = (meta.sender.clone(), format!("{} {}", meta.id, message.subject));
    let call = Call { data, meta, rest };
    let run = || command.call(call);
    if !command.acts {
        return run().await;
    }
    let remembered = {
        let now = clock::monotonic();
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|_, (at, _)| now < *at + REMEMBERED);
        if memory.len() >= MAX_REMEMBERED
            && let Some(oldest) =
                memory.iter().min_by_key(|(_, (at, _))| *at).map(|(k, _)| k.clone())
        {
            memory.remove(&oldest);
        }
        Arc::clone(&memory.entry(key).or_insert_with(|| (now, Arc::default())).1)
    };
    remembered.get_or_init(run).await.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_answered() {
        for inbox in ["_INBOX.a.b", "_INBOX.viewer.a.1", "_R_.x.y", "_GR_.c.s._INBOX.a", "own.x"] {
            assert!(is_inbox(inbox, "own"), "{inbox}");
        }
        let other = ["$JS.ACK.s.c.1.1.1.1.0", "svc.rpc.a.b.v1.stop", "$JS.API.x", "ownx.y", "own"];
        for other in other {
            assert!(!is_inbox(other, "own"), "{other}");
        }
    }
}
