//! However a command ends, it leaves no consumer at the server.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use tcs_core::clock;
use tcs_testkit::nats::{Binary, Server, on_each_server};
use tcs_testkit::tcsctl::{at, command, recording};

/// Well under the half minute after which the server itself deletes what nobody reads.
const SOON: Duration = Duration::from_secs(15);

async fn count(context: &Context) -> usize {
    let mut count = 0;
    for kind in ["registry", "status", "heartbeat"] {
        let stream = context.get_stream(format!("svc_{kind}")).await.unwrap();
        count += stream.cached_info().state.consumer_count;
    }
    count
}

async fn until(context: &Context, what: &str, is_so: impl Fn(usize) -> bool) {
    let start = clock::monotonic();
    loop {
        let count = count(context).await;
        if is_so(count) {
            return;
        }
        assert!(start.elapsed() < SOON, "{what}: {count} consumers");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_leaves_no_consumers() {
    on_each_server(async |binary: Binary| {
        let limited = "jetstream { store_dir: \"STORE\" }
            accounts { SITE { jetstream: { max_consumers: 8 }, users: [{user: u, password: p}] } }
            no_auth_user: u";
        let server = Server::start_with(&binary, limited).await;
        let url = server.url();
        at(&url, &["replay", "--instant", "--create-streams", &recording("process-launcher")])
            .expect(0);
        let context = jetstream::new(async_nats::connect(&url).await.unwrap());
        assert_eq!(count(&context).await, 0);

        // to its end, and by an error; six times, so that what is left would add up
        let now = at(&url, &["--all", "--json"]).json()["taken_at"].as_str().unwrap().to_owned();
        for args in [
            &["--all"][..],
            &["-d", "hello"],
            &["check"],
            &["check", "no-such-service"],
            &["events"],
            &["--all", "--at", &now],
            &["record", "--for", "10ms", "/dev/null"],
            &["wait", "no-such-service", "--for", "ok", "--timeout", "300ms"],
        ] {
            for _ in 0..3 {
                let output = at(&url, args);
                assert!(
                    !output.err.contains("onsumers") && !output.err.contains("usage"),
                    "{args:?}: {output:#?}"
                );
            }
            until(&context, &format!("{args:?}"), |count| count == 0).await;
        }

        // by a signal, and by the end of whoever reads
        for args in [
            &["events", "-f"][..],
            &["watch", "--plain"],
            &["record", "/dev/null"],
            &["wait", "no-such-service", "--for", "ok", "--timeout", "60s"],
        ] {
            for ending in ["INT", "TERM", "PIPE"] {
                if ending == "PIPE" && ["record", "wait"].contains(&args[0]) {
                    continue;
                }
                let mut running = command(args);
                running.args(["--server", &url]).stdout(Stdio::piped()).stderr(Stdio::null());
                let mut running = running.spawn().unwrap();
                until(&context, &format!("{args:?} reads"), |count| count >= 2).await;
                if ending == "PIPE" {
                    drop(running.stdout.take());
                } else {
                    let pid = running.id().to_string();
                    assert!(
                        Command::new("kill").args(["-s", ending, &pid]).status().unwrap().success()
                    );
                }
                running.wait().unwrap();
                until(&context, &format!("{args:?} after {ending}"), |count| count == 0).await;
            }
        }
    })
    .await;
}
