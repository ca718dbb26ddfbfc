//! The terminal: taken once, given back once, whatever happens.
//!
//! [`Screen`] is the guard. It gives the terminal back when it is dropped, when the thread that
//! draws panics (before the message is printed), and around a stop by ctrl-z. A panic of any other
//! thread is only told: the screen is not theirs.
//!
//! A frame is written at once, inside the marks of a synchronised update (DEC 2026, unknown marks
//! are ignored), and only if a cell differs from what is shown.

mod escape;
pub mod input;
mod outside;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::{Command as _, terminal as raw};
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::bell::Bell;
use super::state::State;
use super::view;

/// Alternate screen, no cursor, bracketed paste.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J\x1b[H";
/// Everything back, the mouse too, whether it was taken or not.
const LEAVE: &[u8] =
    b"\x1b[?2026l\x1b[?1000l\x1b[?1006l\x1b[?2004l\x1b[0m\x1b[2J\x1b[?1049l\x1b[?25h";
/// Clicks and the wheel, not every movement.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1000l\x1b[?1006l";
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";
/// Longer texts are not put on the clipboard: terminals drop them.
const MOST_COPIED: usize = 64 * 1024;

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal in full-screen mode; restored when this is dropped.
pub struct Screen {
    frame: Vec<u8>,
    shown: Buffer,
    next: Buffer,
    mouse: bool,
    bell: Bell,
}

impl Screen {
    /// Takes the terminal. `tell` gets the panics of threads that do not draw.
    pub fn open(mouse: bool, tell: impl Fn(String) + Send + Sync + 'static) -> io::Result<Self> {
        // colours are stripped by the theme, see there
        crossterm::style::force_color_output(true);
        let drawing = std::thread::current().id();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if TAKEN.load(Ordering::SeqCst) && std::thread::current().id() != drawing {
                tell(info.to_string());
            } else {
                give_back();
                before(info);
            }
        }));
        let empty = Buffer::empty(Rect::ZERO);
        let mut screen = Self {
            frame: Vec::new(),
            shown: empty.clone(),
            next: empty,
            mouse,
            bell: Bell::default(),
        };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal, again after [`Screen::release`].
    pub fn take(&mut self) -> io::Result<()> {
        // a shell that continues us has set its own modes, of which the library knows nothing
        raw::disable_raw_mode()?;
        raw::enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let mut out = ENTER.to_vec();
        if self.mouse {
            out.extend_from_slice(MOUSE_ON);
        }
        write(&out)?;
        self.forget();
        Ok(())
    }

    /// Gives it back for a while.
    pub fn release(&mut self) {
        give_back();
    }

    /// Writes a line of ours below what a program has written that had the terminal.
    pub fn say(text: &str) -> io::Result<()> {
        write(text.as_bytes())
    }

    /// Columns and rows.
    pub fn size() -> io::Result<(u16, u16)> {
        raw::size()
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub fn set_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        write(if mouse { MOUSE_ON } else { MOUSE_OFF })
    }

    /// How a new alarm is signalled.
    pub fn set_bell(&mut self, bell: Bell) {
        self.bell = bell;
    }

    /// Tells of a new alarm, as far as that is switched on.
    pub fn ring(&mut self, text: &str) -> io::Result<()> {
        let sequence = self.bell.sequence(text, std::env::var_os("TMUX").is_some());
        if sequence.is_empty() { Ok(()) } else { write(sequence.as_bytes()) }
    }

    /// Forgets what is shown, so that everything is drawn anew.
    pub fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Shows the state; returns the bytes that it took: none where nothing differs.
    pub fn draw(&mut self, state: &State) -> io::Result<usize> {
        let area = Rect::new(0, 0, state.size.0, state.size.1);
        let all = self.shown.area != area;
        self.next.resize(area);
        self.next.reset();
        view::draw(state, &mut self.next);
        if all {
            self.shown = Buffer::empty(area);
        }
        let changes = self.shown.diff(&self.next);
        if changes.is_empty() && !all {
            return Ok(0);
        }
        self.frame.clear();
        self.frame.extend_from_slice(FRAME_BEGINS);
        if all {
            self.frame.extend_from_slice(b"\x1b[0m\x1b[2J");
        }
        CrosstermBackend::new(&mut self.frame).draw(changes.into_iter())?;
        self.frame.extend_from_slice(FRAME_ENDS);
        write(&self.frame)?;
        std::mem::swap(&mut self.shown, &mut self.next);
        Ok(self.frame.len())
    }

    /// Puts a text on the clipboard of the person's own terminal (OSC 52), through tmux too.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut end = text.len().min(MOST_COPIED);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut sequence = String::new();
        CopyToClipboard::to_clipboard_from(&text[..end])
            .write_ansi(&mut sequence)
            .map_err(io::Error::other)?;
        write(sequence.as_bytes())?;
        if std::env::var_os("TMUX").is_some() {
            let inner = sequence.replace('\x1b', "\x1b\x1b");
            write(format!("\x1bPtmux;{inner}\x1b\\").as_bytes())?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours. Errors mean that it is gone, and then nobody misses it.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        write(LEAVE).ok();
        raw::disable_raw_mode().ok();
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
