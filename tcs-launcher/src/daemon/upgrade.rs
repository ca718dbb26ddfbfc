//! Another program takes over, in the same process and without stopping the services
//! (`docs/spec/supervision.md#upgrade`).
//!
//! The new program is run first, with a table of what is to be handed over, and says whether it could
//! take over. Then all runs stand still for a moment, what has come in is taken in, and this process
//! becomes the new program. Until then each step can be taken back.

mod check;
mod parts;
mod quiet;
mod resume;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tcs_core::bus::publish;
use tcs_core::clock;
use tcs_core::config::How;
use tcs_core::wire::control::UpgradeReply;
use tokio::sync::oneshot;

use super::runtime_dir::RuntimeDir;
use super::signals::Signals;
use super::{Daemon, Inputs, Spawned};
use crate::control::{ControlRequest, ProfileChoice};
use crate::fd::copy;
use crate::runner::spawner::Successor;
use crate::runner::{ProcessParts, RunnerEvent, What};
use crate::takeover::{CanTakeOver, FORMAT, Files, RunEntry, Table, hand_over};
use check::check;
use parts::to_entry;
use tcs_supervisor::{
    Command as Ask, Conclusion, Event, Operation, Patience, Phase, Report, ServiceId, Ticket,
};

/// How long to wait for a moment in which no service starts or ends,
const QUIET_LIMIT: Duration = Duration::from_secs(30);
/// and how often to check for one.
const LOOK: Duration = Duration::from_millis(200);
/// All runs stand still within this.
const STAND_LIMIT: Duration = Duration::from_secs(1);
/// What waits to be sent, and to be written, is within this.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);
/// Tasks end within this, or with the program.
const TASKS_LIMIT: Duration = Duration::from_secs(10);
/// The answer to who asked has this much time to go out.
const ANSWER: Duration = Duration::from_millis(50);

/// Why there is none.
const STOPS: &str = "tcsd is stopping";
const UNDER_WAY: &str = "another upgrade is under way";
const FILE_CHANGED: &str = "the configuration file has changed; reload it first";

/// Requester of the restart of tasks, if nobody asked for the upgrade.
const ITSELF: &str = "tcsd upgrade";

type Back = oneshot::Sender<Result<UpgradeReply, String>>;

/// An upgrade that is under way.
pub(super) struct Upgrade {
    program: PathBuf,
    requested_by: Option<String>,
    back: Option<Back>,
    stage: Stage,
}

enum Stage {
    /// The new program is asked.
    Checking(oneshot::Receiver<Result<CanTakeOver, String>>),
    /// The new program has answered.
    Checked(Result<CanTakeOver, String>),
    /// The new program can take over; waits for a quiet moment.
    Waiting { can: CanTakeOver, until: Instant, again: Instant },
}

/// Why it does not happen just now.
enum Problem {
    /// It may in a moment.
    NotNow(String),
    /// It will not.
    Never(String),
}

impl Upgrade {
    /// Gives up the upgrade.
    fn refuse(self, why: &str) {
        let why = format!("not upgraded, nothing was stopped: {why}");
        tracing::error!("{why}");
        if let Some(back) = self.back {
            let _ = back.send(Err(why)); // who asked may have gone
        }
    }
}

/// Returns when there is something to do for it. Safe to cancel.
pub(super) async fn due(upgrade: Option<&mut Upgrade>) {
    let Some(Upgrade { stage, .. }) = upgrade else { return std::future::pending().await };
    match stage {
        Stage::Checking(answer) => {
            let gone = || Err("the check was cancelled".to_owned());
            *stage = Stage::Checked(answer.await.unwrap_or_else(|_| gone()));
        }
        Stage::Checked(_) => {}
        Stage::Waiting { again, .. } => tokio::time::sleep_until((*again).into()).await,
    }
}

/// A signal is answered to first: the new program would not know of it.
fn came_between() -> Problem {
    Problem::NotNow("a signal came".to_owned())
}

/// The program's file, as tcsd was started: a new one may have taken its place, or a link may lead to
/// another.
fn program() -> io::Result<PathBuf> {
    let started_as = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if started_as.components().count() > 1 {
        return std::path::absolute(started_as);
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&places).map(|folder| folder.join(&started_as));
    match places.find(|place| place.is_file()) {
        Some(place) => Ok(place),
        None => std::env::current_exe(),
    }
}

/// Whether a file is the program that runs.
fn is_running(program: &Path) -> io::Result<bool> {
    let (there, ours) = (std::fs::metadata(program)?, std::fs::metadata("/proc/self/exe")?);
    Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
}

