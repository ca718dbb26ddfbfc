//! What a launcher answers to (`docs/spec/wire.md#commands-of-a-launcher`): each reply comes after
//! the effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tcs_core::bus::rpc::{Call, Command as Served, Reply};
use tcs_core::clock;
use tcs_core::monitor::Monitor;
use tcs_core::wire::Timestamp;
use tcs_core::wire::control::{
    self, Done, DrillReply, DrillRequest, ListReply, LogsReply, LogsRequest, OperationReply,
    Outcome, ProfileRequest, ProfilesReply, ReloadReply, ReloadRequest, ResourcesRequest,
    ServiceChange, StopRequest, UpgradeReply, command,
};
use tokio::sync::{mpsc, oneshot};

use crate::resources::Resources;
use tcs_supervisor::{Answer, Command, Operation, Patience, Reached, Refusal, ServiceId, Success};

/// Something asked of the launcher, and where the answer goes.
#[derive(Debug)]
pub(crate) enum ControlRequest {
    /// Start, stop or restart one service.
    Service {
        /// Which operation it is, and whose.
        operation: Operation,
        /// To whom.
        id: ServiceId,
        /// What.
        command: Command,
        /// For a stop: the planned work for which the service stays stopped.
        comment: Option<String>,
        /// For the answer.
        back: oneshot::Sender<Answer>,
    },
    /// Read the configuration again, and move to a profile.
    Reload(Operation, ProfileChoice, oneshot::Sender<Result<(ReloadReply, Answer), String>>),
    /// Have the program's new file take over.
    Upgrade(Operation, oneshot::Sender<Result<UpgradeReply, String>>),
    /// Make a fault on purpose, or end it.
    Drill(Operation, ServiceId, DrillRequest, oneshot::Sender<Result<DrillReply, String>>),
    /// What that would change.
    Plan(ProfileChoice, oneshot::Sender<Result<ReloadReply, String>>),
    /// Which profiles there are.
    Profiles(oneshot::Sender<Result<ProfilesReply, String>>),
    /// What is there.
    List(oneshot::Sender<ListReply>),
    /// The last lines of one service.
    Logs {
        /// Whose.
        id: ServiceId,
        /// How many at most.
        count: usize,
        /// Which run: 0 the present one, -1 the one before; `None`: all.
        run: Option<i64>,
        /// How long the requester follows the output.
        follow: Option<Duration>,
        /// For the lines.
        back: oneshot::Sender<Result<LogsReply, String>>,
    },
}

/// The set of services that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProfileChoice {
    /// As before.
    Keep,
    /// This one; `None`: what the file says without profiles.
    Set(Option<String>),
}

/// Lines in an answer, when it is not said how many, and at most.
const LINES: (u64, u64) = (100, 1000);

