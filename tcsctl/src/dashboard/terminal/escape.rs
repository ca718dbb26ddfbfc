//! Esc, or the beginning of a key's sequence: slow lines send a sequence in pieces, and some
//! terminals send Esc before it for Alt. Pure.
//!
//! An Esc is held back for a moment (`ESCDELAY` milliseconds, as in ncurses; 100 by default). If
//! the rest of a sequence follows, nothing of it is typed, also where it comes too late to hold
//! back the Esc.

use std::time::{Duration, Instant};

use super::outside::Input;
use crate::dashboard::key::{Code, Key};

/// How long an Esc is held back.
const DELAY: Duration = Duration::from_millis(100);
/// The rest of a sequence comes so soon.
const REST: Duration = Duration::from_millis(300);
/// What comes sooner was sent with the Esc.
const AT_ONCE: Duration = Duration::from_millis(5);

/// How far a sequence is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// Esc, which is held back or was handed on.
    Esc { held: bool },
    /// What opens a sequence, together with the Esc or after it.
    Opened { at_once: bool },
}

/// Takes sequences out of what is typed.
#[derive(Debug)]
pub(super) struct Escape {
    delay: Duration,
    seen: Option<(Instant, Seen)>,
}

impl Escape {
    /// As `ESCDELAY` says.
    pub(super) fn new(escdelay: Option<&str>) -> Self {
        let said = escdelay.and_then(|text| text.parse().ok()).map(Duration::from_millis);
        Self { delay: said.unwrap_or(DELAY).min(REST), seen: None }
    }

    /// What is to be handed on now that this was typed.
    pub(super) fn take(&mut self, input: Input, now: Instant) -> Vec<Input> {
        let typed = match &input {
            Input::Key(Key { code: Code::Char(c), ctrl: false, .. }) => Some(*c),
            _ => None,
        };
        let mut handed = Vec::new();
        match self.seen.filter(|(since, _)| now < *since + REST) {
            Some((since, Seen::Esc { held })) if matches!(typed, Some('[' | 'O')) => {
                let at_once = held && now < since + AT_ONCE;
                self.seen = Some((since, Seen::Opened { at_once }));
                return handed;
            }
            Some((_, Seen::Opened { .. }))
                if typed.is_some_and(|c| c.is_ascii_digit() || ";:<=>?".contains(c)) =>
            {
                return handed;
            }
            Some((_, Seen::Opened { at_once })) if typed.is_some() => {
                self.seen = None;
                let code = typed.and_then(arrow).filter(|_| at_once);
                return code
                    .map(|code| Input::Key(Key { code, ctrl: false, alt: true }))
                    .into_iter()
                    .collect();
            }
            Some(_) | None => {}
        }
        handed.extend(self.release());
        if input == Input::Key(Key { code: Code::Esc, ctrl: false, alt: false }) {
            self.seen = Some((now, Seen::Esc { held: true }));
        } else {
            handed.push(input);
        }
        handed
    }

    /// When [`Escape::expire`] has something to hand on.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.seen? {
            (since, Seen::Esc { held: true }) => Some(since + self.delay),
            (_, Seen::Esc { held: false } | Seen::Opened { .. }) => None,
        }
    }

    /// The Esc, once it was held back long enough.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Input> {
        self.due().filter(|due| *due <= now)?;
        let (since, _) = self.seen?;
        self.seen = Some((since, Seen::Esc { held: false }));
        Some(Input::Key(Key { code: Code::Esc, ctrl: false, alt: false }))
    }

    fn release(&mut self) -> Option<Input> {
        let (_, seen) = self.seen.take()?;
        let esc = Key { code: Code::Esc, ctrl: false, alt: false };
        (seen == Seen::Esc { held: true }).then_some(Input::Key(esc))
    }
}

fn arrow(c: char) -> Option<Code> {
    match c {
        'A' => Some(Code::Up),
        'B' => Some(Code::Down),
        'C' => Some(Code::Right),
        'D' => Some(Code::Left),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tcs_core::clock;

    use super::*;

    /// What is handed on of keys that are typed at these milliseconds, until a second later.
    fn handed(typed: &[(u64, char)]) -> String {
        let begin = clock::monotonic();
        let mut escape = Escape::new(None);
        let mut all = Vec::new();
        let show = |input: Input| match input {
            Input::Key(Key { code: Code::Esc, .. }) => "Esc".to_owned(),
            Input::Key(Key { code: Code::Char(c), .. }) => c.to_string(),
            Input::Key(Key { code, alt, .. }) => {
                format!("{code:?}{}", if alt { "+alt" } else { "" })
            }
            other => format!("{other:?}"),
        };
        for (at, c) in typed.iter().chain(&[(1000, '.')]) {
            let now = begin + Duration::from_millis(*at);
            all.extend(escape.due().filter(|due| *due <= now).and_then(|due| escape.expire(due)));
            let code = if *c == '\x1b' { Code::Esc } else { Code::Char(*c) };
            all.extend(escape.take(Input::Key(Key { code, ctrl: false, alt: false }), now));
        }
        all.into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_sequence_in_pieces_is_not_typed() {
        const ESC: char = '\x1b';
        for (typed, told) in [
            (&[(0, ESC)][..], "Esc ."),
            (&[(0, ESC), (20, 'j')], "Esc j ."),
            (&[(0, ESC), (20, ESC)], "Esc Esc ."),
            (&[(0, ESC), (50, '['), (50, 'A')], "."),
            (&[(0, ESC), (50, 'O'), (60, 'P'), (70, 'j')], "j ."),
            (&[(0, ESC), (9, '['), (9, '1'), (9, ';'), (9, '3'), (9, 'A')], "."),
            // the Esc was handed on before the rest came
            (&[(0, ESC), (200, '['), (201, 'A'), (202, 'k')], "Esc k ."),
            // somebody typed it
            (&[(0, ESC), (400, '['), (500, 'A')], "Esc [ A ."),
            (&[(0, ESC), (50, '['), (400, 'j')], "j ."),
            // Alt and an arrow, of some terminals: both are sent at once
            (&[(0, ESC), (0, '['), (0, 'A')], "Up+alt ."),
            (&[(0, ESC), (0, ESC), (0, '['), (0, 'D')], "Esc Left+alt ."),
        ] {
            assert_eq!(handed(typed), told, "{typed:?}");
        }
    }

    #[test]
    fn the_delay_can_be_set() {
        let begin = clock::monotonic();
        for (said, delay) in
            [(None, 100), (Some("25"), 25), (Some("soon"), 100), (Some("9999"), 300)]
        {
            let mut escape = Escape::new(said);
            escape.take(Input::Key(Key { code: Code::Esc, ctrl: false, alt: false }), begin);
            assert_eq!(escape.due(), Some(begin + Duration::from_millis(delay)), "{said:?}");
        }
    }
}
