//! What unquoted text stands for: the rules of YAML 1.1 as `PyYAML` has them, and those of the
//! Python project for variables.

use std::sync::LazyLock;

use regex::Regex;

use super::value::Value;

/// What a plain scalar is.
pub(super) enum Plain {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// A number, but hardly the one that was meant, and why.
    Surprising(Value, &'static str),
    /// A whole number beyond 127 bits.
    TooLarge,
    Text,
}

/// Floats as `PyYAML` resolves them, without base 60.
static FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)$",
    )
});
/// Hours, minutes, seconds: base 60, with or without a fraction.
static SIXTIES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$"));
static INT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^[-+]?(?:0b(?P<bin>[01_]+)|0x(?P<hex>[0-9a-fA-F_]+)|0(?P<oct>[0-7_]+)|(?P<dec>0|[1-9][0-9_]*))$",
    )
});
/// Python's `float()`, for what has a dot.
static VARIABLE_FLOAT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[-+]?(?:\d+(?:_\d+)*)?\.(?:\d+(?:_\d+)*)?(?:[eE][-+]?\d+(?:_\d+)*)?$")
});
/// Python's `int()`.
static VARIABLE_INT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?\d+(?:_\d+)*$"));

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test uses each")]
fn pattern(text: &str) -> Regex {
    // digits are ASCII in files; `\d` of other scripts is not worth the surprise
    Regex::new(&text.replace(r"\d", "[0-9]")).expect("a valid pattern")
}

/// Resolves a plain scalar.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Plain::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Plain::Bool(false)
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Plain::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Plain::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => Plain::Float(f64::NAN),
        text if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => Plain::Text,
        text => number(text),
    }
}

fn number(text: &str) -> Plain {
    let digits = text.replace('_', "");
    if let Some(found) = INT.captures(&digits) {
        let group = |name| found.name(name).map(|digits| digits.as_str());
        let (digits_of, radix) = match (group("bin"), group("hex"), group("oct")) {
            (Some(digits), _, _) => (digits, 2),
            (_, Some(digits), _) => (digits, 16),
            (_, _, Some(digits)) => (digits, 8),
            (None, None, None) => (group("dec").unwrap_or_default(), 10),
        };
        return match i128::from_str_radix(digits_of, radix) {
            Ok(number) => {
                let number = if text.starts_with('-') { -number } else { number };
                if radix == 8 {
                    Plain::Surprising(Value::Int(number), "a leading 0 means octal in YAML 1.1")
                } else {
                    Plain::Int(number)
                }
            }
            Err(_) => Plain::TooLarge,
        };
    }
    if FLOAT.is_match(text) {
        return digits.parse().map_or(Plain::Text, Plain::Float);
    }
    if SIXTIES.is_match(text) {
        return sixties(&digits);
    }
    Plain::Text
}

/// `1:30` is 90, `1:30.5` is 90.5. A whole number does not begin with 0: `00:30` is text.
fn sixties(digits: &str) -> Plain {
    let why = "numbers with colons are base 60 in YAML 1.1";
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.trim_start_matches('+')),
    };
    if !digits.contains('.') {
        let whole = digits
            .split(':')
            .try_fold(0_i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?));
        return match whole {
            _ if digits.starts_with('0') => Plain::Text,
            Some(sum) => Plain::Surprising(Value::Int(if negative { -sum } else { sum }), why),
            None => Plain::TooLarge,
        };
    }
    let sum = digits
        .split(':')
        .try_fold(0.0, |sum: f64, part| Some(sum * 60.0 + part.parse::<f64>().ok()?));
    sum.map_or(Plain::Text, |sum| {
        Plain::Surprising(Value::Float(if negative { -sum } else { sum }), why)
    })
}

/// The number that the value of a lone variable looks like; never a boolean.
pub(super) fn variable(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.contains('.') {
        let float = || text.replace('_', "").parse().ok().map(Value::Float);
        VARIABLE_FLOAT.is_match(text).then(float)?
    } else {
        let int = || text.replace('_', "").parse().ok().map(Value::Int);
        VARIABLE_INT.is_match(text).then(int)?
    }
}

/// A number for a message: `5`, `0.25`, `1e300`.
pub(super) fn shown(number: f64) -> String {
    let is_long = number != 0.0 && !(1e-6..1e16).contains(&number.abs());
    if is_long { format!("{number:e}") } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_number_where_python_makes_it_one() {
        let int = |text| (variable(text), text);
        assert_eq!(int("007"), (Some(Value::Int(7)), "007"));
        assert_eq!(int("1_000"), (Some(Value::Int(1000)), "1_000"));
        assert_eq!(int(" -5 "), (Some(Value::Int(-5)), " -5 "));
        assert_eq!(int("1.5e3"), (Some(Value::Float(1500.0)), "1.5e3"));
        assert_eq!(int(".5"), (Some(Value::Float(0.5)), ".5"));
        assert_eq!(int("1."), (Some(Value::Float(1.0)), "1."));
        for text in ["1e5", "0x10", "nan", "true", "1__0", "_1", "", ".", "1.2.3", "10.0.0.1", "١"]
        {
            assert_eq!(int(text), (None, text));
        }
    }
}
