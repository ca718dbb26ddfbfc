//! Runners against real processes that misbehave: the rows of "What it must survive".
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tcs_core::clock::monotonic;
use tcs_core::config::{LinePattern, Ready};
use tcs_launcher::resources::Resources;
use tcs_launcher::runner::group::Process;
use tcs_launcher::runner::journal::Journal;
use tcs_launcher::runner::notify::SocketDir;
use tcs_launcher::runner::output::Output;
use tcs_launcher::runner::spawner::Spawner;
use tcs_launcher::runner::{Handle, Launch, Marks, ProcessRunner, RunnerEvent, What};
use tcs_supervisor::{Exit, Report, Run, ServiceId, Watchdog};
use tcs_testkit::programs::badchild;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[path = "runner/left.rs"]
mod left;
#[path = "runner/shims.rs"]
mod shims;
#[path = "runner/sockets.rs"]
mod sockets;

/// Far more than anything here takes.
const LONG: Duration = Duration::from_mins(1);

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begin = monotonic();
    while !condition() {
        assert!(begin.elapsed() < LONG, "waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begin.elapsed()
}

fn read_pid(path: &Path) -> i32 {
    let mut pid = None;
    wait_for("a pid file", || {
        // it is empty for a moment
        pid = fs::read_to_string(path).ok().and_then(|text| text.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

fn is_alive(pid: i32) -> bool {
    Process::of(pid).is_some_and(|process| !process.is_zombie())
}

/// A runner, and what it is told.
struct Lab {
    dir: TempDir,
    runner: Arc<ProcessRunner>,
    output: Arc<Output>,
    tell: mpsc::Sender<RunnerEvent>,
    told: mpsc::Receiver<RunnerEvent>,
    handles: Vec<Handle>,
}

impl Lab {
    fn new() -> Self {
        Self::with_helper(&badchild())
    }

    /// `helper` is the program that is the shim.
    fn with_helper(helper: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // other users' children open sockets in it
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).unwrap();
        let marks = Marks::new(dir.path().file_name().unwrap().to_str().unwrap());
        let (journal, _) = Journal::open(dir.path(), "lab", marks.launcher_run()).unwrap();
        let spawner = Spawner::new(helper, false).unwrap();
        let sockets = SocketDir::new(dir.path().join("sockets"));
        let runner = ProcessRunner::new(
            spawner,
            marks,
            Arc::new(journal),
            sockets,
            Arc::new(Resources::new(dir.path())),
        );
        let (tell, told) = mpsc::channel(64);
        let output = Arc::new(Output::default());
        Self { dir, runner: Arc::new(runner), output, tell, told, handles: Vec::new() }
    }

    fn launch(script: &[&str]) -> Launch {
        Launch {
            program: badchild(),
            args: script.iter().map(ToString::to_string).collect(),
            sample: Duration::from_secs(10),
            ..Launch::default()
        }
    }

    fn start(&mut self, launch: Launch) -> Handle {
        self.start_as("bad.child", launch)
    }

    fn start_as(&mut self, id: &str, launch: Launch) -> Handle {
        let run = Run(self.handles.len() as u64 + 1);
        let id: ServiceId = id.parse().unwrap();
        let (output, tell) = (Arc::clone(&self.output), self.tell.clone());
        let handle = self.runner.start(id, run, launch, output, tell);
        self.handles.push(handle.clone());
        handle
    }

    fn run(&mut self, script: &[&str]) -> Handle {
        self.start(Self::launch(script))
    }

    async fn next(&mut self) -> What {
        timeout(LONG, self.told.recv()).await.expect("nothing is told").unwrap().what
    }

    async fn report(&mut self) -> Report {
        match self.next().await {
            What::Report(report) => report,
            What::Status(text) => panic!("it says {text}"),
        }
    }

    async fn spawned(&mut self) -> i32 {
        match self.report().await {
            Report::Spawned { pid: Some(pid) } => pid.cast_signed(),
            other => panic!("{other:?}"),
        }
    }

    /// Whatever its output says of the cause.
    async fn ends(&mut self, exit: Exit) {
        match self.report().await {
            Report::Exited(ended) => assert_eq!(Exit { error: None, ..ended }, exit),
            other => panic!("{other:?}"),
        }
        assert_eq!(self.report().await, Report::Cleared);
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn lines(&self) -> Vec<String> {
        self.output.last(usize::MAX).0.iter().map(|line| line.text.clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_signals_are_reported_as_they_were() {
    let mut lab = Lab::new();
    for code in [0, 1, 128, 137, 255] {
        lab.run(&["exit", &code.to_string()]);
        lab.spawned().await;
        lab.ends(Exit::code(code)).await;
    }
    // none that `nohup` or a shell would have children ignore
    for signal in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGTERM, Signal::SIGUSR1] {
        let mut launch = Lab::launch(&["die", signal.as_str()]);
        launch.limits.core = Some(0);
        lab.start(launch);
        lab.spawned().await;
        lab.ends(Exit::signal(signal as i32)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fast_exit_is_lost() {
    let mut lab = Lab::new();
    let (mut spawned, mut exited, mut cleared) = (0, 0, 0);
    for _ in 0..100 {
        lab.run(&["exit", "3"]);
    }
    while cleared < 100 {
        match lab.report().await {
            Report::Spawned { .. } => spawned += 1,
            Report::Exited(exit) => {
                assert_eq!(exit, Exit::code(3));
                exited += 1;
            }
            Report::Cleared => cleared += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((spawned, exited), (100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_says_why() {
    let mut lab = Lab::new();
    let file = lab.path("file");
    fs::write(&file, "no program").unwrap();
    let script = lab.path("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let windows = lab.path("windows");
    fs::write(&windows, "#!/bin/sh\r\nexit 0\r\n").unwrap();
    for path in [&script, &windows] {
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, executable).unwrap();
    }
    let in_path = [("PATH".to_owned(), lab.path(""))].into();
    let program = |program: &str| Launch { program: program.into(), ..Lab::launch(&[]) };
    let cases = [
        (program("/no/such/program"), "starting /no/such/program: No such file or directory"),
        (
            program("no-such-program-in-path"),
            "starting no-such-program-in-path: No such file or directory",
        ),
        (program(&file), "Permission denied"),
        (program(&script), "script: its interpreter `/no/such/interpreter` does not exist"),
        (
            Launch { env: in_path, ..program("script") },
            "starting script: its interpreter `/no/such/interpreter` does not exist",
        ),
        (
            program(&windows),
            "its interpreter `/bin/sh` does not exist: the file has Windows line ends",
        ),
        (program("/tmp"), "starting /tmp: it is a directory"),
        (
            Launch { cwd: Some("/no/such/dir".into()), ..Lab::launch(&[]) },
            "changing to directory /no/such/dir: No such file or directory",
        ),
        (
            Launch { user: Some("no-such-user".into()), ..Lab::launch(&[]) },
            "looking up user no-such-user: no such user",
        ),
    ];
    for (launch, expected) in cases {
        lab.start(launch);
        match lab.report().await {
            Report::NotSpawned { error, transient: false } => {
                assert!(error.contains(expected), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_where_and_as_what_it_is_told() {
    let mut lab = Lab::new();
    let names = ["cwd", "nofile", "A_NAME", "PATH", "WATCHDOG_USEC", "fds"];
    let script: Vec<&str> = names.iter().flat_map(|name| ["print", name]).collect();
    let mut launch = Lab::launch(&script);
    launch.cwd = Some("/usr".into());
    launch.env.insert("A_NAME".into(), "a value".into());
    launch.limits.open_files = Some(99);
    lab.start(launch);
    lab.spawned().await;
    lab.ends(Exit::code(0)).await;
    let lines = lab.lines();
    assert_eq!(lines[0], "/usr");
    assert!(lines[1].contains("99"), "{}", lines[1]);
    assert_eq!(lines[2], "A_NAME=a value");
    assert_eq!(lines[3], format!("PATH={}", std::env::var("PATH").unwrap()));
    assert_eq!(lines[4], "WATCHDOG_USEC=");
    let mut direct = Command::new(badchild());
    let direct = direct.args(["print", "fds"]).output().unwrap().stdout;
    let direct = String::from_utf8(direct).unwrap();
    assert_eq!(lines[5], direct.trim(), "descriptors of ours leak into children");
    if Uid::effective().is_root() {
        // the program's own directory may be closed to others
        let launch = Launch {
            program: "sh".into(),
            args: vec!["-c".into(), "id -u; echo $HOME".into()],
            user: Some("65534".into()),
            ..Lab::launch(&[])
        };
        lab.start(launch);
        lab.spawned().await;
        lab.ends(Exit::code(0)).await;
        assert_eq!(lab.lines()[6], "65534");
        assert_ne!(lab.lines()[7], std::env::var("HOME").unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_seen_though_a_grandchild_keeps_the_output_open() {
    let mut lab = Lab::new();
    let pid_file = lab.path("pid");
    let handle = lab.run(&["deaf", "grandchild", &pid_file, "exit", "7"]);
    lab.spawned().await;
    assert_eq!(lab.report().await, Report::Exited(Exit::code(7)));
    let grandchild = read_pid(Path::new(&pid_file));
    assert!(is_alive(grandchild), "it does not hear SIGTERM, and nobody has killed it");
    handle.kill();
    assert_eq!(lab.report().await, Report::Cleared);
    assert!(!is_alive(grandchild));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_left_is_asked_to_end() {
    let mut lab = Lab::new();
    for code in [0, 4] {
        let (near, far) = (lab.path(&format!("near-{code}")), lab.path(&format!("far-{code}")));
        let exit_code = code.to_string();
        lab.run(&["grandchild", &near, "escape", &far, "sleep", "300", "exit", &exit_code]);
        lab.spawned().await;
        let left = [read_pid(Path::new(&near)), read_pid(Path::new(&far))];
        let Report::Exited(exit) = lab.report().await else { panic!("no exit") };
        assert_eq!(exit.code, Some(code));
        // that it went to the background is told where nothing else is wrong
        let told = exit.error.is_some_and(|error| error.contains("running in the background"));
        assert_eq!(told, code == 0);
        assert_eq!(lab.report().await, Report::Cleared);
        assert!(!left.into_iter().any(is_alive));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_and_a_kill_ends_the_deaf_and_the_escaped() {
    let mut lab = Lab::new();
    let handle = lab.run(&["forever"]);
    lab.spawned().await;
    handle.stop();
    lab.ends(Exit::signal(15)).await;

    let (near, far) = (lab.path("near"), lab.path("far"));
    let handle = lab.run(&["deaf", "grandchild", &near, "escape", &far, "forever"]);
    let pid = lab.spawned().await;
    let family = [pid, read_pid(Path::new(&near)), read_pid(Path::new(&far))];
    handle.stop();
    assert!(family.into_iter().all(is_alive));
    let begin = monotonic();
    handle.kill();
    lab.ends(Exit::signal(9)).await;
    println!("a deaf family of three ended in {:?}", begin.elapsed());
    assert!(!family.into_iter().any(is_alive));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_end_together() {
    let mut lab = Lab::new();
    let begin = monotonic();
    let handles: Vec<Handle> = (0..200).map(|_| lab.run(&["forever"])).collect();
    for _ in 0..200 {
        lab.spawned().await;
    }
    println!("200 processes started in {:?}", begin.elapsed());
    let begin = monotonic();
    for handle in &handles {
        handle.stop();
    }
    let mut cleared = 0;
    while cleared < 200 {
        match lab.report().await {
            Report::Exited(exit) => assert_eq!(exit, Exit::signal(15)),
            Report::Cleared => cleared += 1,
            other => panic!("{other:?}"),
        }
    }
    println!("and ended in {:?}", begin.elapsed());
    let mut files: Vec<_> = fs::read_dir(lab.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(files, ["lab.journal", "lab.lock", "sockets"]);
    let sockets = fs::read_dir(lab.dir.path().join("sockets")).unwrap();
    assert_eq!(sockets.count(), 0, "sockets are left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_process_hears_the_stop() {
    let mut lab = Lab::new();
    let handle = lab.run(&["freeze", "forever"]);
    let pid = lab.spawned().await;
    wait_for("it to freeze", || Process::of(pid).is_some_and(|process| process.state == b'T'));
    handle.stop();
    lab.ends(Exit::signal(15)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_blocks_nobody_and_fills_nothing() {
    let mut lab = Lab::new();
    let resident = || -> usize {
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let before = resident();
    for to in ["stdout", "stderr"] {
        for what in ["lines", "line", "binary"] {
            let begin = monotonic();
            lab.run(&["flood", to, what, "33554432", "exit", "5"]);
            lab.spawned().await;
            lab.ends(Exit::code(5)).await;
            println!("32 MiB of {what} on {to} in {:?}", begin.elapsed());
        }
    }
    let grown = resident().saturating_sub(before);
    println!("memory grew by {} KiB", grown / 1024);
    // other tests run in this process too; kept whole, it would be several times 192 MiB
    assert!(grown < 160 << 20, "{grown}");
    let (held, gone) = lab.output.last(usize::MAX);
    assert!(held.len() <= 1000 && gone > 100_000);
    assert!(held.iter().all(|line| line.text.len() <= 3 * 8192 + 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_it_says_so() {
    let mut lab = Lab::new();
    let words = "READY=1\nSTATUS=cooling\nWATCHDOG_USEC=2000000";
    let script = ["sleep", "50", "notify", words, "notify", "WATCHDOG=1", "forever"];
    let handle = lab.start(Launch { ready: Some(Ready::Notify), ..Lab::launch(&script) });
    lab.spawned().await;
    assert_eq!(lab.report().await, Report::Ready);
    assert_eq!(lab.next().await, What::Status("cooling".into()));
    let every = Watchdog::Every(Duration::from_secs(2));
    assert_eq!(lab.report().await, Report::Watchdog(every));
    assert_eq!(lab.report().await, Report::Watchdog(Watchdog::Alive));
    handle.kill();
    lab.ends(Exit::signal(9)).await;

    let pattern = LinePattern::new("^listening on [0-9]+$").unwrap();
    let script = ["complain", "[INFO ] net: listening on 5000", "forever"];
    let handle = lab.start(Launch { ready: Some(Ready::Log(pattern)), ..Lab::launch(&script) });
    lab.spawned().await;
    assert_eq!(lab.report().await, Report::Ready);
    handle.kill();
    lab.ends(Exit::signal(9)).await;

    // a prompt has no end of line, a bar is drawn over, colours are not text
    for (pattern, printed) in [
        ("^epics>", "iocInit\\nepics> "),
        ("100%", " 50%%\\r100%%\\r"),
        ("^ready$", "\\033[1;32mready\\033[0m\\n"),
    ] {
        let ready = Some(Ready::Log(LinePattern::new(pattern).unwrap()));
        let args = vec!["-c".to_owned(), format!("printf '{printed}'; exec sleep 1000")];
        let handle =
            lab.start(Launch { program: "/bin/sh".into(), args, ready, ..Lab::launch(&[]) });
        lab.spawned().await;
        assert_eq!(lab.report().await, Report::Ready, "{pattern}");
        handle.kill();
        lab.ends(Exit::signal(9)).await;
    }
    assert!(lab.lines().contains(&"epics> ".to_owned()), "{:?}", lab.lines());

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ready = Ready::Tcp { host: "127.0.0.1".into(), port: port.port() };
    let script = ["sleep", "300", "listen", &port.to_string(), "forever"];
    let handle = lab.start(Launch { ready: Some(ready), ..Lab::launch(&script) });
    lab.spawned().await;
    assert_eq!(lab.report().await, Report::Ready);
    handle.kill();
    lab.ends(Exit::signal(9)).await;
}
