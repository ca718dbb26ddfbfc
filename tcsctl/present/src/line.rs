//! Lines of styled text: what everything is made of before it is printed. Pure, so that golden
//! tests can hold text and colour together.

use std::fmt::Write as _;

use super::symbols::ELLIPSIS;
use super::{Role, text};

/// A run of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    text: String,
    role: Role,
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
    pub fn push(&mut self, role: Role, text: &str) -> &mut Self {
        let text = text::shown(text);
        if text.is_empty() {
            return self;
        }
        match self.spans.last_mut() {
            Some(last) if last.role == role => last.text.push_str(&text),
            _ => self.spans.push(Span { text: text.into_owned(), role }),
        }
        self
    }

    /// [`Line::push`], for building in one expression.
    #[must_use]
    pub fn with(mut self, role: Role, text: &str) -> Self {
        self.push(role, text);
        self
    }

    /// Adds another line's runs.
    pub fn extend(&mut self, line: Self) -> &mut Self {
        for span in line.spans {
            match self.spans.last_mut() {
                Some(last) if last.role == span.role => last.text.push_str(&span.text),
                _ => self.spans.push(span),
            }
        }
        self
    }

    /// Adds blanks until it is `width` cells wide.
    pub fn pad_to(&mut self, width: usize) -> &mut Self {
        let missing = width.saturating_sub(self.width());
        self.push(Role::Text, &" ".repeat(missing))
    }

    /// Cells it takes on a terminal.
    pub fn width(&self) -> usize {
        self.spans.iter().map(|span| text::width(&span.text)).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Cut to `width` cells; what is cut ends in an ellipsis.
    #[must_use]
    pub fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let room = width.saturating_sub(text::width(ELLIPSIS));
        let mut line = Self::new();
        let mut used = 0;
        for Span { text, role } in self.spans {
            let wide = text::width(&text);
            if used + wide <= room {
                used += wide;
                line.push(role, &text);
                continue;
            }
            line.push(role, text::head(&text, room - used));
            line.push(role, text::head(ELLIPSIS, width));
            break;
        }
        line
    }

    /// On several lines of `width` cells, `most` of them, each but the first behind `indent` blanks.
    #[must_use]
    pub fn wrap(self, width: usize, indent: usize, most: usize) -> Vec<Self> {
        let mut lines = Vec::new();
        // a megabyte is not carried from line to line
        let mut rest = self.cut(width.saturating_mul(most));
        // so narrow that nothing would be left of a line
        let most = if indent * 2 > width { 1 } else { most };
        while rest.width() > width && lines.len() + 1 < most {
            let (line, after) = rest.split(width, indent);
            lines.push(line);
            rest = Self::new();
            rest.pad_to(indent).extend(after);
        }
        lines.push(rest.cut(width));
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
        for Span { text, role } in self.spans {
            let here = at.min(text.len());
            line.push(role, &text[..here]);
            let after = &text[here..];
            rest.push(role, if rest.is_empty() { after.trim_start() } else { after });
            at -= here;
        }
        (line, rest)
    }

    /// As text alone.
    pub fn plain(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect::<String>().trim_end().to_owned()
    }

    /// Its runs of text, each of one role.
    pub fn spans(&self) -> impl Iterator<Item = (&str, Role)> {
        self.spans.iter().map(|span| (&*span.text, span.role))
    }

    /// With the roles written out: `<bad|× tic_bridge>`, for golden files.
    pub fn marked(&self) -> String {
        let mut out = String::new();
        for Span { text, role } in &self.spans {
            match role {
                Role::Text => out.push_str(text),
                role => {
                    let _ = write!(out, "<{}|{text}>", role.name());
                }
            }
        }
        out.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_that_is_wrapped_only_what_is_shown_is_looked_at() {
        let wrapped = |length: usize| {
            let line = Line::new().with(Role::Text, &"wind é".repeat(length));
            line.wrap(80, 10, 200).iter().map(Line::plain).collect::<Vec<_>>()
        };
        let lines = wrapped(4000);
        assert_eq!(lines.len(), 200);
        assert!(lines[199].ends_with(ELLIPSIS), "{}", lines[199]);
        // each as long as fits: it would take minutes
        assert_eq!(wrapped(400_000), lines);
    }
}
