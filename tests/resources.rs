//! What services use, as their launcher tells it: of real processes that use a known amount.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use serde_json::Value;
use tcs_core::clock;
use tcs_testkit::programs;
use tcs_testkit::tcsd::Site;

const MB: u64 = 1_000_000;

/// The figures of this service, once they are so.
async fn until(site: &Site, id: &str, is: impl Fn(&Value) -> bool) -> Value {
    let find = |reply: &Value| {
        let services = reply["services"].as_array()?;
        services.iter().find(|it| it["service_id"] == id).cloned()
    };
    let reply = site.answer("resources", |reply| find(reply).is_some_and(|it| is(&it))).await;
    find(&reply).unwrap()
}

fn config(services: &str) -> String {
    format!("services:\n{services}")
}

fn service(variant: &str, script: &[&str], more: &str) -> String {
    let program = programs::badchild();
    let exec: Vec<String> =
        [program.to_str().unwrap()].iter().chain(script).map(|it| format!("{it:?}")).collect();
    format!(
        "  - {{type: use, variant: {variant}, {more} launch: {{exec: [{}]}}}}\n",
        exec.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_child_and_its_child_is_one_sum() {
    let script = ["brood", "brood hold,100,forever hold 100 forever", "forever"];
    let site = Site::start("process", &config(&service("both", &script, ""))).await;
    let large = |it: &Value| it["anon_bytes"].as_u64().is_some_and(|it| it >= 200 * MB);
    let figures = until(&site, "use.both", large).await;
    assert_eq!((&figures["scope"], &figures["processes"]), (&"processes".into(), &3.into()));
    let number = |name: &str| figures[name].as_u64().unwrap();
    assert!(number("anon_bytes") <= 220 * MB, "{figures:#}");
    assert!(number("rss_bytes") >= number("anon_bytes"), "{figures:#}");
    assert!(number("peak_rss_bytes") >= number("rss_bytes"), "{figures:#}");
    assert!(number("open_fds") >= 9 && number("fd_limit") >= 3, "{figures:#}");
    assert!(figures["partial"].is_null() && figures["started_at"].is_array(), "{figures:#}");
    // by a process that was there, and looked at, before it was that service's
    site.ask("restart.use.both").await.unwrap();
    let again = until(&site, "use.both", large).await;
    assert_eq!((&again["processes"], &again["restarts_total"]), (&3.into(), &1.into()));
    // what is shared is divided only for who asks
    assert!(again["pss_bytes"].is_null(), "{again:#}");
    let parameters = serde_json::json!({"pss": true, "services": ["use.both"]});
    let reply = site.ask_with("resources", parameters).await.unwrap();
    let [pss, rss] =
        ["pss_bytes", "rss_bytes"].map(|it| reply["services"][0][it].as_u64().unwrap());
    assert!(pss >= 190 * MB && pss <= rss + 10 * MB, "{reply:#?}");
    let host = site.answer("resources", |_| true).await["host"].clone();
    assert!(host["host_cpus"].as_u64().unwrap() >= 1 && host["host_boot_id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_of_a_grandchild_stays_counted_after_its_end() {
    let script = ["brood", "brood spin,1500 forever", "forever"];
    let site = Site::start("process", &config(&service("busy", &script, ""))).await;
    until(&site, "use.busy", |it| it["processes"] == 3).await;
    let begin = clock::monotonic();
    let (mut last, mut most) = (0.0, 0.0_f64);
    // until the one that computes has ended
    loop {
        let now = until(&site, "use.busy", |it| it["cpu_seconds"].is_number()).await;
        let seconds = now["cpu_seconds"].as_f64().unwrap();
        assert!(seconds >= last, "it fell from {last} to {seconds}");
        (last, most) = (seconds, most.max(now["cpu_percent"].as_f64().unwrap_or(0.0)));
        if now["processes"] == 2 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_mins(2), "{now:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // how much of a core it got is the machine's; of its 1.5 s, the last sample saw some
    assert!(last > 0.0 && most > 0.0 && most <= 110.0, "{last} s, {most} %");
}

/// As scripts and make do: what computes is there for a moment only, and seen by no sample.
#[tokio::test(flavor = "multi_thread")]
async fn processor_time_of_short_lived_children_is_counted_once() {
    let compute = format!("{:?} spin 50", programs::badchild());
    let script = format!("for i in $(seq 20); do {compute}; done; sleep 1000");
    let exec = format!("launch: {{exec: [sh, -c, {script:?}]}}");
    let site =
        Site::start("process", &config(&format!("  - {{type: use, variant: many, {exec}}}\n")))
            .await;
    let all = |it: &Value| it["cpu_seconds"].as_f64().is_some_and(|it| it >= 1.0);
    let figures = until(&site, "use.many", all).await;
    // all that the shell and its children have used, as the kernel has it
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", site.pid("use.many").await)).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    let ticks: f64 = fields[11..15].iter().map(|it| it.parse::<f64>().unwrap()).sum();
    let used = figures["cpu_seconds"].as_f64().unwrap();
    assert!(used <= ticks / 100.0 + 0.1, "{used} s of {ticks} ticks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_tells_how_much_memory_and_processor_time_the_run_had() {
    let mut site = Site::prepared(&programs::program("tcsd"), "process", "services: []\n").await;
    let go = site.tcsd.path("go");
    let script = ["hold", "200", "spin", "300", "await", &go, "die", "SIGKILL"];
    site.tcsd.configure(&config(&service("large", &script, "restart: \"no\",")));
    site.tcsd.run();
    let large = |it: &Value| it["peak_rss_bytes"].as_u64().is_some_and(|it| it >= 190 * MB);
    until(&site, "use.large", large).await;
    std::fs::write(&go, "").unwrap();
    let mut watch = site.watch();
    watch
        .see("its crash", |view| {
            view.get("use.large")
                .and_then(|it| view.last_end(it))
                .is_some_and(|it| it.exit_code.is_some())
        })
        .await;
    let view = watch.view();
    let end = view.last_end(view.get("use.large").unwrap()).unwrap();
    let used = end.resources.unwrap();
    assert!(used.peak_rss_bytes.unwrap() >= 190 * MB, "{used:?}");
    assert!(used.cpu_seconds.unwrap() >= 0.3, "to its very end: {used:?}");
    assert!(used.sample_age_s.unwrap() >= 0.0 && used.oom.is_none(), "{used:?}");
    let none = serde_json::json!([]);
    let reply = site.answer("resources", |reply| reply["services"] == none).await;
    // what was counted is still told
    let counted = serde_json::json!([{"service_id": "use.large", "scope": "processes",
        "restarts_total": 0, "crashes_total": {"SIGKILL": 1}}]);
    assert_eq!(reply["not_running"], counted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_the_time_in_which_it_computes() {
    let config = "services:\n  - {type: hello_world, variant: main}\n";
    let site = Site::start("async", config).await;
    let busy = |it: &Value| it["busy_seconds"].as_f64().is_some_and(|it| it > 0.0);
    let figures = until(&site, "hello_world.main", busy).await;
    assert_eq!(figures["scope"], "task");
    assert!(figures["rss_bytes"].is_null() && figures["processes"].is_null(), "{figures:#}");
}
