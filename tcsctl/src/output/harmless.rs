//! JSON in which nothing acts on a terminal: what [`text::is_hidden`] stands only inside of
//! strings there, so that an escape means the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};
use tcs_present::text;

/// Writes `value`, on many lines or on one, without a line end.
pub(super) fn write_json<W: Write>(
    out: &mut W,
    value: &impl Serialize,
    pretty: bool,
) -> io::Result<()> {
    if pretty {
        let formatter = Harmless(PrettyFormatter::new());
        value.serialize(&mut Serializer::with_formatter(out, formatter))?;
    } else {
        value.serialize(&mut Serializer::with_formatter(out, Harmless(CompactFormatter)))?;
    }
    Ok(())
}

/// `value` as such a text, on many lines.
pub fn json_text(value: &impl Serialize) -> io::Result<String> {
    let mut text = Vec::new();
    write_json(&mut text, value, true)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// `value` as such a text, on one line.
pub fn json_line(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::new();
    // our own types serialise, and a vector takes all
    write_json(&mut text, value, false).ok();
    text
}

/// Whether it is printable ASCII alone, as nearly all of it is. Looked at as a whole, without a stop
/// at the first other byte: so it takes a few instructions for 16 bytes.
fn is_plain(fragment: &str) -> bool {
    fragment.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte))
}

struct Harmless<F>(F);

macro_rules! as_it_is {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        fn $name<W: ?Sized + Write>(&mut self, out: &mut W, $($arg: $type),*) -> io::Result<()> {
            self.0.$name(out, $($arg),*)
        }
    )*};
}

impl<F: Formatter> Formatter for Harmless<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        if is_plain(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| text::is_hidden(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }

    as_it_is! {
        write_char_escape(escape: CharEscape);
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_value_and_nothing_acts() {
        let value = serde_json::json!({
            "m\u{9b}": "\x1b[2J \u{9b}x \u{202e}y \u{e0041}z \n\"\\ ąę 漢",
            "list": [1, [], {}, null, {"a": ["\u{7f}"]}],
        });
        for pretty in [true, false] {
            let mut text = Vec::new();
            write_json(&mut text, &value, pretty).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(!text.contains(|c| text::is_hidden(c) && c != '\n'), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
            assert_eq!(text.contains('\n'), pretty);
            assert!(text.contains("ąę 漢"));
        }
    }
}
