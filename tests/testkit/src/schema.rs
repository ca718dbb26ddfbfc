//! What is printed for scripts, held against `tcsctl/schema/`.

use serde_json::Value;

/// The schemas, by the name that each printed object bears.
const SCHEMAS: [(&str, &str); 6] = [
    ("tcsctl.fleet.v1", include_str!("../../../tcsctl/schema/fleet.v1.json")),
    ("tcsctl.change.v1", include_str!("../../../tcsctl/schema/change.v1.json")),
    ("tcsctl.event.v1", include_str!("../../../tcsctl/schema/event.v1.json")),
    ("tcsctl.reply.v1", include_str!("../../../tcsctl/schema/reply.v1.json")),
    ("tcsctl.resources.v1", include_str!("../../../tcsctl/schema/resources.v1.json")),
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
    let schema = match schema["$ref"].as_str() {
        Some(path) => root.pointer(path.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    match value {
        Value::Object(map) => {
            let Some(properties) = schema["properties"].as_object() else { return };
            for (key, value) in map {
                let part = properties
                    .get(key)
                    .unwrap_or_else(|| panic!("{at}/{key} is not in the schema"));
                known(root, part, value, &format!("{at}/{key}"));
            }
        }
        Value::Array(list) => {
            for value in list {
                known(root, &schema["items"], value, &format!("{at}[]"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_service_is_the_same_everywhere() {
    assert_eq!(schema("tcsctl.change.v1")["$defs"], schema("tcsctl.fleet.v1")["$defs"]);
}

#[test]
fn what_is_wrong_or_not_documented_is_found() {
    let good = serde_json::json!({"schema": "tcsctl.log.v1", "id": "a.b", "at": null,
        "level": "INFO", "message": "slewing"});
    assert_documented(&good);
    let fails = |field: &str, value: Value| {
        let mut bad = good.clone();
        bad[field] = value;
        std::panic::catch_unwind(|| assert_documented(&bad)).is_err()
    };
    assert!(fails("level", "loud".into()) && fails("at", "today".into()));
    assert!(fails("more", Value::Null) && fails("schema", "tcsctl.none.v1".into()));
}
