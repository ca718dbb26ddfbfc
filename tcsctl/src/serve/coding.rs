//! Whether an answer may be compressed, and its compressed form (RFC 9110, 12.5.3).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// The name of the one coding that is known.
pub const GZIP: &str = "gzip";

/// Whether the values of a request's `Accept-Encoding` allow gzip. What cannot be read allows nothing:
/// everybody can take an answer as it is.
pub fn takes_gzip<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut named, mut any) = (None, None);
    for item in values.into_iter().flat_map(|value| value.split(',')) {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let is_allowed = match (parts.next(), parts.next()) {
            (None, _) => true,
            (Some(weight), None) => is_positive(weight),
            (Some(_), Some(_)) => false,
        };
        if name.eq_ignore_ascii_case(GZIP) || name.eq_ignore_ascii_case("x-gzip") {
            // what is named twice is allowed only if both say so
            named = Some(named.unwrap_or(true) && is_allowed);
        } else if name == "*" {
            any = Some(any.unwrap_or(true) && is_allowed);
        }
    }
    named.or(any).unwrap_or(false)
}

/// Whether this is a weight, and not 0: `q=0.5`.
fn is_positive(weight: &str) -> bool {
    let Some((name, value)) = weight.trim().split_once('=') else { return false };
    let value = value.trim_ascii();
    let is_number = value.len() <= 5 && value.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    name.trim_ascii().eq_ignore_ascii_case("q")
        && is_number
        && value.parse::<f32>().is_ok_and(|value| value > 0.0 && value <= 1.0)
}

/// A text in gzip: quickly rather than as small as can be.
pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    // a vector takes all
    let written = packed.write_all(text).and_then(|()| packed.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn only_who_allows_it_gets_it() {
        for (values, taken) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZip"], true),
            (&["x-gzip"], true),
            (&["gzip, deflate, br, zstd"], true),
            (&["deflate", "gzip"], true),
            (&["br;q=1.0, gzip;q=0.8, *;q=0.1"], true),
            (&["*"], true),
            (&["identity, *;q=0"], false),
            (&["*, gzip;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["*;q=0, gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000"], false),
            (&["gzip ; Q = 0.001"], true),
            (&["gzip;q=1.0"], true),
            (&["gzip;q=2"], false),
            (&["gzip;q=-1"], false),
            (&["gzip;q=NaN"], false),
            (&["gzip;q=inf"], false),
            (&["gzip;q="], false),
            (&["gzip;q"], false),
            (&["gzip;level=1"], false),
            (&["gzip;q=1;q=0"], false),
            (&["gzip, gzip;q=0"], false),
            (&["gzippy"], false),
            (&["identity"], false),
            (&[",,,"], false),
        ] {
            assert_eq!(takes_gzip(values.iter().copied()), taken, "{values:?}");
        }
        let long = "gzip;q=0,".repeat(2000);
        assert!(!takes_gzip([&*long]));
    }

    #[test]
    fn a_text_comes_back_as_it_was() {
        for text in [String::new(), "tcs_up 1\n".to_owned(), "tcs_up 1\n".repeat(100_000)] {
            let packed = gzip(text.as_bytes());
            let mut back = String::new();
            GzDecoder::new(&*packed).read_to_string(&mut back).unwrap();
            assert!(back == text, "{} bytes", text.len());
        }
    }
}
