//! The JSON Schema of the file, from the types that it is read by.

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};

use super::launch::Launch;
use super::services::EntryKeys;
use crate::bus::settings::NatsSection;

/// `config/services.yaml`, a file of services: which services there are, how each is run, and
/// where the broker is. Any other key at the top is a setting that all services get.
#[derive(JsonSchema)]
#[schemars(title = "Services of tcsd")]
#[expect(dead_code, reason = "its fields are read one by one")]
struct File {
    /// How to reach the broker.
    nats: Option<NatsSection>,
    /// How all services are run; an entry's own `launch` wins key by key.
    launch: Option<Launch>,
    /// Python modules by service type; `~` stands for `ocabox_tcs.services.<type>`.
    registry: Option<Registry>,
    /// A list of entries, or a mapping from type to variant to settings.
    services: Option<Services>,
}

struct Registry;

impl JsonSchema for Registry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Registry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": {"type": ["string", "null"]}})
    }
}

struct Services;

impl JsonSchema for Services {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Services".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<EntryKeys>();
        json_schema!({
            "type": ["array", "object"],
            "items": {"allOf": [entry], "required": ["type"]},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"anyOf": [entry, {"type": "null"}]},
            },
        })
    }
}

/// Text that a variable is replaced in.
const VARIABLE: &str = r"\$\{[A-Za-z_]";

/// Where a number or a word is expected, a variable may stand.
fn allow_variables(schema: &mut Schema) {
    transform_subschemas(&mut allow_variables, schema);
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    // a doc comment's lines are not a text's
    if let Some(Value::String(text)) = schema.get("description") {
        let text = text.replace('\n', " ");
        schema.insert("description".to_owned(), text.into());
    }
    let is_word = |schema: &Value| schema.get("const").is_some() || schema.get("enum").is_some();
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => {
            several.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    let is_number = types.iter().any(|it| it == "number" || it == "integer");
    let is_choice = schema.get("enum").is_some()
        || schema.get("oneOf").and_then(Value::as_array).is_some_and(|all| all.iter().any(is_word));
    if !(is_number && !types.iter().any(|it| it == "string") || is_choice) {
        return;
    }
    let Some(object) = schema.as_object_mut() else { return };
    let description = object.remove("description");
    let default = object.remove("default");
    let own = Value::Object(std::mem::take(object));
    object.insert("anyOf".to_owned(), json!([own, {"type": "string", "pattern": VARIABLE}]));
    let rest = [("description", description), ("default", default)];
    object.extend(rest.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
}

/// What `tcsd schema` prints: JSON Schema, 2020-12, for editors and for checks in a repository.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    allow_variables.transform(&mut schema);
    if let Some(Value::Object(entry)) = schema.pointer_mut("/$defs/Entry") {
        // in the mapping's form the type is a key
        entry.remove("required");
    }
    schema.to_value()
}
