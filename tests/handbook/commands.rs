//! The commands of the handbook and the README, typed at a real fleet.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tcs_testkit::nats::{Server, server, wait_for};
use tcs_testkit::port::Port;
use tcs_testkit::programs::program;
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl;
use tcs_testkit::terminal::Terminal;

use super::blocks::{Mark, blocks, inline, pages};
use super::read;

/// Services by the names that the handbook uses: one has failed, and a sentinel watches.
const FLEET: &str = r#"launch: {profiles: {night: [guider.jk15, dome.main]}}
services:
  - type: sentinel
    variant: main
    channels: {phone: {exec: ["true"]}, chat: {exec: ["true"]}}
    rules: {failed: {when: {verdict: failed}, for: 0s, severity: critical}}
  - {type: guider, variant: main, launch: {exec: ["false"]}}
  - &loop
    type: guider
    variant: jk15
    launch: {exec: [sh, -c, "while :; do echo guiding; sleep 0.2; done"]}
  - {<<: *loop, type: camera, variant: main}
  - {<<: *loop, type: dome, variant: main}
  - {type: report, variant: night, folder: FOLDER, launch: {enabled: false}}
  - {type: disk_check, variant: main, launch: {exec: ["true"], schedule: {every: 15m}}}
"#;

/// The fleet, an empty broker, and a shell beside them.
struct Desk {
    site: Site,
    new: Server,
    folder: PathBuf,
    host: String,
}

impl Desk {
    async fn open() -> Self {
        let site = Site::start(FLEET).await;
        let new = Server::start(&server()).await;
        let url = site.server.url();
        let reaches = |service: &str, verdict: &str| {
            let args = ["wait", service, "--for", verdict, "--timeout", "1"];
            tcsctl::at(&url, &args).code == Some(0)
        };
        for (service, verdict) in
            [("guider.jk15", "ok"), ("sentinel.main", "ok"), ("guider.main", "failed")]
        {
            wait_for(&format!("{service} is {verdict}"), || reaches(service, verdict)).await;
        }
        wait_for("the alarm of guider.main", || is_raised(&url)).await;
        let json = tcsctl::at(&url, &["--all", "--json"]).json();
        let host = json["services"][0]["host"].as_str().unwrap().to_owned();
        let folder = site.path("").canonicalize().unwrap();
        std::os::unix::fs::symlink(".", folder.join("config")).unwrap();
        let contexts = folder.join(".config/nats/context");
        std::fs::create_dir_all(&contexts).unwrap();
        let context = format!("{{\"url\": \"{url}\"}}");
        std::fs::write(contexts.join("site.json"), context).unwrap();
        Self { site, new, folder, host }
    }

    /// Starts again what the commands of a page have stopped.
    async fn restore(&self) {
        let url = self.site.server.url();
        let services = ["guider.jk15", "camera.main", "dome.main", "sentinel.main"];
        tcsctl::at(&url, &[&["start"][..], &services, &["--yes"]].concat()).expect(0);
        tcsctl::at(&url, &["start", "guider.main"]); // it fails, as it should
        wait_for("the alarm of guider.main", || is_raised(&url)).await;
    }

    /// A line as it is typed here: at this broker, for this host.
    fn here(&self, line: &str) -> String {
        let url = self.site.server.url();
        let folder = self.folder.to_str().unwrap();
        let mut line = line.replace("nats://new:4222", &self.new.url());
        for place in ["/var/lib/node_exporter/textfile", "/backups"] {
            line = line.replace(place, folder);
        }
        for (name, is) in [
            ("SERVICE", "guider.jk15"),
            ("ALARM", "failed/guider.main"),
            ("NOTE", "note"),
            ("FILE", "services.yaml"),
            ("FOLDER", "2026-11-26"),
            ("NAME", "night"),
        ] {
            line = line.replace(name, is);
        }
        for host in ["srv01", "srv02", "srv03"] {
            line = line.replace(&format!("nats://{host}:4222"), &url).replace(host, &self.host);
        }
        if ["tcsctl alarms apply", "tcsctl profile "].iter().any(|it| line.starts_with(it)) {
            line.push_str(" --yes"); // they ask a person
        }
        if line.ends_with(" ID") {
            let alarms = tcsctl::at(&url, &["alarms", "--json"]).json();
            let mut alarms = alarms["alarms"].as_array().unwrap().iter();
            let id = alarms.find_map(|alarm| alarm["shelved"]["id"].as_str()).unwrap();
            line = line.replace(" ID", &format!(" {id}"));
        }
        line
    }

