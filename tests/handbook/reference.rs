//! The page with all keys of the services file is made from the file's JSON Schema, but for its first
//! lines.
//! `TCS_WRITE_SCHEMAS=1 cargo test -p tcsctl --test handbook the_reference` writes it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::read;

const PAGE: &str = "docs/handbook/services-file.md";

/// Heading, what stands before the table, the definition.
const SECTIONS: [(&str, &str); 11] = [
    ("At the top", ""),
    ("An entry of `services`", "Entry"),
    ("launch", "Launch"),
    ("launch.ready", "Ready"),
    ("launch.backoff", "Backoff"),
    ("launch.log", "Log"),
    ("launch.limits", "Limits"),
    ("nats", "NatsSection"),
    ("type: sentinel", "Sentinel"),
    ("type: report", "Report"),
    ("type: serve", "ServeSettings"),
];

/// How definitions are referred to in the tables; `Mode` is short enough to stand there itself.
fn anchor(definition: &str) -> Option<String> {
    let (heading, _) = SECTIONS.iter().find(|(_, of)| *of == definition)?;
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
    Some(format!("[{heading}](#{anchor})"))
}

struct Reference {
    definitions: Map<String, Value>,
}

impl Reference {
    /// What a value may be, in words; empty: nothing that a person would write.
    fn kinds(&self, schema: &Value, kinds: &mut Vec<String>) {
        let mut add = |kind: String| {
            if !kind.is_empty() && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        };
        if schema["deprecated"] == true {
            return;
        }
        if let Some(name) = schema["$ref"].as_str().and_then(|it| it.strip_prefix("#/$defs/")) {
            return match anchor(name) {
                Some(link) => add(link),
                None => self.kinds(&self.definitions[name], kinds),
            };
        }
        if let Some(word) = schema["const"].as_str() {
            return add(format!("`{word}`"));
        }
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            let words: Vec<&str> = match words.len() {
                ..=11 => words,
                _ if words.contains(&"TERM") => vec!["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"],
                _ => return add("word".to_owned()),
            };
            return words.iter().for_each(|word| add(format!("`{word}`")));
        }
        for of in ["anyOf", "oneOf"] {
            let parts = schema[of].as_array().filter(|_| schema["properties"].is_null());
            for part in parts.into_iter().flatten() {
                self.kinds(part, kinds);
            }
        }
        let one = schema["type"].as_str();
        let types: Vec<&str> = match schema["type"].as_array() {
            Some(several) => several.iter().filter_map(Value::as_str).collect(),
            None => one.into_iter().collect(),
        };
        for kind in &types {
            match *kind {
                "boolean" => kinds.extend(["`true`".to_owned(), "`false`".to_owned()]),
                // a number in quotes, a variable in place of a word, a word in another case
                "string" if schema["pattern"].is_string() => text(schema, kinds),
                "string" => kinds.push("text".to_owned()),
                // text that looks like a number
                "number" | "integer" if types.contains(&"string") => {}
                "number" => kinds.push(number("number", schema)),
                "integer" => kinds.push(number("whole number", schema)),
                "array" => {
                    let mut items = Vec::new();
                    self.kinds(&schema["items"], &mut items);
                    let are_words = items.iter().all(|item| kinds.contains(item));
                    kinds.push(match items.len() {
                        0 => "list".to_owned(),
                        2.. if are_words => "list of these".to_owned(),
                        _ => format!("list of {}", items.join(" or ")),
                    });
                }
                // a word, written as a mapping
                "object" if schema["maxProperties"] == 1 => {}
                "object" => kinds.push("mapping".to_owned()),
                _ => {}
            }
        }
        let mut seen = Vec::new();
        kinds.retain(|kind| !kind.is_empty() && (!seen.contains(kind), seen.push(kind.clone())).0);
    }

    /// A row for each key, and for the keys inside it.
    fn rows(&self, path: &str, schema: &Value, rows: &mut Vec<[String; 4]>) {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, of) in schema["properties"].as_object().into_iter().flatten() {
            if of["deprecated"] == true {
                continue;
            }
            let path = format!("{path}{key}");
            let inner = inside(of);
            let mut kinds = Vec::new();
            self.kinds(of, &mut kinds);
            let default = match &of["default"] {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(text) if text.is_empty() => String::new(),
                Value::Array(list) if list.is_empty() => String::new(),
                Value::Number(size) if kinds.contains(&"size".to_owned()) => {
                    format!("{}M", size.as_u64().unwrap() >> 20)
                }
                Value::Number(number) => format!("{}", number.as_f64().unwrap()),
                other => other.to_string().trim_matches('"').to_owned(),
            };
            let parts = of["anyOf"].as_array().into_iter().flatten();
            let told =
                [of, inner].into_iter().chain(parts).find_map(|it| it["description"].as_str());
            let told = told.unwrap_or_else(|| panic!("{path} has no description: {of}"));
            rows.push([
                path.clone(),
                kinds.join(", "),
                default,
                told.trim_end_matches('.').to_owned(),
            ]);
            if path == "services" {
                continue; // of built-in types: sections of their own
            }
            self.rows(&format!("{path}."), inner, rows);
            let each = inside(&inner["additionalProperties"]);
            if each["properties"].is_object() {
                self.rows(&format!("{path}.NAME."), each, rows);
            }
            if inner["items"]["properties"].is_object() {
                self.rows(&format!("{path}[]."), &inner["items"], rows);
            }
        }
    }

    fn sections(&self, top: &Value) -> String {
        let mut page = String::new();
        for (n, (heading, name)) in SECTIONS.into_iter().enumerate() {
            if n > 0 {
                page.push('\n');
            }
            let schema = if name.is_empty() { top } else { &self.definitions[name] };
            let code = heading.contains('`') || heading == "At the top";
            let title = if code { heading.to_owned() } else { format!("`{heading}`") };
            let told = schema["description"].as_str().unwrap();
            write!(page, "## {title}\n\n{told}\n\n").unwrap();
            if name == "Ready" {
                choices(schema, &mut page);
                continue;
            }
            page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
            let mut rows = Vec::new();
            self.rows("", schema, &mut rows);
            for [key, kind, default, meaning] in rows {
                let default = if default.is_empty() || default == "required" {
                    default
                } else {
                    format!("`{default}`")
                };
                let meaning = meaning.replace('|', "\\|");
                writeln!(page, "| `{key}` | {kind} | {default} | {meaning} |").unwrap();
            }
        }
        page
    }
}

