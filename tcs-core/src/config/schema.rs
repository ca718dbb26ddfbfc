//! The JSON Schema of the file, from the types that it is read by.

mod sentinel;

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};

use super::grammar::{self, EXACT, Grammar, VARIABLE};
use super::launch::Launch;
use super::services::EntryKeys;
use super::values::Module as ModuleName;
use crate::bus::settings::NatsSection;

/// A services file (`config/services.yaml`): which services there are, how each is run, and where
/// the broker is. Any other key at the top is a setting of all services.
#[derive(JsonSchema)]
#[schemars(title = "Services of tcsd")]
#[expect(dead_code, reason = "its fields are read one by one")]
struct File {
    /// Address of the broker, and login.
    nats: Option<NatsSection>,
    /// How all services are run; keys of an entry's own `launch` override these.
    launch: Option<Launch>,
    /// Python modules by service type; `~` stands for `ocabox_tcs.services.<type>`.
    registry: Option<Registry>,
    /// The services: a list of entries, or a mapping from type to variant to settings.
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

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let module = generator.subschema_for::<Option<ModuleName>>();
        json_schema!({"type": "object", "additionalProperties": module})
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
        let names = |form: &Grammar| json!({"pattern": form.or_variable(), "minLength": 1});
        // its part of the definitions
        generator.subschema_for::<super::ServeSettings>();
        let built_in = sentinel::is_built_in();
        let settings = |part: &str| json!({"$ref": format!("#/$defs/{part}")});
        let of_type = |name: &str, part: &str| {
            let is_it = json!({"required": ["type"], "properties": {"type": {"const": name}},
                "allOf": [built_in]});
            json!({"if": is_it, "then": settings(part)})
        };
        let with = |part: &str| json!({"allOf": [entry], "if": built_in, "then": settings(part)});
        let variants = |entry: Value| {
            json!({
                "type": "object",
                "propertyNames": names(&grammar::VARIANT),
                "additionalProperties": {"anyOf": [entry, {"type": "null"}]},
            })
        };
        json_schema!({
            "type": ["array", "object", "null"],
            "items": {"required": ["type"],
                "allOf": [entry, of_type("sentinel", "Sentinel"), of_type("report", "Report"),
                    of_type("serve", "ServeSettings")]},
            "propertyNames": names(&grammar::NAME),
            "properties": {
                "sentinel": variants(with("Sentinel")),
                "report": variants(with("Report")),
                "serve": variants(with("ServeSettings")),
            },
            "additionalProperties": variants(json!(entry)),
        })
    }
}

/// What a value may be, besides what its type in Rust says (`docs/spec/configuration.md#in-an-editor`).
fn loosen(schema: &mut Schema) {
    transform_subschemas(&mut loosen, schema);
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    // a doc comment's lines are not a text's
    if let Some(Value::String(text)) = schema.get("description") {
        let text = text.replace('\n', " ");
        schema.insert("description".to_owned(), text.into());
    }
    bound(schema);
    allow_numbers(schema);
    allow_variables(schema);
    allow_nothing(schema);
}

fn types(schema: &Schema) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The numbers that an integer of Rust has room for.
fn bound(schema: &mut Schema) {
    let bounds: (Value, Value) = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => (u8::MIN.into(), u8::MAX.into()),
        Some("uint16") => (u16::MIN.into(), u16::MAX.into()),
        Some("uint32") => (u32::MIN.into(), u32::MAX.into()),
        Some("uint64") => (u64::MIN.into(), u64::MAX.into()),
        Some("int64") => (i64::MIN.into(), i64::MAX.into()),
        _ => return,
    };
    for (key, value) in [("minimum", bounds.0), ("maximum", bounds.1)] {
        if schema.get(key).is_none() {
            schema.insert(key.to_owned(), value);
        }
    }
    schema.remove("format");
}

/// Where any text is taken, a number is taken as it is written.
fn allow_numbers(schema: &mut Schema) {
    if types(schema) == ["string", "null"] && schema.get("pattern").is_none() {
        schema.insert("type".to_owned(), json!(["string", "number", "null"]));
    }
}

