//! YAML as `PyYAML`'s `safe_load` reads it, into a tree with places.
//!
//! The parser gives events with spans; the deserializer built on it was not used, because it
//! follows YAML 1.2 (`no` is text, `010` is ten), distinguishes neither quoted from plain scalars
//! nor reports a repeated key, and stops at the first error.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::numbers::{self, Plain};
use super::problem::{Place, Problem, Problems};
use super::value::{Key, Mapping, Node, Value};

/// Values in one file, with those that aliases repeat: far above any real file, and a bound on
/// what a chain of aliases can grow to.
const MAX_NODES: usize = 100_000;
/// Keys in one mapping.
const MAX_KEYS: usize = 10_000;
/// Levels in one file, with those that aliases add.
const MAX_DEPTH: usize = 48;

/// Reads the only document of a text. `None`: the problems hold an error behind which nothing can
/// be read.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let options: Options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        block_scalar_eof_without_line_feed: true,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, anchors: HashMap::new(), nodes: 0, problems };
    reader.stream().ok()
}

/// Nothing more can be read; the reason is among the problems.
struct Stop;

/// A finished node that aliases may repeat.
struct Anchored {
    node: Node,
    /// How many nodes it holds, itself included.
    nodes: usize,
    /// How many levels it has, itself included.
    depth: usize,
}

struct Reader<'t, 'p> {
    parser: Parser<'t, StrInput<'t>>,
    /// `None` while the anchored node itself is being read.
    anchors: HashMap<usize, Option<Anchored>>,
    nodes: usize,
    problems: &'p mut Problems,
}

/// A node and how deep it is.
struct Read {
    node: Node,
    depth: usize,
}

