//! `${NAME}` and `${NAME:-default}` in values (`docs/spec/configuration.md#variables`): after
//! parsing, so in quotes too, never in keys; one pass, so a result is not expanded again.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::environment::Environment;
use super::numbers;
use super::problem::{Problem, Problems};
use super::value::{Node, Value};

#[expect(clippy::expect_used, reason = "a constant")]
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}").expect("a valid pattern")
});

/// The names of the variables in a text.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    VARIABLE.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str()))
}

/// Expands every text of the tree.
pub(super) fn expand(node: &mut Node, environment: &Environment, problems: &mut Problems) {
    match &mut node.value {
        Value::List(items) => {
            for item in items {
                expand(item, environment, problems);
            }
        }
        Value::Map(mapping) => {
            for value in mapping.values_mut() {
                expand(value, environment, problems);
            }
        }
        Value::Text(text) if text.contains("${") => {
            let lone = VARIABLE.find(text).is_some_and(|found| found.len() == text.len());
            let mut unset = Vec::new();
            let expanded = VARIABLE
                .replace_all(text, |found: &Captures<'_>| {
                    let name = &found[1];
                    let default = found.get(2).map(|default| default.as_str());
                    // set but empty is empty, unlike in a shell
                    environment.get(name).or(default).map_or_else(
                        || {
                            unset.push(name.to_owned());
                            found[0].to_owned()
                        },
                        str::to_owned,
                    )
                })
                .into_owned();
            for name in &unset {
                problems.push(
                    Problem::warning(node.at, format!("the variable `{name}` is not set"))
                        .hint(format!("set it, or write ${{{name}:-default}}")),
                );
            }
            *text = expanded;
            node.from_variable = lone && unset.is_empty();
            if node.from_variable
                && let Value::Text(text) = &node.value
                && let Some(number) = numbers::variable(text)
            {
                node.raw = Some(text.clone());
                node.value = number;
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}
