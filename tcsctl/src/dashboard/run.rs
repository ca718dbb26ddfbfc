//! The loop: wait for one thing, take all that waits, update, draw once.
//!
//! At most 20 frames a second (see `pace`); none where nothing that is seen has changed. Without
//! events there is nothing but a clock that ticks once a second. Nothing here waits for the network.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use tcs_core::clock;
use tokio::sync::mpsc;

use super::event::{Action, Event, Mouse};
use super::pace::{Pace, Wanted};
use super::source::{Clock, Feed, Source};
use super::state::{Options, State};
use super::terminal::Screen;
use super::terminal::input::{self, Input};

/// Batches taken before a frame, however many more wait.
const MOST_BATCHES: usize = 64;

/// Batches that wait for it; behind them messages coalesce by subject.
const WAITING: usize = 8;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Somebody wanted it to.
    Quit,
    /// A signal wanted it to.
    Signal(u8),
    /// Its terminal is gone.
    Gone,
}

/// Why it did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no terminal.
    #[error(
        "the dashboard needs a terminal\nhint: --plain prints a line for each change, --json an object"
    )]
    NoTerminal,
    /// The terminal, or the system, refused something.
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Shows the dashboard until somebody ends it.
pub async fn run(options: Options, source: Source) -> Result<Ended, RunError> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(RunError::NoTerminal);
    }
    let (feed, feeds) = mpsc::channel(WAITING);
    let (input_sender, inputs) = mpsc::channel(256);
    input::listen(&input_sender)?;
    let faults = feed.clone();
    let mouse = options.mouse;
    let screen = Screen::open(mouse, move |text| {
        faults.try_send(Feed::Event(Event::Fault(text))).ok();
    })?;
    let (clock, link) = source.start(&feed);
    let state = State::new(options, link, Screen::size()?, clock.now());
    let mut dashboard = Dashboard { state, screen, source, clock, feed, stopped: false };
    match dashboard.turn(inputs, feeds).await {
        // a terminal that cannot be written to is gone
        Err(_) => Ok(Ended::Gone),
        Ok(ended) => Ok(ended),
    }
}

struct Dashboard {
    state: State,
    screen: Screen,
    source: Source,
    clock: Clock,
    feed: mpsc::Sender<Feed>,
    /// The terminal has been given back, until the process is continued.
    stopped: bool,
}

impl Dashboard {
    async fn turn(
        &mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut feeds: mpsc::Receiver<Feed>,
    ) -> io::Result<Ended> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pace = Pace::default();
        let mut wanted = Some(Wanted::News);
        loop {
            let now = clock::monotonic();
            let next_frame = wanted.map_or(now, |wanted| pace.next(wanted, now));
            let ended = tokio::select! {
                biased;
                Some(input) = inputs.recv() => {
                    wanted = Some(Wanted::Key);
                    self.drain(input, &mut inputs)?
                }
                () = tokio::time::sleep_until(next_frame.into()), if wanted.is_some() => {
                    let written = self.draw()?;
                    let later = self.state.is_stale() && !self.stopped;
                    wanted = later.then_some(Wanted::News);
                    pace.drawn(clock::monotonic(), written);
                    None
                }
                Some(first) = feeds.recv() => {
                    wanted = wanted.max(Some(Wanted::News));
                    let mut next = Some(first);
                    let mut taken = 0;
                    let mut ended = None;
                    while let Some(feed) = next {
                        ended = ended.or(self.take(feed)?);
                        taken += 1;
                        next = if taken < MOST_BATCHES { feeds.try_recv().ok() } else { None };
                    }
                    ended
                }
                _ = tick.tick() => {
                    wanted = wanted.max(Some(Wanted::News));
                    self.update(Event::Tick)?
                }
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Takes an input and all that wait behind it.
    fn drain(
        &mut self,
        first: Input,
        inputs: &mut mpsc::Receiver<Input>,
    ) -> io::Result<Option<Ended>> {
        let mut next = Some(first);
        while let Some(input) = next {
            if let Some(ended) = self.input(input)? {
                return Ok(Some(ended));
            }
            next = inputs.try_recv().ok();
        }
        Ok(None)
    }

    fn input(&mut self, input: Input) -> io::Result<Option<Ended>> {
        let event = match input {
            Input::Key(key) => Event::Key(key),
            Input::Paste(text) => Event::Paste(text),
            Input::Resize => {
                // also where the size is the old one again: who knows what happened in between
                self.screen.forget();
                let (columns, rows) = Screen::size()?;
                Event::Resize(columns, rows)
            }
            Input::Click(x, y) => Event::Mouse(Mouse::Click(self.state.hit(x, y))),
            Input::Wheel(x, y, by) => Event::Mouse(Mouse::Wheel(self.state.hit(x, y), by)),
            Input::Gone => return Ok(Some(Ended::Gone)),
            Input::End(signal) => return Ok(Some(Ended::Signal(signal as u8))),
            Input::Stop => {
                self.stop()?;
                return Ok(None);
            }
            Input::Continue => {
                self.stopped = false;
                self.screen.take()?;
                let (columns, rows) = Screen::size()?;
                Event::Resize(columns, rows)
            }
        };
        let ended = self.update(event)?;
        // the next input is for what is then shown: a row clicked, a filter typed
        self.state.settle(self.clock.now());
        Ok(ended)
    }

    fn take(&mut self, feed: Feed) -> io::Result<Option<Ended>> {
        match feed {
            Feed::Event(event) => self.update(event),
            Feed::Clock(clock) => {
                self.clock = Clock::Broker(clock);
                Ok(None)
            }
        }
    }

    fn update(&mut self, event: Event) -> io::Result<Option<Ended>> {
        for action in self.state.update(event, self.clock.now()) {
            match action {
                Action::Quit => return Ok(Some(Ended::Quit)),
                Action::Suspend => self.stop()?,
                Action::Redraw => self.screen.forget(),
                Action::Copy(text) => self.screen.copy(&text)?,
                Action::Save(text) => {
                    self.update(Event::Saved(save(&text)))?;
                }
                Action::Mouse(on) => self.screen.set_mouse(on)?,
                action @ (Action::Request(_)
                | Action::FetchLogs { .. }
                | Action::DropLogs
                | Action::LoadHistory(_)) => self.source.perform(action, &self.feed),
            }
        }
        Ok(None)
    }

    /// Gives the terminal back and stops, until somebody continues us: then SIGCONT comes.
    fn stop(&mut self) -> io::Result<()> {
        self.stopped = true;
        self.screen.release();
        raise(Signal::SIGSTOP).map_err(io::Error::from)
    }

    /// Draws; whether anything differed from what was shown.
    fn draw(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Ok(false);
        }
        self.state.settle(self.clock.now());
        Ok(self.screen.draw(&self.state)? > 0)
    }
}

/// Writes a document into a new file that only this user can read; where it is, or why nowhere.
fn save(text: &str) -> Result<String, String> {
    let folder = std::env::temp_dir();
    let write = || {
        let mut file = tempfile::Builder::new()
            .prefix("tcsctl-state-")
            .suffix(".json")
            .tempfile_in(&folder)?;
        file.write_all(text.as_bytes())?;
        // only what is whole is left there
        file.keep().map_err(|error| error.error)
    };
    let failed = |error: io::Error| format!("{}: {} (TMPDIR)", error.kind(), folder.display());
    write().map(|(_, path)| path.display().to_string()).map_err(failed)
}
