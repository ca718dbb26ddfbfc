//! Behind a real nginx, with the configuration that the handbook names.

use std::path::Path;
use std::process::{Child, Command};

use serde_json::{Value, json};
use tcs_testkit::browser::Browser;
use tcs_testkit::http::{Events, Reply, open, request};
use tcs_testkit::port::Port;
use tcs_testkit::programs::program;
use tcs_testkit::root;
use tcs_testkit::tcsd::Site;

use super::*;

const TOKEN: &str = "0123456789abcdef0123";
const NAME: (&str, &str) = ("host", "tcs.example.org");
/// `alice:secret`
const LOGIN: (&str, &str) = ("authorization", "Basic YWxpY2U6c2VjcmV0");

const CONFIG: &str = "launch: {heartbeat: 1}\nservices:\n  - {type: dome, variant: main, restart: \
    'no', launch: {exec: [sleep, '1000']}}\n";

/// What stands around a site in the configuration of a distribution. One process, which stays the user
/// who runs the test.
const AROUND: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr; events {} \
    http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path \
    fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi; include site.conf; }";

/// Ended with the test.
struct Nginx {
    child: Child,
    port: u16,
    _held: Port,
    _dir: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// In front of this port. `None`, which is told: there is no nginx here.
    async fn start(to: u16) -> Option<Self> {
        let names = ["nginx", "/usr/sbin/nginx"];
        let runs = |name: &&&str| Command::new(name).arg("-v").output().is_ok();
        let Some(nginx) = names.iter().find(runs) else {
            eprintln!("\n!!! NOT TESTED with nginx: apt-get install nginx-light\n");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let held = Port::free();
        let port = held.number();
        std::fs::write(dir.path().join("nginx.conf"), AROUND).unwrap();
        std::fs::write(dir.path().join("site.conf"), site(port, to, dir.path())).unwrap();
        std::fs::write(dir.path().join("users"), "alice:{PLAIN}secret\n").unwrap();
        let mut command = Command::new(nginx);
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(dir.path());
        let mut nginx = Self { child: command.spawn().unwrap(), port, _held: held, _dir: dir };
        wait_for("nginx listens", || {
            assert_eq!(nginx.child.try_wait().unwrap(), None, "nginx has ended");
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        Some(nginx)
    }

    async fn get(&self, path: &str, more: &[(&str, &str)]) -> Reply {
        request(self.port, "GET", path, &[&[NAME], more].concat()).await
    }
}

/// The example, at ports of this test and without certificates: the rest is as it is.
fn site(port: u16, to: u16, dir: &Path) -> String {
    let mut text = std::fs::read_to_string(root().join("contrib/nginx/tcs.conf")).unwrap();
    for (from, to) in [
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port};")),
        ("ssl_certificate     /etc/ssl/tcs.pem;", String::new()),
        ("ssl_certificate_key /etc/ssl/tcs.key;", String::new()),
        ("/etc/nginx/tcs.users", dir.join("users").display().to_string()),
        ("http://127.0.0.1:8765/", format!("http://127.0.0.1:{to}/")),
    ] {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text = text.replace(from, &to);
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_events_come_through_a_proxy() {
    let server = Server::start(&server()).await;
    let mut site = Site::at(server, &program("tcsd"), "process", CONFIG).await;
    site.tcsd.run();
    let pid = site.pid("dome.main").await;
    let serve = Serve::ready(&site.server.url(), &["--allow-host", "tcs.example.org"]).await;
    let Some(nginx) = Nginx::start(serve.port).await else { return };
    nginx.get("/tcs/", &[]).await.expect(401);
    let page = nginx.get("/tcs/", &[LOGIN]).await.expect(200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:#?}");
    for path in ["page.js", "page.css", "metrics", "api/v1/fleet", "readyz"] {
        nginx.get(&format!("/tcs/{path}"), &[LOGIN]).await.expect(200);
    }
    // what it calls the server is checked behind it, too
    request(nginx.port, "GET", "/tcs/", &[("host", "evil.example.org"), LOGIN]).await.expect(421);
    let short = nginx.get("/tcs", &[]).await.expect(301);
    assert!(short.header("location").ends_with("/tcs/"), "{short:#?}");
    let response = open(nginx.port, "GET", "/tcs/api/v1/stream", &[NAME, LOGIN]).await;
    let mut events = Events::of(response);
    assert_eq!(events.next().await.unwrap().0, "snapshot");
    signal("KILL", pid);
    let is_told = |name: &str, data: &Value| name == "service" && data["id"] == "dome.main";
    events.until(is_told).await;
    // signs of life, too: nothing is kept back until more has come
    events.until(|name, _| name == "tick").await;
    // in a browser, all of it below the path
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    browser.call("Network.enable", &json!({}));
    let headers = json!({"headers": {"Authorization": LOGIN.1}});
    browser.call("Network.setExtraHTTPHeaders", &headers);
    browser.visit(&format!("http://localhost:{}/tcs/?theme=dark", nginx.port));
    browser.wait("document.getElementById('cards').innerText.includes('dome.main')");
    browser.wait("document.querySelector('#chart svg') !== null");
    browser.evaluate("document.querySelector('#cards a').click()");
    browser.wait("document.getElementById('why').innerText.includes('SIGKILL')");
    assert_eq!(browser.said, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_behind_a_proxy() {
    let server = filled(&server(), "process-launcher").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let args = ["--allow-host", "tcs.example.org", "--token-file", file.to_str().unwrap()];
    let serve = Serve::ready(&server.url(), &args).await;
    let Some(nginx) = Nginx::start(serve.port).await else { return };
    nginx.get("/tcs/", &[LOGIN]).await.expect(401);
    let reply = nginx.get(&format!("/tcs/?token={TOKEN}&view=wall"), &[LOGIN]).await.expect(303);
    // back to the same page, below the path
    assert_eq!(reply.header("location"), "./?view=wall");
    // the cookie holds below the path, and is not sent without TLS
    let cookie = reply.header("set-cookie");
    assert!(!cookie.to_ascii_lowercase().contains("path="), "{cookie}");
    for flag in ["httponly", "samesite=strict", "secure"] {
        assert!(cookie.to_ascii_lowercase().contains(flag), "{cookie}");
    }
    let cookie = ("cookie", cookie.split(';').next().unwrap());
    for path in ["/tcs/", "/tcs/api/v1/alarms"] {
        nginx.get(path, &[LOGIN, cookie]).await.expect(200);
    }
}
