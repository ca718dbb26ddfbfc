//! What is printed for scripts, held against `tcsctl/schema/`.

use serde_json::Value;

/// The schemas, by the name that each printed object bears.
const SCHEMAS: [(&str, &str); 14] = [
    ("tcsctl.alarms.v1", include_str!("../../../tcsctl/schema/alarms.v1.json")),
    ("tcsctl.alarms-replay.v1", include_str!("../../../tcsctl/schema/alarms-replay.v1.json")),
    ("tcsctl.alarms-stats.v1", include_str!("../../../tcsctl/schema/alarms-stats.v1.json")),
    ("tcsctl.fleet.v1", include_str!("../../../tcsctl/schema/fleet.v1.json")),
    ("tcsctl.change.v1", include_str!("../../../tcsctl/schema/change.v1.json")),
    ("tcsctl.event.v1", include_str!("../../../tcsctl/schema/event.v1.json")),
    ("tcsctl.reply.v1", include_str!("../../../tcsctl/schema/reply.v1.json")),
    ("tcsctl.resources.v1", include_str!("../../../tcsctl/schema/resources.v1.json")),
    ("tcsctl.why.v1", include_str!("../../../tcsctl/schema/why.v1.json")),
    ("tcsctl.report.v1", include_str!("../../../tcsctl/schema/report.v1.json")),
    ("tcsctl.graph.v1", include_str!("../../../tcsctl/schema/graph.v1.json")),
    ("tcsctl.timeline.v1", include_str!("../../../tcsctl/schema/timeline.v1.json")),
    ("tcsctl.tick.v1", include_str!("../../../tcsctl/schema/tick.v1.json")),
    ("tcsctl.log.v1", include_str!("../../../tcsctl/schema/log.v1.json")),
];

fn schema(name: &str) -> Value {
    let found = SCHEMAS.iter().find(|(known, _)| *known == name);
    let (_, text) = found.unwrap_or_else(|| panic!("no schema is called {name:?}"));
    serde_json::from_str(text).unwrap()
}

/// Asserts that this is as its schema has it, and that each of its fields is in there: one that the
/// schema does not know is not documented.
pub fn assert_documented(value: &Value) {
    let schema = schema(value["schema"].as_str().unwrap_or_default());
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert_eq!(errors, Vec::<String>::new(), "{value:#}");
    known(&schema, &schema, value, "");
}

/// Every key of `value` is one of its schema's.
fn known(root: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(unknown) = unknown(root, schema, value, at) {
        panic!("{unknown} is not in the schema");
    }
}

/// A key of `value` that its schema does not have, in none of its alternatives.
fn unknown(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(path) = schema["$ref"].as_str() {
        return unknown(root, root.pointer(path.trim_start_matches('#')).unwrap(), value, at);
    }
    match value {
        Value::Object(map) => {
            let alternatives = ["anyOf", "oneOf"].iter().filter_map(|key| schema[key].as_array());
            let alternatives: Vec<_> = alternatives.flatten().collect();
            let empty = serde_json::Map::new();
            let properties = schema["properties"].as_object();
            if alternatives.is_empty() && properties.is_none() {
                return None;
            }
            let properties = properties.unwrap_or(&empty);
            let known = |key: &String| properties.contains_key(key);
            let own = map.iter().filter(|(key, _)| known(key));
            let mut own = own.map(|(key, value)| (&properties[key], key, value));
            let in_own = own
                .find_map(|(part, key, value)| unknown(root, part, value, &format!("{at}/{key}")));
            let rest: serde_json::Map<_, _> =
                map.clone().into_iter().filter(|(key, _)| !known(key)).collect();
            let first = rest.keys().next().map(|key| format!("{at}/{key}"));
            let rest = Value::Object(rest);
            let in_rest = || alternatives.iter().all(|it| unknown(root, it, &rest, at).is_some());
            in_own.or(first.filter(|_| in_rest()))
        }
        Value::Array(list) => {
            list.iter().find_map(|value| unknown(root, &schema["items"], value, &format!("{at}[]")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[test]
fn what_is_wrong_or_not_documented_is_found() {
    let good = serde_json::json!({"schema": "tcsctl.log.v1", "id": "a.b", "at": null, "stream": null,
        "level": "INFO", "message": "slewing", "run": null});
    assert_documented(&good);
    let fails = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        std::panic::catch_unwind(|| assert_documented(&bad)).is_err()
    };
    assert!(fails("level", "loud".into()) && fails("at", "today".into()));
    assert!(fails("more", Value::Null) && fails("schema", "tcsctl.none.v1".into()));
}

/// A document of an earlier version has what is said of it, and may lack what came later.
#[test]
fn old_documents_fit() {
    let old = include_str!("../../fixtures/compat/0.1/fleet.json");
    let old: Value = serde_json::from_str(old).unwrap();
    let mut schema = schema("tcsctl.fleet.v1");
    optional(&mut schema);
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors = validator.iter_errors(&old).map(|e| format!("{}: {e}", e.instance_path()));
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(unknown(&schema, &schema, &old, ""), None, "a field is gone");
    let mut bad = old.clone();
    bad["services"][0]["phase"] = "asleep".into();
    assert!(!validator.is_valid(&bad));
    bad["services"][0] = serde_json::json!({"pid": 1, "colour": "red"});
    assert_eq!(unknown(&schema, &schema, &bad, "").as_deref(), Some("/services[]/colour"));
}

#[cfg(test)]
fn optional(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("required");
            map.values_mut().for_each(optional);
        }
        Value::Array(all) => all.iter_mut().for_each(optional),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
