//! The page in a real browser.

use std::path::PathBuf;

use serde_json::{Value, json};
use tcs_testkit::browser::Browser;
use tcs_testkit::programs::program;
use tcs_testkit::raw::Client;
use tcs_testkit::root;
use tcs_testkit::tcsd::Site;

use super::*;

const CONFIG: &str = "launch: {heartbeat: 1}\nservices:\n  - {type: dome, variant: main, restart: \
    'no', launch: {exec: [sh, -c, 'echo open; exec sleep 1000']}}\n  - {type: dome, variant: \
    spare, launch: {exec: [sleep, '1000']}}\n";

async fn site() -> Site {
    let server = Server::start(&server()).await;
    let mut site = Site::at(server, &program("tcsd"), "process", CONFIG).await;
    site.tcsd.run();
    let mut watch = site.watch();
    for id in ["dome.main", "dome.spare"] {
        watch.sees("ok", id, |it| it.verdict == tcs_core::fleet::Verdict::Ok).await;
    }
    site
}

fn visit(browser: &mut Browser, serve: &Serve, query: &str) {
    browser.visit(&format!("http://127.0.0.1:{}/{query}", serve.port));
    browser.wait("document.getElementById('summary')?.textContent.includes('ok')");
}

const CARDS: &str = "document.getElementById('cards').innerText";

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_shown_and_explained() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let site = site().await;
    let serve = Serve::ready(&site.server.url(), &["--title", "Dome"]).await;
    visit(&mut browser, &serve, "");
    browser.wait("document.title === 'Dome'");
    signal("KILL", site.pid("dome.main").await);
    let took = browser.wait(&format!("{CARDS}.includes('dome.main')"));
    eprintln!("a crash is shown after {} ms", took.as_millis());
    browser.wait("document.title === '× 1 failed – Dome'");
    browser.wait("document.getElementById('news').textContent.startsWith('dome.main failed: ')");
    browser.wait("document.getElementById('icon').href.includes('c2162b')");
    // its page, by keyboard alone: the link, its heading, the way back
    browser.evaluate("document.querySelector('#cards a').focus()");
    browser.call(
        "Input.dispatchKeyEvent",
        &json!({"type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r",
            "windowsVirtualKeyCode": 13}),
    );
    browser.wait("document.activeElement.id === 'service-title'");
    browser.wait("document.getElementById('why').innerText.includes('SIGKILL')");
    browser.wait("document.getElementById('log').innerText.includes('open')");
    browser.wait("document.getElementById('figures').innerText.includes('Restarts')");
    browser.evaluate("history.back()");
    browser.wait("document.activeElement.closest('#cards') !== null");
    browser.wait("document.querySelector('#chart svg') !== null");
    assert_eq!(browser.said, [""; 0]);
}

/// Names that would run, one that is an address, one that turns the writing round; and messages.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_text() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let server = filled(&server(), "process-launcher").await;
    let mut client = Client::connect(server.port());
    let names = [
        "<svg/onload=window.ran=1//.a",
        "\"'onmouseover=window.ran=1.b",
        "javascript:window.ran=1.c",
        "\u{202e}evil.d",
    ];
    let message = "<img src=x onerror=window.ran=1><script>window.ran=1</script>\u{1b}[2J";
    for name in names {
        let data = json!({"name": name, "status": "error", "message": message, "parent": name,
            "hostname": message, "details": {"metrics": {(message): message}}});
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s"}}).to_string();
        client.publish(&format!("svc.status.{name}"), None, body.as_bytes());
    }
    client.flush();
    let serve = Serve::ready(&server.url(), &["--title", "<b onmouseover=window.ran=1>x"]).await;
    browser.visit(&format!("http://127.0.0.1:{}/", serve.port));
    let [first, second, third, _] = names;
    for expected in
        [first, second, third, "\\u{202e}evil.d", "<script>window.ran=1</script>\\u{1b}"]
    {
        let expected = Value::from(expected);
        browser.wait(&format!("{CARDS}.includes({expected})"));
    }
    // each one's page
    let links = "document.querySelectorAll('#cards a').length";
    let count = browser.evaluate(links).as_u64().unwrap();
    for i in 0..count {
        browser.evaluate(&format!("document.querySelectorAll('#cards a')[{i}].click()"));
        browser.wait("document.getElementById('why').innerText.length > 10");
        browser.evaluate("location.hash = ''");
        browser
            .wait(&format!("!document.getElementById('overview').hidden && {links} === {count}"));
    }
    assert_eq!(browser.evaluate("window.ran === undefined"), true);
    assert_eq!(browser.evaluate("document.querySelectorAll('img, main script').length"), 0);
    // nor does what is evaluated by the page itself
    let inline = "(() => { const it = document.createElement('script'); it.textContent = \
        'window.ran = 1'; document.body.append(it); return window.ran === undefined; })()";
    assert_eq!(browser.evaluate(inline), true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_or_gone_dims_the_page() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    browser.visit(&format!("http://127.0.0.1:{}/", serve.port));
    browser.wait(&format!("{CARDS}.includes('hello_world')"));
    let stale = "document.body.classList.contains('stale')";
    signal("STOP", serve.pid());
    let took = browser.wait(stale);
    eprintln!("dimmed after {:.1} s", took.as_secs_f64());
    let text = browser.evaluate("document.getElementById('contact').textContent");
    assert!(text.as_str().unwrap().starts_with("NO CONTACT, data "), "{text}");
    assert!(browser.evaluate("document.title").as_str().unwrap().starts_with("NO CONTACT"));
    signal("CONT", serve.pid());
    browser.wait(&format!("!{stale} && document.getElementById('contact').hidden"));
    // ended and started again at the same place
    let port = serve.port;
    drop(serve);
    browser.wait(stale);
    let _serve = Serve::at_port(port, &server.url(), &[]);
    browser.wait(&format!("!{stale}"));
}

