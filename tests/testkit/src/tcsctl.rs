//! Runs `tcsctl` as a shell would: nothing of this machine's settings, a folder of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::terminal::Terminal;
use crate::{programs, root, schema};

/// What a run brought.
#[derive(Debug)]
pub struct Output {
    /// Exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// The JSON document on standard output, as its schema has it.
    pub fn json(&self) -> Value {
        let document = serde_json::from_str(&self.out);
        let document = document.unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        schema::assert_documented(&document);
        document
    }

    /// The JSON objects on standard output, one object per line, all as their schema has them.
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
        };
        let objects: Vec<Value> = self.out.lines().map(parse).collect();
        objects.iter().for_each(schema::assert_documented);
        objects
    }

    /// Asserts the exit code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The verdict of a service in a JSON document.
    pub fn verdict(&self, id: &str) -> String {
        let document = self.json();
        let services = document["services"].as_array().unwrap();
        let service = services.iter().find(|service| service["id"] == id);
        let service = service.unwrap_or_else(|| panic!("{id} is not listed: {self:#?}"));
        service["verdict"].as_str().unwrap().to_owned()
    }
}

/// The program, ready to be given arguments.
pub fn command(args: &[&str]) -> Command {
    command_of(&programs::program("tcsctl"), args)
}

/// The same of a program elsewhere.
pub fn command_of(program: &Path, args: &[&str]) -> Command {
    let folder = std::env::temp_dir();
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.join("no-home"))
        .env("LANG", "C.UTF-8")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Output {
    finish(command(args))
}

/// Runs it at this server.
pub fn at(url: &str, args: &[&str]) -> Output {
    let mut command = command(args);
    command.args(["--server", url]);
    finish(command)
}

/// The dashboard at this server, in a terminal of this size.
pub fn watch(url: &str, more: &[&str], size: (u16, u16)) -> Terminal {
    let program = programs::program("tcsctl");
    let args: Vec<&str> = ["watch", "--server", url].iter().chain(more).copied().collect();
    Terminal::start(program.to_str().unwrap(), &args, &[], size)
}

/// Runs what was prepared.
pub fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    Output {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A recording among the fixtures.
pub fn recording(name: &str) -> String {
    format!("{}/tests/fixtures/wire/{name}.jsonl", root().display())
}
