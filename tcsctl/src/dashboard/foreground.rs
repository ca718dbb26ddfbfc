//! A program that has the terminal for a while: a pager, or a command of a person's own. Meanwhile
//! the dashboard goes on hearing, and reads no keys.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitStatus;

use tcs_present::text::shown;
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use super::event::Program;

/// The pager of those who have chosen none.
const PAGER: &str = "less";

/// It, while it runs.
#[derive(Debug)]
pub(super) struct Foreground {
    child: Child,
    name: String,
    waits: bool,
    /// What it was given to read; it is there as long as the program runs.
    _file: Option<NamedTempFile>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Finished {
    /// In words.
    pub(super) told: String,
    /// Whether the command failed.
    pub(super) failed: bool,
    /// Its output stays until somebody has read it.
    pub(super) waits: bool,
}

impl Foreground {
    /// Starts a program in the terminal, which must have been given back.
    pub(super) fn start(program: Program) -> Result<Self, String> {
        Self::spawn(program, None)
    }

    /// Shows lines in the person's pager: `PAGER` and its arguments, without a shell.
    pub(super) fn page(lines: impl Iterator<Item = String>) -> Result<Self, String> {
        let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
        let pager = pager.unwrap_or_else(|| PAGER.to_owned());
        let mut arguments: Vec<String> = pager.split_whitespace().map(str::to_owned).collect();
        let file =
            write(lines).map_err(|error| format!("the lines could not be written: {error}"))?;
        arguments.push(file.path().display().to_string());
        let program = Program { name: "pager".to_owned(), arguments, waits: false };
        Self::spawn(program, Some(file))
    }

    fn spawn(program: Program, file: Option<NamedTempFile>) -> Result<Self, String> {
        let Program { name, arguments, waits } = program;
        let Some((path, arguments)) = arguments.split_first() else {
            return Err(format!("{name}: there is no program to run"));
        };
        let spawned = Command::new(path).args(arguments).kill_on_drop(true).spawn();
        let child =
            spawned.map_err(|error| format!("{name}: {} cannot be run: {error}", shown(path)))?;
        Ok(Self { child, name, waits, _file: file })
    }

    /// Waits for its end.
    pub(super) async fn finished(&mut self) -> Finished {
        let name = &self.name;
        let (told, failed) = match self.child.wait().await {
            Ok(status) => (format!("{name}: {}", ended(status)), !status.success()),
            Err(error) => (format!("{name}: {error}"), true),
        };
        Finished { told, failed, waits: self.waits }
    }
}

/// `exit code 3`, `killed by signal 9`
fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Into a file that only this user can read.
fn write(lines: impl Iterator<Item = String>) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix("tcsctl-").suffix(".log").tempfile()?;
    let mut out = BufWriter::new(&file);
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    drop(out);
    Ok(file)
}
