//! Services with a schedule: what is started when, what is left out, and what is told of it.

use super::*;
use chrono::Timelike as _;

fn scheduled(schedule: &str, script: &str) -> String {
    let launch = format!("launch: {{schedule: {schedule}, exec: [sh, -c, '{script}']}}");
    format!("services:\n{}", one("job", &launch))
}

fn runs(site: &Site) -> usize {
    let text = fs::read_to_string(site.tcsd.dir().join("runs")).unwrap_or_default();
    text.lines().count()
}

/// The first event of a name, once it is there.
async fn event(site: &Site, name: &str) -> RegistryMessage {
    let begin = tcs_core::clock::monotonic();
    loop {
        let found = site.events(Some("job.a")).await.into_iter().find(|it| it.event.name() == name);
        if let Some(found) = found {
            return found;
        }
        assert!(begin.elapsed() < nats::LIMIT, "no {name}: {}", site.tcsd.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_by_its_schedule_until_it_is_stopped() {
    let site = Site::start("process", &scheduled("{every: 1s}", "echo ran >> runs")).await;
    nats::wait_for("it runs again and again", || runs(&site) >= 3).await;
    let start = event(&site, "start").await;
    assert_eq!(start.requested_by.as_deref(), Some("schedule"));
    let declared = event(&site, "declared").await;
    let Event::Declared(declared) = declared.event else { panic!("{declared:?}") };
    let schedule = declared.declared.unwrap().schedule.unwrap();
    assert_eq!(schedule.rule, "every 1s");
    assert!(schedule.next_at.is_some());

    // a stop calls off the next run, a start runs it at once, and by its schedule from then on
    site.ask("stop.job.a").await.unwrap();
    let stopped = site.until("job.a", |it| it["status"] == "stopped").await;
    assert_eq!(stopped["pid"], Value::Null);
    let before = runs(&site);
    site.ask("start.job.a").await.unwrap();
    nats::wait_for("it runs again", || runs(&site) >= before + 3).await;
    let events = site.events(Some("job.a")).await;
    let starts = events.iter().filter(|it| it.event.name() == "start");
    let by: Vec<_> = starts.filter_map(|it| it.requested_by.as_deref()).collect();
    assert!(by.iter().any(|by| *by != "schedule"), "{by:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_due_while_one_goes_on_is_told_as_missed() {
    let script = "echo ran >> runs; exec sleep 1000";
    let site = Site::start("process", &scheduled("{every: 1s}", script)).await;
    let missed = event(&site, "missed").await;
    let Event::Missed(missed) = missed.event else { panic!("{missed:?}") };
    assert_eq!(missed.reason.as_deref(), Some("still_running"));
    assert_eq!((missed.missed_count, missed.made_up), (Some(1), false));
    assert_eq!(runs(&site), 1);
    let told = "1 scheduled run missed: the run before was still going on";
    nats::wait_for(told, || site.tcsd.log().contains(told)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_starts_when_the_one_before_has_ended() {
    let script = "echo ran >> runs; sleep 1.5; date +%s.%N >> ends";
    let mut site = Site::start("process", &scheduled("{every: 1s, overlap: queue}", script)).await;
    nats::wait_for("three runs", || runs(&site) >= 3).await;
    site.tcsd.stop().await;
    let events = site.events(Some("job.a")).await;
    let of_runs = events.iter().map(|it| it.event.name());
    let of_runs: Vec<_> = of_runs.filter(|it| ["start", "stop"].contains(it)).collect();
    assert_eq!(of_runs[..4], ["start", "stop", "start", "stop"], "one after the other");
}

/// What the launcher before has left, as if that had ended three hours ago.
fn ended_three_hours_ago(site: &Site) {
    let mut files = fs::read_dir(site.tcsd.dir()).unwrap().map(|it| it.unwrap().path());
    let path = files.find(|it| it.extension().is_some_and(|it| it == "kept")).expect("a file");
    let mut kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let until = tcs_core::clock::wall() - chrono::TimeDelta::hours(3);
    kept["schedules"]["job.a"]["until"] = json!(until);
    fs::write(&path, kept.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_missed_while_the_launcher_was_down_are_told_and_made_up_once() {
    for (catch_up, expected) in [(true, 1), (false, 0)] {
        // far from now, whatever the time of day: a run that is due just now is on time
        let minute = (tcs_core::clock::wall().minute() + 30) % 60;
        let schedule = format!("{{cron: \"{minute} * * * *\", zone: UTC, catch_up: {catch_up}}}");
        let config = scheduled(&schedule, "echo ran >> runs");
        let mut site = Site::start("process", &config).await;
        event(&site, "declared").await;
        site.tcsd.stop().await;
        ended_three_hours_ago(&site);
        site.tcsd.run();
        let missed = event(&site, "missed").await;
        let Event::Missed(missed) = missed.event else { panic!("{missed:?}") };
        assert_eq!(missed.reason.as_deref(), Some("launcher_not_running"));
        assert!(matches!(missed.missed_count, Some(2 | 3)), "{missed:?}");
        assert_eq!(missed.made_up, catch_up);
        if catch_up {
            nats::wait_for("one run makes up", || runs(&site) == 1).await;
        }
        site.tcsd.stop().await;
        // and it is over with that
        site.tcsd.run();
        site.until("job.a", |it| it["status"] == "declared").await;
        site.tcsd.stop().await;
        let events = site.events(Some("job.a")).await;
        assert_eq!(events.iter().filter(|it| it.event.name() == "missed").count(), 1);
        assert_eq!(runs(&site), expected);
    }
}