/// Where a number or a word is expected, a variable may stand; a number may be in quotes, and a word
/// may be a key without a value.
fn allow_variables(schema: &mut Schema) {
    if schema.remove(EXACT).is_some() {
        return;
    }
    let types = types(schema);
    let is_number = types.contains(&"number") || types.contains(&"integer");
    let words = words(schema);
    if !(is_number && !types.contains(&"string") || !words.is_empty()) {
        return;
    }
    let is_positive = schema.get("minimum").and_then(Value::as_f64).is_some_and(|it| it >= 0.0);
    let pattern = match (is_number, types.contains(&"integer"), is_positive) {
        (false, ..) => VARIABLE.to_owned(),
        (true, false, false) => grammar::NUMBER.or_variable(),
        (true, false, true) => grammar::AMOUNT.or_variable(),
        (true, true, false) => grammar::WHOLE.or_variable(),
        (true, true, true) => grammar::COUNT.or_variable(),
    };
    let is_one_of = schema.get("oneOf").is_some();
    let Some(object) = schema.as_object_mut() else { return };
    let description = object.remove("description");
    let default = object.remove("default");
    let own = Value::Object(std::mem::take(object));
    let mut forms = vec![own, json!({"type": "string", "pattern": pattern})];
    if is_one_of {
        let nothing = words.into_iter().map(|word| (word, json!({"type": "null"})));
        let nothing: serde_json::Map<String, Value> = nothing.collect();
        forms.push(json!({"type": "object", "properties": nothing, "additionalProperties": false,
            "minProperties": 1, "maxProperties": 1}));
    }
    object.insert("anyOf".to_owned(), forms.into());
    let rest = [("description", description), ("default", default)];
    object.extend(rest.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
}

/// The words that can be chosen from.
fn words(schema: &Schema) -> Vec<String> {
    let own = |schema: &Value| -> Vec<Value> {
        let several = schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
        several.into_iter().chain(schema.get("const").cloned()).collect()
    };
    let variants = schema.get("oneOf").and_then(Value::as_array);
    let variants = variants.into_iter().flatten().flat_map(own);
    let all = schema.get("enum").and_then(Value::as_array).into_iter().flatten().cloned();
    all.chain(variants).filter_map(|word| Some(word.as_str()?.to_owned())).collect()
}

/// A key without a value counts as absent. What is defined apart says so itself.
fn allow_nothing(schema: &mut Schema) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, value) in properties.iter_mut().filter(|(key, _)| !required.contains(&json!(key))) {
        or_nothing(value);
    }
}

fn or_nothing(schema: &mut Value) {
    let nothing = json!({"type": "null"});
    if let Some(types) = schema.get_mut("type") {
        match types {
            Value::Array(several) if several.iter().any(|it| it == "null") => {}
            Value::Array(several) => several.push("null".into()),
            one => *one = json!([one.take(), "null"]),
        }
    } else if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        match &forms[..] {
            [one, two] if one.get("$ref").is_some() && *two == nothing => {
                schema["$ref"] = one["$ref"].clone();
                schema.as_object_mut().map(|it| it.remove("anyOf"));
            }
            _ if forms.contains(&nothing) => {}
            _ => forms.push(nothing),
        }
    }
}

