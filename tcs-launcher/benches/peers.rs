//! `tcsd` beside other supervisors, where they are installed: how long 200 programs take to be up,
//! how long it takes from SIGKILL of one to its new process, and what the supervision holds in
//! memory. Times are taken in turns, and compared pair by pair: prints medians and ratios.
//!
//! Looked for are runit and s6 (`apt-get install runit s6`), supervisord and circus (in `PATH` or
//! `.tools/peers`: `python3 -m venv .tools/peers && .tools/peers/bin/pip install supervisor
//! circus`). `TCS_BENCH_ROUNDS`: how many pairs (50); a measurement ends after
//! `TCS_BENCH_MINUTES` (10), with the pairs that it has by then. A supervisor that does not start
//! or restart a program within half a minute is left out from then on, and named.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tcs_launcher::runner::group::Process;

const PROGRAMS: usize = 200;

/// Nothing takes that long.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a supervisor has to end what it runs, when it is asked to.
const FAREWELL: Duration = Duration::from_secs(2);

/// Supervisors wait before they start a program again that ran for less than a second.
const SETTLE: Duration = Duration::from_millis(1500);

/// In the environment of a supervisor and of what it starts.
const MARK: &str = "TCS_BENCH_PEER";

type Configure = fn(&Path) -> Vec<String>;

/// A supervisor, and how it is told what to run.
struct Peer {
    name: &'static str,
    program: PathBuf,
    /// Writes its configuration into a directory, for programs that are started by
    /// `/bin/sh DIR/start.sh NUMBER`; returns its arguments.
    configure: Configure,
    /// What asks it to end.
    stop: Signal,
    /// Seconds, or milliseconds, of each round.
    samples: Vec<f64>,
    /// It did not do what it was measured at.
    failed: bool,
}

impl Peer {
    fn new(name: &'static str, program: PathBuf, configure: Configure, stop: Signal) -> Self {
        Self { name, program, configure, stop, samples: Vec::new(), failed: false }
    }

    fn note(&mut self, sample: Option<f64>, doing: &str) {
        self.failed |= sample.is_none();
        self.samples.extend(sample);
        if self.failed {
            println!("{} is left out: {doing} failed, or took more than {LIMIT:?}", self.name);
        }
    }
}

fn peers() -> Vec<Peer> {
    let ours = Peer::new("tcsd", env!("CARGO_BIN_EXE_tcsd").into(), tcsd, Signal::SIGTERM);
    let others: [(&str, &str, Configure, Signal); 4] = [
        ("runit", "runsvdir", runit, Signal::SIGHUP),
        ("s6", "s6-svscan", s6, Signal::SIGTERM),
        ("supervisord", "supervisord", supervisord, Signal::SIGTERM),
        ("circus", "circusd", circus, Signal::SIGTERM),
    ];
    let mut peers = vec![ours];
    for (name, program, configure, stop) in others {
        match find(program) {
            Some(program) => peers.push(Peer::new(name, program, configure, stop)),
            None => println!("{name} is not installed"),
        }
    }
    peers
}

fn find(program: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/peers/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain([own]).map(|dir| dir.join(program));
    places.find(|path| path.is_file())
}

fn tcsd(dir: &Path) -> Vec<String> {
    let mut text = "nats: {host: 127.0.0.1, port: 1, required: false}\nservices:\n".to_owned();
    for n in 0..PROGRAMS {
        let _ = writeln!(
            text,
            "  - {{type: p, variant: n{n}, restart: always, restart_sec: 0, restart_max: 0, \
             launch: {{exec: [/bin/sh, {}/start.sh, '{n}']}}}}",
            dir.display()
        );
    }
    let file = dir.join("services.yaml");
    fs::write(&file, text).unwrap();
    vec!["--config".into(), file.display().to_string()]
}

