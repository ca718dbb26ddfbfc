//! What comes from the terminal and from the system: keys, signals, and its end.

use std::io;
use std::os::fd::AsFd as _;

use crossterm::event::{
    self as raw, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Sender;

use crate::dashboard::key::{Code, Key};

/// Something from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// Pasted text.
    Paste(String),
    /// The left button, at this column and row.
    Click(u16, u16),
    /// The wheel, at this column and row, down is positive.
    Wheel(u16, u16, i32),
    /// Perhaps another size: the terminal itself tells which.
    Resize,
    /// The terminal is gone.
    Gone,
    /// Told to end, by this signal.
    End(Signal),
    /// Told to stop, as by ctrl-z.
    Stop,
    /// Goes on after a stop.
    Continue,
}

/// Starts listening to everything. Nothing of it is ever waited for: a thread that reads from a
/// terminal that is gone may never return (crossterm's issue 793).
pub fn listen(inputs: &Sender<Input>) -> io::Result<()> {
    let keys = inputs.clone();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&keys))?;
    let end = inputs.clone();
    std::thread::Builder::new().name("hang-up".to_owned()).spawn(move || watch_terminal(&end))?;
    for number in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        on_signal(inputs, number, Input::End(number))?;
    }
    // not by crossterm's own event: it loses a notice that comes together with a key
    on_signal(inputs, Signal::SIGWINCH, Input::Resize)?;
    on_signal(inputs, Signal::SIGTSTP, Input::Stop)?;
    on_signal(inputs, Signal::SIGCONT, Input::Continue)
}

fn on_signal(inputs: &Sender<Input>, number: Signal, input: Input) -> io::Result<()> {
    let mut signals = signal(SignalKind::from_raw(number as i32))?;
    let inputs = inputs.clone();
    tokio::spawn(async move {
        while signals.recv().await.is_some() && inputs.send(input.clone()).await.is_ok() {}
    });
    Ok(())
}

fn read_keys(inputs: &Sender<Input>) {
    while let Ok(event) = raw::read() {
        if let Some(input) = translate(event)
            && inputs.blocking_send(input).is_err()
        {
            return;
        }
    }
    inputs.blocking_send(Input::Gone).ok();
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
