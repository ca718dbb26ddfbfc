//! `services` and `registry`: which services there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::environment::Environment;
use super::launch::{self, Launch};
use super::nearest::nearest;
use super::order;
use super::problem::{Place, Problem, Problems, Source};
use super::restart::{self, RestartPolicy};
use super::section::Section;
use super::settings::{Parts, ServiceSettings};
use super::value::{Mapping, Node, Value};
use crate::id::{ServiceId, ServiceType, Variant};

/// The variant of an entry that names none.
const DEFAULT_VARIANT: &str = "dev";
/// Where the Python project keeps its services.
const PYTHON_PACKAGE: &str = "ocabox_tcs.services";

/// One service of the file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `<type>.<variant>`.
    pub id: ServiceId,
    /// As the entry names it.
    pub service_type: ServiceType,
    /// As the entry names it, or `dev`.
    pub variant: Variant,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// How it is run.
    pub launch: Launch,
    /// Its Python module, if the file names one.
    pub module: Option<Module>,
    /// The rest: what the service's own type takes.
    pub settings: ServiceSettings,
    /// Where the entry stands.
    pub at: Place,
}

impl Entry {
    /// The Python module to run: the file's, or the one that the type stands for.
    pub fn python_module(&self) -> String {
        match &self.module {
            Some(module) => module.name.clone(),
            None => default_module(self.service_type.as_str()),
        }
    }
}

/// A Python module and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// With dots.
    pub name: String,
    /// Who.
    pub origin: ModuleOrigin,
}

/// Who named a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleOrigin {
    /// `registry`, by the service type.
    Registry,
    /// `module` in the entry.
    Entry,
}

fn default_module(service_type: &str) -> String {
    format!("{PYTHON_PACKAGE}.{service_type}")
}

/// What reading the services needs of the file.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) environment: &'a Arc<Environment>,
    pub(super) nats: Option<&'a Node>,
    pub(super) shared: &'a Mapping,
    pub(super) problems: &'a mut Problems,
}

