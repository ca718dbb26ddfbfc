//! Whole screens, at all sizes, in text and in style.

use chrono::TimeDelta;

use super::fixture::{night, observatory, state, up};
use super::{buffer, press, styled, text};
use crate::dashboard::event::{Event, LinkFacts};
use crate::dashboard::state::State;
use crate::dashboard::theme::ThemeName;

const SIZES: [(u16, u16); 5] = [(40, 12), (80, 24), (120, 40), (160, 50), (200, 60)];

fn screen(size: (u16, u16)) -> State {
    state(observatory(), size, night())
}

#[test]
fn the_fleet_at_all_sizes() {
    for size in SIZES {
        let name = format!("fleet_{}x{}", size.0, size.1);
        insta::assert_snapshot!(name, text(&buffer(&screen(size))));
    }
}

#[test]
fn its_styles() {
    insta::assert_snapshot!("styled_80x24", styled(&buffer(&screen((80, 24)))));
    insta::assert_snapshot!("styled_120x40", styled(&buffer(&screen((120, 40)))));
}

#[test]
fn each_page_and_each_dialog() {
    for (name, keys) in [
        ("detail", "n n n Enter Enter"),
        ("problems", "j j"),
        ("problems_folded", "P"),
        ("logs", "n L"),
        ("events", "e"),
        ("help", "?"),
        ("palette", ": f o"),
        ("menu", "n a"),
        ("confirm", "n x"),
        ("filter", "/ g u i"),
        ("filter_wrong", "/ h o p : x"),
        ("faults", "!"),
        ("by_heard", "s s s"),
        ("folded", "z"),
        ("all", "A"),
    ] {
        for size in [(80, 24), (40, 12)] {
            let mut state = screen(size);
            press(&mut state, keys);
            let name = format!("{name}_{}x{}", size.0, size.1);
            insta::assert_snapshot!(name, text(&buffer(&state)));
        }
    }
}

#[test]
fn the_past_paused_and_without_a_link() {
    let mut past = screen((120, 20));
    press(&mut past, "{");
    insta::assert_snapshot!("past", styled(&buffer(&past)));

    let mut paused = screen((80, 12));
    press(&mut paused, "Space");
    let messages = observatory().into_iter().take(34).map(crate::dashboard::event::Heard::Message);
    let later = night() + TimeDelta::seconds(12);
    paused.update(Event::Heard(messages.collect()), later);
    paused.settle(later);
    insta::assert_snapshot!("paused", styled(&buffer(&paused)));

    let mut down = screen((80, 12));
    let link = LinkFacts::Down {
        since: night(),
        attempts: 23,
        why: Some("connection refused".to_owned()),
    };
    down.update(Event::Link(link), night());
    let later = night() + TimeDelta::seconds(600);
    down.update(Event::Tick, later);
    down.settle(later);
    let shown = buffer(&down);
    insta::assert_snapshot!("down", styled(&shown));
    // by our own blindness nothing gets worse
    let before = screen((80, 12));
    assert_eq!(down.picture.counts, before.picture.counts);
    assert!(text(&shown).contains("DISCONNECTED 10 min, data 10 min 1 s old"), "{}", text(&shown));
    down.update(Event::Link(up()), later);
    down.settle(later);
    assert!(!text(&buffer(&down)).contains("DISCONNECTED"));
}

#[test]
fn what_is_wrong_is_seen_at_once_at_80x24() {
    let state = screen((80, 24));
    let shown = text(&buffer(&state));
    let faults: Vec<_> =
        state.picture.services.iter().filter(|service| service.verdict.is_fault()).collect();
    assert!(faults.len() >= 6);
    // all that is wrong stands on the first screen, above all that is well and has no fault below
    for service in faults {
        let name = tcs_present::text::cut_middle(&service.id, 20);
        let part = name.split('…').next().unwrap().trim_start_matches("launcher.");
        assert!(shown.contains(part), "{part} is not seen in\n{shown}");
    }
    assert!(shown.lines().nth(1).unwrap().contains("× 1"), "{shown}");
}

#[test]
fn no_theme_tells_anything_by_colour_alone() {
    for theme in ThemeName::ALL {
        let mut state = screen((80, 24));
        state.theme = theme;
        insta::assert_snapshot!(format!("theme_{}", theme.as_str()), styled(&buffer(&state)));
        let mut plain = screen((80, 24));
        plain.theme = theme;
        plain.options.colour = false;
        let plain = buffer(&plain);
        assert_eq!(text(&buffer(&state)), text(&plain));
        let colours = |buffer: &ratatui::buffer::Buffer| {
            buffer.content.iter().any(|cell| {
                cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset
            })
        };
        assert!(!colours(&plain), "{}", theme.as_str());
    }
}

#[test]
fn the_header_tells_of_an_unknown_clock() {
    let mut state = screen((80, 24));
    assert!(!text(&buffer(&state)).contains("clock unchecked"));
    let LinkFacts::Up { clock_unchecked, .. } = &mut state.link else { panic!() };
    *clock_unchecked = true;
    let text = text(&buffer(&state));
    assert!(text.lines().next().unwrap().contains("clock unchecked"), "{text}");
}

#[test]
fn the_night_theme_is_red_alone() {
    let mut state = screen((120, 40));
    state.theme = ThemeName::Night;
    press(&mut state, "n");
    let reds = [16, 52, 88, 124, 160, 196];
    for cell in &buffer(&state).content {
        for colour in [cell.fg, cell.bg] {
            let ratatui::style::Color::Indexed(n) = colour else { panic!("{colour}: {cell:?}") };
            assert!(reds.contains(&n), "{n}");
        }
    }
}

#[test]
fn ascii_is_ascii_cell_for_cell() {
    for keys in ["", "n Enter", "?", "{", "e", "a", "n x"] {
        let mut state = screen((120, 40));
        press(&mut state, keys);
        let signs = text(&buffer(&state));
        state.options.ascii = true;
        let ascii = text(&buffer(&state));
        assert!(ascii.is_ascii(), "{keys}: {ascii}");
        let widths = |text: &str| text.lines().map(tcs_present::text::width).collect::<Vec<_>>();
        assert_eq!(widths(&signs), widths(&ascii), "{keys}");
    }
}
