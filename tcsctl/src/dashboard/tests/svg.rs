//! A screen as a picture: SVG, each glyph at its own place, so that columns line up in any font.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

/// Pixels of a cell.
const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 12.0;

/// What the terminal's own colours are in the pictures.
const SIXTEEN: [&str; 16] = [
    "#1d2128", "#e5534b", "#57ab5a", "#d9a93f", "#539bf5", "#b083f0", "#39c5cf", "#c9d1d9",
    "#636e7b", "#ff938a", "#6bc46d", "#ecc664", "#6cb6ff", "#dcbdfb", "#56d4dd", "#ffffff",
];
const GROUND: &str = "#14171c";
const TEXT: &str = "#c9d1d9";

/// Where a picture begins; `below`: pixels below the screen.
fn begin((w, h): (u16, u16), below: f32, title: &str) -> String {
    let (width, height) =
        (f32::from(w) * CELL.0 + 2.0 * MARGIN, f32::from(h) * CELL.1 + 2.0 * MARGIN + below);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n",
        escaped(title)
    )
}

/// The picture of a screen.
pub(super) fn picture(buffer: &Buffer, title: &str) -> String {
    let mut out = begin((buffer.area.width, buffer.area.height), 0.0, title);
    screen(&mut out, buffer);
    out.push_str("</svg>\n");
    out
}

/// One of the screens of [`animation`].
pub(super) struct Frame {
    /// What is shown.
    pub(super) buffer: Buffer,
    /// What is said below it.
    pub(super) caption: &'static str,
    /// For how many seconds.
    pub(super) seconds: f32,
}

/// Screens one after another, again and again. Who wants no motion sees the first.
pub(super) fn animation(frames: &[Frame], title: &str) -> String {
    let area = frames[0].buffer.area;
    let mut out = begin((area.width, area.height), 2.0 * CELL.1, title);
    let all: f32 = frames.iter().map(|frame| frame.seconds).sum();
    let mut style = String::new();
    let mut begins = 0.0;
    for (i, frame) in frames.iter().enumerate() {
        let part = |seconds: f32| seconds / all * 100.0;
        let (from, to) = (part(begins), part(begins + frame.seconds));
        begins += frame.seconds;
        let hidden = if i == 0 { "" } else { "0%{visibility:hidden}" };
        let _ = writeln!(
            style,
            "#f{i}{{animation:k{i} {all}s step-end infinite{}}}\n\
             @keyframes k{i}{{{hidden}{from:.2}%{{visibility:visible}}{to:.2}%{{visibility:hidden}}}}",
            if i == 0 { "" } else { ";visibility:hidden" },
        );
    }
    let still = "@media (prefers-reduced-motion:reduce){g{animation:none!important}}";
    let _ = writeln!(out, "<style>\n{style}{still}\n</style>");
    for (i, frame) in frames.iter().enumerate() {
        let _ = writeln!(out, "<g id=\"f{i}\">");
        screen(&mut out, &frame.buffer);
        let y = f32::from(area.height) * CELL.1 + MARGIN + 1.5 * CELL.1;
        let _ = writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"{y:.1}\" fill=\"{}\" font-weight=\"bold\">{}</text>\n</g>",
            SIXTEEN[14],
            escaped(frame.caption)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn screen(out: &mut String, buffer: &Buffer) {
    let (w, h) = (buffer.area.width, buffer.area.height);
    for y in 0..h {
        let mut x = 0;
        while x < w {
            let style = look(buffer, x, y);
            let from = x;
            while x < w && look(buffer, x, y) == style {
                x += 1;
            }
            run(out, buffer, y, from..x, &style);
        }
    }
}

#[derive(PartialEq)]
struct Look {
    fg: String,
    bg: Option<String>,
    modifier: Modifier,
}

fn look(buffer: &Buffer, x: u16, y: u16) -> Look {
    let cell = &buffer[(x, y)];
    let (mut fg, mut bg) = (colour(cell.fg), colour(cell.bg));
    if cell.modifier.contains(Modifier::REVERSED) {
        (fg, bg) = (
            Some(bg.unwrap_or_else(|| GROUND.to_owned())),
            Some(fg.unwrap_or_else(|| TEXT.to_owned())),
        );
    }
    Look { fg: fg.unwrap_or_else(|| TEXT.to_owned()), bg, modifier: cell.modifier }
}

fn run(out: &mut String, buffer: &Buffer, y: u16, cells: std::ops::Range<u16>, look: &Look) {
    let left = |x: u16| f32::from(x) * CELL.0 + MARGIN;
    let top = f32::from(y) * CELL.1 + MARGIN;
    if let Some(bg) = &look.bg {
        let width = f32::from(cells.end - cells.start) * CELL.0;
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{bg}\"/>",
            left(cells.start),
            CELL.1
        );
    }
    let mut more = String::new();
    for (one, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::DIM, " opacity=\"0.6\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
    ] {
        if look.modifier.contains(one) {
            more.push_str(attribute);
        }
    }
    // word by word: some viewers take only the first place of a text
    let (mut places, mut text) = (String::new(), String::new());
    for x in cells.start..=cells.end {
        let symbol = if x < cells.end { buffer[(x, y)].symbol() } else { " " };
        if !symbol.trim().is_empty() {
            // one place for each character: combining ones stand where theirs does
            for _ in symbol.chars() {
                let _ = write!(places, "{:.1} ", left(x));
            }
            text.push_str(symbol);
        } else if !text.is_empty() {
            let _ = writeln!(
                out,
                "<text y=\"{:.1}\" x=\"{}\" fill=\"{}\"{more}>{}</text>",
                top + 13.5,
                places.trim_end(),
                look.fg,
                escaped(&text)
            );
            places.clear();
            text.clear();
        }
    }
}

fn colour(colour: Color) -> Option<String> {
    let sixteen = |n: usize| Some(SIXTEEN[n].to_owned());
    match colour {
        Color::Reset => None,
        Color::Black => sixteen(0),
        Color::Red => sixteen(1),
        Color::Green => sixteen(2),
        Color::Yellow => sixteen(3),
        Color::Blue => sixteen(4),
        Color::Magenta => sixteen(5),
        Color::Cyan => sixteen(6),
        Color::Gray => sixteen(7),
        Color::DarkGray => sixteen(8),
        Color::LightRed => sixteen(9),
        Color::LightGreen => sixteen(10),
        Color::LightYellow => sixteen(11),
        Color::LightBlue => sixteen(12),
        Color::LightMagenta => sixteen(13),
        Color::LightCyan => sixteen(14),
        Color::White => sixteen(15),
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Indexed(n @ 0..16) => sixteen(usize::from(n)),
        Color::Indexed(n @ 16..232) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + n * 40 };
            let n = n - 16;
            Some(format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6)))
        }
        Color::Indexed(n) => {
            let grey = 8 + (n - 232) * 10;
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
