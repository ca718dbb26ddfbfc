//! The signs that are drawn: Unicode, or ASCII for a terminal that has nothing else. No emoji, no
//! variation selectors, no braille: each is one cell wide on every terminal. Those of the verdicts
//! are the list's own, in `output::symbols`.

/// A set of signs, all one cell wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Whether text, too, must be ASCII.
    pub ascii: bool,
    /// What was cut.
    pub ellipsis: &'static str,
    /// A vertical line.
    pub bar: &'static str,
    /// A horizontal line.
    pub rule: &'static str,
    /// Where a vertical line hangs from a horizontal one, and stands on one.
    pub tees: [&'static str; 2],
    /// Corners of a frame: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// In a tree: has a next sibling, is the last, passes by.
    pub tree: [&'static str; 3],
    /// Folded, unfolded.
    pub fold: [&'static str; 2],
    /// A heartbeat that came, and one that did not.
    pub beat: [&'static str; 2],
    /// Eight heights for small curves.
    pub heights: [&'static str; 8],
    /// Sorted downwards, upwards.
    pub sorted: [&'static str; 2],
    /// Between short facts.
    pub dot: &'static str,
    /// From one to another.
    pub arrow: &'static str,
    /// Where the picture stands in time, on a line.
    pub thumb: &'static str,
}

/// For terminals with UTF-8.
pub const UNICODE: Glyphs = Glyphs {
    ascii: false,
    ellipsis: "…",
    bar: "│",
    rule: "─",
    tees: ["┬", "┴"],
    corners: ["┌", "┐", "└", "┘"],
    tree: ["├", "└", "│"],
    fold: ["▸", "▾"],
    beat: ["│", "·"],
    heights: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    sorted: ["▾", "▴"],
    dot: "·",
    arrow: "→",
    thumb: "█",
};

/// For all others.
pub const ASCII: Glyphs = Glyphs {
    ascii: true,
    ellipsis: "~",
    bar: "|",
    rule: "-",
    tees: ["+", "+"],
    corners: ["+", "+", "+", "+"],
    tree: ["|", "`", "|"],
    fold: [">", "v"],
    beat: ["|", "."],
    heights: ["_", "_", ".", ".", "-", "-", "=", "#"],
    sorted: ["v", "^"],
    dot: ",",
    arrow: ">",
    thumb: "#",
};

impl Glyphs {
    /// The set for a terminal.
    pub const fn new(ascii: bool) -> Self {
        if ascii { ASCII } else { UNICODE }
    }
}
