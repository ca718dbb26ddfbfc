//! Runs a service as a process.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tcs_core::config::{Ready, StopSignal};
use tokio::time::timeout;

use super::awaited::{Awaited, EndOfProcess, exit};
use super::group::Mark;
use super::handover::Start;
use super::headline::{self, headline_of_end};
use super::journal::Entry;
use super::leftovers::Family;
use super::notify::{self, Socket, Word};
use super::orders::{Handle, Order, Orders};
use super::output::{Output, PendingLine, Reader, Stream, Watch};
use super::process::{Launch, ProcessRunner};
use super::ready::{is_ready, watch_of};
use super::shim::{self, Become, NotStarted};
use super::standstill::{Listener, ProcessParts};
use super::{EventSender, RunnerEvent, What};
use crate::takeover;
use tcs_supervisor::{Exit, Report, Run, ServiceId};

/// What a launcher's own surroundings mean to it alone, and a child must not inherit.
const NOT_INHERITED: [&str; 7] = [
    takeover::VARIABLE,
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// How long the rest of the output may take after nothing is left of a run.
const DRAIN: Duration = Duration::from_secs(1);

impl ProcessRunner {
    /// Starts `launch` as `run` of service `id`; what happens is told to `tell`.
    pub fn start(
        self: &Arc<Self>,
        id: ServiceId,
        run: Run,
        launch: Launch,
        output: Arc<Output>,
        tell: EventSender,
    ) -> Handle {
        let (handle, orders) = Handle::new();
        let runner = Arc::clone(self);
        let teller = EventWriter { id, run, tell };
        tokio::spawn(async move {
            let mut orders = orders;
            match runner.spawn(&teller, &launch, output, &mut orders).await {
                Ok(process) => {
                    let entry = runner.journal.started(&teller.id, process.pid);
                    let spawned = Report::Spawned { pid: Some(process.pid.cast_unsigned()) };
                    process.live(&runner, &teller, &launch, orders, entry, Some(spawned)).await;
                }
                Err(NotStarted { error, transient }) => {
                    teller.report(Report::NotSpawned { error, transient }).await;
                }
            }
        });
        handle
    }

    /// Goes on with a process that the program before has started.
    pub(crate) fn resume(
        self: &Arc<Self>,
        parts: ProcessParts,
        launch: Launch,
        output: Arc<Output>,
        tell: EventSender,
    ) -> io::Result<Handle> {
        let ProcessParts { id, run, pid, mark, entry, socket, pipes, order, error, awaits_ready } =
            parts;
        let (handle, orders) = Handle::new();
        let watch = watch_of(launch.ready.as_ref()).filter(|_| awaits_ready);
        let mut readers = Vec::new();
        for parts in pipes {
            let (output, watch) = (Arc::clone(&output), watch.clone());
            readers.push(Reader::start(parts.pipe?, parts.stream, output, watch, parts.pending)?);
        }
        let socket = socket.transpose()?;
        let socket = socket.map(|(path, socket)| Socket::resumed(socket, path, mark.clone()));
        let (child, socket) = (Awaited::taken_over(pid), socket.transpose()?);
        let process = Running {
            child,
            pid,
            mark,
            socket,
            output,
            readers,
            watch,
            order,
            error,
            awaits_ready,
        };
        let (runner, teller) = (Arc::clone(self), EventWriter { id, run, tell });
        tokio::spawn(async move {
            process.live(&runner, &teller, &launch, orders, Entry(entry), None).await;
        });
        Ok(handle)
    }

    async fn spawn(
        &self,
        teller: &EventWriter,
        launch: &Launch,
        output: Arc<Output>,
        orders: &mut Orders,
    ) -> Result<Running, NotStarted> {
        let mark = self.marks.service(&teller.id, teller.run);
        let socket = match self.sockets.open(mark.clone(), launch.user.as_deref()) {
            Ok(socket) => Some(socket),
            Err(error) if matches!(launch.ready, Some(Ready::Notify)) => {
                let doing =
                    format!("opening its notify socket in {}", self.sockets.path().display());
                return Err(NotStarted { transient: true, ..NotStarted::new(&doing, &error) });
            }
            Err(error) => {
                let dir = self.sockets.path().display();
                tracing::warn!("{}: started without a notify socket: {dir}: {error}", teller.id);
                None
            }
        };
        let starting = |error: &io::Error| {
            NotStarted::new(&format!("starting {}", launch.program.display()), error)
        };
        let mut env = BTreeMap::new();
        if let Some(socket) = &socket {
            env.insert(notify::VARIABLE.to_owned(), socket.path().display().to_string());
        }
        for mark in [&mark, &self.marks.launcher()] {
            let (name, value) = mark.entry();
            env.insert(name.to_owned(), value.to_owned());
        }
        env.extend(launch.env.clone());
        let not_inherited = NOT_INHERITED.map(str::to_owned);
        let what = Become {
            parent: std::process::id().cast_signed(),
            mark: mark.limit(),
            program: launch.program.clone(),
            args: launch.args.clone(),
            cwd: launch.cwd.clone(),
            user: launch.user.clone(),
            limits: shim::limits(&launch.limits),
            env,
            env_removed: launch.env_removed.iter().cloned().chain(not_inherited).collect(),
        };
        let what = serde_json::to_vec(&what).map_err(|error| starting(&error.into()))?;

        let start = Start { id: &teller.id, program: &launch.program, mark: &mark, what: &what };
        let mut child = self.hand_over(&start, orders).await?;
        let pid = child.id().unwrap_or_default().cast_signed();
        let watch = watch_of(launch.ready.as_ref());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let pipes = [
            (Stream::Stdout, stdout.and_then(|pipe| pipe.into_owned_fd().ok())),
            (Stream::Stderr, stderr.and_then(|pipe| pipe.into_owned_fd().ok())),
        ];
        let mut readers = Vec::new();
        for (stream, pipe) in pipes {
            let Some(pipe) = pipe else { continue };
            let (output, watch) = (Arc::clone(&output), watch.clone());
            match Reader::start(pipe, stream, output, watch, PendingLine::default()) {
                Ok(reader) => readers.push(reader),
                Err(error) => {
                    tracing::error!(service = %teller.id, "cannot read its output: {error}");
                }
            }
        }
        let child = Awaited::Started(child);
        let (order, error, awaits_ready) = (None, None, true);
        Ok(Running { child, pid, mark, socket, output, readers, watch, order, error, awaits_ready })
    }
}

#[derive(Debug)]
struct EventWriter {
    id: ServiceId,
    run: Run,
    tell: EventSender,
}

impl EventWriter {
    async fn report(&self, report: Report) {
        self.say(What::Report(report)).await;
    }

    async fn say(&self, what: What) {
        let told = RunnerEvent { id: self.id.clone(), run: self.run, what };
        // a launcher that no longer listens has ended
        let _ = self.tell.send(told).await;
    }
}

/// A process that runs.
#[derive(Debug)]
struct Running {
    child: Awaited,
    pid: i32,
    mark: Mark,
    socket: Option<Socket>,
    output: Arc<Output>,
    readers: Vec<Reader>,
    watch: Option<Watch>,
    /// The last one that was carried out.
    order: Option<Order>,
    /// Why it failed, as it said itself.
    error: Option<String>,
    /// What says that it is ready has not come.
    awaits_ready: bool,
}

impl Running {
    async fn live(
        mut self,
        runner: &ProcessRunner,
        teller: &EventWriter,
        launch: &Launch,
        mut orders: Orders,
        entry: Entry,
        spawned: Option<Report>,
    ) {
        let mark = self.mark.limit();
        runner.resources.process_started(&teller.id, teller.run, self.pid, mark, launch.sample);
        if let Some(spawned) = spawned {
            teller.report(spawned).await;
        }
        let mut exit = self.until_exit(runner, teller, launch, &mut orders, entry).await;
        let notifies = matches!(launch.ready, Some(Ready::Notify));
        let rest = self.socket.as_ref().map(|socket| socket.rest(self.pid)).unwrap_or_default();
        for word in rest {
            self.hear(word, notifies, teller).await;
        }
        // what it wrote before its end, not what those write who outlive it
        for reader in &self.readers {
            reader.drain().await;
        }
        exit.error = exit.error.or(self.error.take());
        runner.spawner.forget(self.pid);
        let mut family = Family { runner, id: &teller.id, mark: &self.mark, group: Some(self.pid) };
        if exit.code == Some(0)
            && self.order.is_none()
            && let Some(text) = family.in_background().await
        {
            tracing::warn!("{}: {text}", teller.id);
            exit.error = exit.error.or(Some(text));
        }
        exit.error = exit
            .error
            .or_else(|| headline_of_end(&self.output.last_of_run(headline::MAX_LINES), exit.code?));
        teller.report(Report::Exited(exit)).await;
        let is_killed = self.order == Some(Order::Kill);
        let signal = if is_killed { Signal::SIGKILL } else { signal_of(launch.stop_signal) };
        family.end(signal, &mut orders).await;
        runner.journal.ended(entry);
        let drained = async {
            for reader in &mut self.readers {
                reader.end().await;
            }
        };
        timeout(DRAIN, drained).await.ok();
        drop(self.socket);
        teller.report(Report::Cleared).await;
    }

    async fn until_exit(
        &mut self,
        runner: &ProcessRunner,
        teller: &EventWriter,
        launch: &Launch,
        orders: &mut Orders,
        entry: Entry,
    ) -> Exit {
        let end = EndOfProcess::of(self.pid);
        let mut standstill = runner.standstill.listen();
        let mut hears = true;
        loop {
            tokio::select! {
                parts = standstill.asked() => {
                    // whoever asked may have given up
                    let _ = parts.send(self.parts(teller, entry, &standstill).await);
                    standstill.over().await;
                }
                () = end.come() => {
                    runner.resources.process_ended(&teller.id, self.pid);
                    return exit(self.child.wait().await);
                }
                status = self.child.wait(), if end.is_unseen() => return exit(status),
                order = orders.next() => {
                    if self.order != Some(Order::Kill) {
                        self.order = Some(order);
                    }
                    match order {
                        Order::Stop => self.signal(signal_of(launch.stop_signal)),
                        Order::Kill => self.kill(),
                    }
                }
                () = is_ready(launch.ready.as_ref(), self.watch.as_ref()), if self.awaits_ready => {
                    self.awaits_ready = false;
                    teller.report(Report::Ready).await;
                }
                words = heard(self.socket.as_ref(), self.pid), if hears => match words {
                    Ok(words) => for word in words {
                        let ready = matches!(launch.ready, Some(Ready::Notify));
                        self.hear(word, ready, teller).await;
                    },
                    Err(error) => {
                        hears = false;
                        tracing::warn!(service = %teller.id, %error, "its notify socket is lost");
                    }
                },
            }
        }
    }

    /// What another program needs to go on with it. Its pipes are not read from now on.
    async fn parts(
        &self,
        teller: &EventWriter,
        Entry(entry): Entry,
        standstill: &Listener,
    ) -> ProcessParts {
        let mut pipes = Vec::new();
        for reader in &self.readers {
            pipes.extend(reader.stand_still(standstill.stands.clone()).await);
        }
        ProcessParts {
            id: teller.id.clone(),
            run: teller.run,
            pid: self.pid,
            mark: self.mark.clone(),
            entry,
            socket: self.socket.as_ref().map(Socket::parts),
            pipes,
            order: self.order,
            error: self.error.clone(),
            awaits_ready: self.awaits_ready,
        }
    }

    async fn hear(&mut self, word: Word, ready: bool, teller: &EventWriter) {
        match word {
            Word::Ready if ready => teller.report(Report::Ready).await,
            Word::Ready => {}
            Word::Stopping => teller.say(What::Status("stopping".into())).await,
            Word::Status(text) => teller.say(What::Status(text)).await,
            Word::Error(error) => self.error = Some(error),
            Word::Watchdog(watchdog) => teller.report(Report::Watchdog(watchdog)).await,
        }
    }

    /// The stop signal, to its whole group; a stopped one has to run to hear it.
    fn signal(&self, signal: Signal) {
        for signal in [signal, Signal::SIGCONT] {
            let _ = killpg(Pid::from_raw(self.pid), signal);
        }
    }

    fn kill(&mut self) {
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        self.child.kill();
    }
}

async fn heard(socket: Option<&Socket>, main: i32) -> io::Result<Vec<Word>> {
    match socket {
        Some(socket) => socket.receive(main).await,
        None => std::future::pending().await,
    }
}

/// As our system library has it.
fn signal_of(stop: StopSignal) -> Signal {
    Signal::try_from(stop.number()).unwrap_or(Signal::SIGTERM)
}
