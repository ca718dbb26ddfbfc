//! Lengths of time as people read them.

use super::MAX_SECONDS;
use chrono::TimeDelta;

/// `0.4 s`, `41 s`, `4 min 12 s`, `3 h 11 min`, `2 d 4 h`; a smaller unit that is zero is left out.
pub fn format_duration(span: TimeDelta) -> String {
    let millis = span.num_milliseconds();
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    // to a tenth, which is left out where it is zero
    let tenths = if millis < 10_000 { (millis + 50) / 100 } else { millis / 1000 * 10 };
    let seconds = tenths / 10;
    let two = |large: u64, unit: &str, small: u64, sub: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {sub}"),
    };
    let text = match seconds {
        _ if tenths < 100 && tenths % 10 > 0 => format!("{seconds}.{} s", tenths % 10),
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    };
    format!("{sign}{text}")
}

/// Formats seconds from another program; `?` if they are not a valid duration.
pub fn format_seconds(seconds: f64) -> String {
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return "?".to_owned();
    }
    format_duration(TimeDelta::milliseconds((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_at_most() {
        for (millis, text) in [
            (0, "0 s"),
            (40, "0 s"),
            (400, "0.4 s"),
            (999, "1 s"),
            (1_960, "2 s"),
            (9_940, "9.9 s"),
            (9_950, "10 s"),
            (41_900, "41 s"),
            (120_000, "2 min"),
            (252_000, "4 min 12 s"),
            (11_460_000, "3 h 11 min"),
            (86_400_000, "1 d"),
            (187_200_000, "2 d 4 h"),
            (-3_000, "-3 s"),
        ] {
            assert_eq!(format_duration(TimeDelta::milliseconds(millis)), text);
        }
    }

    #[test]
    fn times_that_cannot_be_are_not_known() {
        for absurd in [1e308, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(format_seconds(absurd), "?");
        }
        assert_eq!(format_seconds(90.0), "1 min 30 s");
    }
}
