//! From a tree to a type, by serde: the one decoder of the configuration, with the place of each
//! mistake, and all of them at once.

mod error;
mod fields;
mod placeholder;
mod reader;
mod reading;
mod recovery;

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use super::problem::{Place, Problem, Problems};
use super::value::Node;
pub(super) use error::{DecodeError, Origin};
pub(super) use fields::{Field, Fields, Input};
use reader::ValueReader;
pub(super) use reading::{Dialect, Reading};
use recovery::Recoveries;

/// More mistakes than anybody reads at once.
const MAX_MISTAKES: usize = 50;

/// What came of it.
pub(super) struct Decoded<T> {
    /// Where there are errors, of what is right and stand-ins for the rest; `None`: not even that.
    pub(super) value: Option<T>,
    pub(super) problems: Vec<Problem>,
}

/// Reads again and again, each time past one more mistake. `at` is where the whole stands.
pub(super) fn decode<T>(
    dialect: Dialect,
    at: Option<Place>,
    read: impl Fn(&Reading<'_>) -> Result<T, DecodeError>,
) -> Decoded<T> {
    let mut recovery = Recoveries::new(dialect.first_recovery());
    let mut warnings: Vec<Problem> = Vec::new();
    let mut mistakes: Vec<DecodeError> = Vec::new();
    let value = loop {
        let reading = Reading { recovery: &recovery, warnings: RefCell::default(), dialect };
        let result = read(&reading);
        for warning in reading.warnings.into_inner() {
            // what is outside the file is told at the entry that it concerns
            let warning = Problem { at: warning.at.or(at), ..warning };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let mistake = match result {
            Ok(value) => break Some(value),
            Err(mistake) => mistake,
        };
        let finding = recovery.take(&mistake);
        if finding.is_news {
            mistakes.push(mistake);
        }
        if !finding.goes_on || mistakes.len() == MAX_MISTAKES {
            break None;
        }
    };
    // a type that refuses unknown keys makes an error of the warning
    let refused = |at| {
        let keys = mistakes.iter().filter(|mistake| mistake.is_key);
        keys.filter_map(DecodeError::place).any(|place| Some(place) == at)
    };
    warnings.retain(|warning| !refused(warning.at));
    let problems = mistakes.into_iter().map(|mistake| mistake.into_problem(at));
    Decoded { value, problems: problems.chain(warnings).collect() }
}

/// Reads what does not come from a file, as settings are read.
pub(super) fn json<T: DeserializeOwned>(node: &Node) -> (Option<T>, Vec<Problem>) {
    let decoded = decode(Dialect::Settings, None, |reading: &Reading<'_>| {
        T::deserialize(ValueReader { input: Input::Node(node), path: "", reading })
    });
    (decoded.value, decoded.problems)
}

/// Reads one part of the file, which is called `path`, as the launcher takes it.
pub(super) fn section<T: DeserializeOwned>(
    node: &Node,
    path: &str,
    is_open: bool,
    problems: &mut Problems,
) -> Option<T> {
    let read = |reading: &Reading<'_>| {
        let value = ValueReader { input: Input::Node(node), path, reading };
        T::deserialize(value).map_err(|mistake| mistake.at(&Origin::File(node.at), path))
    };
    let decoded = decode(Dialect::Launcher { is_open }, Some(node.at), read);
    decoded.problems.into_iter().for_each(|problem| problems.push(problem));
    decoded.value
}
