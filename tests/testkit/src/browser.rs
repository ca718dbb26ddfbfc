//! Chromium without a window, driven over its debugging protocol (two pipes, so that no port is
//! opened).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use tcs_core::clock;

use crate::nats::LIMIT;

/// A browser with one page, ended with the test.
pub struct Browser {
    child: Child,
    dir: tempfile::TempDir,
    to: File,
    from: BufReader<File>,
    session: String,
    last: u64,
    /// What the page has written to its console, and what it has thrown.
    pub said: Vec<String>,
}

impl Browser {
    /// Starts Chromium with a page of this size. `None`, with a message: it is not installed.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
        let Some(program) = names.iter().find(runs) else {
            eprintln!("\n!!! NOT TESTED in a browser: there is no chromium here\n");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| dir.path().join(name));
        for pipe in [&to, &from] {
            mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        }
        let script = "exec \"$@\" 3<\"$0/to\" 4>\"$0/from\"";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(dir.path())
            .arg(program)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .args(["--force-color-profile=srgb", "--hide-scrollbars", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // in the order in which the shell opens them: each end waits for the other
        let to = File::options().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let (session, said) = (String::new(), Vec::new());
        let mut browser = Self { child, dir, to, from, session, last: 0, said };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &target);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.call("Page.enable", &json!({}));
        browser.call("Runtime.enable", &json!({}));
        browser.resize(width, height);
        Some(browser)
    }

    /// A command of the protocol, and its result.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            assert_eq!(bytes.pop(), Some(0), "the browser has ended: {method}");
            let mut message: Value = serde_json::from_slice(&bytes).unwrap();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message:#}");
                return message["result"].take();
            }
            let is_said = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown"];
            if is_said.iter().any(|it| message["method"] == *it) {
                self.said.push(message["params"].to_string());
            }
        }
    }

    /// The size of the page.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 640});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Goes to an address.
    pub fn visit(&mut self, address: &str) {
        let there = self.call("Page.navigate", &json!({"url": address}));
        assert!(there["errorText"].is_null(), "{address}: {there:#}");
    }

    /// The value of an expression, of a promise what it brings.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut told = self.call("Runtime.evaluate", &asked);
        assert!(told["exceptionDetails"].is_null(), "{expression:.200}: {told:#}");
        told["result"]["value"].take()
    }

    /// Evaluates the expression until it is true. What it refers to may not exist yet.
    pub fn wait(&mut self, expression: &str) -> Duration {
        let start = clock::monotonic();
        let safe =
            format!("(() => {{ try {{ return {expression}; }} catch {{ return false; }} }})()");
        loop {
            if self.evaluate(&safe) == true {
                return start.elapsed();
            }
            if start.elapsed() > LIMIT {
                let page = self.evaluate("document.body?.innerText");
                panic!("in vain: {expression}\n{page:#}\n{:#?}", self.said);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A key, by its name in the DOM.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key,
                "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// A picture of the page, as PNG in base64.
    pub fn picture(&mut self) -> String {
        let picture = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        picture["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // its children write there for a moment more
        for _ in 0..50 {
            if std::fs::remove_dir_all(self.dir.path()).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