/// A directory with a `run` for each program.
fn run_scripts(dir: &Path) -> Vec<String> {
    let services = dir.join("services");
    for n in 0..PROGRAMS {
        let service = services.join(format!("n{n}"));
        fs::create_dir_all(&service).unwrap();
        let run = service.join("run");
        fs::write(&run, format!("#!/bin/sh\nexec /bin/sh {}/start.sh {n}\n", dir.display()))
            .unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    }
    vec![services.display().to_string()]
}

fn runit(dir: &Path) -> Vec<String> {
    run_scripts(dir)
}

fn s6(dir: &Path) -> Vec<String> {
    run_scripts(dir)
}

fn supervisord(dir: &Path) -> Vec<String> {
    let at = dir.display();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n\
         pidfile={at}/pid\nchildlogdir={at}\n"
    );
    for n in 0..PROGRAMS {
        let _ = writeln!(
            text,
            "[program:n{n}]\ncommand=/bin/sh {at}/start.sh {n}\nautorestart=true\nstartsecs=0\n\
             stdout_logfile=NONE\nstderr_logfile=NONE"
        );
    }
    let file = dir.join("supervisord.conf");
    fs::write(&file, text).unwrap();
    vec!["-c".into(), file.display().to_string()]
}

fn circus(dir: &Path) -> Vec<String> {
    let at = dir.display();
    let mut text = format!(
        "[circus]\nendpoint=ipc://{at}/control\npubsub_endpoint=ipc://{at}/events\n\
         check_delay=1\nstatsd=False\n"
    );
    for n in 0..PROGRAMS {
        let _ = writeln!(text, "[watcher:n{n}]\ncmd=/bin/sh {at}/start.sh {n}\nwarmup_delay=0");
    }
    let file = dir.join("circus.ini");
    fs::write(&file, text).unwrap();
    vec![file.display().to_string()]
}

/// A supervisor at work.
struct Running {
    child: Child,
    stop: Signal,
    /// Each start of a program: its number, its pid, when.
    starts: Receiver<(usize, i32, Instant)>,
    pids: Vec<i32>,
    began: Instant,
    took: Duration,
    mark: String,
    // goes last
    _dir: tempfile::TempDir,
}

