//! What a launcher waits for after a cold start: for the broker in its log (and in its status for
//! systemd, `tests/manners/systemd.rs`), for services and their readiness in its own status and in the
//! rows of the services.

use std::path::Path;

use tcs_core::fleet::{FleetView, Verdict};
use tcs_testkit::nats;
use tcs_testkit::tcsd::Site;

const CONFIG: &str = "
nats: {required: true}
launch: {heartbeat: 0.3}
services:
  - type: db
    variant: a
    launch:
      exec: [sh, -c, 'while [ ! -e up ]; do sleep 0.05; done; echo up; exec sleep 1000']
      ready: {log: ^up$}
  - {type: dome, variant: a, launch: {exec: [sleep, '1000'], after: [db.a]}}
  - {type: guider, variant: a, launch: {exec: [sleep, '1000'], after: [dome.a]}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_says_what_it_waits_for() {
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", CONFIG).await;
    site.server.kill();
    site.tcsd.run();
    let told = "waiting for the broker (connection refused); no service is started yet";
    nats::wait_for("it says that it waits", || site.tcsd.log().contains(told)).await;
    site.server.run().await;
    let mut watch = site.watch();
    let name = site.tcsd.name.to_string();
    let says = |view: &FleetView, wanted: &str| {
        let message = view.get(&name).and_then(|it| it.message.clone()).unwrap_or_default();
        message.contains(wanted)
    };
    let row = |view: &FleetView, id: &str| {
        view.get(id).map(|it| (it.verdict, it.headline())).filter(|it| it.0 == Verdict::Starting)
    };
    let ready = "not ready: db.a (ready when its output matches /^up$/)";
    let waiting = "waiting: dome.a (for db.a) and 1 more";
    watch.see("the status", |view| says(view, ready) && says(view, waiting)).await;
    watch
        .see("the rows", |view| {
            let has = |id, wanted: &str| row(view, id).is_some_and(|it| it.1.contains(wanted));
            has("db.a", "ready when its output matches /^up$/, ")
                && has("dome.a", "waiting for db.a, ")
                && has("guider.a", "waiting for dome.a, ")
        })
        .await;
    std::fs::write(site.tcsd.dir().join("up"), "").unwrap();
    for id in ["db.a", "dome.a", "guider.a"] {
        watch.sees("ok", id, |it| it.verdict == Verdict::Ok).await;
    }
    assert!(site.tcsd.stop().await.success());
}
