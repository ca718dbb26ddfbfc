//! Reading a reply as far as it can be read.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What was read, and what was not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Partly<T> {
    /// Without what could not be read.
    pub value: T,
    /// Where that stands: `services[3].pid`.
    pub unread: Vec<String>,
}

/// Reads the data of a reply. What is of a wrong type is left out: a field, or one of a list.
/// `T` and what it holds have a default for each field.
pub fn read_reply<T: DeserializeOwned + Default>(data: &Map<String, Value>) -> Partly<T> {
    let mut value = Value::Object(data.clone());
    let mut unread = Vec::new();
    let fits = |value: Value| serde_json::from_value::<T>(value).is_ok();
    prune(&mut value, "", &fits, &mut unread);
    Partly { value: serde_json::from_value(value).unwrap_or_default(), unread }
}

/// Takes out of `value` what does not fit where it stands; false: nothing of it does. Each part is
/// tried alone, so that all of it is read a few times at most, however much of it is wrong.
fn prune(
    value: &mut Value,
    path: &str,
    fits: &dyn Fn(Value) -> bool,
    unread: &mut Vec<String>,
) -> bool {
    if fits(value.clone()) {
        return true;
    }
    match value {
        Value::Object(map) if fits(json!({})) => map.retain(|key, part| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            prune(part, &path, &|part| fits(json!({ key.as_str(): part })), unread)
        }),
        Value::Array(items) if fits(json!([])) => {
            let mut index = 0..;
            items.retain_mut(|item| {
                let path = format!("{path}[{}]", index.next().unwrap_or(0));
                prune(item, &path, &|item| fits(json!([item])), unread)
            });
        }
        _ => {
            unread.push(path.to_owned());
            return false;
        }
    }
    true
}
