//! The forms of texts in a file, each as one pattern: what reads them and the schema hold to the
//! same. In what regular expressions of Rust and of JSON Schema share.

use std::sync::OnceLock;

use regex::{Captures, Regex};

/// A form of text.
pub(super) struct Grammar {
    pattern: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Grammar {
    const fn new(pattern: &'static str) -> Self {
        Self { pattern, compiled: OnceLock::new() }
    }

    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        // a test compiles each
        self.compiled.get_or_init(|| Regex::new(self.pattern).ok()).as_ref()?.captures(text)
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        self.captures(text).is_some()
    }

    /// For the schema, which sees variables before they are replaced.
    pub(super) fn or_variable(&self) -> String {
        format!("{}|{VARIABLE}", self.pattern)
    }
}

/// Marks a number in the schema whose form has a pattern of its own for texts.
pub(super) const EXACT: &str = "x-exact";

/// Text that a variable is replaced in.
pub(super) const VARIABLE: &str = r"\$\{[A-Za-z_]";

/// A number in quotes.
pub(super) static NUMBER: Grammar = Grammar::new(r"^ *[-+]?([0-9]+\.?[0-9]*|\.[0-9]+) *$");

/// The same, 0 or more.
#[cfg(feature = "observer")]
pub(super) static AMOUNT: Grammar = Grammar::new(r"^ *\+?([0-9]+\.?[0-9]*|\.[0-9]+) *$");

/// A whole number in quotes.
#[cfg(feature = "observer")]
pub(super) static WHOLE: Grammar = Grammar::new(r"^ *[-+]?[0-9]+ *$");

/// The same, 0 or more.
#[cfg(feature = "observer")]
pub(super) static COUNT: Grammar = Grammar::new(r"^ *\+?[0-9]+ *$");

/// Bytes, without a unit or with one; less than 10^18 in each case.
pub(super) static SIZE: Grammar = Grammar::new(
    r"^ *(?:([0-9][0-9_]{0,17}) *[bB]?|([0-9][0-9_]{0,13}(?:\.[0-9]+)?) *[kK](?:[iI]?[bB])?|([0-9][0-9_]{0,10}(?:\.[0-9]+)?) *[mM](?:[iI]?[bB])?|([0-9][0-9_]{0,7}(?:\.[0-9]+)?) *[gG](?:[iI]?[bB])?) *$",
);

/// A size that is 0, whatever its unit.
pub(super) static NO_SIZE: Grammar = Grammar::new(r"^[^1-9]*$");

/// Five fields, as in crontab; `tcsd` reads what is in them.
pub(super) static CRON: Grammar = Grammar::new(r"^ *[^ ]+( +[^ ]+){4} *$");

/// From one start to the next, at least a second.
pub(super) static EVERY: Grammar = Grammar::new(r"^ *([1-9][0-9]{0,4}) *([smhd]) *$");

/// `HOST:PORT`.
pub(super) static ADDRESS: Grammar = Grammar::new(
    r"^(\[[^\s/\[\]]+\]|[^\s/\[\]]+):0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$",
);

/// The import path of a Python module.
pub(super) static MODULE: Grammar = Grammar::new(
    r"^([A-Za-z_]|[^\x00-\x7f])([0-9A-Za-z_]|[^\x00-\x7f])*(\.([0-9A-Za-z_]|[^\x00-\x7f])+)*$",
);

/// A program by its name alone: nothing splits a text into words.
pub(super) static PROGRAM: Grammar = Grammar::new(r"^[^ ]+$");

/// The name of a set of services.
pub(super) static PROFILE: Grammar = Grammar::new(r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$");

/// The name of a variable of the environment.
pub(super) static VARIABLE_NAME: Grammar = Grammar::new(r"^[^=\x00]+$");

/// One part of an id or subject, as `check_name` takes it; of a variant none at all, too.
pub(super) static VARIANT: Grammar = Grammar::new(r"^[^\s.*>\x00-\x1f\x7f-\x9f]*$");

/// A service type.
pub(super) static NAME: Grammar =
    Grammar::new(r"^[^\s.*>\x00-\x1f\x7f-\x9f]+(\.[^\s.*>\x00-\x1f\x7f-\x9f]+)*$");

/// The id of a service.
pub(super) static ID: Grammar =
    Grammar::new(r"^[^\s.*>\x00-\x1f\x7f-\x9f]+(\.[^\s.*>\x00-\x1f\x7f-\x9f]+)+$");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ServiceId, ServiceType, Variant};

    #[test]
    fn names_are_those_that_ids_take() {
        let texts =
            ["", "a", "a.b", "a..b", ".a", "a.", "a b", "a*", "a>", "a\u{85}b", "é.ü", "a.b.c"];
        for text in texts {
            let is_variant = text.is_empty() || text.parse::<Variant>().is_ok();
            assert_eq!(VARIANT.fits(text), is_variant, "{text:?}");
            assert_eq!(NAME.fits(text), text.parse::<ServiceType>().is_ok(), "{text:?}");
            assert_eq!(ID.fits(text), text.parse::<ServiceId>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn each_form_compiles() {
        for form in [
            &NUMBER,
            &AMOUNT,
            &WHOLE,
            &COUNT,
            &SIZE,
            &NO_SIZE,
            &CRON,
            &EVERY,
            &PROFILE,
            &ADDRESS,
            &MODULE,
            &PROGRAM,
            &VARIABLE_NAME,
            &VARIANT,
            &NAME,
            &ID,
        ] {
            assert!(Regex::new(form.pattern).is_ok(), "{}", form.pattern);
        }
    }
}