    fn path() -> String {
        let programs = program("tcsctl");
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", programs.parent().unwrap().display())
    }

    /// Types it, and waits for its end.
    fn run(&self, line: &str) -> tcsctl::Output {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env_clear().env("PATH", Self::path()).current_dir(&self.folder);
        shell.env("NATS_URL", self.site.server.url()).env("HOME", &self.folder);
        shell.env("RUNTIME_DIRECTORY", &self.folder).env("LANG", "C.UTF-8");
        tcsctl::finish(shell)
    }

    /// Types what goes on until somebody ends it; it shows something.
    fn look(&self, line: &str) {
        let line = format!("cd '{}' && exec {line}", self.folder.display());
        let (url, path) = (self.site.server.url(), Self::path());
        let home = self.folder.to_str().unwrap();
        let vars = [("NATS_URL", url.as_str()), ("PATH", path.as_str()), ("HOME", home)];
        let mut terminal = Terminal::start("sh", &["-c", &line], &vars, (100, 30));
        terminal.wait(&line, |text| !text.trim().is_empty());
        terminal.signal("TERM");
        terminal.end();
    }

    /// Types it, however it ends; what is wrong with the outcome.
    fn try_it(&self, line: &str) -> Option<String> {
        let line = self.here(line);
        if goes_on(&line) {
            self.look(&line);
            return None;
        }
        let output = self.run(&line);
        let expected = expected(&line);
        let is_fine = output.code.is_some_and(|code| expected.contains(&code));
        (!is_fine).then(|| format!("{line}: {output:#?}"))
    }
}

/// Whether a sentinel has raised the alarm of the service that has failed.
fn is_raised(url: &str) -> bool {
    let output = tcsctl::at(url, &["alarms", "--json"]);
    let alarms = serde_json::from_str::<serde_json::Value>(&output.out).unwrap_or_default();
    let is_it = |alarm: &serde_json::Value| alarm["id"] == "failed/guider.main";
    let is_watched = alarms["watched_by"].as_array().is_some_and(|them| !them.is_empty());
    is_watched && alarms["alarms"].as_array().is_some_and(|alarms| alarms.iter().any(is_it))
}

/// Whether somebody has to end it.
fn goes_on(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_help = words.contains(&"--help");
    !is_help
        && words.iter().any(|word| ["-f", "watch", "serve", "--watch", "--keep"].contains(word))
}

/// With which codes it may end, at a fleet with a failed service that is some seconds old.
fn expected(line: &str) -> &'static [i32] {
    if line.contains("--at ") {
        // the streams do not reach back that far, or nothing was stored then
        &[0, 1, 3]
    } else if line.starts_with("tcsctl check") {
        &[0, 1, 2]
    } else if line.starts_with("tcsd doctor") {
        &[0, 1] // a host of tests has no unit
    } else if line == "tcsctl restore 2026-11-26" || line.ends_with("--end") {
        &[1] // the streams are not empty; there is no maintenance
    } else if line.contains("north.svc") {
        &[3] // another site: `sources_under_another_prefix_are_found`
    } else {
        &[0]
    }
}