/// Text with a form.
fn text(schema: &Value, kinds: &mut Vec<String>) {
    let pattern = schema["pattern"].as_str().unwrap();
    let variable = r"\$\{[A-Za-z_]";
    let is_number = ["^ *\\+?", "^ *[-+]?"].iter().any(|it| pattern.starts_with(it));
    let is_size = pattern.contains("[kK]");
    let is_period = pattern.contains("(ms|s|m|h|d)") && !pattern.starts_with("^([01]");
    let is_word = pattern == variable || pattern.contains("[Ss][Ii][Gg]");
    if is_size {
        kinds.retain(|kind| !kind.contains("number"));
        kinds.push("size".to_owned());
    } else if is_period {
        kinds.retain(|kind| !kind.contains("number"));
        kinds.push("period".to_owned());
    } else if is_number && !kinds.iter().any(|kind| kind.contains("number")) {
        kinds.push("number".to_owned());
    } else if !is_number && !is_word && !kinds.iter().any(|kind| kind.starts_with('`')) {
        kinds.push("text".to_owned());
    }
}

/// A value that is one of several.
fn choices(schema: &Value, page: &mut String) {
    page.push_str("| value | meaning |\n|---|---|\n");
    for choice in schema["anyOf"][0]["oneOf"].as_array().unwrap() {
        let keys = choice["properties"].as_object();
        let key = keys.and_then(|keys| keys.keys().next()).map(|key| format!("{{{key}: ...}}"));
        let value = key.unwrap_or_else(|| choice["const"].as_str().unwrap().to_owned());
        let told = choice["description"].as_str().unwrap().trim_end_matches('.');
        writeln!(page, "| `{value}` | {told} |").unwrap();
    }
}

/// The part of a schema that is a mapping or a list, where it may also be left out.
fn inside(schema: &Value) -> &Value {
    let has_keys = |it: &Value| it["properties"].is_object() || it["items"].is_object();
    let parts = schema["anyOf"].as_array().filter(|_| !has_keys(schema));
    parts.into_iter().flatten().find(|it| has_keys(it)).unwrap_or(schema)
}

/// With its range, where that is not the one of every number.
fn number(kind: &str, schema: &Value) -> String {
    let bound = |key: &str| schema[key].as_f64().filter(|it| it.abs() < 1e8);
    match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) => format!("{kind} ({min} to {max})"),
        (Some(min), None) if min > 0.0 => format!("{kind} ({min} or more)"),
        _ => kind.to_owned(),
    }
}

#[test]
fn the_reference_of_the_services_file_is_up_to_date() {
    let schema: Value = serde_json::from_str(&read("config/services.schema.json")).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().clone();
    let sections = Reference { definitions }.sections(&schema);
    let now = read(PAGE);
    let (intro, _) = now.split_once("## At the top\n").unwrap();
    let page = format!("{intro}{sections}");
    if std::env::var_os("TCS_WRITE_SCHEMAS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(
        read(PAGE),
        page,
        "TCS_WRITE_SCHEMAS=1 cargo test -p tcsctl --test handbook the_reference"
    );
}