impl<'t> Reader<'t, '_> {
    fn stream(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let hint = "only one is allowed: remove the `---` and the document that does \
                                not belong here";
                    let problem = Problem::error(place(span), "a second document in the file");
                    return Err(self.stop(problem.hint(hint)));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 1)?.node),
            }
        }
        Ok(root.unwrap_or_else(|| Node::new(Value::Null, Place::new(1, 1, 1))))
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mark = error.marker();
                let at = Place::new(mark.line(), mark.col() + 1, 1);
                Err(self.stop(Problem::error(at, format!("not YAML: {}", error.info()))))
            }
            None => Err(self.stop(Problem::error(None, "not YAML: unexpected end of the file"))),
        }
    }

    fn stop(&mut self, problem: Problem) -> Stop {
        self.problems.push(problem);
        Stop
    }

    fn count(&mut self, nodes: usize, depth: usize, at: Place) -> Result<(), Stop> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.stop(Problem::error(at, format!("more than {MAX_NODES} values"))));
        }
        if depth > MAX_DEPTH {
            return Err(self.stop(Problem::error(at, format!("more than {MAX_DEPTH} levels deep"))));
        }
        Ok(())
    }

    /// The node that starts with this event.
    fn node(&mut self, event: Event<'t>, span: Span, level: usize) -> Result<Read, Stop> {
        let at = place(span);
        let before = self.nodes;
        self.count(1, level, at)?;
        let anchor = event.anchor_id();
        if let Some(id) = anchor {
            self.anchors.insert(id, None);
        }
        let read = match event {
            Event::Scalar(text, style, _, tag) => {
                let node = self.scalar(text.into_owned(), style, tag.as_deref(), at);
                Read { node, depth: 1 }
            }
            Event::SequenceStart(_, _, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", at);
                self.list(at, level)?
            }
            Event::MappingStart(_, _, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", at);
                self.mapping(at, level)?
            }
            Event::Alias(id) => return self.alias(id, at, level),
            Event::UnresolvedAlias(name) => {
                self.problems.push(Problem::error(at, format!("`*{name}` is not defined above")));
                Read { node: Node::new(Value::Null, at), depth: 1 }
            }
            _ => return Err(self.stop(Problem::error(at, "not YAML: a value is missing"))),
        };
        if let Some(id) = anchor {
            let nodes = self.nodes - before;
            let (node, depth) = (read.node.clone(), read.depth);
            self.anchors.insert(id, Some(Anchored { node, nodes, depth }));
        }
        Ok(read)
    }

    fn alias(&mut self, id: usize, at: Place, level: usize) -> Result<Read, Stop> {
        let Some(Some(Anchored { node, nodes, depth })) = self.anchors.get(&id) else {
            return Err(
                self.stop(Problem::error(at, "an alias inside the value that it stands for"))
            );
        };
        let (nodes, depth) = (*nodes, *depth);
        let node = node.clone();
        self.count(nodes, level + depth, at)?;
        Ok(Read { node, depth })
    }

    fn list(&mut self, at: Place, level: usize) -> Result<Read, Stop> {
        let mut items = Vec::new();
        let mut depth = 0;
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            let read = self.node(event, span, level + 1)?;
            depth = depth.max(read.depth);
            items.push(read.node);
        }
        Ok(Read { node: Node::new(Value::List(items), at), depth: depth + 1 })
    }

    fn mapping(&mut self, at: Place, level: usize) -> Result<Read, Stop> {
        let mut own = Mapping::default();
        let mut merged = Mapping::default();
        let mut depth = 0;
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = is_merge_key(&event);
            let key = self.key(event, span, level)?;
            let (event, span) = self.next()?;
            let read = self.node(event, span, level + 1)?;
            depth = depth.max(read.depth);
            if is_merge {
                self.merge(read.node, &mut merged);
            } else if let Some(key) = key {
                let (at, text) = (key.at, key.text.clone());
                if let Some(first) = own.insert(key, read.node) {
                    let message =
                        format!("`{text}` is set twice: line {} is ignored", first.at.line);
                    self.problems.push(Problem::warning(at, message));
                }
            }
            if own.len() + merged.len() > MAX_KEYS {
                let message = format!("more than {MAX_KEYS} keys in one mapping");
                return Err(self.stop(Problem::error(at, message)));
            }
        }
        // what is merged comes first, what stands here wins; unlike with top-level keys, nothing
        // is merged deeply
        for (key, node) in own.iter() {
            merged.insert(key.clone(), node.clone());
        }
        Ok(Read { node: Node::new(Value::Map(merged), at), depth: depth + 1 })
    }

    /// A key, or `None` after a problem.
    fn key(&mut self, event: Event<'t>, span: Span, level: usize) -> Result<Option<Key>, Stop> {
        let at = place(span);
        let written = match &event {
            Event::Scalar(text, ..) => Some(text.clone().into_owned()),
            _ => None,
        };
        let node = self.node(event, span, level + 1)?.node;
        let text = written.or_else(|| node.scalar_text().map(str::to_owned));
        let Some(text) = text else {
            let kind = node.kind();
            self.problems.push(Problem::error(at, format!("a key must be text, found {kind}")));
            return Ok(None);
        };
        Ok(Some(Key { text, at, is_text: matches!(node.value, Value::Text(_)) }))
    }

    /// `<<: *one` or `<<: [*one, *two]`: of a list the first wins, of two `<<` the last.
    fn merge(&mut self, node: Node, merged: &mut Mapping) {
        let parts = match node.value {
            Value::List(parts) => parts,
            _ => vec![node],
        };
        for part in parts.into_iter().rev() {
            if let Value::Map(mapping) = &part.value {
                for (key, node) in mapping.iter() {
                    merged.insert(key.clone(), node.clone());
                }
            } else {
                let message = format!("`<<` merges keys and values, found {}", part.kind());
                self.problems.push(Problem::error(part.at, message));
            }
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Node {
        let as_text = |text| Node::new(Value::Text(text), at);
        let Some(tag) = tag else {
            return match style {
                ScalarStyle::Plain => self.plain(text, at),
                ScalarStyle::SingleQuoted
                | ScalarStyle::DoubleQuoted
                | ScalarStyle::Literal
                | ScalarStyle::Folded => as_text(text),
            };
        };
        let core = if tag.handle().is_empty() && tag.suffix() == "!" {
            Some("str")
        } else {
            tag.core_suffix()
        };
        let node = match core {
            Some("str") => return as_text(text),
            Some("int" | "float" | "bool" | "null") => self.plain(text, at),
            _ => {
                self.problems.push(unknown_tag(tag, at));
                return as_text(text);
            }
        };
        let fits = match (core, &node.value) {
            (Some("int"), Value::Int(_))
            | (Some("float"), Value::Float(_))
            | (Some("bool"), Value::Bool(_))
            | (Some("null"), Value::Null) => true,
            (Some("float"), Value::Int(number)) => {
                return Node { value: Value::Float(*number as f64), ..node };
            }
            _ => false,
        };
        if !fits {
            let message = format!("`{}` does not fit {}", tag.original(), node.kind());
            self.problems.push(Problem::error(at, message));
        }
        node
    }

    fn plain(&mut self, text: String, at: Place) -> Node {
        let value = match numbers::plain(&text) {
            Plain::Text => return Node::new(Value::Text(text), at),
            Plain::Null => Value::Null,
            Plain::Bool(value) => Value::Bool(value),
            Plain::Float(value) => Value::Float(value),
            Plain::Int(value) => Value::Int(value),
            Plain::Surprising(value, why) => {
                let is = match value {
                    Value::Int(number) => number.to_string(),
                    Value::Float(number) => number.to_string(),
                    _ => String::new(),
                };
                self.problems.push(
                    Problem::warning(at, format!("`{text}` is read as {is}: {why}"))
                        .hint(format!("write {is}, or \"{text}\" for the text")),
                );
                value
            }
            Plain::TooLarge => {
                self.problems.push(Problem::error(at, "a number too large to be read"));
                Value::Null
            }
        };
        Node { raw: Some(text), ..Node::new(value, at) }
    }

    fn check_collection_tag(&mut self, tag: Option<&Tag>, expected: &str, at: Place) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
            && tag.original() != "!"
        {
            self.problems.push(unknown_tag(tag, at));
        }
    }
}

