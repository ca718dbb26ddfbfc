//! `--timeout` is one budget for the whole command, whatever the broker does; and several servers
//! share it.
#![expect(clippy::print_stdout, reason = "the times that were measured")]

use std::time::Duration;

use tcs_core::clock;
use tcs_testkit::bad_servers::{closing, dropping, silent};
use tcs_testkit::nats::{Server, on_each_server, server};
use tcs_testkit::{raw, tcsctl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{filled, recording};

const BUDGET: Duration = Duration::from_secs(4);
/// A machine may need as long again to start a program and to end it.
const AT_MOST: Duration = Duration::from_secs(8);
/// One that is busy may need longer at one time, but not each time.
const TIMES: usize = 5;

/// Every command that connects and ends by itself, each as one line.
fn commands(folder: &std::path::Path) -> Vec<Vec<String>> {
    let replay = recording("standalone-sigterm");
    let file = folder.join("out.jsonl").display().to_string();
    [
        "list",
        "list --all --json",
        "list --detailed hello_world.main",
        "list --verbose",
        "list --at 1s",
        "check",
        "check hello_world.main",
        "wait hello_world.main --for late",
        "events",
        "timeline --since 1h",
        "report --since 1h",
        "health hello_world.main",
        "stats hello_world.main",
        "start hello_world.main",
        "stop hello_world.main",
        "restart /main|tutorial/ --yes",
        "restart hello_world.main --when-idle",
        "reload launcher.launcher.1fUQ1F.vm-process-launcher --dry-run",
        "logs hello_world.main",
        &format!("record {file} --for 200ms"),
        &format!("replay --instant {replay}"),
        &format!("replay --instant --create-streams {replay}"),
    ]
    .iter()
    .map(|line| line.split(' ').map(str::to_owned).collect())
    .collect()
}

/// Runs them all, four at a time: each ends within its budget. The exit codes, by command.
async fn within_budget(url: &str) -> Vec<(String, Option<i32>, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut results = Vec::new();
    for some in commands(folder.path()).chunks(4) {
        let runs: Vec<_> = some
            .iter()
            .map(|args| {
                let (args, url) = (args.clone(), url.to_owned());
                tokio::task::spawn_blocking(move || {
                    let mut all: Vec<&str> = args.iter().map(String::as_str).collect();
                    let budget = BUDGET.as_secs().to_string();
                    all.extend(["--timeout", &budget]);
                    for _ in 0..TIMES {
                        let began = clock::monotonic();
                        let output = tcsctl::at(&url, &all);
                        let (took, line) = (began.elapsed(), args.join(" "));
                        println!("{:5.2} s, {:?}: {line}", took.as_secs_f64(), output.code);
                        if took < AT_MOST {
                            return (line, output.code, output.out + &output.err);
                        }
                    }
                    panic!("{args:?} never ends within {AT_MOST:?}");
                })
            })
            .collect();
        for run in runs {
            results.push(run.await.unwrap());
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_no_more_than_the_budget() {
    let (_listener, url) = silent().await;
    for (command, code, told) in within_budget(&url).await {
        assert_eq!(code, Some(3), "{command}: {told}");
        assert!(told.contains(&format!("{url}: connected, but no answer")), "{command}: {told}");
    }
}

/// How a broker that is reached is disturbed.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// After it has greeted a client, nothing comes from it any more.
    Hangs,
    /// All that it says comes so much later.
    Slow(Duration),
}

/// A way to the server, with this fault.
async fn disturbed(server: u16, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let broker = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_broker, mut to_broker) = broker.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_broker).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 65536];
                let mut greeted = false;
                while let Ok(n @ 1..) = from_broker.read(&mut bytes).await {
                    match fault {
                        Fault::Hangs if greeted => continue,
                        Fault::Hangs => greeted = bytes[..n].windows(4).any(|it| it == b"PONG"),
                        Fault::Slow(delay) => tokio::time::sleep(delay).await,
                    }
                    if to_client.write_all(&bytes[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// Takes requests for the launcher, and never answers.
fn deaf_launcher(server: &Server) -> std::thread::JoinHandle<()> {
    let mut client = raw::Client::connect(server.port());
    client.subscribe("svc.rpc.>");
    client.subscribe("stop");
    std::thread::spawn(move || while client.receive().subject != "stop" {})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_no_more_than_the_budget() {
    let server = filled(&server(), "process-launcher").await;
    let url = disturbed(server.port(), Fault::Hangs).await;
    for (command, code, told) in within_budget(&url).await {
        assert_eq!(code, Some(3), "{command}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_broker_and_a_deaf_launcher_cost_no_more_than_the_budget() {
    on_each_server(async |binary| {
        let server = filled(&binary, "process-launcher").await;
        let launcher = deaf_launcher(&server);
        let url = disturbed(server.port(), Fault::Slow(Duration::from_millis(150))).await;
        for (command, code, told) in within_budget(&url).await {
            let operates = ["start", "stop", "restart", "reload", "logs", "health", "stats"];
            if operates.iter().any(|it| command.starts_with(it)) {
                assert_eq!(code, Some(3), "{command}: {told}");
                assert!(told.contains("did not answer"), "{command}: {told}");
            }
        }
        let mut stop = raw::Client::connect(server.port());
        stop.publish("stop", None, b"");
        stop.flush();
        launcher.join().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_next_one_has_its_turn() {
    let (_queue, _held, dropping) = dropping().await;
    let (_listener, silent) = silent().await;
    let (closing, _) = closing().await;
    let server = filled(&server(), "process-launcher").await;
    let run = async |list: String| {
        let all = ["list", "--all", "--timeout", "8"];
        tokio::task::spawn_blocking(move || tcsctl::at(&list, &all)).await.unwrap()
    };
    for first in [&dropping, &silent, &closing] {
        for list in [format!("{first},{}", server.url()), format!("{},{first}", server.url())] {
            let output = run(list).await.expect(0);
            assert!(output.out.contains("hello_world.main"), "{output:#?}");
        }
    }
    let output = run(format!("{dropping},{silent},{closing}")).await.expect(3);
    for (url, did) in [
        (&dropping, "no connection in time"),
        (&silent, "connected, but no answer in time"),
        (&closing, "the server closed the connection"),
    ] {
        assert!(output.err.contains(&format!("{url}: {did}")), "{output:#?}");
    }
}
