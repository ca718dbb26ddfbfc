//! Lines of styled text: what everything is made of before it is printed. Pure, so that golden
//! tests can hold text and colour together.

use std::borrow::Cow;
use std::fmt::Write as _;

use owo_colors::{OwoColorize, Style};

use super::text;

/// What a piece of text is, and by that its colour. The colours are the terminal's own sixteen, so
/// that light and dark both work; no meaning is told by colour alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Of less weight.
    Dim,
    /// Of more weight.
    Strong,
    /// Green: well.
    Good,
    /// Yellow: wants attention.
    Warn,
    /// Red: broken.
    Bad,
    /// Cyan: changing.
    Moving,
}

impl Tone {
    fn paint(self) -> Style {
        let style = Style::new();
        match self {
            Self::Plain => style,
            Self::Dim => style.dimmed(),
            Self::Strong => style.bold(),
            Self::Good => style.green(),
            Self::Warn => style.yellow(),
            Self::Bad => style.red(),
            Self::Moving => style.cyan(),
        }
    }

    /// Its name in golden files.
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Dim => "dim",
            Self::Strong => "strong",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Moving => "moving",
        }
    }
}

/// A run of one tone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    text: String,
    tone: Tone,
}

/// One line, without its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    spans: Vec<Span>,
}

impl Line {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text. Whatever it is, it comes out harmless ([`text::shown`]): what the network says is
    /// data, and there is no other way into a line.
    pub fn push(&mut self, tone: Tone, text: &str) -> &mut Self {
        let text = text::shown(text);
        if text.is_empty() {
            return self;
        }
        match self.spans.last_mut() {
            Some(last) if last.tone == tone => last.text.push_str(&text),
            _ => self.spans.push(Span { text: text.into_owned(), tone }),
        }
        self
    }

    /// [`Line::push`], for building in one expression.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: &str) -> Self {
        self.push(tone, text);
        self
    }

    /// Adds another line's runs.
    pub fn extend(&mut self, line: Self) -> &mut Self {
        for span in line.spans {
            match self.spans.last_mut() {
                Some(last) if last.tone == span.tone => last.text.push_str(&span.text),
                _ => self.spans.push(span),
            }
        }
        self
    }

    /// Adds blanks until it is `width` cells wide.
    pub fn pad_to(&mut self, width: usize) -> &mut Self {
        let missing = width.saturating_sub(self.width());
        self.push(Tone::Plain, &" ".repeat(missing))
    }

    /// Cells it takes on a terminal.
    pub fn width(&self) -> usize {
        self.spans.iter().map(|span| text::width(&span.text)).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Cut to `width` cells; what is cut ends in `ellipsis`.
    #[must_use]
    pub fn cut(self, width: usize, ellipsis: &str) -> Self {
        if self.width() <= width {
            return self;
        }
        let room = width.saturating_sub(text::width(ellipsis));
        let mut line = Self::new();
        let mut used = 0;
        for Span { text, tone } in self.spans {
            let wide = text::width(&text);
            if used + wide <= room {
                used += wide;
                line.push(tone, &text);
                continue;
            }
            line.push(tone, text::head(&text, room - used));
            line.push(tone, text::head(ellipsis, width));
            break;
        }
        line
    }

    /// On several lines of `width` cells, `most` of them, each but the first behind `indent` blanks.
    #[must_use]
    pub fn wrap(self, width: usize, indent: usize, most: usize) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut rest = self;
        // so narrow that nothing would be left of a line
        let most = if indent * 2 > width { 1 } else { most };
        while rest.width() > width && lines.len() + 1 < most {
            let (line, after) = rest.split(width, indent);
            lines.push(line);
            rest = Self::new();
            rest.pad_to(indent).extend(after);
        }
        lines.push(rest.cut(width, "…"));
        lines
    }

    /// The first `width` cells, up to a blank behind `from` if there is one near the end, and the
    /// rest.
    fn split(self, width: usize, from: usize) -> (Self, Self) {
        let text: String = self.spans.iter().map(|span| span.text.as_str()).collect();
        let mut at = text::head(&text, width).len();
        if let Some(blank) = text[..at].rfind(' ')
            && text::width(&text[..blank]) > from.max(width / 2)
        {
            at = blank;
        }
        let (mut line, mut rest) = (Self::new(), Self::new());
        for Span { text, tone } in self.spans {
            let here = at.min(text.len());
            line.push(tone, &text[..here]);
            let after = &text[here..];
            rest.push(tone, if rest.is_empty() { after.trim_start() } else { after });
            at -= here;
        }
        (line, rest)
    }

    /// As text alone.
    pub fn plain(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect::<String>().trim_end().to_owned()
    }

    /// For a terminal: with escape sequences where `color`, in ASCII alone where `ascii`.
    pub fn render(&self, color: bool, ascii: bool) -> String {
        let mut out = String::new();
        for Span { text, tone } in &self.spans {
            let text = if ascii { text::ascii(text) } else { Cow::Borrowed(text.as_str()) };
            let _ = match tone {
                Tone::Plain => write!(out, "{text}"),
                tone if color => write!(out, "{}", text.style(tone.paint())),
                _ => write!(out, "{text}"),
            };
        }
        out.truncate(out.trim_end_matches(' ').len());
        out
    }

    /// With the tones written out: `<bad|× tic_bridge>`, for golden files.
    pub fn marked(&self) -> String {
        let mut out = String::new();
        for Span { text, tone } in &self.spans {
            match tone {
                Tone::Plain => out.push_str(text),
                tone => {
                    let _ = write!(out, "<{}|{text}>", tone.name());
                }
            }
        }
        out.trim_end().to_owned()
    }
}
