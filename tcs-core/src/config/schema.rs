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

/// The same, or a number in quotes.
const NUMBER: &str = r"\$\{[A-Za-z_]|^ *[-+]?[0-9.]+ *$";

/// Where a number or a word is expected, a variable may stand; a number may be in quotes.
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
    let pattern = if is_number { NUMBER } else { VARIABLE };
    let Some(object) = schema.as_object_mut() else { return };
    let description = object.remove("description");
    let default = object.remove("default");
    let own = Value::Object(std::mem::take(object));
    object.insert("anyOf".to_owned(), json!([own, {"type": "string", "pattern": pattern}]));
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
    if let Some(Value::Object(nats)) = schema.pointer_mut("/$defs/NatsSection/properties") {
        for key in ["config_subject", "js_domain", "js_api_prefix"] {
            let old = json!({"deprecated": true, "description": "Older files have it."});
            nats.insert(key.to_owned(), old);
        }
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
            (launch("log: {dir: 5}"), "/services/0/launch/log"),
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
            ("nats: {port: 0}".to_owned(), "/nats"),
            ("nats: {port: [1]}".to_owned(), "/nats"),
            ("nats: {streams: {state: a}}".to_owned(), "/nats"),
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