/// Serves the commands of the launcher that `monitor` speaks for.
pub(crate) fn serve(monitor: &Monitor, launcher_id: &str, asks: &mpsc::Sender<ControlRequest>) {
    let about = |asks: &mpsc::Sender<ControlRequest>| (Arc::<str>::from(launcher_id), asks.clone());
    for name in [command::START, command::STOP, command::RESTART] {
        let (launcher, asks) = about(asks);
        let of_a_service = move |call| operate(name, call, Arc::clone(&launcher), asks.clone());
        monitor.serve(Served::new(&format!("{name}.>"), of_a_service).acting());
    }
    let (launcher, to) = about(asks);
    let reload = move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            let dry_run = ReloadRequest::read(&call.data)?.dry_run;
            let operation = operation(command::RELOAD, &call);
            read_again(&launcher, &to, operation, ProfileChoice::Keep, dry_run).await
        }
    };
    monitor.serve(Served::new(command::RELOAD, reload).acting());
    let (launcher, to) = about(asks);
    let upgrade = move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            let by = operation(command::UPGRADE, &call);
            reply(&launcher, &ask(&to, |back| ControlRequest::Upgrade(by, back)).await??)
        }
    };
    monitor.serve(Served::new(command::UPGRADE, upgrade).acting());
    let (launcher, to) = about(asks);
    let profile = move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            let ProfileRequest { name, clear, dry_run } = ProfileRequest::read(&call.data)?;
            if name.is_none() && !clear {
                return reply(&launcher, &ask(&to, ControlRequest::Profiles).await??);
            }
            let operation = operation(command::PROFILE, &call);
            read_again(&launcher, &to, operation, ProfileChoice::Set(name), dry_run).await
        }
    };
    monitor.serve(Served::new(command::PROFILE, profile).acting());
    let (launcher, to) = about(asks);
    let drill = move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            let (id, request) = (id(&call)?, DrillRequest::read(&call.data)?);
            let by = operation(command::DRILL, &call);
            let asked = ask(&to, |back| ControlRequest::Drill(by, id, request, back));
            reply(&launcher, &asked.await??)
        }
    };
    monitor.serve(Served::new(&format!("{}.>", command::DRILL), drill).acting());
    let (launcher, to) = about(asks);
    monitor.serve(Served::new(command::LIST, move |_| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move { reply(&launcher, &ask(&to, ControlRequest::List).await?) }
    }));
    let (launcher, to) = about(asks);
    monitor.serve(Served::new(&format!("{}.>", command::LOGS), move |call: Call| {
        let (launcher, to) = (Arc::clone(&launcher), to.clone());
        async move {
            let id = id(&call)?;
            let LogsRequest { lines, follow_s, run } = LogsRequest::read(&call.data)?;
            let count = lines.unwrap_or(LINES.0).min(LINES.1) as usize;
            if run.is_some_and(|run| run > 0) {
                return Err("`run` must be 0, or -1 for the run before".to_owned());
            }
            let follow = follow_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
            let found =
                ask(&to, |back| ControlRequest::Logs { id, count, run, follow, back }).await??;
            reply(&launcher, &found)
        }
    }));
}

/// Has the configuration read again, or tells what that would change.
async fn read_again(
    launcher: &str,
    to: &mpsc::Sender<ControlRequest>,
    operation: Operation,
    profile: ProfileChoice,
    dry_run: bool,
) -> Reply {
    if dry_run {
        let report = ask(to, |back| ControlRequest::Plan(profile, back)).await??;
        return reply(launcher, &ReloadReply { dry_run: true, ..report });
    }
    let asked = ask(to, |back| ControlRequest::Reload(operation, profile, back));
    let (report, answer) = asked.await??;
    match answer {
        Answer::Reload(touched) => reply(launcher, &reloaded(report, touched)),
        Answer::Service(Err(refusal)) => Err(refusal.to_string()),
        Answer::Service(Ok(_)) => Err("internal error: unexpected answer".to_owned()),
    }
}

/// Serves what services and the host use.
pub(crate) fn serve_resources(monitor: &Monitor, launcher_id: &str, resources: &Arc<Resources>) {
    let (launcher, resources) = (Arc::<str>::from(launcher_id), Arc::clone(resources));
    monitor.serve(Served::new(command::RESOURCES, move |call: Call| {
        let (launcher, resources) = (Arc::clone(&launcher), Arc::clone(&resources));
        async move {
            let request = ResourcesRequest::read(&call.data)?;
            reply(&launcher, &resources.reply(&request).await)
        }
    }));
}

async fn ask<T>(
    asks: &mpsc::Sender<ControlRequest>,
    make: impl FnOnce(oneshot::Sender<T>) -> ControlRequest,
) -> Result<T, String> {
    let gone = || "the launcher is shutting down".to_owned();
    let (back, answer) = oneshot::channel();
    asks.send(make(back)).await.map_err(|_| gone())?;
    answer.await.map_err(|_| gone())
}

/// If a client uses one id for two requests, both are done: an id is valid for one command only.
fn operation(name: &str, call: &Call) -> Operation {
    let message = format!("{} {name} {}", call.meta.id, call.rest);
    Operation { sender: call.meta.sender.as_str().into(), message: message.into() }
}

