//! A program that misbehaves on demand, for tests. Its arguments are what it does, in order:
//! see [`act`]. It can also be the launcher's shim and guard, and a small launcher itself.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::env::{self, current_exe};
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::{getuid, setsid};
use tcs_core::bus::Bus;
use tcs_core::bus::publish::{OutgoingMessage, Publisher, hostname};
use tcs_core::bus::settings::{NatsSection, Settings};
use tcs_core::wire::{HeartbeatMessage, Status, StatusMessage};
use tcs_launcher::resources::Resources;
use tcs_launcher::runner::guard::Guard;
use tcs_launcher::runner::journal::Journal;
use tcs_launcher::runner::notify::SocketDir;
use tcs_launcher::runner::output::Output;
use tcs_launcher::runner::spawner::Spawner;
use tcs_launcher::runner::{Launch, Marks, ProcessRunner, helper_main};
use tcs_supervisor::Run;

/// Before it is tried again.
const SOON: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    if let Some(code) = helper_main() {
        return code;
    }
    let mut args = env::args().skip(1);
    while let Some(action) = args.next() {
        let mut next = || args.next().expect("an argument is missing");
        if action == "supervise" {
            let dir = next();
            return supervise(Path::new(&dir), args.collect());
        }
        if action == "exec" {
            let error = Command::new(next()).args(args).exec();
            panic!("exec: {error}");
        }
        if let Some(code) = act(&action, &mut next) {
            return code;
        }
    }
    ExitCode::SUCCESS
}

/// Does one thing; returns how to exit, if that is it.
fn act(action: &str, next: &mut dyn FnMut() -> String) -> Option<ExitCode> {
    match action {
        "exit" => return Some(ExitCode::from(next().parse::<u8>().expect("a code"))),
        "die" => raise(next().parse().expect("a signal")).expect("raise"),
        "say" => println!("{}", next()),
        "complain" => eprintln!("{}", next()),
        "sleep" => sleep(Duration::from_millis(next().parse().expect("milliseconds"))),
        "forever" => loop {
            sleep(Duration::from_hours(1));
        },
        // blocked, which children inherit
        "deaf" => {
            let mut signals = SigSet::empty();
            for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                signals.add(signal);
            }
            signals.thread_block().expect("block");
        }
        // until a file is there
        "await" => {
            let path = next();
            while !Path::new(&path).exists() {
                sleep(Duration::from_millis(5));
            }
        }
        "freeze" => raise(Signal::SIGSTOP).expect("stop"),
        "session" => drop(setsid().expect("setsid")),
        "pid" => write_pid(&next()),
        "print" => print(&next()),
        "flood" => {
            let (to, what, bytes) = (next(), next(), next().parse().expect("bytes"));
            flood(&to, &what, bytes);
        }
        "notify" => {
            let socket = UnixDatagram::unbound().expect("socket");
            let path = env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET");
            socket.send_to(next().as_bytes(), path).expect("notify");
        }
        // in each of so many processes that die at once; says how many could send
        "attack" => {
            let (count, words) = (next().parse().expect("a count"), next());
            println!("{}", (0..count).filter(|_: &u32| notify_and_die(&words)).count());
        }
        "listen" => {
            let listener = TcpListener::bind(next()).expect("bind");
            drop(listener.accept());
        }
        // a child that stays, with our outputs open
        "grandchild" => drop(myself(&["pid", &next(), "forever"]).spawn().expect("spawn")),
        // a child that does so, in words parted by blanks, or, of a child's child, by commas
        "brood" => {
            let script = next();
            let parting = if script.contains(' ') { ' ' } else { ',' };
            let words: Vec<&str> = script.split(parting).collect();
            drop(myself(&words).spawn().expect("spawn"));
        }
        // so many megabytes, all of them touched, to the end
        "hold" => {
            let size = next().parse::<usize>().expect("megabytes") * 1_000_000;
            std::mem::forget(std::hint::black_box(vec![1_u8; size]));
        }
        // so many milliseconds of processor time
        "spin" => {
            let limit = next().parse::<f64>().expect("milliseconds") / 1000.0;
            while spent() < limit {
                std::hint::black_box((0..100_000_u64).sum::<u64>());
            }
        }
        // one that loses its parent, and soon ends
        "orphan" => {
            let brief = ["background", &next()];
            myself(&brief).spawn().expect("spawn").wait().expect("wait");
        }
        "background" => {
            drop(myself(&["pid", &next(), "sleep", "100", "exit", "0"]).spawn().expect("spawn"));
        }
        // one that leaves session, group and parent
        "escape" => {
            let mut child = myself(&["session", "grandchild", &next()]).spawn().expect("spawn");
            child.wait().expect("wait");
        }
        // and all its marks, too
        "escape-bare" => {
            let mut command = Command::new("prlimit");
            command.arg("--rttime=unlimited:").arg(current_exe().expect("own path"));
            command.args(["session", "grandchild", &next()]).stdin(Stdio::null());
            command.env_clear().spawn().expect("spawn").wait().expect("wait");
        }
        // says that it is well, and its heart beats a few times: name, count, milliseconds
        "beats" => {
            let (name, count, pause) = (next(), next(), next());
            let count: u32 = count.parse().expect("count");
            beats(&name, |n| n < count, pause.parse().expect("milliseconds"));
        }
        // the same until a file is there: name, file, milliseconds
        "beats-until" => {
            let (name, file, pause) = (next(), next(), next());
            let goes_on = |_| !Path::new(&file).exists();
            beats(&name, goes_on, pause.parse().expect("milliseconds"));
        }
        other => panic!("what is {other}?"),
    }
    None
}

