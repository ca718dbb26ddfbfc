//! What a launcher answers to (`wire.md`, "RPC"): each reply comes after the effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tcs_core::bus::rpc::{Call, Command as Served, Reply};
use tcs_core::clock;
use tcs_core::monitor::Monitor;
use tcs_core::wire::Timestamp;
use tokio::sync::{mpsc, oneshot};

use tcs_supervisor::reload::Report;
use tcs_supervisor::{Answer, Command, Operation, Patience, Reached, Refusal, ServiceId, Success};

/// The longest that a patient stop may be asked to wait.
const LONGEST_PATIENCE: f64 = 30.0 * 24.0 * 3600.0;

/// Something asked of the launcher, and where the answer goes.
#[derive(Debug)]
pub enum Ask {
    /// Start, stop or restart one service.
    Service(Operation, ServiceId, Command, oneshot::Sender<Answer>),
    /// Read the configuration again.
    Reload(Operation, oneshot::Sender<Result<(Report, Answer), String>>),
    /// What that would change.
    Plan(oneshot::Sender<Result<Report, String>>),
    /// What is there.
    List(oneshot::Sender<Value>),
    /// The last lines of one service.
    Logs {
        /// Whose.
        id: ServiceId,
        /// How many at most.
        count: usize,
        /// For how long the asker reads along.
        follow: Option<Duration>,
        /// For the lines.
        back: oneshot::Sender<Result<Value, String>>,
    },
}

/// Lines in an answer, when it is not said how many, and at most.
const LINES: (u64, u64) = (100, 1000);

/// Serves the commands of the launcher that `monitor` speaks for.
pub fn serve(monitor: &Monitor, launcher_id: &str, asks: &mpsc::Sender<Ask>) {
    let about = |asks: &mpsc::Sender<Ask>| (Arc::<str>::from(launcher_id), asks.clone());
    for name in ["start.>", "stop.>", "restart.>"] {
        let (launcher, asks) = about(asks);
        monitor.serve(
            Served::new(name, move |call| act(name, call, Arc::clone(&launcher), asks.clone()))
                .acting(),
        );
    }
    let (launcher, to) = about(asks);
    let reload = move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            if call.data.get("dry_run").and_then(Value::as_bool) == Some(true) {
                let report = ask(&to, Ask::Plan).await??;
                return Ok(reply(&launcher, reloaded(&report, Vec::new(), true)));
            }
            let (report, answer) = ask(&to, |back| Ask::Reload(operation(&call), back)).await??;
            match answer {
                Answer::Reload(touched) => Ok(reply(&launcher, reloaded(&report, touched, false))),
                Answer::Service(Err(refusal)) => Err(refusal.to_string()),
                Answer::Service(Ok(_)) => Err("no such answer".to_owned()),
            }
        }
    };
    monitor.serve(Served::new("reload", reload).acting());
    let (launcher, to) = about(asks);
    monitor.serve(Served::new("list", move |_| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move { Ok(reply(&launcher, ask(&to, Ask::List).await?)) }
    }));
    let (launcher, to) = about(asks);
    monitor.serve(Served::new("logs.>", move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            let id = id(&call)?;
            let lines = call.data.get("lines").and_then(Value::as_u64).unwrap_or(LINES.0);
            let count = lines.min(LINES.1) as usize;
            let follow = call.data.get("follow_s").and_then(Value::as_f64);
            let follow = follow.and_then(|s| Duration::try_from_secs_f64(s).ok());
            let found = ask(&to, |back| Ask::Logs { id, count, follow, back }).await??;
            Ok(reply(&launcher, found))
        }
    }));
}

