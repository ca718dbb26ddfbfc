//! What things are, and by that how they look. Views name a [`Role`], never a colour.
//!
//! Without colours (`NO_COLOR`) they are stripped here, not by the terminal library, whose own
//! stripping loses the highlighting too; bold, dim and reverse stay, and tell what matters.

use ratatui::style::{Color, Modifier, Style};
use tcs_present::Role;

/// The themes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ThemeName {
    /// The terminal's own 16 colours: right on dark and light.
    #[default]
    Terminal,
    /// Red on black, for eyes that are used to the dark.
    Night,
    /// White on black, as strong as it goes.
    Contrast,
    /// Colours told apart by all eyes (Okabe and Ito's).
    ColourBlind,
}

impl ThemeName {
    /// In the order of the key.
    pub const ALL: [Self; 4] = [Self::Terminal, Self::Night, Self::Contrast, Self::ColourBlind];

    /// As in the configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Night => "night",
            Self::Contrast => "contrast",
            Self::ColourBlind => "colour-blind",
        }
    }

    /// The one of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == name)
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|theme| *theme == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// A theme, with or without its colours.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    /// Which.
    pub name: ThemeName,
    /// Whether colours are used.
    pub colour: bool,
}

const BOLD: Modifier = Modifier::BOLD;
const DIM: Modifier = Modifier::DIM;
const REVERSED: Modifier = Modifier::REVERSED;

impl Theme {
    /// How a role looks.
    pub fn style(self, role: Role) -> Style {
        let style = match self.name {
            ThemeName::Terminal => terminal(role),
            ThemeName::Night => night(role),
            ThemeName::Contrast => contrast(role),
            ThemeName::ColourBlind => colour_blind(role),
        };
        if self.colour { style } else { without_colour(role) }
    }

    /// What is behind everything.
    pub fn ground(self) -> Style {
        if !self.colour {
            return Style::new();
        }
        match self.name {
            ThemeName::Terminal | ThemeName::ColourBlind => Style::new(),
            ThemeName::Night => Style::new().fg(NIGHT_TEXT).bg(NIGHT_GROUND),
            ThemeName::Contrast => Style::new().fg(Color::White).bg(Color::Black),
        }
    }
}

fn terminal(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Text | Role::Dialog => style,
        Role::Dim | Role::Border => style.add_modifier(DIM),
        Role::Strong => style.add_modifier(BOLD),
        Role::Title => style.add_modifier(BOLD | DIM),
        Role::Key => style.fg(Color::Cyan).add_modifier(BOLD),
        Role::Accent => style.fg(Color::Magenta).add_modifier(BOLD),
        Role::Good => style.fg(Color::Green),
        Role::Moving => style.fg(Color::Cyan),
        Role::Warn => style.fg(Color::Yellow).add_modifier(BOLD),
        Role::Bad => style.fg(Color::Red).add_modifier(BOLD),
        Role::Alarm => style.fg(Color::White).bg(Color::Red).add_modifier(BOLD),
        Role::Past | Role::Match => style.fg(Color::Black).bg(Color::Cyan),
        Role::Selected => selection(Color::Reset, Color::Reset).add_modifier(REVERSED),
        Role::SelectedDim => selection(Color::White, Color::DarkGray),
    }
}

/// One colour over the whole row, whatever is in it.
fn selection(text: Color, ground: Color) -> Style {
    Style::new().fg(text).bg(ground).remove_modifier(DIM | Modifier::UNDERLINED)
}

const NIGHT_GROUND: Color = Color::Indexed(16);
const NIGHT_TEXT: Color = Color::Indexed(124);

/// One hue only, so weight, brightness and reverse say what hue says elsewhere.
fn night(role: Role) -> Style {
    let style = Style::new().bg(NIGHT_GROUND);
    let faint = Color::Indexed(88);
    let bright = Color::Indexed(196);
    match role {
        Role::Text | Role::Good | Role::Dialog => style.fg(NIGHT_TEXT),
        Role::Dim | Role::Border => style.fg(faint),
        Role::Title => style.fg(faint).add_modifier(BOLD),
        Role::Strong | Role::Key | Role::Accent | Role::Moving => {
            style.fg(Color::Indexed(160)).add_modifier(BOLD)
        }
        Role::Warn => style.fg(bright).add_modifier(BOLD),
        Role::Bad => style.fg(bright).add_modifier(BOLD | Modifier::UNDERLINED),
        Role::Alarm => style.fg(NIGHT_GROUND).bg(bright).add_modifier(BOLD),
        Role::Past | Role::Match => style.fg(NIGHT_GROUND).bg(NIGHT_TEXT),
        Role::Selected => selection(NIGHT_GROUND, Color::Indexed(160)),
        Role::SelectedDim => selection(Color::Indexed(160), Color::Indexed(52)),
    }
}

fn contrast(role: Role) -> Style {
    let style = Style::new().bg(Color::Black);
    match role {
        Role::Text | Role::Dim | Role::Border | Role::Dialog => style.fg(Color::White),
        Role::Strong | Role::Title => style.fg(Color::White).add_modifier(BOLD),
        Role::Key | Role::Accent => {
            style.fg(Color::White).add_modifier(BOLD | Modifier::UNDERLINED)
        }
        Role::Good => style.fg(Color::LightGreen),
        Role::Moving => style.fg(Color::LightCyan).add_modifier(BOLD),
        Role::Warn => Style::new().fg(Color::Black).bg(Color::LightYellow).add_modifier(BOLD),
        Role::Bad | Role::Alarm => Style::new().fg(Color::White).bg(Color::Red).add_modifier(BOLD),
        Role::Past | Role::Match => {
            Style::new().fg(Color::Black).bg(Color::LightCyan).add_modifier(BOLD)
        }
        Role::Selected => selection(Color::Black, Color::White).add_modifier(BOLD),
        Role::SelectedDim => selection(Color::White, Color::Blue),
    }
}

/// Vermilion, yellow, sky blue and blue of the palette of Okabe and Ito, as near as 256 colours get.
fn colour_blind(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Good => style.fg(Color::Indexed(39)),
        Role::Moving => style.fg(Color::Indexed(175)),
        Role::Warn => style.fg(Color::Indexed(220)).add_modifier(BOLD),
        Role::Bad => style.fg(Color::Indexed(202)).add_modifier(BOLD | Modifier::UNDERLINED),
        Role::Alarm => style.fg(Color::Indexed(16)).bg(Color::Indexed(202)).add_modifier(BOLD),
        Role::Past | Role::Match => style.fg(Color::Indexed(16)).bg(Color::Indexed(39)),
        role => terminal(role),
    }
}

/// Bold for what is broken, reverse for bars and for what is chosen.
fn without_colour(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Text | Role::Good | Role::Moving | Role::Dialog => style,
        Role::Dim | Role::Border | Role::Title => style.add_modifier(DIM),
        Role::Strong | Role::Key | Role::Accent | Role::Warn => style.add_modifier(BOLD),
        Role::Bad => style.add_modifier(BOLD | Modifier::UNDERLINED),
        Role::Alarm | Role::Past | Role::Match => style.add_modifier(REVERSED | BOLD),
        Role::Selected => style.add_modifier(REVERSED).remove_modifier(DIM | Modifier::UNDERLINED),
        Role::SelectedDim => style.add_modifier(BOLD | Modifier::UNDERLINED).remove_modifier(DIM),
    }
}
