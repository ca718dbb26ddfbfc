//! Faults that are made on purpose, for a site's own exercises, where the file allows it
//! (`docs/spec/supervision.md#drills`). One at a time, and each ends by itself.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tcs_core::clock;
use tcs_core::wire::control::{DrillReply, DrillRequest, Fault};
use tcs_core::wire::journal::Level;
use tokio::task::AbortHandle;

use super::Daemon;
use crate::runner::output::{Line, Output, Stream};
use tcs_supervisor::{Command, Conclusion, Event, Operation, Phase, Run, ServiceId, Ticket};

/// How long one takes, where nobody says.
const USUAL_S: f64 = 30.0;
/// Lines of a flood, each time.
const LINES: usize = 200;
const PAUSE: Duration = Duration::from_millis(100);
/// How wrong a clock is.
const AHEAD_S: u32 = 60;

/// A fault that is made.
pub(super) struct Drill {
    id: ServiceId,
    fault: Fault,
    /// In the supervisor's time.
    until: Duration,
    by: Arc<str>,
    /// The process group that is stopped, and of which run it is.
    group: Option<(Pid, Run)>,
    flood: Option<AbortHandle>,
}

/// `freeze dome.main, by anna`
impl std::fmt::Display for Drill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, by {}", self.fault.as_str(), self.id, self.by)
    }
}

impl Daemon<'_> {
    /// When the drill ends by itself.
    pub(super) fn drill_ends(&self) -> Option<Duration> {
        self.drill.as_ref().map(|drill| drill.until)
    }

    /// Begins one, or ends the one that is.
    pub(super) fn asked_for_drill(
        &mut self,
        by: &Operation,
        id: &ServiceId,
        request: DrillRequest,
    ) -> Result<DrillReply, String> {
        let service_id = id.to_string();
        let Some(fault) = request.fault else {
            if self.drill.as_ref().is_some_and(|drill| drill.id == *id) {
                self.end_drill();
            }
            return Ok(DrillReply { service_id, ..DrillReply::default() });
        };
        let for_s = request.for_s.unwrap_or(USUAL_S);
        self.begin_drill(by, id, fault, for_s)?;
        Ok(DrillReply { service_id, fault: Some(fault), for_s })
    }

    fn begin_drill(
        &mut self,
        by: &Operation,
        id: &ServiceId,
        fault: Fault,
        for_s: f64,
    ) -> Result<(), String> {
        if self.supervisor.is_ending() {
            return Err("tcsd is stopping".to_owned());
        }
        let plan = self.plans.get(id).ok_or_else(|| format!("no such service here: {id}"))?;
        if !plan.entry.launch.drill {
            return Err(format!(
                "drills are not allowed for {id}; set `launch: {{drill: true}}` in {}, and reload it",
                self.config.display()
            ));
        }
        if let Some(drill) = &self.drill {
            return Err(format!("another drill is under way here: {drill}"));
        }
        let service = self.supervisor.service(id).filter(|it| it.phase == Phase::Running);
        let Some(service) = service else { return Err(format!("{id} is not running")) };
        let spawned = self.handles.get(id).ok_or_else(|| format!("{id} is not running"))?;
        let group =
            service.pid.filter(|_| !spawned.is_task).map(|it| Pid::from_raw(it.cast_signed()));
        let (mut frozen, mut flood) = (None, None);
        match (fault, group) {
            (Fault::Crash, Some(process)) => kill(process, Signal::SIGKILL)
                .map_err(|error| format!("cannot kill {id}: {}", error.desc()))?,
            (Fault::Crash, None) => spawned.handle.kill(),
            (Fault::Freeze, Some(process)) => {
                killpg(process, Signal::SIGSTOP)
                    .map_err(|error| format!("cannot stop {id}: {}", error.desc()))?;
                frozen = Some((process, spawned.run));
            }
            (Fault::Freeze, None) => {
                return Err(format!("{id} runs as a task of tcsd, which cannot be stopped alone"));
            }
            (Fault::Flood, _) => {
                let output = self.outputs.shared(id).ok_or("it has no output yet")?;
                flood = Some(tokio::spawn(write(output, spawned.run)).abort_handle());
            }
            (Fault::Clock, _) => clock::set_ahead(AHEAD_S),
            (Fault::Broker, _) => self.publisher.reporter.gate(),
        }
        let by = Arc::clone(&by.sender);
        let fault_name = fault.as_str();
        tracing::warn!("drill: {fault_name} {id} for {for_s} s, by {by}");
        self.publisher.own_status.set_note(Some(format!("drill by {by}: {fault_name} {id}")));
        let until = self.now() + Duration::from_secs_f64(for_s);
        self.drill = Some(Drill { id: id.clone(), fault, until, by, group: frozen, flood });
        Ok(())
    }

    /// All is as it was before, as far as it was not so by itself.
    pub(super) fn end_drill(&mut self) -> Option<Conclusion> {
        let Drill { id, fault, by, group, flood, .. } = self.drill.take()?;
        if let Some((group, run)) = group
            // its number may be another one's by now
            && self.handles.get(&id).is_some_and(|it| it.run == run)
        {
            let _ = killpg(group, Signal::SIGCONT);
        }
        if let Some(flood) = flood {
            flood.abort();
        }
        match fault {
            Fault::Clock => clock::set_ahead(0),
            Fault::Broker => self.publisher.reporter.release(),
            Fault::Crash | Fault::Freeze | Fault::Flood => {}
        }
        tracing::warn!("drill: {} {id} is over", fault.as_str());
        self.publisher.own_status.set_note(None);
        let is_down = |it: &tcs_supervisor::Snapshot<'_>| {
            it.wanted && matches!(it.phase, Phase::Failed | Phase::Backoff)
        };
        if fault != Fault::Crash || !self.supervisor.service(&id).is_some_and(|it| is_down(&it)) {
            return None;
        }
        // its policy does not start it again
        let message = format!("drill {id} {}", self.now().as_micros());
        let operation = Operation { sender: by, message: message.as_str().into() };
        // nobody waits for the answer
        let ticket = Ticket(0);
        self.handle(Event::Request { ticket, operation, id, command: Command::Start })
    }
}

/// Writes as the service would, until it is ended.
async fn write(output: Arc<Output>, run: Run) {
    for n in 1.. {
        for line in 0..LINES {
            output.push(Line {
                time: clock::wall(),
                stream: Stream::Stderr,
                level: Level::INFO,
                logger: None,
                text: format!("drill: line {}", n * LINES + line),
                run,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}