async fn ask<T>(
    asks: &mpsc::Sender<Ask>,
    make: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Result<T, String> {
    let gone = || "the launcher is shutting down".to_owned();
    let (back, answer) = oneshot::channel();
    asks.send(make(back)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())
}

fn operation(call: &Call) -> Operation {
    Operation { sender: call.meta.sender.as_str().into(), message: call.meta.id.as_str().into() }
}

fn id(call: &Call) -> Result<ServiceId, String> {
    call.rest.parse().map_err(|error: tcs_core::id::IdError| error.to_string())
}

async fn act(name: &str, call: Call, launcher: Arc<str>, asks: mpsc::Sender<Ask>) -> Reply {
    let id = id(&call)?;
    let patience = patience(&call.data)?;
    let (command, done) = match name {
        "start.>" => (Command::Start, "started"),
        "stop.>" => (Command::Stop(patience), "stopped"),
        _ => (Command::Restart(patience), "restarted"),
    };
    let service = id.to_string();
    let answer = ask(&asks, |back| Ask::Service(operation(&call), id, command, back)).await?;
    let Answer::Service(result) = answer else { return Err("no such answer".to_owned()) };
    let Success { state, changed } = result.map_err(|refusal| refusal.to_string())?;
    let mut data = json!({ "service_id": service, "result": done, "changed": changed });
    describe(state, &mut data);
    Ok(reply(&launcher, data))
}

/// `when_idle: true`, and `max_wait_s`.
fn patience(data: &Map<String, Value>) -> Result<Patience, String> {
    if data.get("when_idle").and_then(Value::as_bool) != Some(true) {
        return Ok(Patience::Now);
    }
    match data.get("max_wait_s") {
        None | Some(Value::Null) => Ok(Patience::WhenIdle(None)),
        Some(wait) => match wait.as_f64().filter(|wait| (0.0..=LONGEST_PATIENCE).contains(wait)) {
            Some(wait) => Ok(Patience::WhenIdle(Some(Duration::from_secs_f64(wait)))),
            None => Err("`max_wait_s` must be a number of seconds".to_owned()),
        },
    }
}

fn describe(state: Reached, data: &mut Value) {
    match state {
        Reached::Running { pid } => data["pid"] = json!(pid.unwrap_or_else(std::process::id)),
        Reached::Starting { pid } => {
            data["pid"] = json!(pid);
            data["state"] = json!("starting");
        }
        Reached::Stopped { code } => data["exit_code"] = json!(code),
        Reached::Completed => data["state"] = json!("completed"),
        Reached::Updated => data["state"] = json!("updated"),
    }
}

/// What a reload changes, with what has become of each service where it was done.
fn reloaded(
    report: &Report,
    touched: Vec<(ServiceId, Result<Success, Refusal>)>,
    dry_run: bool,
) -> Value {
    let mut results: BTreeMap<String, _> =
        touched.into_iter().map(|(id, result)| (id.to_string(), result)).collect();
    let mut services = Vec::new();
    for change in &report.services {
        let mut data = json!(change);
        if let Some(result) = results.remove(&change.service_id) {
            became(result, &mut data);
        }
        services.push(data);
    }
    // the answer to a request that was repeated: the file is as it was by then
    for (id, result) in results {
        let mut data = json!({ "service_id": id });
        became(result, &mut data);
        services.push(data);
    }
    json!({
        "changed": !services.is_empty(), "dry_run": dry_run, "services": services,
        "unchanged": report.unchanged, "notes": report.notes,
    })
}

fn became(result: Result<Success, Refusal>, data: &mut Value) {
    match result {
        Ok(Success { state, .. }) => {
            let word = match state {
                Reached::Running { .. } | Reached::Starting { .. } => "started",
                Reached::Completed => "completed",
                Reached::Stopped { .. } => "stopped",
                Reached::Updated => "updated",
            };
            data["result"] = json!(word);
            describe(state, data);
        }
        Err(refusal) => data["error"] = json!(refusal.to_string()),
    }
}

fn reply(launcher: &str, data: Value) -> Map<String, Value> {
    let mut map = match data {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    map.insert("launcher_id".to_owned(), json!(launcher));
    map.insert("timestamp".to_owned(), json!(Timestamp::new(clock::wall())));
    map
}