fn is_merge_key(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<")
}

fn unknown_tag(tag: &Tag, at: Place) -> Problem {
    Problem::error(at, format!("the tag `{}` is not supported", tag.original()))
        .hint("quote the value if it is text")
}

fn place(span: Span) -> Place {
    let (start, end) = (span.start, span.end);
    let width = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Place::new(start.line(), start.col() + 1, width)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::{Value as Json, json};

    use super::*;

    /// As Python would write it: what JSON has no word for is marked with `~`.
    pub(in crate::config) fn as_json(node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => json!(value),
            Value::Int(number) => serde_json::from_str(&number.to_string()).unwrap(),
            Value::Float(number) if number.is_nan() => json!({"~f": "nan"}),
            Value::Float(number) if number.is_infinite() => json!({"~f": number.to_string()}),
            Value::Float(number) => json!(number),
            Value::Text(text) => json!(text),
            Value::List(items) => items.iter().map(as_json).collect(),
            Value::Map(mapping) => mapping
                .iter()
                .map(|(key, node)| {
                    (if key.is_text { key.text.clone() } else { "~k".to_owned() }, as_json(node))
                })
                .collect(),
        }
    }

    fn is_same(python: &Json, ours: &Json) -> bool {
        match (python, ours) {
            // a date is text here
            (Json::Object(date), Json::String(_)) if date.contains_key("~date") => true,
            (Json::Number(one), Json::Number(two)) => {
                let (x, y) = (one.as_f64().unwrap(), two.as_f64().unwrap());
                one.is_f64() == two.is_f64() && (x - y).abs() <= 1e-12 * x.abs()
            }
            (Json::Array(one), Json::Array(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| is_same(one, two))
            }
            (Json::Object(one), Json::Object(two)) => {
                one.len() == two.len()
                    && one
                        .iter()
                        .all(|(key, one)| two.get(key).is_some_and(|two| is_same(one, two)))
            }
            _ => python == ours,
        }
    }

    /// Each line of the fixture is what `safe_load` of `PyYAML` 6.0.2 made of a text.
    #[test]
    fn recorded_texts_are_read_as_pyyaml_read_them() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/config");
        let recorded = fs::read_to_string(path.join("pyyaml.jsonl")).unwrap();
        assert!(recorded.lines().count() > 400);
        for line in recorded.lines() {
            let case: Json = serde_json::from_str(line).unwrap();
            let mut problems = Problems::default();
            let ours = parse(case["yaml"].as_str().unwrap(), &mut problems)
                .filter(|_| !problems.has_errors())
                .map(|node| as_json(&node));
            match ours {
                Some(ours) => {
                    assert!(case["refused"] == json!(false), "{line}: read as {ours}");
                    assert!(is_same(&case["value"], &ours), "{line}: read as {ours}");
                }
                None => assert!(case["refused"] == json!(true), "{line}: {problems:?}"),
            }
        }
    }
}
