//! A terminal of its own for a program under test: a pty, and an emulator that reads it.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tcs_core::clock;

use crate::nats::LIMIT;

/// What a program wrote: as it came, and as a screen.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    /// How many of them are on the screen.
    shown: usize,
    /// Nobody is to read any more, so that the terminal can be closed.
    closed: bool,
    /// Nobody has it open any more, and all that was written is here.
    ended: bool,
}

/// What begins a frame and what ends it, where a program draws in frames.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

impl Seen {
    /// Takes in what was written. As in terminals that know frames, one is shown once it is whole: what
    /// is read of a terminal may end anywhere.
    fn take(&mut self, written: &[u8]) {
        self.bytes.extend_from_slice(written);
        let new = &self.bytes[self.shown..];
        let new = &new[..whole(new)];
        self.parser.process(new);
        self.shown += new.len();
    }
}

/// How much of it is outside of a frame that has not ended, and of a mark that has only begun.
fn whole(bytes: &[u8]) -> usize {
    let last = |mark: &[u8]| bytes.windows(mark.len()).rposition(|window| window == mark);
    match last(FRAME_BEGINS) {
        Some(begin) if last(FRAME_ENDS).is_none_or(|end| end < begin) => begin,
        _ => {
            let is_cut = |len: &usize| bytes.ends_with(&FRAME_BEGINS[..*len]);
            bytes.len() - (1..FRAME_BEGINS.len()).rev().find(is_cut).unwrap_or(0)
        }
    }
}

#[test]
fn a_frame_is_shown_once_it_is_whole() {
    let written = b"a\x1b[?2026hb\x1b[1mc\x1b[?2026ld\x1b[?2026he\x1b[?2026lf";
    let mut shown = std::collections::BTreeSet::new();
    for cut in 0..=written.len() {
        let parser = vt100::Parser::new(cells(3), cells(20), 0);
        let mut seen = Seen { parser, bytes: Vec::new(), shown: 0, closed: false, ended: false };
        seen.take(&written[..cut]);
        shown.insert(seen.parser.screen().contents());
        seen.take(&written[cut..]);
        assert_eq!(seen.parser.screen().contents(), "abcdef", "{cut}");
    }
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), ["", "a", "abc", "abcd", "abcde", "abcdef"]);
}

/// A program in its terminal.
pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn std::io::Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
}

