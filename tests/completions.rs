//! What Tab does in real shells, with the scripts installed as the handbook says.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "in a test a panic is the report")]

use std::path::PathBuf;

use tcs_testkit::nats::wait_for;
use tcs_testkit::programs::program;
use tcs_testkit::site::Site;
use tcs_testkit::tcsctl;
use tcs_testkit::terminal::Terminal;

/// Names with a colon, and names that hold what another begins with.
const FLEET: &str = "services:
  - {type: dome, variant: main, launch: {exec: [sleep, '1000']}}
  - {type: weather, variant: davis, launch: {exec: [sleep, '1000']}}
  - {type: 'a:b', variant: n, launch: {exec: [sleep, '1000']}}
";

/// The lines of the handbook that install the scripts for a shell.
fn installation(shell: &str) -> Vec<String> {
    let page = tcs_testkit::root().join("docs/handbook/install.md");
    let page = std::fs::read_to_string(page).unwrap();
    let script = format!("completions {shell}");
    let block = page.split("```").find(|block| block.contains(&script)).unwrap();
    block.lines().skip(1).map(str::to_owned).collect()
}

/// A shell at a prompt.
struct Prompt {
    terminal: Terminal,
    site: Site,
    host: String,
}

impl Prompt {
    /// `None`: this shell is not here.
    async fn start(shell: &str, args: &[&str], set_up: &[&str]) -> Option<Self> {
        let path = std::env::var("PATH").unwrap();
        let Some(shell) =
            std::env::split_paths(&path).map(|it| it.join(shell)).find(|it| it.exists())
        else {
            println!("NOT TESTED: no {shell} here; .ci/tools gets it");
            return None;
        };
        let site = Site::start(FLEET).await;
        let url = site.server.url();
        for service in ["dome.main", "weather.davis", "a:b.n"] {
            let is_up = || tcsctl::at(&url, &["wait", service, "--timeout", "1"]).code == Some(0);
            wait_for(service, is_up).await;
        }
        let json = tcsctl::at(&url, &["--all", "--json"]).json();
        let host = json["services"][0]["host"].as_str().unwrap().to_owned();
        let home = site.path("home");
        std::fs::create_dir_all(home.join(".config/nats/context")).unwrap();
        std::fs::write(home.join(".config/nats/context/site.json"), "{}").unwrap();
        let tcsctl: PathBuf = program("tcsctl");
        let path = format!("{}:{path}", tcsctl.parent().unwrap().display());
        let vars = [
            ("PATH", path.as_str()),
            ("HOME", home.to_str().unwrap()),
            ("NATS_URL", url.as_str()),
            ("PS1", "> "),
            ("TERM", "xterm"),
        ];
        let terminal = Terminal::start(shell.to_str().unwrap(), args, &vars, (100, 30));
        let mut prompt = Self { terminal, site, host };
        prompt.terminal.see("> ");
        for line in set_up {
            prompt.terminal.keys(&format!("{line}\r"));
        }
        prompt.terminal.keys("echo re''ady\r");
        prompt.terminal.see("ready");
        Some(prompt)
    }

    /// Types this and Tab, and waits for the line that it makes.
    fn completes(&mut self, typed: &str, line: &str) {
        let typed = typed.replace("URL", &self.site.server.url());
        let line = line.replace("URL", &self.site.server.url()).replace("HOST", &self.host);
        // Ctrl-L: an empty screen
        self.terminal.keys(&format!("\x0c{typed}"));
        self.terminal.see(&typed);
        self.terminal.keys("\t");
        // the end of the line shows whether a blank was added
        self.terminal.keys("x");
        self.terminal.see(&format!("> {line}x"));
        self.terminal.keys("\x15");
        self.terminal.see_no(&line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes() {
    let lines = installation("bash");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let args = ["--norc", "--noprofile", "-i"];
    let Some(mut bash) = Prompt::start("bash", &args, &lines).await else { return };
    bash.completes("tcsctl logs host:", "tcsctl logs host:HOST ");
    bash.completes("tcsctl logs ho", "tcsctl logs host:");
    bash.completes("tcsctl logs a:", "tcsctl logs a:b.n ");
    bash.completes("tcsctl logs a:b.", "tcsctl logs a:b.n ");
    bash.completes("tcsctl logs d", "tcsctl logs dome.main ");
    bash.completes("tcsctl logs davi", "tcsctl logs weather.davis ");
    bash.completes("tcsctl --server=URL logs d", "tcsctl --server=URL logs dome.main ");
    bash.completes("tcsctl --server URL logs a:", "tcsctl --server URL logs a:b.n ");
    bash.completes("tcsctl events verdict:failed,lo", "tcsctl events verdict:failed,lost ");
    bash.completes("tcsctl wait dome.main --for lo", "tcsctl wait dome.main --for lost ");
    bash.completes("tcsctl watch --theme ni", "tcsctl watch --theme night ");
    bash.completes("tcsctl --context si", "tcsctl --context site ");
    bash.completes("tcsctl eve", "tcsctl events ");
    bash.completes("tcsd sch", "tcsd schema ");
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_completes() {
    let mut lines = installation("zsh");
    lines.push("fpath=(~/.zfunc $fpath); autoload -Uz compinit; compinit -u".to_owned());
    lines.push("unsetopt prompt_sp".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let Some(mut zsh) = Prompt::start("zsh", &["-f", "-i"], &lines).await else { return };
    // the very first Tab
    zsh.completes("tcsctl logs d", "tcsctl logs dome.main ");
    zsh.completes("tcsctl logs host:", "tcsctl logs host:HOST ");
    zsh.completes("tcsctl logs a:", "tcsctl logs a:b.n ");
    zsh.completes("tcsctl wait dome.main --for lo", "tcsctl wait dome.main --for lost ");
    zsh.completes("tcsctl watch --theme ni", "tcsctl watch --theme night ");
    zsh.completes("tcsd sch", "tcsd schema ");
}

#[tokio::test(flavor = "multi_thread")]
async fn fish_completes() {
    let lines = installation("fish");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let prompt = "function fish_prompt; echo -n '> '; end; function fish_greeting; end";
    let args = ["--private", "--init-command", prompt];
    let Some(mut fish) = Prompt::start("fish", &args, &lines).await else { return };
    fish.completes("tcsctl logs d", "tcsctl logs dome.main ");
    fish.completes("tcsctl logs host:", "tcsctl logs host:HOST ");
    fish.completes("tcsctl logs a:", "tcsctl logs a:b.n ");
    fish.completes("tcsctl wait dome.main --for lo", "tcsctl wait dome.main --for lost ");
}