/// Streams are noted, a minute is over at once, and the page can be told that nobody sees it.
const WATCHED: &str = "{ window.streams = []; const Real = EventSource; window.EventSource = class \
    extends Real { constructor(...a) { super(...a); streams.push(this); } }; const later = setTimeout; \
    window.setTimeout = (f, ms, ...a) => later(f, ms === 60000 ? 0 : ms, ...a); window.unseen = false; \
    Object.defineProperty(Document.prototype, 'hidden', { get: () => unseen }); window.see = (it) => { \
    unseen = !it; document.dispatchEvent(new Event('visibilitychange')); }; }";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_sees_closes_its_stream_and_opens_it_again() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let site = site().await;
    let serve = Serve::ready(&site.server.url(), &[]).await;
    browser.call("Page.addScriptToEvaluateOnNewDocument", &json!({"source": WATCHED}));
    visit(&mut browser, &serve, "");
    browser.wait("streams.length === 1 && streams[0].readyState === EventSource.OPEN");
    browser.evaluate("see(false)");
    browser.wait("streams[0].readyState === EventSource.CLOSED");
    browser.wait("document.title === 'paused – TCS'");
    signal("KILL", site.pid("dome.main").await);
    browser.evaluate("see(true)");
    browser.wait("streams.length === 2 && streams[1].readyState === EventSource.OPEN");
    browser.wait(&format!("{CARDS}.includes('dome.main')"));
    browser.wait("document.title === '× 1 failed – TCS'");
    assert_eq!(browser.said, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_service_are_those_of_the_present() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let server = filled(&server(), "process-launcher").await;
    let mut client = Client::connect(server.port());
    let mut tell = |frames: u32| {
        let data = json!({"name": "guider.main", "status": "ok", "message": "guiding",
            "details": {"metrics": {"frames": frames}}});
        let body = json!({"data": data, "meta": {"id": "m", "sender": "s"}}).to_string();
        client.publish("svc.status.guider.main", None, body.as_bytes());
        client.flush();
    };
    tell(4711);
    let serve = Serve::ready(&server.url(), &[]).await;
    visit(&mut browser, &serve, "#guider.main");
    browser.wait("document.getElementById('figures').innerText.includes('4711')");
    // with the same message: the stream of changes does not tell it
    tell(4712);
    let of_it = "/api/v1/fleet?service=guider.main";
    super::site::wait_until(serve.port, of_it, |it| it.contains("4712")).await;
    // as when somebody looks at it again
    browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    browser.wait("document.getElementById('figures').innerText.includes('4712')");
    assert_eq!(browser.said, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_given_no_stream_tells_why_and_recovers() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(http::open(serve.port, "GET", "/api/v1/stream", &[]).await);
    }
    browser.visit(&format!("http://127.0.0.1:{}/", serve.port));
    browser.wait("document.getElementById('summary').textContent.startsWith('too many streams')");
    drop(streams);
    browser.wait(&format!("{CARDS}.includes('hello_world')"));
    browser.wait("document.getElementById('contact').hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_before_the_computer_slept_is_old() {
    let Some(mut browser) = Browser::start(1200, 900) else { return };
    let server = filled(&server(), "process-launcher").await;
    let serve = Serve::ready(&server.url(), &[]).await;
    browser.visit(&format!("http://127.0.0.1:{}/", serve.port));
    browser.wait(&format!("{CARDS}.includes('hello_world')"));
    signal("STOP", serve.pid());
    // of a sleep a page sees no more than that the two clocks of its computer differ
    browser.evaluate("{ const real = Date.now; Date.now = () => real() + 3600000; }");
    let contact = "document.getElementById('contact')";
    browser.wait(&format!("{contact}.textContent.startsWith('NO CONTACT, data 1 h old')"));
    signal("CONT", serve.pid());
    browser.wait(&format!("{contact}.hidden && {CARDS}.includes('hello_world')"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_usable_on_a_phone_and_by_those_who_do_not_see_it() {
    let Some(mut browser) = Browser::start(390, 844) else { return };
    let site = site().await;
    let serve = Serve::ready(&site.server.url(), &[]).await;
    visit(&mut browser, &serve, "");
    signal("KILL", site.pid("dome.main").await);
    browser.wait(&format!("{CARDS}.includes('dome.main')"));
    browser.wait("document.querySelector('#chart svg') !== null");
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 390);
    let folder =
        std::env::var_os("TCS_AXE").map_or_else(|| root().join(".tools/axe"), PathBuf::from);
    let Ok(axe) = std::fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")) else {
        eprintln!("\n!!! NOT TESTED with axe-core: npm install --prefix .tools/axe axe-core\n");
        return;
    };
    for (width, query) in
        [(390, ""), (1200, ""), (1200, "?theme=dark"), (1200, "?theme=night"), (1920, "?view=wall")]
    {
        browser.resize(width, 900);
        visit(&mut browser, &serve, query);
        browser.wait(&format!("{CARDS}.includes('dome.main')"));
        browser.wait("document.querySelector('#chart svg') !== null");
        browser.evaluate(&axe);
        let found = |browser: &mut Browser| {
            let run = "axe.run().then((it) => it.violations.map((one) => one.id + ': ' + \
                one.nodes.map((node) => node.html + ' ' + node.failureSummary).join(' | ')))";
            browser.evaluate(run)
        };
        assert_eq!(found(&mut browser), json!([]), "{width} {query}");
        browser.evaluate("location.hash = '#dome.main'");
        browser.wait("document.getElementById('why').innerText.includes('SIGKILL')");
        assert_eq!(found(&mut browser), json!([]), "the page of a service, {width} {query}");
    }
}

const CROWD: &str = "launch: {heartbeat: 1}\nservices:\n  - {type: sentinel, variant: main}\n  - \
    {type: dome, variant: main, restart: 'no', launch: {exec: [sh, -c, 'echo slit open; exec sleep \
    1000']}}\n  - {type: guider, variant: jk15, restart_sec: 600, launch: {exec: [sh, -c, 'echo \
    \"SerialTimeout: /dev/ttyUSB0 did not answer\" >&2; exit 3']}}\n  - {type: camera, variant: \
    main, launch: {exec: [sleep, '1000']}}\n  - {type: focuser, variant: zb08, launch: {exec: \
    [sleep, '1000']}}\n  - {type: weather, variant: main, launch: {exec: [sleep, '1000']}}\n";

/// With `TCS_SCREENSHOTS=write` the pictures of `screenshots/` are taken.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_taken() {
    if std::env::var_os("TCS_SCREENSHOTS").is_none() {
        return;
    }
    let mut browser = Browser::start(1280, 900).expect("a browser");
    let server = Server::start(&server()).await;
    let mut site = Site::at(server, &program("tcsd"), "process", CROWD).await;
    site.tcsd.run();
    for id in ["dome.main", "camera.main", "weather.main", "sentinel.main"] {
        site.pid(id).await;
    }
    let url = site.server.url();
    let watched = || at(&url, &["alarms"]).out.contains("watched by 1");
    tcs_testkit::nats::wait_for("a sentinel watches", watched).await;
    signal("KILL", site.pid("dome.main").await);
    let ack = ["ack", "failed/dome.main", "-m", "changing the fuse"];
    let acked = || at(&url, &ack).code == Some(0);
    tcs_testkit::nats::wait_for("somebody takes it", acked).await;
    let serve = Serve::ready(&url, &["--title", "Our telescope"]).await;
    for (name, (width, height), query) in [
        ("page", (1280, 900), ""),
        ("page-phone", (390, 844), ""),
        ("page-night", (1280, 900), "?theme=night"),
        ("page-wall", (1920, 1080), "?view=wall"),
        ("page-dark", (1280, 900), "?theme=dark"),
        ("page-service", (1280, 900), "#dome.main"),
    ] {
        browser.resize(width, height);
        browser.visit("about:blank");
        browser.visit(&format!("http://127.0.0.1:{}/{query}", serve.port));
        browser.wait(&format!("{CARDS}.includes('guider.jk15')"));
        browser.wait("document.querySelector('#chart svg') !== null");
        if name == "page-service" {
            browser.wait("document.getElementById('log').innerText.includes('slit open')");
            browser.wait("document.getElementById('figures').innerText.includes('Restarts')");
            browser.wait("document.getElementById('why').innerText.includes('SIGKILL')");
        }
        let picture = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, browser.picture());
        let file = root().join("screenshots").join(format!("{name}.png"));
        std::fs::write(file, picture.unwrap()).unwrap();
    }
}
