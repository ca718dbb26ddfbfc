//! Commands that go on say that nothing comes over their connection, and when it is over.

use std::fs::File;
use std::process::Child;

use tcs_core::clock;
use tcs_testkit::nats::{server, wait_for};
use tcs_testkit::proxy::Proxy;
use tcs_testkit::tcsctl;

use super::{filled, recording};

struct Following {
    child: Child,
    dir: tempfile::TempDir,
}

impl Following {
    fn start(args: &[&str], proxy: &Proxy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = tcsctl::command(args);
        command.args(["--server", &proxy.url()]);
        command.stdout(File::create(dir.path().join("out")).unwrap());
        command.stderr(File::create(dir.path().join("err")).unwrap());
        Self { child: command.spawn().unwrap(), dir }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        println!("{}", self.read("err"));
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_over_which_nothing_comes_is_said() {
    let server = filled(&server(), "process-launcher").await;
    let beats = recording("monitor-and-rpc");
    let replay = || tcsctl::at(&server.url(), &["replay", "--instant", &beats]).expect(0);
    for stop in [Proxy::stop, Proxy::stop_from_server] {
        let proxy = Proxy::start(server.port()).await;
        let events = Following::start(&["events", "guider", "--follow"], &proxy);
        let record = Following::start(&["record", "-"], &proxy);
        // what comes proves contact
        let both = [&events, &record];
        for _ in 0..2 {
            let before = both.map(|it| it.read("out").len());
            wait_for("what is new", || {
                replay();
                both.iter().zip(before).all(|(it, before)| it.read("out").len() > before)
            })
            .await;
        }
        assert!(!events.read("err").contains("no answer"), "{}", events.read("err"));
        stop(&proxy);
        let begin = clock::monotonic();
        wait_for("that both say it", || {
            both.iter().all(|it| it.read("err").contains("no answer for "))
        })
        .await;
        // wanted: 6 s; a busy machine may take longer
        println!("said after {:.1} s", begin.elapsed().as_secs_f64());
        proxy.go_on();
        wait_for("that both are back", || both.iter().all(|it| it.read("err").contains("again")))
            .await;
    }
}
