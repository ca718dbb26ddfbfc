//! The loop: wait for one thing, take all that waits, update, draw once.
//!
//! At most 20 frames a second (see `pace`); none where nothing that is seen has changed. Without
//! events there is nothing but a clock that ticks once a second. Nothing here waits for the network.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, raise};
use tcs_core::clock;
use tokio::sync::mpsc;

use super::event::{Action, Event, Mouse};
use super::foreground::{Finished, Foreground};
use super::pace::{Pace, Wanted};
use super::source::{Clock, Feed, Source};
use super::state::{Options, State};
use super::terminal::Screen;
use super::terminal::input::{self, Input, Keys};

/// A log is searched for so long before keys and news have their turn again.
const SEARCH: Duration = Duration::from_millis(5);

/// Batches taken before a frame, however many more wait.
const MOST_BATCHES: usize = 64;

/// Batches that wait for it; behind them messages coalesce by subject.
const WAITING: usize = 8;

/// An interrupt that comes so soon after a program's end was meant for the program. With the
/// terminal ours again Ctrl-C is a key, so that only another process could send one.
const LATE_INTERRUPT: Duration = Duration::from_secs(2);

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
    let keys = input::listen(&input_sender)?;
    let faults = feed.clone();
    let mouse = options.mouse;
    let bell = options.bell;
    let mut screen = Screen::open(mouse, move |text| {
        faults.try_send(Feed::Event(Event::Fault(text))).ok();
    })?;
    screen.set_bell(bell);
    let (clock, link) = source.start(&feed);
    let state = State::new(options, link, Screen::size()?, clock.now());
    let mut dashboard = Dashboard {
        state,
        screen,
        source,
        clock,
        feed,
        keys,
        stopped: false,
        foreground: None,
        foreground_ended: None,
        waits: false,
    };
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
    keys: Keys,
    /// The terminal has been given back, until the process is continued, or a program ends.
    stopped: bool,
    /// The program that has it.
    foreground: Option<Foreground>,
    /// When the last one ended.
    foreground_ended: Option<Instant>,
    /// What that has written stays until a key is pressed.
    waits: bool,
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
                    wanted = self.state.wanted().filter(|_| !self.stopped);
                    pace.drawn(clock::monotonic(), written, wanted);
                    None
                }
                Some(first) = feeds.recv() => {
                    let mut next = Some(first);
                    let mut taken = 0;
                    let mut ended = None;
                    while let Some(feed) = next {
                        let asks = if feed.is_beat() { Wanted::Beat } else { Wanted::News };
                        wanted = wanted.max(Some(asks));
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
                finished = finished(&mut self.foreground) => {
                    wanted = Some(Wanted::Key);
                    self.foreground_finished(finished)?
                }
                () = std::future::ready(()), if self.state.logs.is_searching() => {
                    wanted = wanted.max(Some(Wanted::News));
                    let begun = clock::monotonic();
                    while self.state.logs.is_searching() && begun.elapsed() < SEARCH {
                        self.state.search_on();
                    }
                    // the other tasks have their turn
                    tokio::task::yield_now().await;
                    None
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
        let interrupted = matches!(input, Input::End(Signal::SIGINT | Signal::SIGQUIT));
        if interrupted && self.interrupts_program() {
            return Ok(None);
        }
        if self.foreground.is_some() {
            if matches!(input, Input::Continue) {
                return Ok(None);
            }
        } else if self.waits && (interrupted || matches!(input, Input::Key(_) | Input::Paste(_))) {
            self.waits = false;
            return self.take_back();
        }
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
            Input::Continue => return self.take_back(),
        };
        let ended = self.update(event)?;
        // the next input is for what is then shown: a row clicked, a filter typed
        self.settle();
        Ok(ended)
    }

    /// Whether Ctrl-C and Ctrl-\ are for a program that has the terminal. Both processes get the
    /// signal, and the program's end may be seen before it.
    fn interrupts_program(&self) -> bool {
        self.foreground.is_some()
            || self.foreground_ended.is_some_and(|ended| ended.elapsed() < LATE_INTERRUPT)
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
                Action::SaveLog(name) => {
                    let saved = save_log(&self.state, &name);
                    self.update(Event::Saved(saved))?;
                }
                Action::Mouse(on) => self.screen.set_mouse(on)?,
                Action::Run(program) => self.give_to(|_| Foreground::start(program))?,
                Action::PageLog => self.give_to(|state| Foreground::page(state.log_lines()))?,
                action @ (Action::Request(_)
                | Action::AskProfiles(_)
                | Action::PlanProfile { .. }
                | Action::FetchLogs { .. }
                | Action::Explain(_)
                | Action::AskUsage { .. }
                | Action::DropLogs
                | Action::LoadHistory(_)
                | Action::ReadTimeline(_)
                | Action::Alarm(_)) => self.source.perform(action, &self.feed),
            }
        }
        Ok(None)
    }

    /// Takes the terminal again.
    fn take_back(&mut self) -> io::Result<Option<Ended>> {
        self.stopped = false;
        self.screen.take()?;
        let (columns, rows) = Screen::size()?;
        let ended = self.update(Event::Resize(columns, rows))?;
        self.state.settle(self.clock.now());
        Ok(ended)
    }

    /// Gives the terminal to a program.
    fn give_to(
        &mut self,
        start: impl FnOnce(&State) -> Result<Foreground, String>,
    ) -> io::Result<()> {
        if !self.keys.leave() {
            return self.tell("keys are being typed: not run".to_owned());
        }
        self.stopped = true;
        self.screen.release();
        match start(&self.state) {
            Ok(foreground) => self.foreground = Some(foreground),
            Err(why) => {
                self.keys.take();
                self.take_back()?;
                self.tell(why)?;
            }
        }
        Ok(())
    }

    fn foreground_finished(&mut self, finished: Finished) -> io::Result<Option<Ended>> {
        self.foreground = None;
        self.foreground_ended = Some(clock::monotonic());
        self.keys.take();
        let Finished { told, failed, waits } = finished;
        if waits {
            self.waits = true;
            Screen::say(&format!("\r\n[{told}; Enter returns to the dashboard] "))?;
            return Ok(None);
        }
        if failed {
            self.tell(told)?;
        }
        self.take_back()
    }

    fn tell(&mut self, why: String) -> io::Result<()> {
        self.update(Event::NotRun(why)).map(drop)
    }

    /// Gives the terminal back and stops, until somebody continues us: then SIGCONT comes.
    fn stop(&mut self) -> io::Result<()> {
        self.stopped = true;
        self.screen.release();
        raise(Signal::SIGSTOP).map_err(io::Error::from)
    }

    /// Brings what is shown up to date; a large picture is made by another thread.
    fn settle(&mut self) {
        let Some(order) = self.state.settle(self.clock.now()) else { return };
        let feed = self.feed.clone();
        tokio::spawn(async move {
            // a panic in it has been reported already
            let made = tokio::task::spawn_blocking(move || Box::new(order.make())).await.ok();
            feed.send(Feed::Event(Event::Picture(made))).await.ok();
        });
    }

    /// Draws; whether anything differed from what was shown.
    fn draw(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Ok(false);
        }
        self.settle();
        if let Some(text) = self.state.alarms.take_ring() {
            self.screen.ring(&text)?;
        }
        Ok(self.screen.draw(&self.state)? > 0)
    }
}

/// What came of the program that has the terminal; never, where none has it.
async fn finished(foreground: &mut Option<Foreground>) -> Finished {
    match foreground {
        Some(foreground) => foreground.finished().await,
        None => std::future::pending().await,
    }
}

/// Writes the lines of the log that are shown into a new file in the working directory, which only
/// this user can read; where it is, or why nowhere.
fn save_log(state: &State, name: &str) -> Result<String, String> {
    let write = || {
        let options = File::options().write(true).create_new(true).mode(0o600).open(name)?;
        let mut file = BufWriter::new(options);
        for line in state.log_lines() {
            writeln!(file, "{line}")?;
        }
        file.flush()
    };
    let saved = write().map_err(|error| format!("{name}: {error}"));
    saved.map(|()| std::path::absolute(name).map_or(name.to_owned(), |it| it.display().to_string()))
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
