//! A fleet that moves to Rust one service at a time: one launcher runs both, and a reload replaces
//! the Python service by the Rust one.

use tcs_core::fleet::{ServiceView, Verdict};
use tcs_testkit::python;
use tcs_testkit::tcsd::Site;

use super::outside::program;

/// The two files of `docs/from-python.md#step-by-step`, before and after.
fn steps() -> [String; 2] {
    let page = std::fs::read_to_string(tcs_testkit::root().join("docs/from-python.md")).unwrap();
    let (_, section) = page.split_once("\n## Step by step\n").unwrap();
    let mut files = section.split("```yaml\n").skip(1).map(|it| it.split("```").next().unwrap());
    [(); 2].map(|()| files.next().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_moves_and_the_others_stay() {
    let [before, after] = steps();
    let mut site = Site::prepared(&program("observatory"), "process", &before).await;
    for (name, module) in
        [("field", "field_service"), ("telescope_control", "telescope_control_service")]
    {
        let script = std::fs::read_to_string(python::script("field_service.py")).unwrap();
        let script = script.replace("f\"field.{variant}\"", &format!("f\"{name}.{{variant}}\""));
        std::fs::write(site.tcsd.dir().join(format!("{module}.py")), script).unwrap();
    }
    let environment = python::interpreter().ancestors().nth(2).unwrap();
    let environment = environment.display().to_string();
    site.tcsd.environment.push(("VIRTUAL_ENV".to_owned(), environment));
    site.tcsd.environment.push(("NATS_HOST".to_owned(), "127.0.0.1".to_owned()));
    site.tcsd.environment.push(("NATS_PORT".to_owned(), site.server.port().to_string()));
    site.tcsd.run();
    let mut watch = site.watch();
    let well = |it: &ServiceView| it.verdict == Verdict::Ok;
    watch.sees("Python", "field.old", well).await;
    watch.sees("Python", "telescope_control.main", well).await;
    let (stays, moves) = (site.pid("field.old").await, site.pid("telescope_control.main").await);

    site.tcsd.configure(&after);
    site.ask("reload").await.unwrap();
    let now = site
        .until("telescope_control.main", |it| {
            it["status"] == "running"
                && it["pid"].as_u64().is_some_and(|pid| pid != u64::from(moves))
        })
        .await;
    watch.sees("Rust", "telescope_control.main", well).await;
    assert_eq!(site.pid("field.old").await, stays, "{now}");
    assert!(site.tcsd.stop().await.success());
}