impl Running {
    /// Returns once all programs are up; `None` if they never are.
    fn start(peer: &Peer) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("started");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let script = format!("echo \"$1 $$\" > {}\nexec sleep infinity\n", fifo.display());
        fs::write(dir.path().join("start.sh"), script).unwrap();
        let arguments = (peer.configure)(dir.path());
        // it can write, too, so that it never comes to an end
        let reading = File::options().read(true).write(true).open(&fifo).unwrap();
        let (tell, starts) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reading).lines() {
                let line = line.unwrap();
                let (number, pid) = line.split_once(' ').unwrap();
                let start = (number.parse().unwrap(), pid.parse().unwrap(), Instant::now());
                if tell.send(start).is_err() {
                    return;
                }
            }
        });
        let mark = format!("{}-{}", peer.name, dir.path().display());
        let mut command = Command::new(&peer.program);
        command.args(arguments).current_dir(dir.path()).env(MARK, &mark);
        command.env("RUNTIME_DIRECTORY", dir.path().join("run"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("{}: {error}", peer.program.display());
                return None;
            }
        };
        let mut running = Self {
            child,
            stop: peer.stop,
            starts,
            pids: vec![0; PROGRAMS],
            began,
            took: Duration::ZERO,
            mark,
            _dir: dir,
        };
        while running.pids.contains(&0) {
            let (_, at) = running.next()?;
            running.took = at.duration_since(running.began);
        }
        Some(running)
    }

    fn next(&mut self) -> Option<(usize, Instant)> {
        let (number, pid, at) = self.starts.recv_timeout(LIMIT).ok()?;
        self.pids[number] = pid;
        Some((number, at))
    }

    /// From SIGKILL of a program to the first words of the next; `None` if there is none.
    fn restart(&mut self, number: usize) -> Option<Duration> {
        while let Ok((number, pid, _)) = self.starts.try_recv() {
            self.pids[number] = pid;
        }
        let pid = Pid::from_raw(self.pids[number]);
        let killed = Instant::now();
        kill(pid, Signal::SIGKILL).ok()?;
        loop {
            let (started, at) = self.next()?;
            if started == number {
                return Some(at.duration_since(killed));
            }
        }
    }

    /// The processes of the supervision and of its programs.
    fn processes(&self) -> Vec<Process> {
        let mark = format!("{MARK}={}", self.mark);
        let is_marked = |it: &Process| {
            let environment = fs::read(format!("/proc/{}/environ", it.pid)).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        };
        Process::all().into_iter().filter(|it| !it.is_zombie() && is_marked(it)).collect()
    }

    /// Thousands of bytes that the supervision holds, each page shared by those who have it.
    fn memory(&self) -> u64 {
        let of = |process: &Process| -> Option<u64> {
            if self.pids.contains(&process.pid) {
                return None;
            }
            let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.split_whitespace().next()?.parse().ok()
        };
        self.processes().iter().filter_map(of).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), self.stop);
        let begin = Instant::now();
        while !self.processes().is_empty() {
            if begin.elapsed() > FAREWELL {
                for process in self.processes() {
                    let _ = process.kill();
                }
            }
            let _ = self.child.try_wait();
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median of each, and of its pairs with ours.
fn compare(what: &str, unit: &str, peers: &[Peer]) {
    let ours = &peers[0].samples;
    println!("{what}, medians of {}:", ours.len());
    for peer in peers.iter().filter(|peer| !peer.samples.is_empty()) {
        let pairs = peer.samples.iter().zip(ours);
        let (value, ratio) =
            (median(peer.samples.clone()), median(pairs.map(|(it, ours)| ours / it).collect()));
        println!("  {:<12} {value:>9.2} {unit}, tcsd {ratio:.2} times of it", peer.name);
    }
}

/// Measures each in turns, `rounds` times or as long as there is time.
fn in_turns(
    peers: &mut [Peer],
    rounds: usize,
    limit: Duration,
    doing: &str,
    mut measure: impl FnMut(usize, &Peer, usize) -> Option<f64>,
) {
    let begin = Instant::now();
    for peer in &mut *peers {
        peer.samples.clear();
    }
    for round in 0..rounds {
        if begin.elapsed() > limit {
            println!("{doing}: the time is up after {round} of {rounds} rounds");
            return;
        }
        for (at, peer) in peers.iter_mut().enumerate().filter(|(_, peer)| !peer.failed) {
            let sample = measure(at, peer, round);
            peer.note(sample, doing);
        }
    }
}

fn main() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |it| it.parse::<usize>().unwrap())
    };
    let rounds = number("TCS_BENCH_ROUNDS", 50);
    let limit = Duration::from_mins(number("TCS_BENCH_MINUTES", 10) as u64);
    let mut peers = peers();
    in_turns(&mut peers, rounds, limit, "starting all programs", |_, peer, _| {
        Running::start(peer).map(|it| it.took.as_secs_f64())
    });
    compare(&format!("{PROGRAMS} programs up"), "s", &peers);

    let mut running: Vec<Option<Running>> =
        peers.iter().map(|peer| (!peer.failed).then(|| Running::start(peer)).flatten()).collect();
    std::thread::sleep(SETTLE);
    let memory: Vec<Option<f64>> =
        running.iter().map(|it| it.as_ref().map(|it| it.memory() as f64 / 1024.0)).collect();
    in_turns(&mut peers, rounds, limit, "restarting a program", |at, _, round| {
        let took = running[at].as_mut()?.restart(round % PROGRAMS)?;
        Some(took.as_secs_f64() * 1000.0)
    });
    compare("from SIGKILL to the new process", "ms", &peers);
    in_turns(&mut peers, 1, limit, "looking at the memory", |at, _, _| memory[at]);
    compare("memory of the supervision", "MiB", &peers);
}
