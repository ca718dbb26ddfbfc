//! The schemas of `tcsctl/schema/`, made from the types that are printed.

use std::fs;
use std::path::Path;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use tcs_present::{
    alarms, changes, events, graph, json::Document, logs, report, tick, timeline, top, why,
};

use crate::output::{reply, source::Source};

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    plain(&mut schema);
    schema
}

/// A doc comment's lines are not a text's.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(all) => all.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// With `TCS_WRITE_SCHEMAS=1` they are written.
#[test]
fn schemas_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, schema) in [
        ("fleet", of::<Document<'_, Source>>()),
        ("change", of::<changes::Object<'_>>()),
        ("event", of::<events::Object<'_>>()),
        ("reply", of::<reply::Object<'_>>()),
        ("log", of::<logs::Object<'_>>()),
        ("alarms", of::<alarms::Document<'_>>()),
        ("alarms-replay", of::<alarms::ReplayDocument<'_>>()),
        ("alarms-stats", of::<alarms::StatsDocument<'_>>()),
        ("why", of::<why::Document<'_>>()),
        ("resources", of::<top::Document<'_>>()),
        ("report", of::<report::Json<'_>>()),
        ("graph", of::<graph::Document<'_>>()),
        ("tick", of::<tick::Tick<'_>>()),
        ("timeline", of::<timeline::Document<'_>>()),
    ] {
        let file = folder.join(format!("{name}.v1.json"));
        if std::env::var_os("TCS_WRITE_SCHEMAS").is_some() {
            let text = serde_json::to_string_pretty(&schema).unwrap();
            fs::write(&file, text + "\n").unwrap();
        }
        let known: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(known, schema, "TCS_WRITE_SCHEMAS=1 cargo test -p tcsctl schemas_are");
    }
}
