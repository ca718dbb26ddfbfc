//! Times in the nights in which clocks are changed, with `--time local`: an hour that comes twice, and
//! one that never comes (`docs/spec/console.md#times`).

use std::process::Command;

use tcs_testkit::nats::{Server, server};
use tcs_testkit::tcsctl::{self, Output};

/// The rule of Europe/Warsaw, which needs no time zone data.
const WARSAW: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn in_warsaw(server: &Server, args: &[&str]) -> Output {
    let mut command: Command = tcsctl::command(args);
    command.args(["--server", &server.url(), "--time", "local"]).env("TZ", WARSAW);
    tcsctl::finish(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn which_of_two_times_is_taken_is_told_and_one_that_never_came_is_refused() {
    let server = Server::start(&server()).await;
    tcsctl::at(
        &server.url(),
        &["replay", "--instant", "--create-streams", &tcsctl::recording("process-launcher")],
    )
    .expect(0);
    let twice = "2024-10-27 02:30";
    let never = "2024-03-31 02:30";
    let note = "02:30 occurred twice on 2024-10-27: using the first, 2024-10-27T00:30:00Z; the \
                second is 2024-10-27T01:30:00Z";
    for command in [
        &["list", "--at", twice][..],
        &["why", "hello_world.main", "--at", twice],
        &["events", "--since", twice],
        &["timeline", "--since", twice],
        &["report", "--since", "2024-10-26 20:00", "--until", twice],
    ] {
        let told = in_warsaw(&server, command);
        assert!(told.err.contains(note), "{command:?}: {told:#?}");
    }
    for command in [
        &["list", "--at", never][..],
        &["graph", "--at", never],
        &["events", "--since", never],
        &["report", "--since", never],
    ] {
        let told = in_warsaw(&server, command).expect(2);
        let why = "02:30 did not exist on 2024-03-31: clocks went from 02:00 to 03:00";
        assert!(told.err.contains(why), "{command:?}: {told:#?}");
        assert!(told.err.contains("hint: write 03:00, or a time in UTC: 2024-03-31T01:00:00Z"));
    }
    // by UTC each comes once
    let plain = tcsctl::at(&server.url(), &["events", "--since", twice]);
    assert!(!plain.err.contains("twice"), "{plain:#?}");
}
