//! After a power cut: three brokers of a cluster and three launchers come up in any order, at random
//! times. All services come up by themselves, in order, and what waits says for what.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tcs_core::clock;
use tcs_core::fleet::{FleetView, Verdict};
use tcs_core::observer::Observer;
use tcs_core::wire::{Event, Kind, RegistryMessage};
use tcs_testkit::cluster::Cluster;
use tcs_testkit::nats;
use tcs_testkit::tcsd::{Tcsd, Watch};

const LAUNCHERS: usize = 3;
/// From the start of the last to come.
const COMPLETE_WITHIN: Duration = Duration::from_mins(1);
/// Between the starts of two, at most, in milliseconds.
const APART: u64 = 3000;

/// Three services, each started after the one before.
fn config(launcher: usize) -> String {
    let one = |name: &str, more: &str| {
        let script = "echo up; exec sleep 1000";
        format!(
            "  - {{type: {name}, variant: l{launcher}, \
             launch: {{exec: [sh, -c, '{script}'], ready: {{log: up}}{more}}}}}\n"
        )
    };
    let after = |name: &str| format!(", after: [{name}.l{launcher}]");
    format!(
        "nats: {{required: true}}\nlaunch: {{heartbeat: 2}}\nservices:\n{}{}{}",
        one("guider", &after("dome")),
        one("dome", &after("weather")),
        one("weather", "")
    )
}

/// A power cut, and what comes after it.
struct Blackout {
    launchers: Vec<Tcsd>,
    watch: Watch,
    observer: Observer,
    cluster: Cluster,
}

impl Blackout {
    async fn new(binary: &nats::Binary) -> Self {
        let cluster = Cluster::start(binary).await;
        cluster.make_streams().await;
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_tcsd"));
        let urls = cluster.urls();
        let launcher = |n| Tcsd::new(program, &urls, "process", &config(n));
        let mut launchers: Vec<Tcsd> = (0..LAUNCHERS).map(launcher).collect();
        launchers.iter_mut().for_each(Tcsd::run);
        let observer = super::observer(&cluster).await;
        let watch = Watch { picture: observer.blank(), following: observer.follow(&Kind::FLEET) };
        let mut site = Self { launchers, watch, observer, cluster };
        site.complete(&BTreeMap::new(), clock::monotonic()).await;
        site
    }

    /// Which run of each launcher there is.
    fn runs(&self, view: &FleetView) -> BTreeMap<String, Option<String>> {
        let run = |it: &Tcsd| {
            let run = view.get(it.name.as_str()).and_then(|it| it.launcher_run());
            (it.name.to_string(), run.map(str::to_owned))
        };
        self.launchers.iter().map(run).collect()
    }

    /// Waits until all runs, in other runs of the launchers than `before`; how long after `from`.
    async fn complete(
        &mut self,
        before: &BTreeMap<String, Option<String>>,
        from: Instant,
    ) -> Duration {
        loop {
            let view = self.watch.picture.view(clock::monotonic());
            let runs = self.runs(&view);
            let are_new =
                runs.iter().all(|(name, run)| run.is_some() && before.get(name) != Some(run));
            let all = (0..LAUNCHERS)
                .flat_map(|n| ["guider", "dome", "weather"].map(|name| format!("{name}.l{n}")));
            let is_ok = |id: &String| view.get(id).is_some_and(|it| it.verdict == Verdict::Ok);
            let missing: Vec<String> = all.filter(|id| !is_ok(id)).collect();
            if are_new && missing.is_empty() && self.watch.picture.link.is_connected() {
                return from.elapsed();
            }
            assert!(
                from.elapsed() < 2 * COMPLETE_WITHIN,
                "not complete: {missing:?}, runs {runs:?} after {before:?}"
            );
            let next = tokio::time::timeout(Duration::from_millis(50), self.watch.following.next());
            if let Ok(Some(batch)) = next.await {
                self.watch.picture.extend(batch);
            }
        }
    }

    /// All go down at once, and come up in an order and at times that follow from `seed`; how long
    /// after the last it was complete.
    async fn strike(&mut self, seed: u64) -> Duration {
        let before = self.runs(&self.watch.picture.view(clock::monotonic()));
        for launcher in &mut self.launchers {
            launcher.kill().await;
        }
        self.cluster.nodes.iter_mut().for_each(nats::Server::kill);
        let mut random = Random(seed);
        let mut left: Vec<usize> = (0..3 + LAUNCHERS).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let next = left.remove(random.below(left.len() as u64) as usize);
            order.push(next);
            match next {
                node @ 0..3 => self.cluster.nodes[node].run().await,
                launcher => self.launchers[launcher - 3].run(),
            }
            if !left.is_empty() {
                tokio::time::sleep(Duration::from_millis(random.below(APART))).await;
            }
        }
        let took = self.complete(&before, clock::monotonic()).await;
        self.in_order(&before).await;
        println!("cold start {seed}: order {order:?}, complete after {:.1} s", took.as_secs_f64());
        // brokers last: the launchers had to wait, and said so
        if order[..LAUNCHERS].iter().all(|it| *it >= 3) {
            for launcher in &self.launchers {
                let log = launcher.log();
                assert!(log.contains("waiting for the broker"), "{log}");
            }
        }
        took
    }

    /// In each launcher's present run no service was started before the one that it is after.
    async fn in_order(&self, before: &BTreeMap<String, Option<String>>) {
        let is_new = |it: &RegistryMessage| {
            let parent = it.parent.as_ref().and_then(|name| before.get(name));
            parent.is_none_or(|run| *run != it.launcher_run)
        };
        for n in 0..LAUNCHERS {
            for (first, second) in [("weather", "dome"), ("dome", "guider")] {
                let (first, second) = (format!("{first}.l{n}"), format!("{second}.l{n}"));
                // statuses may be there before events are stored
                let places = nats::within_limit("both events are stored", async {
                    loop {
                        let events = super::events(&self.observer).await;
                        let place = |id: &str, is: fn(&Event) -> bool| {
                            let wanted = |it: &RegistryMessage| {
                                it.service_id == *id && is_new(it) && is(&it.event)
                            };
                            events.iter().rposition(wanted)
                        };
                        let ready = place(&first, |event| matches!(event, Event::Ready { .. }));
                        let start = place(&second, |event| matches!(event, Event::Start { .. }));
                        if let Some(places) = ready.zip(start) {
                            break places;
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                });
                let (ready, start) = places.await;
                assert!(ready < start, "{second} too early");
            }
        }
    }
}

/// Numbers that follow from a seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

async fn orders(seeds: std::ops::Range<u64>) -> Vec<Duration> {
    let _one = super::ONE.lock().await;
    let binary = nats::current_server().unwrap_or_else(nats::server);
    let mut site = Blackout::new(&binary).await;
    let mut took = Vec::new();
    for seed in seeds {
        took.push(site.strike(seed).await);
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_comes_up_by_itself_in_three_random_orders() {
    orders(0..3).await;
}

/// `cargo test -p tcs-launcher --test cluster cold -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and measures"]
async fn fifty_random_orders_are_complete_within_a_minute() {
    let took = orders(100..150).await;
    let seconds = |at: usize| took[at].as_secs_f64();
    println!(
        "50 cold starts: median {:.1} s, 45th {:.1} s, longest {:.1} s after the last to come",
        seconds(24),
        seconds(44),
        seconds(49)
    );
    assert!(took[49] < COMPLETE_WITHIN, "{took:?}");
}
