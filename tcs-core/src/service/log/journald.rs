//! Standard error. Where it goes to systemd's journal, each line begins with its priority
//! (`sd-daemon(3)`), which the journal takes off: `journalctl -p warning` finds what it should.

use std::io::{self, Write};

use nix::sys::stat::fstat;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::patient::Patient;

/// Where log lines go. Nothing waits for who does not read them: see [`super::take_dropped`].
#[derive(Debug, Clone, Copy)]
pub struct LogWriter {
    is_journal: bool,
}

impl LogWriter {
    /// `JOURNAL_STREAM` names the device and inode of the journal's socket (`systemd.exec(5)`).
    /// A child inherits the variable, but not always the socket.
    pub fn stderr() -> Self {
        let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let is = fstat(io::stderr()).map(|file| format!("{}:{}", file.st_dev, file.st_ino));
        Self { is_journal: is.is_ok_and(|is| is == named) }
    }

    /// Whether that is systemd's journal, which knows when each line came.
    pub fn is_journal(self) -> bool {
        self.is_journal
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Lines<Patient>;

    fn make_writer(&self) -> Lines<Patient> {
        Lines { to: Patient, priority: None }
    }

    fn make_writer_for(&self, meta: &Metadata<'_>) -> Lines<Patient> {
        let priority = match *meta.level() {
            Level::ERROR => "<3>",
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            Level::DEBUG | Level::TRACE => "<7>",
        };
        Lines { to: Patient, priority: self.is_journal.then_some(priority) }
    }
}

/// Takes whole lines, and puts the priority before each. What cannot be written is lost
/// without a report, so that a full disk under the log does not stop the program.
#[derive(Debug)]
pub struct Lines<W> {
    to: W,
    priority: Option<&'static str>,
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Some(priority) = self.priority else {
            self.to.write_all(text).ok();
            return Ok(text.len());
        };
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let marked: Vec<u8> = lines.flat_map(|line| [priority.as_bytes(), line].concat()).collect();
        self.to.write_all(&marked).ok();
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority_or_none_has() {
        let written = |priority| {
            let mut lines = Lines { to: Vec::new(), priority };
            lines.write_all(b"[ERROR] a: b\n  c\n").unwrap();
            String::from_utf8(lines.to).unwrap()
        };
        assert_eq!(written(Some("<3>")), "<3>[ERROR] a: b\n<3>  c\n");
        assert_eq!(written(None), "[ERROR] a: b\n  c\n");
    }

    /// The subscriber would report it with `eprintln!`, which panics if the write fails.
    #[test]
    fn a_full_disk_is_no_error_of_the_log() {
        let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
        for priority in [None, Some("<3>")] {
            let mut lines = Lines { to: full(), priority };
            assert_eq!(lines.write(b"[ERROR] a: b\n").unwrap(), 13);
        }
    }
}
