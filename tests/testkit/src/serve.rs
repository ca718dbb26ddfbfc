//! `tcsctl serve`, as a program.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::{http, tcsctl};

/// A running server, killed with the test.
pub struct Serve {
    /// Its process.
    pub child: Child,
    /// Where it listens, on loopback.
    pub port: u16,
}

impl Serve {
    /// Starts `tcsctl serve` at this broker, with further arguments.
    pub fn start(url: &str, more: &[&str]) -> Self {
        Self::at_port(0, url, more)
    }

    /// Starts `tcsctl serve` on this port, which must be free.
    pub fn at_port(port: u16, url: &str, more: &[&str]) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let mut command = tcsctl::command(&["serve", "--listen", &listen, "--server", url]);
        let mut child = command.args(more).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let port = lines.find_map(|line| {
            let port = line.strip_prefix("listening on http://127.0.0.1:").map(str::to_owned);
            said.push(line);
            port
        });
        let port = port.unwrap_or_else(|| panic!("it does not listen: {said:#?}"));
        std::thread::spawn(move || lines.for_each(|line| eprintln!("serve: {line}")));
        Self { child, port: port.trim_end_matches('/').parse().unwrap() }
    }

    /// Starts `tcsctl serve`, and waits until its picture is complete.
    pub async fn ready(url: &str, more: &[&str]) -> Self {
        let serve = Self::start(url, more);
        http::until(serve.port, "/readyz", 200).await;
        serve
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