/// Each block in the order of its page, and each command in its text. Of what stands alone, as
/// `tcsctl restart`, only the name is meant.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_handbook_do_something() {
    let desk = Desk::open().await;
    let mut wrong = Vec::new();
    for page in pages() {
        // these are followed step by step, each by a test of its own
        let has_its_own = page.ends_with("first-fleet.md");
        let blocks = blocks(&page);
        let blocks = blocks.iter().filter(|block| block.mark == Mark::None && !has_its_own);
        let mut lines: Vec<String> =
            blocks.flat_map(|block| block.commands()).map(str::to_owned).collect();
        for line in inline(&page) {
            let is_name = line.split(' ').count() == 2;
            lines.push(if is_name { format!("{line} --help") } else { line });
        }
        for line in lines {
            wrong.extend(desk.try_it(&line).map(|why| format!("{page}: {why}")));
        }
        desk.restore().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Those for authors of services name services of theirs: that their commands and options exist is
/// all that is tried here, `tests/authors.rs` calls the services.
#[test]
fn the_commands_of_the_tutorials_exist() {
    let mut count = 0;
    for page in ["docs/tutorial.md", "docs/from-python.md"] {
        let blocks = blocks(page);
        let lines = blocks.iter().flat_map(|block| block.commands()).map(str::to_owned);
        for line in lines.chain(inline(page)) {
            let line = line.split("  #").next().unwrap().split(" > ").next().unwrap();
            let Some((name, rest)) = line.split_once(' ') else { panic!("{line}") };
            if !["tcsctl", "tcsd"].contains(&name) {
                continue; // a program that the page has its reader build
            }
            let mut command = Command::new("sh");
            let program = program(name);
            command.args(["-c", &format!("'{}' {rest} --help", program.display())]);
            tcsctl::finish(command).expect(0);
            count += 1;
        }
    }
    assert!(count > 8, "{count}");
}

/// Command lines in the indented blocks of the README, without what is said of them.
fn readme_lines(program: &str) -> Vec<String> {
    let readme = read("README.md");
    let start = format!("    {program}");
    let lines = readme.lines().filter(|line| line.starts_with(&start));
    let lines = lines.map(|line| line.trim().split("  ").next().unwrap().to_owned());
    let lines: Vec<String> = lines.collect();
    assert!(lines.len() >= 4, "{lines:?}");
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_do_something() {
    let desk = Desk::open().await;
    let mut wrong = Vec::new();
    for line in readme_lines("tcsctl").into_iter().chain(readme_lines("tcsd")) {
        // a program without remote control cannot be asked for its health or its commands
        let asks = ["tcsctl health", "tcsctl call"].iter().any(|it| line.starts_with(it));
        // what goes on without showing anything, or waits for the work to be done, is parsed
        let parsed = ["tcsctl record", "tcsctl maintenance", "tcsd -"];
        let is_quiet = parsed.iter().any(|it| line.starts_with(it));
        let line = line.replace(" ...", "");
        let line = if is_quiet { format!("{line} --help") } else { line };
        if asks {
            assert!(desk.run(&line).code != Some(2), "{line}");
        } else {
            wrong.extend(desk.try_it(&line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `docs/handbook/first-fleet.md`, from its first line to its last.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_fleet_is_as_the_page_says() {
    let held = Port::free();
    let port = held.number();
    let url = format!("nats://127.0.0.1:{port}");
    let broker = server().path;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config/services.yaml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let command = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]).current_dir(dir.path());
        shell.env("NATS_URL", &url).env("RUNTIME_DIRECTORY", dir.path());
        shell.env("HOME", dir.path()).env("LANG", "C.UTF-8").env("PATH", Desk::path());
        shell
    };
    let mut started = Vec::new();
    for block in blocks("docs/handbook/first-fleet.md") {
        if block.language == "yaml" {
            write_step(&file, &block.code);
            continue;
        }
        for line in block.commands() {
            match line {
                "tcsd" => {
                    started.push(Started(command(line).stderr(Stdio::null()).spawn().unwrap()));
                }
                _ if line.starts_with("nats-server ") => {
                    let line = line.replace("nats-server", broker.to_str().unwrap());
                    let line = format!("{line} --addr 127.0.0.1 --port {port}");
                    started.push(Started(command(&line).stderr(Stdio::null()).spawn().unwrap()));
                }
                // the launcher may not have connected yet
                "tcsctl" => {
                    let is_up = || tcsctl::finish(command(line)).out.contains("camera.main");
                    wait_for("camera.main is listed", is_up).await;
                }
                _ => {
                    let output = tcsctl::finish(command(line));
                    assert!(
                        output.code.is_some_and(|it| expected(line).contains(&it)),
                        "{output:#?}"
                    );
                }
            }
        }
    }
    assert_eq!(started.len(), 2, "the page starts a broker and tcsd");
}

/// The whole file, or another `exec` for its last service.
fn write_step(file: &Path, code: &str) {
    if code.starts_with("services:") {
        return std::fs::write(file, code).unwrap();
    }
    let before = std::fs::read_to_string(file).unwrap();
    let old = before.lines().rfind(|line| line.trim().starts_with("exec:")).unwrap();
    std::fs::write(file, before.replace(old, code.trim_end())).unwrap();
}

/// Killed, not asked, should the test fail.
struct Started(std::process::Child);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
