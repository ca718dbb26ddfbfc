//! Services that daemonise twice, under `restart: always`: never two instances of one, and none
//! once all are stopped. `TCS_DAEMONS` (20; `make soak`: 500) of them, for `TCS_DAEMONS_SECONDS`
//! (5; `make soak`: 60).

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tcs_core::clock;
use tcs_launcher::runner::group::Process;
use tcs_testkit::nats::LIMIT;
use tcs_testkit::tcsd::Site;

/// Forks, leaves the session, forks again, and each parent exits: one with an odd number at once,
/// so that it may be ended before it is an instance; the others once the instance has told that it
/// runs. An instance locks a file for its life, and complains where it finds it locked.
const DAEMON: &str = "
[ $(($1 % 2)) = 1 ] || [ -p up.$1 ] || mkfifo up.$1
setsid -f setsid -f sh -c '
    exec 9> lock.$0
    flock -n 9 || echo $0 >> doubles
    echo $0 >> instances
    [ ! -p up.$0 ] || echo > up.$0
    exec sleep 31536000.$0
' $1 < /dev/null > /dev/null 2>&1
[ $(($1 % 2)) = 1 ] || read told < up.$1
";

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |it| it.parse().unwrap())
}

/// Instances that live, whatever they descend from.
fn instances() -> usize {
    let own = format!("TCS_TEST_PROCESS={}\0", std::process::id());
    let read = |pid: i32, name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let is_one = |it: &Process| {
        read(it.pid, "cmdline").starts_with(b"sleep\x0031536000.")
            && String::from_utf8_lossy(&read(it.pid, "environ")).contains(&own)
    };
    Process::all().iter().filter(|it| !it.is_zombie() && is_one(it)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_daemonises_has_one_instance_and_leaves_none() {
    let (count, seconds) = (number("TCS_DAEMONS", 20), number("TCS_DAEMONS_SECONDS", 5));
    let mut config = "services:\n".to_owned();
    for n in 0..count {
        let _ = writeln!(
            config,
            "  - {{type: d, variant: n{n}, restart: always, restart_sec: 0.3, restart_max: 0, \
             launch: {{exec: [sh, daemon.sh, '{n}']}}}}"
        );
    }
    let program = Path::new(env!("CARGO_BIN_EXE_tcsd"));
    let mut site = Site::prepared(program, "process", &config).await;
    fs::write(site.tcsd.path("daemon.sh"), DAEMON).unwrap();
    site.tcsd.run();
    let begin = clock::monotonic();
    let mut most = 0;
    let lines = |site: &Site, name: &str| {
        let text = fs::read_to_string(site.tcsd.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let each_twice = |site: &Site| {
        let instances = lines(site, "instances");
        let times = |n: usize| instances.iter().filter(|it| **it == n.to_string()).count();
        (0..count).step_by(2).all(|n| times(n) >= 2)
    };
    // for the time, and until each that waits for its instance has had two
    while begin.elapsed() < Duration::from_secs(seconds as u64) || !each_twice(&site) {
        assert!(
            begin.elapsed() < Duration::from_secs(seconds as u64) + LIMIT,
            "{}",
            site.tcsd.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
        most = most.max(instances());
        assert_eq!(lines(&site, "doubles"), [""; 0], "two instances of one service");
    }
    let stops = (0..count).map(|n| {
        let (bus, name) = (site.bus.clone(), site.tcsd.name.clone());
        tokio::spawn(async move {
            let command = format!("stop.d.n{n}");
            bus.request(name.as_str(), &command, &json!({}), LIMIT).await.unwrap();
        })
    });
    let stopping = clock::monotonic();
    for stop in stops.collect::<Vec<_>>() {
        stop.await.unwrap();
    }
    // an answer comes after its effect
    let left = instances();
    println!(
        "{count} daemons, {:.0} s: {} instances, at most {most} at once; stopped in {:.2} s, {left} left",
        begin.elapsed().as_secs_f64(),
        lines(&site, "instances").len(),
        stopping.elapsed().as_secs_f64()
    );
    assert_eq!((left, lines(&site, "doubles").len()), (0, 0));
    assert!(site.tcsd.log().contains("run the program in the foreground"), "it is not told");
    assert!(site.tcsd.stop().await.code().is_some());
}