impl Terminal {
    /// Starts `program` with these arguments and variables, at this size.
    pub fn start(program: &str, args: &[&str], vars: &[(&str, &str)], size: (u16, u16)) -> Self {
        let pty = native_pty_system().openpty(pty_size(size)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env_clear();
        let home = std::env::temp_dir().join("no-home");
        for (name, value) in [
            ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
            ("HOME", home.to_str().unwrap()),
            ("LANG", "C.UTF-8"),
            ("TERM", "xterm-256color"),
        ] {
            command.env(name, value);
        }
        for (name, value) in vars {
            command.env(name, value);
        }
        command.cwd(std::env::temp_dir());
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let parser = vt100::Parser::new(cells(size.1), cells(size.0), 0);
        let seen = Seen { parser, bytes: Vec::new(), shown: 0, closed: false, ended: false };
        let seen = Arc::new(Mutex::new(seen));
        let mut output = pty.master.try_clone_reader().unwrap();
        let reader = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                let mut seen = reader.lock().unwrap();
                if seen.closed {
                    return;
                }
                seen.take(&buffer[..n]);
            }
            reader.lock().unwrap().ended = true;
        });
        let keys = pty.master.take_writer().unwrap();
        Self { master: Some(pty.master), keys: Some(keys), child, seen }
    }

    /// The screen's text.
    pub fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// Something of the screen.
    pub fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().parser.screen())
    }

    /// All that was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        let writer = self.keys.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Makes it another size.
    pub fn resize(&mut self, size: (u16, u16)) {
        self.seen.lock().unwrap().parser.screen_mut().set_size(cells(size.1), cells(size.0));
        self.master.as_ref().unwrap().resize(pty_size(size)).unwrap();
    }

    /// Waits until the screen's text is as wanted; shows it if it never is.
    pub fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        self.wait_at_most(LIMIT, is_so)
            .unwrap_or_else(|| panic!("waited {LIMIT:?} in vain: {what}\n{}", self.text()))
    }

    /// Waits until the screen's text is as wanted, or no longer.
    pub fn wait_at_most(&self, limit: Duration, is_so: impl Fn(&str) -> bool) -> Option<String> {
        let start = clock::monotonic();
        loop {
            let text = self.text();
            if is_so(&text) {
                return Some(text);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a text on the screen.
    pub fn see(&self, wanted: &str) -> String {
        self.wait(wanted, |text| text.contains(wanted))
    }

    /// Waits until a text is no longer on the screen.
    pub fn see_no(&self, unwanted: &str) -> String {
        self.wait(&format!("no {unwanted}"), |text| !text.contains(unwanted))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// A signal by name.
    pub fn signal(&self, name: &str) {
        crate::process::signal(name, self.pid());
    }

    /// The state letter of the process, as `ps` has it.
    pub fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim().chars().next().unwrap()
    }

    /// Seconds of processor time used so far.
    pub fn cpu(&self) -> f64 {
        crate::flood::cpu(self.pid())
    }

    /// The most memory that it occupied so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        crate::flood::memory(self.pid()).1
    }

    /// How often its threads have waited for something, and it came.
    pub fn wakeups(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let wakeups = |task: std::fs::DirEntry| -> Option<u64> {
            let status = std::fs::read_to_string(task.path().join("status")).ok()?;
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse().ok()
        };
        tasks.filter_map(|task| wakeups(task.ok()?)).sum()
    }

    /// Closes the terminal, as a lost SSH connection does. The reader lets go of it with the next
    /// thing that is written.
    pub fn hang_up(&mut self) {
        self.seen.lock().unwrap().closed = true;
        self.keys = None;
        self.master = None;
    }

    /// Waits for the program's end; its exit code.
    pub fn end(&mut self) -> u32 {
        let start = clock::monotonic();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(start.elapsed() < LIMIT, "it goes on:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until all that was written has been read, once the program has ended and none that it
    /// started has the terminal any more.
    pub fn read_to_end(&self) {
        let start = clock::monotonic();
        while !self.seen.lock().unwrap().ended {
            assert!(start.elapsed() < LIMIT, "somebody has the terminal still:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asserts that everything that was taken has been given back.
    pub fn assert_given_back(&self) {
        let start = clock::monotonic();
        let taken = || {
            self.screen(|screen| {
                [
                    (screen.alternate_screen(), "alternate screen"),
                    (screen.hide_cursor(), "hidden cursor"),
                    (screen.bracketed_paste(), "bracketed paste"),
                    (screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None, "mouse"),
                ]
                .into_iter()
                .filter(|(taken, _)| *taken)
                .map(|(_, what)| what)
                .collect::<Vec<_>>()
            })
        };
        while !taken().is_empty() {
            assert!(start.elapsed() < LIMIT, "not given back: {:?}", taken());
            std::thread::sleep(Duration::from_millis(10));
        }
        let termios = self.master.as_ref().and_then(|master| master.get_termios());
        if let Some(termios) = termios {
            use nix::sys::termios::LocalFlags;
            // in numbers, because the pty library has its own version of this crate
            let cooked = (LocalFlags::ICANON | LocalFlags::ECHO).bits();
            assert_eq!(termios.local_flags.bits() & cooked, cooked, "raw mode");
        }
        let leaves = count(&self.bytes(), b"\x1b[?1049l");
        assert_eq!(leaves, count(&self.bytes(), b"\x1b[?1049h"), "given back once each");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How often `needle` stands in `bytes`.
pub fn count(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).filter(|window| *window == needle).count()
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn cells(n: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(n).unwrap()
}
