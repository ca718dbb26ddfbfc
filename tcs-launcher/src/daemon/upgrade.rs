//! Another program takes over, in the same process and without stopping the services
//! (`docs/spec/supervision.md#upgrade`).
//!
//! The new program is run first, with a table of what is to be handed over, and says whether it could
//! take over. Then all runs stand still for a moment, what has come in is taken in, and this process
//! becomes the new program. Until then each step can be taken back.

mod check;
mod parts;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tcs_core::bus::publish;
use tcs_core::clock;
use tcs_core::config::Config;
use tcs_core::wire::control::UpgradeReply;
use tokio::sync::oneshot;

use super::runtime_dir::RuntimeDir;
use super::{Daemon, Inputs, Spawned, profiles};
use crate::control::ProfileChoice;
use crate::runner::{ProcessParts, RunnerEvent, What};
use crate::takeover::{
    CanTakeOver, FORMAT, Files, RunEntry, Table, TakenOver, VARIABLE, copy, hand_over,
};
use check::check;
use parts::{to_entry, to_parts};
use tcs_supervisor::{
    Command as Ask, Conclusion, Event, Exit, Operation, Patience, Report, ServiceId, Ticket,
};

/// For a moment in which no service starts or ends it is waited so long,
const QUIET_LIMIT: Duration = Duration::from_secs(30);
/// and looked so often.
const LOOK: Duration = Duration::from_millis(200);
/// All runs stand still within this.
const STAND_LIMIT: Duration = Duration::from_secs(1);
/// What waits to be sent, and to be written, is within this.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);
/// Tasks end within this, or with the program.
const TASKS_LIMIT: Duration = Duration::from_secs(10);
/// The answer to who asked has this much time to go out.
const ANSWER: Duration = Duration::from_millis(50);

/// Who restarts tasks, where nobody asked.
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
    /// It has answered.
    Checked(Result<CanTakeOver, String>),
    /// It could; a quiet moment is waited for.
    Waiting { can: CanTakeOver, until: Instant, again: Instant },
}

/// Why it does not happen just now.
enum Problem {
    /// It may in a moment.
    NotNow(String),
    /// It will not.
    Never(String),
}

