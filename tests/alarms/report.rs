//! The report of a shift, written by a service and sent by a channel of the sentinels.

use tcs_testkit::nats::{Server, on_each_server, wait_for};
use tcs_testkit::programs::program;
use tcs_testkit::tcsctl;
use tcs_testkit::tcsd::{Site, signal};

use super::deaths::{is_watched, wait_long};
use super::{Sink, alarm, config_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_written_and_sent() {
    on_each_server(async |binary| {
        let sink = Sink::start();
        let report = |variant: &str, more: &str| {
            format!(
                "  - {{type: report, variant: {variant}, folder: reports, since: 1h, {more}, launch: \
                 {{enabled: false}}}}\n"
            )
        };
        let config = config_with(&sink, "", 1)
            + &report("night", "send: chat")
            + &report("unsent", "format: md, send: gone");
        let server = Server::start(&binary).await;
        let mut site = Site::at(server, &program("tcsd"), "process", &config).await;
        site.tcsd.run();
        let url = site.server.url();
        wait_long("two sentinels", || is_watched(&url)).await;
        signal("KILL", site.pid("dome.main").await);
        wait_for("it is told", || alarm(&url, "failed/dome.main")["told"][0]["st"] == "done").await;

        let at = |args: &[&str]| tcsctl::at(&url, args);
        let files = || -> Vec<String> {
            let files = std::fs::read_dir(site.tcsd.path("reports")).into_iter().flatten();
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
        };
        // by the time it is asked it may have completed
        at(&["start", "report.night"]);
        site.until("report.night", |it| it["status"] == "completed").await;
        let [name] = &files()[..] else { panic!("{:?}", files()) };
        assert!(name.starts_with("report.night-") && name.ends_with("Z.html"), "{name}");
        let page = std::fs::read_to_string(site.tcsd.path("reports/") + name).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains("dome.main"), "{page}");
        let posts = sink.posts.lock().unwrap().clone();
        let post = &posts.iter().find(|(_, post)| post["why"] == "report").unwrap().1;
        assert_eq!(post["object"], "report.night");
        let (title, text) = (post["message"].as_str().unwrap(), post["text"].as_str().unwrap());
        // on a busy machine heartbeats may have been late too
        assert!(title.contains(" incident") && title.contains(", 1 still open"), "{title}");
        assert!(text.contains("Result: ") && text.contains("dome.main"), "{text}");

        at(&["start", "report.unsent"]);
        site.until("report.unsent", |it| it["status"] == "failed").await;
        assert!(files().iter().any(|name| name.contains("Z.md")), "{:?}", files());
        // the launcher may know it before it is stored
        let told = "no channel `gone`; there are: chat";
        wait_for("it is told why", || at(&["why", "report.unsent"]).out.contains(told)).await;
    })
    .await;
}