/// An entry before its keys are read: the list's and the mapping's forms in one.
struct Raw<'a> {
    /// Name and place; `None` after a problem.
    service_type: Option<(&'a str, Place)>,
    variant: Option<(&'a str, Place)>,
    map: &'a Mapping,
    at: Place,
}

static NOTHING: std::sync::LazyLock<Mapping> = std::sync::LazyLock::new(Mapping::default);

impl Reader<'_> {
    pub(super) fn read(mut self, top: &Mapping) -> (Launch, Vec<Entry>) {
        let registry = self.registry(top);
        let defaults = self.mapping("launch", top);
        let launch = defaults.map(|map| launch::read(map, self.problems)).unwrap_or_default();
        let raws = match top.get("services").map(|node| (node, &node.value)) {
            None => {
                let message = "no `services` in the file: nothing is run";
                self.problems.push(Problem::warning(None, message));
                Vec::new()
            }
            Some((_, Value::Null)) => Vec::new(),
            Some((_, Value::List(items))) => self.listed(items),
            Some((_, Value::Map(types))) => self.by_type(types),
            Some((node, _)) => {
                let message = format!("`services` must be a list, found {}", node.kind());
                self.problems.push(Problem::error(node.at, message));
                Vec::new()
            }
        };
        let mut entries = Vec::new();
        let mut first_of = HashMap::new();
        for raw in raws {
            let Some(entry) = self.entry(&raw, &registry, defaults) else { continue };
            if let Some(first) = first_of.insert(entry.id.clone(), raw.at.line) {
                let message = format!("`{}` is there twice: first on line {first}", entry.id);
                let at = raw.variant.map_or(raw.at, |(_, at)| at);
                let problem = Problem::error(at, message);
                self.problems.push(problem.hint("give one of them another variant"));
                first_of.insert(entry.id.clone(), first);
                continue;
            }
            entries.push(entry);
        }
        order::check(&entries, self.problems);
        (launch, entries)
    }

    /// The mapping under a key at the top; anything else there is an error.
    fn mapping<'t>(&mut self, key: &str, top: &'t Mapping) -> Option<&'t Mapping> {
        let mut section = Section { name: "the file", map: top, problems: self.problems };
        section.mapping(key)
    }

    fn registry(&mut self, top: &Mapping) -> BTreeMap<String, String> {
        let mut modules = BTreeMap::new();
        let Some(map) = self.mapping("registry", top) else { return modules };
        for (key, node) in map.iter() {
            let module = match &node.value {
                Value::Null => default_module(&key.text),
                Value::Text(module) => {
                    self.check_module(module, node.at);
                    module.clone()
                }
                _ => {
                    let message =
                        format!("`{}` must name a Python module, found {}", key.text, node.kind());
                    self.problems.push(Problem::error(node.at, message));
                    continue;
                }
            };
            modules.insert(key.text.clone(), module);
        }
        modules
    }

    /// Python's form: `- type: guider`.
    fn listed<'t>(&mut self, items: &'t [Node]) -> Vec<Raw<'t>> {
        items.iter().filter_map(|item| self.listed_one(item)).collect()
    }

    fn listed_one<'t>(&mut self, item: &'t Node) -> Option<Raw<'t>> {
        let Value::Map(map) = &item.value else {
            let message = format!("an entry must have keys and values, found {}", item.kind());
            self.problems.push(Problem::error(item.at, message).hint("write `- type: NAME`"));
            return None;
        };
        let name_of = |key: &str| map.get(key).filter(|node| !node.is_null());
        let type_node = name_of("type");
        if type_node.is_none() {
            let mut keys = map.iter().map(|(key, _)| key.text.as_str());
            let near = keys.find(|key| nearest(key, ["type"]).is_some());
            let mut problem = Problem::error(item.at, "the entry has no `type`");
            if let Some(near) = near {
                problem = problem.hint(format!("is `{near}` meant to be it?"));
            }
            self.problems.push(problem);
        }
        let service_type = type_node.and_then(|node| self.name("type", node));
        // an empty `variant` falls back to `instance_context`, as in Python
        let empty = |node: &&Node| !matches!(&node.value, Value::Text(text) if text.is_empty());
        let variant = match name_of("variant").filter(empty).or(name_of("instance_context")) {
            Some(node) => self.name("variant", node),
            None => Some((DEFAULT_VARIANT, item.at)),
        };
        Some(Raw { service_type, variant, map, at: item.at })
    }

    fn name<'t>(&mut self, what: &str, node: &'t Node) -> Option<(&'t str, Place)> {
        let text = match &node.value {
            Value::Text(text) => Some(text.as_str()),
            _ => node.scalar_text().filter(|_| node.from_variable),
        };
        if text.is_none() {
            let message = format!("`{what}` must be text, found {}", node.kind());
            self.problems.push(Problem::error(node.at, message).hint("put it in quotes"));
        }
        Some((text?, node.at))
    }

    /// type -> variant -> settings.
    fn by_type<'t>(&mut self, types: &'t Mapping) -> Vec<Raw<'t>> {
        let mut raws = Vec::new();
        for (type_key, variants) in types.iter() {
            if !type_key.is_text {
                let message = format!("the type `{}` is not text", type_key.text);
                self.problems.push(Problem::error(type_key.at, message).hint("put it in quotes"));
                continue;
            }
            let Value::Map(variants) = &variants.value else {
                let message = format!(
                    "`{}` must have its variants as keys, found {}",
                    type_key.text,
                    variants.kind()
                );
                let hint = format!("write `{}: {{main: {{}}}}` for one variant", type_key.text);
                self.problems.push(Problem::error(type_key.at, message).hint(hint));
                continue;
            };
            for (key, settings) in variants.iter() {
                if !key.is_text {
                    let message = format!("the variant `{}` is not text", key.text);
                    self.problems.push(Problem::error(key.at, message).hint("put it in quotes"));
                    continue;
                }
                let map = match &settings.value {
                    Value::Map(map) => map,
                    Value::Null => &*NOTHING,
                    _ => {
                        let message = format!(
                            "`{}.{}` must have keys and values, found {}",
                            type_key.text,
                            key.text,
                            settings.kind()
                        );
                        self.problems.push(Problem::error(settings.at, message));
                        continue;
                    }
                };
                raws.push(Raw {
                    service_type: Some((&type_key.text, type_key.at)),
                    variant: Some((&key.text, key.at)),
                    map,
                    at: key.at,
                });
            }
        }
        raws
    }

    fn entry(
        &mut self,
        raw: &Raw<'_>,
        registry: &BTreeMap<String, String>,
        defaults: Option<&Mapping>,
    ) -> Option<Entry> {
        let mut section = Section { name: "the entry", map: raw.map, problems: self.problems };
        let restart = restart::read(&mut section);
        let own = section.mapping("launch");
        let launch = launch::read(&launch::combined(defaults, own), self.problems);
        let restart = RestartPolicy { backoff: launch.backoff, ..restart };
        let module = self.module(raw, registry);
        self.warn_of_lookalikes(raw.map);
        let service_type = self.parse::<ServiceType>(raw.service_type);
        let variant = self.parse::<Variant>(raw.variant);
        let (service_type, variant) = (service_type?, variant?);
        let id = ServiceId::new(&service_type, &variant);
        let settings = ServiceSettings::new(
            Parts {
                source: Arc::clone(self.source),
                environment: Arc::clone(self.environment),
                shared: self.shared,
                nats: self.nats,
                own: raw.map,
                at: Some(raw.at),
            },
            service_type.clone(),
            variant.clone(),
        );
        Some(Entry { id, service_type, variant, restart, launch, module, settings, at: raw.at })
    }

    fn parse<T: std::str::FromStr<Err = crate::id::IdError>>(
        &mut self,
        name: Option<(&str, Place)>,
    ) -> Option<T> {
        let (text, at) = name?;
        text.parse().map_err(|e: T::Err| self.problems.push(Problem::error(at, e.to_string()))).ok()
    }

    fn module(&mut self, raw: &Raw<'_>, registry: &BTreeMap<String, String>) -> Option<Module> {
        let mut section = Section { name: "the entry", map: raw.map, problems: self.problems };
        let node = section.node("module");
        let own = section.text("module");
        if let (Some(own), Some(node)) = (&own, node) {
            self.check_module(own, node.at);
        }
        let registered = raw.service_type.and_then(|(name, _)| registry.get(name));
        if let (Some(own), Some(name), Some(node)) = (&own, registered, node)
            && own != name
        {
            let message = format!("`module` is ignored: `registry` says `{name}` for this type");
            self.problems.push(Problem::warning(node.at, message).hint("keep one of the two"));
        }
        let registered = registered.map(|name| (name.clone(), ModuleOrigin::Registry));
        let (name, origin) = registered.or(own.map(|name| (name, ModuleOrigin::Entry)))?;
        Some(Module { name, origin })
    }

    fn check_module(&mut self, module: &str, at: Place) {
        let is_word =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !module.split('.').all(is_word) {
            let problem = Problem::error(at, format!("`{module}` is not a Python module"));
            let hint = "write its import path, such as `my_project.telescope_control`";
            self.problems.push(problem.hint(hint));
        }
    }

    /// `restart_secs` and `lanch: {...}` are the service's own, and hardly meant so.
    fn warn_of_lookalikes(&mut self, map: &Mapping) {
        for (key, node) in map.iter() {
            let name = key.text.as_str();
            let near = match node.value {
                Value::Map(_) => nearest(name, ["launch"]),
                _ => nearest(name, restart::KEYS),
            };
            if near.is_some_and(|near| near != name) {
                let message = format!("`{name}` is no key of the launcher, so the service gets it");
                self.problems.push(Problem::warning(key.at, message).suggest(near));
            }
        }
    }
}