/// What `tcsd schema` prints: JSON Schema, 2020-12, for editors and for checks in a repository.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = settings.into_generator().into_root_schema_for::<File>();
    if let Some(Value::Array(modes)) = schema.pointer_mut("/$defs/Mode/oneOf") {
        modes.push(json!({"const": "asyncio", "description": "As `async`.", "deprecated": true}));
    }
    loosen.transform(&mut schema);
    if let Some(Value::Object(entry)) = schema.pointer_mut("/$defs/Entry") {
        // in the mapping's form the type is a key
        entry.remove("required");
    }
    if let Some(Value::Object(parts)) = schema.get_mut("$defs") {
        parts
            .iter_mut()
            .filter(|(name, _)| *name != "Entry")
            .for_each(|(_, part)| or_nothing(part));
        parts.insert("Sentinel".to_owned(), sentinel::settings());
        parts.insert("Report".to_owned(), sentinel::report());
    }
    if let Some(Value::Object(nats)) = schema.pointer_mut("/$defs/NatsSection/properties") {
        nats.insert("config_subject".to_owned(), json!({}));
        let something = json!({"not": {"type": "null"}});
        let twice = [["domain", "js_domain"], ["api_prefix", "js_api_prefix"]].map(|[one, two]| {
            json!({"not": {"required": [one, two], "properties": {one: something, two: something}}})
        });
        for key in ["js_domain", "js_api_prefix"] {
            nats.insert(key.to_owned(), json!({"type": ["string", "number", "null"]}));
        }
        for key in ["config_subject", "js_domain", "js_api_prefix"] {
            nats[key]["deprecated"] = true.into();
            nats[key]["description"] = "Older files have it.".into();
        }
        schema
            .pointer_mut("/$defs/NatsSection")
            .into_iter()
            .for_each(|it| it["allOf"] = json!(twice));
    }
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use jsonschema::Validator;

    use super::super::{problem::Problems, yaml};
    use super::*;

    fn validator() -> Validator {
        jsonschema::options().should_validate_formats(true).build(&schema()).unwrap()
    }

    /// What the schema says of a file: the place of each mistake.
    fn mistakes(validator: &Validator, text: &str) -> Vec<String> {
        let tree = yaml::parse(text, &mut Problems::default()).unwrap();
        let file = yaml::tests::as_json(&tree);
        validator.iter_errors(&file).map(|error| error.instance_path().to_string()).collect()
    }

    fn files(folder: &str) -> impl Iterator<Item = PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|it| it == "yaml"))
    }

    #[test]
    fn every_sample_fits_and_names_the_schema() {
        let validator = validator();
        let samples: Vec<PathBuf> = files("config").collect();
        assert!(samples.len() >= 2);
        for path in &samples {
            let text = fs::read_to_string(path).unwrap();
            let schema = text.lines().next().unwrap().split_once("yaml-language-server: $schema=");
            let (_, schema) = schema.unwrap_or_else(|| panic!("{}", path.display()));
            let known = fs::read_to_string(path.with_file_name(schema)).unwrap();
            let known: Value = serde_json::from_str(&known).unwrap();
            assert_eq!(known, super::schema(), "tcsd schema > config/{schema}");
        }
        let fixtures = files("tests/fixtures/config");
        for path in samples.into_iter().chain(fixtures).filter(|it| !it.ends_with("mistakes.yaml"))
        {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(mistakes(&validator, &text), [""; 0], "{}", path.display());
        }
    }

    #[test]
    fn yaml_in_the_documentation_fits() {
        let validator = validator();
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut blocks = 0;
        for page in ["docs/handbook/growing.md", "docs/tutorial.md"] {
            let text = fs::read_to_string(top.join(page)).unwrap();
            for block in text.split("```yaml\n").skip(1) {
                let block = block.split("```").next().unwrap();
                assert_eq!(mistakes(&validator, block), [""; 0], "{page}: {block}");
                blocks += 1;
            }
        }
        assert!(blocks >= 5, "{blocks}");
    }

    #[test]
    fn wrong_keys_types_and_words_do_not_fit() {
        let validator = validator();
        let entry = |text: &str| format!("services: [{{type: a, {text}}}]");
        let launch = |text: &str| entry(&format!("launch: {{{text}}}"));
        for (text, at) in [
            (launch("stop_timout: 5"), "/services/0/launch"),
            (launch("restart: always"), "/services/0/launch"),
            (launch("stop_timeout: soon"), "/services/0/launch/stop_timeout"),
            (launch("stop_timeout: -1"), "/services/0/launch/stop_timeout"),
            (launch("heartbeat: 4000"), "/services/0/launch/heartbeat"),
            (launch("mode: proces"), "/services/0/launch/mode"),
            (launch("enabled: 1"), "/services/0/launch/enabled"),
            (launch("exec: []"), "/services/0/launch/exec"),
            (launch("exec: {a: b}"), "/services/0/launch/exec"),
            (launch("ready: notfy"), "/services/0/launch/ready"),
            (launch("ready: {tcp: localhost}"), "/services/0/launch/ready"),
            (launch("ready: {log: '(unclosed'}"), "/services/0/launch/ready"),
            (launch("limits: {memory: lots}"), "/services/0/launch/limits/memory"),
            (launch("backoff: {facter: 2}"), "/services/0/launch/backoff"),
            (launch("log: {dir: [a]}"), "/services/0/launch/log/dir"),
            (entry("restart: sometimes"), "/services/0/restart"),
            (entry("restart: true"), "/services/0/restart"),
            (entry("restart_max: -1"), "/services/0/restart_max"),
            (entry("module: rm -rf"), "/services/0/module"),
            ("services: [{variant: a}]".to_owned(), "/services/0"),
            ("services: [a]".to_owned(), "/services/0"),
            ("services: {a: {b: {restart: often}}}".to_owned(), "/services/a/b"),
            ("services: {a: [b]}".to_owned(), "/services/a"),
            ("launch: {stop_timout: 5}".to_owned(), "/launch"),
            ("registry: {a: 5}".to_owned(), "/registry/a"),
            ("nats: {hots: a}".to_owned(), "/nats"),
            ("nats: {port: 0}".to_owned(), "/nats/port"),
            ("nats: {port: [1]}".to_owned(), "/nats/port"),
            ("nats: {streams: {state: a}}".to_owned(), "/nats/streams"),
        ] {
            assert_eq!(mistakes(&validator, &text), [at], "{text}");
        }
        for text in [
            entry("any: {setting: [1]}, restart: no, restart_sec: '${DELAY:-5}'"),
            launch(
                "mode: '${MODE}', ready: {tcp: 'localhost:${PORT}'}, after: b.c, stop_signal: 9",
            ),
            "services: {a: {b: , c: {restart: always}}}".to_owned(),
        ] {
            assert_eq!(mistakes(&validator, &text), [""; 0], "{text}");
        }
    }
}