fn beats(name: &str, goes_on: impl Fn(u32) -> bool, pause: u64) {
    let pause = Duration::from_millis(pause);
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let settings = Settings::from_process(&NatsSection::default(), None).expect("settings");
        let bus = Bus::connect(&settings, name, Duration::from_secs(20)).await.expect("a broker");
        let publisher = Publisher::new(bus.clone());
        let status = StatusMessage {
            name: name.to_owned(),
            status: Status::Ok,
            message: Some("at work".to_owned()),
            pid: Some(std::process::id()),
            hostname: Some(hostname()),
            ..StatusMessage::default()
        };
        let status = OutgoingMessage::new(bus.subjects().status(name), &status).expect("a status");
        // the launcher may not have made the streams yet
        while publisher.send(&status).await.is_err() {
            sleep(SOON);
        }
        let mut sent = 0;
        while goes_on(sent) {
            sent += 1;
            let beat = HeartbeatMessage {
                service_id: name.to_owned(),
                status: Some(Status::Ok),
                interval_seconds: Some(pause.as_secs_f64()),
                ..HeartbeatMessage::default()
            };
            let beat = OutgoingMessage::new(bus.subjects().heartbeat(name), &beat).expect("a beat");
            while publisher.send(&beat).await.is_err() {
                sleep(SOON);
            }
            sleep(pause);
        }
    });
}

/// Seconds of processor time that this process has used.
fn spent() -> f64 {
    let used = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    let time = used.expect("usage").user_time();
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// Whether it could.
fn notify_and_die(words: &str) -> bool {
    // another user may not see where our file is
    let mut command = Command::new("/proc/self/exe");
    command.args(["notify", words, "die", "SIGKILL"]).stdin(Stdio::null()).stderr(Stdio::null());
    // which takes longer than all the rest
    command.env("RUST_BACKTRACE", "0");
    command.status().expect("status").signal() == Some(Signal::SIGKILL as i32)
}

fn myself(args: &[&str]) -> Command {
    let mut command = Command::new(current_exe().expect("own path"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Whole at once, for who waits for the file.
fn write_pid(path: &str) {
    let new = format!("{path}.new");
    fs::write(&new, std::process::id().to_string()).expect("write");
    fs::rename(&new, path).expect("rename");
}

fn print(what: &str) {
    match what {
        "cwd" => println!("{}", env::current_dir().expect("cwd").display()),
        "uid" => println!("{}", getuid()),
        "nofile" => {
            let limits = fs::read_to_string("/proc/self/limits").expect("limits");
            println!(
                "{}",
                limits.lines().find(|it| it.starts_with("Max open files")).expect("line")
            );
        }
        "fds" => println!("{}", fs::read_dir("/proc/self/fd").expect("fds").count()),
        name => println!("{name}={}", env::var(name).unwrap_or_default()),
    }
}

fn flood(to: &str, what: &str, mut bytes: usize) {
    let block: Vec<u8> = match what {
        "lines" => b"a line of a flood that nobody needs\n".repeat(2000),
        "line" => vec![b'x'; 65536],
        "binary" => (0..65536u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        other => panic!("what is {other}?"),
    };
    let mut to: Box<dyn Write> = match to {
        "stdout" => Box::new(io::stdout()),
        "stderr" => Box::new(io::stderr()),
        other => panic!("what is {other}?"),
    };
    while bytes > 0 {
        let count = block.len().min(bytes);
        to.write_all(&block[..count]).expect("write");
        bytes -= count;
    }
}

/// A launcher of one service that does `script`. Ends in order at the end of its input.
fn supervise(dir: &Path, script: Vec<String>) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(async {
        let marks = Marks::new(format!("badchild-{}", std::process::id()));
        let (journal, _) = Journal::open(dir, "test", marks.launcher_run()).expect("journal");
        let spawner = Spawner::new("/proc/self/exe", true).expect("spawner");
        let guard = Guard::start(Arc::clone(&spawner), marks.clone()).await.expect("guard");
        let journal = Arc::new(journal);
        let sockets = SocketDir::new(dir.join("sockets"));
        let runner = Arc::new(ProcessRunner::new(
            spawner,
            marks,
            journal,
            sockets,
            Arc::new(Resources::new(dir)),
        ));
        let launch =
            Launch { program: current_exe().expect("own path"), args: script, ..Launch::default() };
        let (tell, mut told) = tokio::sync::mpsc::channel(16);
        let id = "a.x".parse().expect("id");
        let output = Arc::new(Output::default());
        let handle = runner.start(id, Run(1), launch, output, tell);
        tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()))
            .await
            .expect("join")
            .expect("read");
        handle.kill();
        while told.recv().await.is_some() {}
        runner.end().await;
        guard.dismiss().await;
    });
    ExitCode::SUCCESS
}