fn id(call: &Call) -> Result<ServiceId, String> {
    call.rest.parse().map_err(|error: tcs_core::id::IdError| error.to_string())
}

async fn operate(
    name: &'static str,
    call: Call,
    launcher: Arc<str>,
    asks: mpsc::Sender<ControlRequest>,
) -> Reply {
    let id = id(&call)?;
    let request = StopRequest::read(&call.data)?;
    let patience = patience(&request);
    let comment = request.comment.filter(|_| name == command::STOP);
    let (command, result) = match name {
        command::START => (Command::Start, Done::Started),
        command::STOP if comment.is_some() => (Command::Hold(patience), Done::Stopped),
        command::STOP => (Command::Stop(patience), Done::Stopped),
        _ => (Command::Restart(patience), Done::Restarted),
    };
    let service_id = id.to_string();
    let operation = operation(name, &call);
    let answer =
        ask(&asks, |back| ControlRequest::Service { operation, id, command, comment, back });
    let answer = answer.await?;
    let Answer::Service(answer) = answer else {
        return Err("internal error: unexpected answer".to_owned());
    };
    let Success { state, changed } = answer.map_err(|refusal| refusal.to_string())?;
    reply(&launcher, &OperationReply { service_id, result, changed, outcome: outcome(state) })
}

fn patience(request: &StopRequest) -> Patience {
    if request.when_idle {
        Patience::WhenIdle(request.max_wait_s.map(Duration::from_secs_f64))
    } else {
        Patience::Now
    }
}

fn outcome(state: Reached) -> Outcome {
    let none = Outcome::default();
    match state {
        // a task runs in the launcher's own process
        Reached::Running { pid } => {
            Outcome { pid: Some(pid.unwrap_or_else(std::process::id)), ..none }
        }
        Reached::Starting { pid } => {
            Outcome { pid, state: Some(control::Reached::Starting), ..none }
        }
        Reached::Stopped { code } => Outcome { exit_code: code, ..none },
        Reached::Completed => Outcome { state: Some(control::Reached::Completed), ..none },
        Reached::Updated => Outcome { state: Some(control::Reached::Updated), ..none },
    }
}

/// What a reload has changed, with what has become of each service.
fn reloaded(
    report: ReloadReply,
    touched: Vec<(ServiceId, Result<Success, Refusal>)>,
) -> ReloadReply {
    let mut results: BTreeMap<String, _> =
        touched.into_iter().map(|(id, result)| (id.to_string(), result)).collect();
    let mut services = Vec::new();
    for change in report.services {
        services.push(match results.remove(&change.service_id) {
            Some(result) => with_result(change, result),
            None => change,
        });
    }
    // the answer to a request that was repeated: the file is as it was by then
    for (service_id, result) in results {
        let change = ServiceChange { service_id, ..ServiceChange::default() };
        services.push(with_result(change, result));
    }
    ReloadReply { changed: !services.is_empty(), services, ..report }
}

fn with_result(change: ServiceChange, result: Result<Success, Refusal>) -> ServiceChange {
    match result {
        Ok(Success { state, .. }) => {
            let done = match state {
                Reached::Running { .. } | Reached::Starting { .. } => Done::Started,
                Reached::Completed => Done::Completed,
                Reached::Stopped { .. } => Done::Stopped,
                Reached::Updated => Done::Updated,
            };
            ServiceChange { result: Some(done), outcome: outcome(state), ..change }
        }
        Err(refusal) => ServiceChange { error: Some(refusal.to_string()), ..change },
    }
}

/// The data of a reply, with what all replies of a launcher carry.
fn reply(launcher: &str, data: &impl Serialize) -> Reply {
    #[derive(Serialize)]
    struct Signed<'a, T> {
        #[serde(flatten)]
        data: &'a T,
        launcher_id: &'a str,
        timestamp: Timestamp,
    }
    let timestamp = Timestamp::new(clock::wall());
    let signed = Signed { data, launcher_id: launcher, timestamp };
    match serde_json::to_value(signed) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(error.to_string()),
    }
}
