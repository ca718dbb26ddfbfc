//! What comes from the terminal and from the system: keys, signals, and its end.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crossterm::event::{
    self as raw, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tcs_core::clock;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Sender;

use super::escape::Escape;
use crate::dashboard::key::{Code, Key};

pub use super::outside::Input;

/// How long the thread that reads keys may take to leave them to another program.
const HAND_OVER: Duration = Duration::from_millis(500);

/// How long the rest of a sequence of keys is waited for; with no time at all the library reads nothing.
const REST: Duration = Duration::from_millis(2);

/// The thread that reads keys, as far as it can be told to leave them to another program.
#[derive(Debug)]
pub struct Keys {
    control: UnixStream,
    left: Receiver<()>,
}

impl Keys {
    /// Leaves what is typed to another program; `false`: that is not possible now.
    pub fn leave(&mut self) -> bool {
        self.control.write_all(b"l").is_ok() && self.left.recv_timeout(HAND_OVER).is_ok()
    }

    /// Reads what is typed again.
    pub fn take(&mut self) {
        self.control.write_all(b"t").ok();
    }
}

/// Starts listening to everything. Nothing of it is ever waited for: a thread that reads from a
/// terminal that is gone may never return (crossterm's issue 793).
pub fn listen(inputs: &Sender<Input>) -> io::Result<Keys> {
    let (control, controlled) = UnixStream::pair()?;
    let (leaves, left) = std::sync::mpsc::channel();
    let keys = inputs.clone();
    let read = move || read_keys(&keys, controlled, &leaves);
    std::thread::Builder::new().name("keys".to_owned()).spawn(read)?;
    let end = inputs.clone();
    std::thread::Builder::new().name("hang-up".to_owned()).spawn(move || watch_terminal(&end))?;
    for number in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        on_signal(inputs, number, Input::End(number))?;
    }
    // not by crossterm's own event: it loses a notice that comes together with a key
    on_signal(inputs, Signal::SIGWINCH, Input::Resize)?;
    on_signal(inputs, Signal::SIGTSTP, Input::Stop)?;
    on_signal(inputs, Signal::SIGCONT, Input::Continue)?;
    Ok(Keys { control, left })
}

fn on_signal(inputs: &Sender<Input>, number: Signal, input: Input) -> io::Result<()> {
    let mut signals = signal(SignalKind::from_raw(number as i32))?;
    let inputs = inputs.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() && inputs.send(input.clone()).await.is_ok() {}
    });
    Ok(())
}

/// Reads keys until the terminal or the dashboard is gone. It reads only what is there, so that it
/// can leave the next key to another program at any time.
fn read_keys(inputs: &Sender<Input>, mut control: UnixStream, leaves: &mpsc::Sender<()>) {
    let terminal = io::stdin();
    let mut escape = Escape::new(std::env::var("ESCDELAY").ok().as_deref());
    loop {
        let mut polled = [
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut polled, until(escape.due())) {
            Ok(0) => {
                if let Some(input) = escape.expire(clock::monotonic())
                    && inputs.blocking_send(input).is_err()
                {
                    return;
                }
                continue;
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => break,
        }
        let [typed, told] = polled.map(|it| it.revents().unwrap_or(PollFlags::empty()));
        if !told.is_empty() {
            // one byte to leave the terminal, the next to take it again
            let mut word = [0];
            if control.read_exact(&mut word).is_err()
                || leaves.send(()).is_err()
                || control.read_exact(&mut word).is_err()
            {
                return;
            }
        } else if typed.contains(PollFlags::POLLIN) {
            match read_typed(inputs, &mut escape) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => break,
            }
        } else if !typed.is_empty() {
            break;
        }
    }
    inputs.blocking_send(Input::Gone).ok();
}

/// Reads what is typed; `false`: nobody wants it any more.
fn read_typed(inputs: &Sender<Input>, escape: &mut Escape) -> io::Result<bool> {
    while raw::poll(REST)? {
        let Some(input) = translate(raw::read()?) else { continue };
        for input in escape.take(input, clock::monotonic()) {
            if inputs.blocking_send(input).is_err() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A wait until then; a millisecond is begun, not cut off.
fn until(due: Option<Instant>) -> PollTimeout {
    let Some(due) = due else { return PollTimeout::NONE };
    let left = due.saturating_duration_since(clock::monotonic()) + Duration::from_micros(999);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// Sleeps until the terminal hangs up: nothing is asked of the poll but that.
fn watch_terminal(inputs: &Sender<Input>) {
    let input = io::stdin();
    loop {
        let mut polled = [PollFd::new(input.as_fd(), PollFlags::empty())];
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    inputs.blocking_send(Input::Gone).ok();
}

fn translate(event: raw::Event) -> Option<Input> {
    match event {
        raw::Event::Key(key) => {
            if key.kind == KeyEventKind::Release {
                return None;
            }
            let code = match key.code {
                KeyCode::Char(c) => Code::Char(c),
                KeyCode::Enter => Code::Enter,
                KeyCode::Esc => Code::Esc,
                KeyCode::Tab => Code::Tab,
                KeyCode::BackTab => Code::BackTab,
                KeyCode::Backspace => Code::Backspace,
                KeyCode::Delete => Code::Delete,
                KeyCode::Up => Code::Up,
                KeyCode::Down => Code::Down,
                KeyCode::Left => Code::Left,
                KeyCode::Right => Code::Right,
                KeyCode::Home => Code::Home,
                KeyCode::End => Code::End,
                KeyCode::PageUp => Code::PageUp,
                KeyCode::PageDown => Code::PageDown,
                KeyCode::F(n) => Code::F(n),
                _ => return None,
            };
            let has = |modifier| key.modifiers.contains(modifier);
            let (ctrl, alt) = (has(KeyModifiers::CONTROL), has(KeyModifiers::ALT));
            Some(Input::Key(Key { code, ctrl, alt }))
        }
        raw::Event::Paste(text) => Some(Input::Paste(text)),
        raw::Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Some(Input::Click(mouse.column, mouse.row)),
            MouseEventKind::ScrollUp => Some(Input::Wheel(mouse.column, mouse.row, -3)),
            MouseEventKind::ScrollDown => Some(Input::Wheel(mouse.column, mouse.row, 3)),
            _ => None,
        },
        raw::Event::Resize(..) | raw::Event::FocusGained | raw::Event::FocusLost => None,
    }
}