/// Returns when there is something to do for it. Safe to cancel.
pub(super) async fn due(upgrade: Option<&mut Upgrade>) {
    let Some(Upgrade { stage, .. }) = upgrade else { return std::future::pending().await };
    match stage {
        Stage::Checking(answer) => {
            let gone = || Err("the check was given up".to_owned());
            *stage = Stage::Checked(answer.await.unwrap_or_else(|_| gone()));
        }
        Stage::Checked(_) => {}
        Stage::Waiting { again, .. } => tokio::time::sleep_until((*again).into()).await,
    }
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
    /// After a reload: a new program of this name is there, and takes over.
    pub(super) fn upgrade_if_replaced(&mut self) {
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
            Ok(_) if self.upgrade.is_some() => Some(Err("another upgrade is under way".to_owned())),
            Ok((false, program)) => match self.prepare(ProfileChoice::Keep) {
                Err(error) => Some(Err(error)),
                Ok(prepared) if prepared.report.changed => {
                    Some(Err("the configuration file has changed; reload it first".to_owned()))
                }
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
        let (answer, checked) = oneshot::channel();
        let (spawner, checking) = (Arc::clone(self.runner.spawner()), program.clone());
        let table = self.table(requested_by.clone()).to_file();
        tokio::spawn(async move {
            let answered = match table {
                Ok(table) => check(&spawner, &checking, table.into()).await,
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
                let (problem, concluded) = self.attempt(&mut upgrade, inputs, runtime_dir).await;
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
            Some(why) => {
                let why = format!("not upgraded, nothing was stopped: {why}");
                tracing::error!("{why}");
                if let Some(back) = upgrade.back {
                    let _ = back.send(Err(why)); // who asked may have gone
                }
            }
        }
        done
    }

    /// Comes back only where it does not succeed.
    async fn attempt(
        &mut self,
        upgrade: &mut Upgrade,
        inputs: &mut Inputs,
        runtime_dir: &RuntimeDir,
    ) -> (Problem, Option<Conclusion>) {
        let mut done = None;
        let mut still = self.runner.stand_still();
        let mut parts: BTreeMap<ServiceId, ProcessParts> = BTreeMap::new();
        let limit = tokio::time::sleep(STAND_LIMIT);
        let mut limit = std::pin::pin!(limit);
        while !self.all_stand(&parts) {
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
            done = self.asked(ask).or(done);
        }
        let is_quiet = self.all_stand(&parts)
            && self.drill.is_none()
            && self.ended.is_empty()
            && self.supervisor.owes_no_answer()
            && !self.supervisor.services().any(|it| it.leaving);
        if !is_quiet || done.is_some() {
            let why = "no quiet moment was found: a service is just starting or stopping, or \
                       somebody waits for it";
            return (Problem::NotNow(why.to_owned()), done);
        }
        if !self.publisher.reporter.settled(SETTLE_LIMIT).await {
            let why = "messages wait for the broker, and would be lost";
            return (Problem::NotNow(why.to_owned()), done);
        }
        let ended = self.stop_tasks(inputs).await;
        let problem = self.become_program(upgrade, parts, runtime_dir).await;
        // nothing has happened, but that tasks have ended
        drop(still);
        self.outputs.go_on();
        for (id, run) in self.tasks() {
            done = self.restart(&id, upgrade.requested_by.as_deref()).or(done);
            let exit = ended.get(&id).cloned().unwrap_or_else(|| Exit::code(0));
            for report in [Report::Exited(exit), Report::Cleared] {
                let what = What::Report(report);
                done = self.told(RunnerEvent { id: id.clone(), run, what }).or(done);
            }
        }
        (problem, done)
    }

    /// Whether each process that runs has given what another program needs.
    fn all_stand(&self, parts: &BTreeMap<ServiceId, ProcessParts>) -> bool {
        let stands = |(id, it): (&ServiceId, &Spawned)| {
            it.is_task || parts.get(id).is_some_and(|parts| parts.run == it.run)
        };
        self.handles.iter().all(stands)
    }

    fn tasks(&self) -> Vec<(ServiceId, tcs_supervisor::Run)> {
        let tasks = self.handles.iter().filter(|(_, it)| it.is_task);
        tasks.map(|(id, it)| (id.clone(), it.run)).collect()
    }

    /// Asks tasks to end, and waits for it; how they have.
    async fn stop_tasks(&self, inputs: &mut Inputs) -> BTreeMap<ServiceId, Exit> {
        let mut left = self.tasks();
        let mut ended = BTreeMap::new();
        for spawned in self.handles.values().filter(|it| it.is_task) {
            spawned.handle.stop();
        }
        let all = async {
            while !left.is_empty() {
                let Some(RunnerEvent { id, what, .. }) = inputs.told.recv().await else { return };
                match what {
                    What::Report(Report::Exited(exit)) => drop(ended.insert(id, exit)),
                    What::Report(Report::Cleared) => left.retain(|(it, _)| *it != id),
                    What::Report(_) | What::Status(_) => {}
                }
            }
        };
        // one that blocks its thread ends with the program
        tokio::time::timeout(TASKS_LIMIT, all).await.ok();
        ended
    }

    fn restart(&mut self, id: &ServiceId, by: Option<&str>) -> Option<Conclusion> {
        let message = format!("upgrade {} {id}", self.upgrades);
        let operation =
            Operation { sender: by.unwrap_or(ITSELF).into(), message: message.as_str().into() };
        let command = Ask::Restart(Patience::Now);
        // nobody waits for the answer
        self.handle(Event::Request { ticket: Ticket(0), operation, id: id.clone(), command })
    }

    /// Comes back only where it fails.
    async fn become_program(
        &mut self,
        upgrade: &mut Upgrade,
        parts: BTreeMap<ServiceId, ProcessParts>,
        runtime_dir: &RuntimeDir,
    ) -> Problem {
        let failed = |error: io::Error| Problem::Never(error.to_string());
        if !self.publisher.reporter.settled(SETTLE_LIMIT).await {
            return Problem::NotNow("messages wait for the broker, and would be lost".to_owned());
        }
        if !self.outputs.settle(SETTLE_LIMIT).await {
            return Problem::NotNow("the output of services cannot be written".to_owned());
        }
        let mut table = self.table(upgrade.requested_by.clone());
        let files = match self.fill(&mut table, parts, runtime_dir).await {
            Ok(files) => files,
            Err(error) => return failed(error),
        };
        let stdin = match hand_over(&table, &files) {
            Ok(stdin) => OwnedFd::from(stdin),
            Err(error) => return failed(error),
        };
        if let Stage::Waiting { can, .. } = &upgrade.stage {
            tracing::info!("tcsd {} takes over from {}", can.version, table.version);
            if let Some(back) = upgrade.back.take() {
                let _ = back.send(Ok(self.upgrade_reply(&upgrade.program, Some(can))));
                tokio::time::sleep(ANSWER).await;
            }
        }
        let mut args = std::env::args_os();
        let mut command = Command::new(&upgrade.program);
        if let Some(name) = args.next() {
            command.arg0(name);
        }
        command.args(args).stdin(stdin).env(VARIABLE, std::process::id().to_string());
        let error = self.runner.spawner().become_program(command).await;
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
            runs: BTreeMap::new(),
            outputs: self.outputs.save(),
        }
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

    /// Goes on with what the program before has handed over.
    pub(super) fn resume(
        &mut self,
        config: &Config,
        taken: TakenOver,
    ) -> anyhow::Result<Option<Conclusion>> {
        let TakenOver { table, mut files } = taken;
        let Table { version, supervisor, published, runs, mut outputs, requested_by, .. } = table;
        let own = &self.publisher.launcher_id;
        anyhow::ensure!(table.launcher_id == *own, "{} is not {own}", table.launcher_id);
        let passed = clock::boottime().saturating_sub(table.now.1);
        let origin = clock::monotonic().checked_sub(table.now.0 + passed);
        self.origin = origin.ok_or_else(|| anyhow::anyhow!("the clock was set back"))?;
        self.supervisor = supervisor;
        self.publisher.resume(published);
        let mut config = config.clone();
        profiles::apply(&mut config, self.kept.now().profile.as_deref());
        for plan in self.site().plan(&config) {
            self.publisher.ours.add(plan.entry.id.as_str());
            self.plans.insert(plan.entry.id.clone(), plan);
        }
        self.plan_schedules();
        let mut tasks = Vec::new();
        for (id, entry) in runs {
            let Some(plan) = self.plans.get(&id).cloned() else { continue };
            let RunEntry { run, at, beat_at, assume_at, speaks, said, process } = entry;
            let (Some(process), Some(launch)) = (process, self.site().launch(&plan)) else {
                tasks.push((id, run));
                continue;
            };
            let (log, secrets) =
                (plan.entry.launch.log.as_ref(), self.secrets.with_entry(&plan.entry));
            let saved = outputs.remove(&id).unwrap_or_default();
            let output = self.outputs.resume(&id, saved, log, false, secrets);
            let parts = to_parts(id.clone(), run, process, &mut files);
            let handle = self.runner.resume(parts, launch, output, self.tell.clone())?;
            let said = said.and_then(|(word, text)| Some((word.parse().ok()?, text)));
            let is_task = false;
            let spawned = Spawned { run, handle, is_task, at, beat_at, assume_at, speaks, said };
            self.handles.insert(id, spawned);
        }
        for (id, saved) in outputs {
            let Some(plan) = self.plans.get(&id).cloned() else { continue };
            let is_task = self.site().launch(&plan).is_none();
            let (log, secrets) =
                (plan.entry.launch.log.as_ref(), self.secrets.with_entry(&plan.entry));
            self.outputs.resume(&id, saved, log, is_task, secrets);
        }
        let ids: Vec<ServiceId> = self.plans.keys().cloned().collect();
        for id in ids {
            let trouble = self.trouble(&id);
            self.publisher.own_status.set(&id, trouble);
        }
        let count = self.handles.len();
        let text = format!("took over from tcsd {version}: {count} services go on");
        tracing::info!("{text}, {} tasks are restarted", tasks.len());
        let mut done = None;
        for (id, run) in tasks {
            done = self.restart(&id, requested_by.as_deref()).or(done);
            for report in [Report::Exited(Exit::code(0)), Report::Cleared] {
                done = self.handle(Event::Report { id: id.clone(), run, report }).or(done);
            }
        }
        Ok(done)
    }
}
