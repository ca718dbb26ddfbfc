//! Many services, and configurations that nobody should run.

use std::fmt::Write as _;
use std::path::Path;

use tcs_core::clock;
use tcs_core::fleet::Verdict;
use tcs_core::wire::Event;

use super::{Site, bad};

/// 500 services: all start, no more than there are places at a time, in order; and all end.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_services() {
    const COUNT: usize = 500;
    let exec = bad(&["sleep", "50", "notify", "READY=1", "forever"]);
    let mut config = format!("launch: {{exec: {exec}, ready: notify}}\nservices:\n");
    // three levels, and the file's order turned round
    for n in (0..COUNT).rev() {
        let level = n % 3;
        writeln!(config, "  - {{type: many, variant: v{n}, launch: {{level: {level}}}}}").unwrap();
    }
    let mut site = Site::start("process", &config).await;
    let begin = clock::monotonic();
    let mut watch = site.watch();
    watch
        .see("500 services are ok", |view| {
            view.services
                .iter()
                .filter(|it| it.verdict == Verdict::Ok && it.id.starts_with("many"))
                .count()
                == COUNT
        })
        .await;
    println!(
        "500 services are seen running {:.1} s after the start",
        begin.elapsed().as_secs_f64()
    );
    let events = site.events(None).await;
    let (mut starting, mut most, mut level) = (0_usize, 0, 0);
    for it in events.iter().filter(|it| it.service_id.starts_with("many")) {
        let n: usize = it.service_id.trim_start_matches("many.v").parse().unwrap();
        match it.event {
            Event::Start { .. } => {
                assert!(n % 3 >= level, "{} starts after level {level} had begun", it.service_id);
                level = n % 3;
                starting += 1;
                most = most.max(starting);
            }
            Event::Ready { .. } => starting -= 1,
            _ => {}
        }
    }
    println!("at most {most} were starting at the same time");
    assert!(starting == 0 && (2..=16).contains(&most), "{starting} {most}");
    let begin = clock::monotonic();
    assert!(site.tcsd.stop().await.success());
    println!("and all have ended {:.1} s after SIGTERM", begin.elapsed().as_secs_f64());
    let events = site.events(None).await;
    let stops = events.iter().filter(|it| it.event.name() == "stop").count();
    assert_eq!(stops, COUNT + 1, "each of them, and the launcher");
    let numbers: Vec<u64> = events.iter().map(|it| it.event_seq.unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "events are missing");
}

/// What is wrong with a file is said with its place, all at once, and nothing is run.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_mistakes_is_refused_with_their_places() {
    let config = "services:
  - {type: twice, variant: a, launch: {exec: [sleep, '1']}}
  - {type: twice, variant: a, launch: {exec: [sleep, '1']}}
  - {type: dotted, variant: a.b, launch: {exec: [sleep, '1']}}
  - {type: 'with space', variant: a, launch: {exec: [sleep, '1']}}
  - {type: star, variant: '*', launch: {exec: [sleep, '1']}}
";
    let tcsd = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(tcsd, "process", config).await;
    site.tcsd.run();
    assert_eq!(site.tcsd.end().await.code(), Some(1));
    let log = site.tcsd.log();
    println!("{log}");
    for place in ["services.yaml:3:", "services.yaml:4:", "services.yaml:5:", "services.yaml:6:"] {
        assert!(log.contains(place), "nothing is said of {place}");
    }
    assert!(log.contains("`twice.a` is defined twice: first on line 2"));
    assert!(super::marked(&site.tcsd.path("")).is_empty());
    // a second launcher's lock is not in the way afterwards
    site.tcsd.configure("services: []\n");
    site.tcsd.run();
    site.answer("list", |it| it["services"].as_array().is_some_and(Vec::is_empty)).await;
    assert!(site.tcsd.stop().await.success());
}