impl Daemon<'_> {
    /// tcsd begins to stop: nobody takes over any more.
    pub(super) fn end_upgrade(&mut self) {
        if let Some(upgrade) = self.upgrade.take() {
            upgrade.refuse(STOPS);
        }
    }

    /// After a reload: a new program of this name is there, and takes over.
    pub(super) fn upgrade_if_replaced(&mut self) {
        if self.supervisor.is_ending() {
            return;
        }
        match program().and_then(|program| Ok((is_running(&program)?, program))) {
            Ok((false, program)) if self.upgrade.is_none() => self.check(program, None, None),
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot look whether tcsd was replaced: {error}"),
        }
    }

    /// Somebody asks for it.
    pub(super) fn asked_to_upgrade(&mut self, by: &Operation, back: Back) {
        let found = program().and_then(|program| Ok((is_running(&program)?, program)));
        let refused = match found {
            Err(error) => Some(Err(format!("cannot find the new program: {error}"))),
            Ok((true, program)) => Some(Ok(self.upgrade_reply(&program, None))),
            Ok(_) if self.supervisor.is_ending() => Some(Err(STOPS.to_owned())),
            Ok(_) if self.upgrade.is_some() => Some(Err(UNDER_WAY.to_owned())),
            Ok((false, program)) => match self.prepare(ProfileChoice::Keep) {
                Err(error) => Some(Err(error)),
                Ok(prepared) if prepared.report.changed => Some(Err(FILE_CHANGED.to_owned())),
                Ok(_) => {
                    self.check(program, Some(by.sender.to_string()), Some(back));
                    return;
                }
            },
        };
        if let Some(answer) = refused {
            let _ = back.send(answer); // who asked may have gone
        }
    }

    fn upgrade_reply(&self, program: &Path, can: Option<&CanTakeOver>) -> UpgradeReply {
        let own = env!("CARGO_PKG_VERSION").to_owned();
        UpgradeReply {
            changed: can.is_some(),
            program: program.display().to_string(),
            version: can.map_or_else(|| own.clone(), |can| can.version.clone()),
            was: own,
            upgrades: self.upgrades + u64::from(can.is_some()),
        }
    }

    /// Asks the new program whether it could take over.
    fn check(&mut self, program: PathBuf, requested_by: Option<String>, back: Option<Back>) {
        tracing::info!("upgrading: checking {}", program.display());
        let (mut answer, checked) = oneshot::channel();
        let (spawner, checking) = (Arc::clone(self.runner.spawner()), program.clone());
        let mut table = self.table(requested_by.clone());
        // how lines are written is seen by one of each
        for output in table.outputs.values_mut() {
            output.lines.truncate(1);
        }
        let table = table.to_file();
        tokio::spawn(async move {
            let answered = match table {
                Ok(table) => check(&spawner, &checking, table.into(), answer.closed()).await,
                Err(error) => Err(error.to_string()),
            };
            let _ = answer.send(answered); // the launcher may have ended
        });
        let stage = Stage::Checking(checked);
        self.upgrade = Some(Upgrade { program, requested_by, back, stage });
    }

    /// The next step.
    pub(super) async fn go_on_with_upgrade(
        &mut self,
        inputs: &mut Inputs,
        signals: &mut Signals,
        runtime_dir: &RuntimeDir,
    ) -> Option<Conclusion> {
        let mut upgrade = self.upgrade.take()?;
        let now = clock::monotonic();
        let (mut done, mut refused) = (None, None);
        match &mut upgrade.stage {
            Stage::Checking(_) => {}
            Stage::Checked(Err(why)) => refused = Some(std::mem::take(why)),
            Stage::Checked(Ok(_)) => {
                let stage =
                    std::mem::replace(&mut upgrade.stage, Stage::Checked(Err(String::new())));
                let Stage::Checked(Ok(can)) = stage else { return None };
                upgrade.stage = Stage::Waiting { can, until: now + QUIET_LIMIT, again: now };
            }
            Stage::Waiting { until, again, .. } => {
                let until = *until;
                *again = now + LOOK;
                let attempt = self.attempt(&mut upgrade, inputs, signals, runtime_dir);
                let (problem, concluded) = attempt.await;
                done = concluded;
                match problem {
                    Problem::NotNow(why) if clock::monotonic() >= until || done.is_some() => {
                        refused = Some(why);
                    }
                    Problem::NotNow(_) => {}
                    Problem::Never(why) => refused = Some(why),
                }
            }
        }
        match refused {
            None => self.upgrade = Some(upgrade),
            Some(why) => upgrade.refuse(&why),
        }
        done
    }

    /// Comes back only where it does not succeed.
    async fn attempt(
        &mut self,
        upgrade: &mut Upgrade,
        inputs: &mut Inputs,
        signals: &mut Signals,
        runtime_dir: &RuntimeDir,
    ) -> (Problem, Option<Conclusion>) {
        let mut done = None;
        if let Some(why) = self.unrest(None) {
            return (Problem::NotNow(why), done);
        }
        let mut still = self.runner.stand_still();
        let mut parts: BTreeMap<ServiceId, ProcessParts> = BTreeMap::new();
        let limit = tokio::time::sleep(STAND_LIMIT);
        let mut limit = std::pin::pin!(limit);
        while !self.in_motion(Some(&parts)).is_empty() {
            tokio::select! {
                Some(of) = still.parts.recv() => drop(parts.insert(of.id.clone(), of)),
                Some(told) = inputs.told.recv() => done = self.told(told).or(done),
                () = &mut limit => break,
            }
        }
        // what has come in until now
        while let Ok(told) = inputs.told.try_recv() {
            done = self.told(told).or(done);
        }
        while let Ok(last) = inputs.lasts.try_recv() {
            done = self.last_word(last).or(done);
        }
        while let Ok(ask) = inputs.asked.try_recv() {
            match ask {
                ControlRequest::Upgrade(_, back) => drop(back.send(Err(UNDER_WAY.to_owned()))),
                ask => done = self.asked(ask).or(done),
            }
        }
        if let Some(why) = self.unrest(Some(&parts)) {
            return (Problem::NotNow(why), done);
        }
        if done.is_some() {
            return (Problem::Never(STOPS.to_owned()), done);
        }
        // the new program reads it, and has nobody to fall back to
        match self.prepare(ProfileChoice::Keep) {
            Err(error) => return (Problem::Never(error), done),
            Ok(it) if it.report.changed => return (Problem::Never(FILE_CHANGED.to_owned()), done),
            Ok(_) => {}
        }
        if !self.publisher.reporter.settled(SETTLE_LIMIT).await {
            let why = "messages wait for the broker, and would be lost";
            return (Problem::NotNow(why.to_owned()), done);
        }
        let mut ended = None;
        let ready = tokio::select! {
            biased;
            () = signals.come() => Err(came_between()),
            ready = self.make_ready(upgrade, parts, inputs, &mut ended, runtime_dir) => ready,
        };
        let problem = match ready {
            Ok(successor) => self.become_program(upgrade, successor, signals).await,
            Err(problem) => problem,
        };
        // nothing has happened, but that tasks have ended
        self.outputs.go_on();
        drop(still);
        let Some(ended) = ended else { return (problem, done) };
        let tasks = self.tasks();
        for (id, _) in &tasks {
            done = self.restart(id, upgrade.requested_by.as_deref()).or(done);
        }
        for told in ended {
            done = self.told(told).or(done);
        }
        let problem = match problem {
            // they are not to be restarted again and again
            Problem::NotNow(why) if !tasks.is_empty() => Problem::Never(why),
            problem => problem,
        };
        (problem, done)
    }

    fn tasks(&self) -> Vec<(ServiceId, tcs_supervisor::Run)> {
        let tasks = self.handles.iter().filter(|(_, it)| it.is_task);
        tasks.map(|(id, it)| (id.clone(), it.run)).collect()
    }

    /// Asks tasks to end, and waits for it. `ended` is what they report meanwhile.
    async fn stop_tasks(&self, inputs: &mut Inputs, ended: &mut Option<Vec<RunnerEvent>>) {
        let ended = ended.insert(Vec::new());
        let mut left = self.tasks();
        if !left.is_empty() {
            let ids: Vec<&str> = left.iter().map(|(id, _)| id.as_str()).collect();
            tracing::info!("upgrading: waiting for tasks to end: {}", ids.join(", "));
        }
        for spawned in self.handles.values().filter(|it| it.is_task) {
            spawned.handle.stop();
        }
        let all = async {
            while !left.is_empty() {
                let Some(told) = inputs.told.recv().await else { return };
                if matches!(told.what, What::Report(Report::Cleared)) {
                    left.retain(|(it, _)| *it != told.id);
                }
                ended.push(told);
            }
        };
        // one that blocks its thread ends with the program
        tokio::time::timeout(TASKS_LIMIT, all).await.ok();
    }

    /// Has a task that was ended run again, unless it was to end anyway.
    fn restart(&mut self, id: &ServiceId, by: Option<&str>) -> Option<Conclusion> {
        let is_to_run = |it: &tcs_supervisor::Snapshot<'_>| {
            matches!(it.phase, Phase::Starting | Phase::Running)
        };
        if !self.supervisor.service(id).is_some_and(|it| is_to_run(&it)) {
            return None;
        }
        self.next_ticket += 1;
        let message = format!("upgrade {id} {}", self.next_ticket);
        let operation =
            Operation { sender: by.unwrap_or(ITSELF).into(), message: message.as_str().into() };
        let command = Ask::Restart(Patience::Now);
        // nobody waits for the answer
        let ticket = Ticket(self.next_ticket);
        self.handle(Event::Request { ticket, operation, id: id.clone(), command })
    }

    /// The new program, with all that it is handed. Safe to cancel: all can go on as before.
    async fn make_ready(
        &mut self,
        upgrade: &Upgrade,
        parts: BTreeMap<ServiceId, ProcessParts>,
        inputs: &mut Inputs,
        ended: &mut Option<Vec<RunnerEvent>>,
        runtime_dir: &RuntimeDir,
    ) -> Result<Successor, Problem> {
        self.stop_tasks(inputs, ended).await;
        if !self.publisher.reporter.settled(SETTLE_LIMIT).await {
            let why = "messages wait for the broker, and would be lost";
            return Err(Problem::NotNow(why.to_owned()));
        }
        if !self.outputs.settle(SETTLE_LIMIT).await {
            return Err(Problem::NotNow("the output of services cannot be written".to_owned()));
        }
        let mut table = self.table(upgrade.requested_by.clone());
        let successor = async {
            let files = self.fill(&mut table, parts, runtime_dir).await?;
            Successor::new(&upgrade.program, hand_over(&table, &files)?.into())
        };
        successor.await.map_err(|error| Problem::Never(error.to_string()))
    }

    /// Comes back only where it fails.
    async fn become_program(
        &mut self,
        upgrade: &mut Upgrade,
        successor: Successor,
        signals: &mut Signals,
    ) -> Problem {
        if let Stage::Waiting { can, .. } = &upgrade.stage {
            tracing::info!("tcsd {} takes over from {}", can.version, env!("CARGO_PKG_VERSION"));
            if let Some(back) = upgrade.back.take() {
                let _ = back.send(Ok(self.upgrade_reply(&upgrade.program, Some(can))));
                tokio::time::sleep(ANSWER).await;
            }
        }
        // the new program would not know of it
        if signals.have_come().await {
            return came_between();
        }
        let error = self.runner.spawner().become_program(successor).await;
        Problem::Never(format!("{}: {error}", upgrade.program.display()))
    }

    /// All but what processes have open.
    fn table(&self, requested_by: Option<String>) -> Table {
        let (marked, sockets) = self.runner.counts();
        Table {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            upgrades: self.upgrades + 1,
            requested_by,
            launcher_id: self.publisher.launcher_id.clone(),
            began: publish::run_began(),
            now: (self.now(), clock::boottime()),
            supervisor: self.supervisor.clone(),
            published: self.publisher.save(),
            marked,
            sockets,
            stdin: None,
            locks: Vec::new(),
            journal: None,
            guard: None,
            rust: self.rust_services(),
            queued: self.agenda.queued().cloned().collect(),
            runs: BTreeMap::new(),
            outputs: self.outputs.save(),
        }
    }

    /// Those that run, and are of this program.
    fn rust_services(&self) -> BTreeSet<ServiceId> {
        let is_ours = |id: &&ServiceId| {
            self.plans.get(*id).is_some_and(|plan| matches!(plan.how, How::Rust(_)))
        };
        self.handles.keys().filter(is_ours).cloned().collect()
    }

    async fn fill(
        &self,
        table: &mut Table,
        mut parts: BTreeMap<ServiceId, ProcessParts>,
        runtime_dir: &RuntimeDir,
    ) -> io::Result<Files> {
        self.kept.write()?;
        let mut files = Files::default();
        table.stdin = Some(files.add(copy(io::stdin())?));
        table.locks = self.lock.copies()?.into_iter().map(|lock| files.add(lock)).collect();
        table.journal = Some(files.add(self.runner.journal().lock_copy()?));
        let guard = runtime_dir.guard_parts().await?;
        table.guard = guard.map(|(pid, pipe)| (pid, files.add(pipe)));
        for (id, it) in &self.handles {
            let process = parts.remove(id).map(|parts| to_entry(parts, &mut files)).transpose()?;
            let said = it.said.clone().map(|(status, text)| (status.as_str().to_owned(), text));
            let Spawned { run, at, beat_at, assume_at, speaks, .. } = *it;
            let entry = RunEntry { run, at, beat_at, assume_at, speaks, said, process };
            table.runs.insert(id.clone(), entry);
        }
        Ok(files)
    }
}
