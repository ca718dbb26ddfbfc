//! `services` and `registry`: which services there are.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::decode;
use super::environment::Environment;
use super::launch::{self, Launch, RESTART_KEYS};
use super::nearest::nearest;
use super::problem::{Place, Problem, Problems, Source};
use super::schedule;
use super::settings::{Parts, ServiceSettings};
use super::value::{Key, Mapping, Node, Value};
use super::values::{As, Module as ModuleName, RestartWord, Seconds, TypeName, VariantName};
use crate::id::{ServiceId, ServiceType, Variant};
use crate::wire::policy::{RestartPolicy, RestartWhen};

/// The variant of an entry that names none.
const DEFAULT_VARIANT: &str = "dev";
/// Where the Python project keeps its services.
const PYTHON_PACKAGE: &str = "ocabox_tcs.services";

/// One service of the file.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Module {
    /// With dots.
    pub name: String,
    /// Who.
    pub origin: ModuleOrigin,
}

/// Who named a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModuleOrigin {
    /// `registry`, by the service type.
    Registry,
    /// `module` in the entry.
    Entry,
}

fn default_module(service_type: &str) -> String {
    format!("{PYTHON_PACKAGE}.{service_type}")
}

/// Keys of an entry that the launcher reads. Any other key is a setting of the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Entry")]
pub(super) struct EntryKeys {
    /// Service type, required in each entry of a list: `guider`.
    #[serde(rename = "type", with = "As::<TypeName>")]
    service_type: ServiceType,
    /// Variant: which one of the services of this type; `dev` by default.
    #[serde(default, with = "As::<VariantName>")]
    variant: Option<Variant>,
    /// Older name of `variant`.
    #[serde(default, with = "As::<VariantName>")]
    instance_context: Option<Variant>,
    /// Python module to run.
    #[serde(default, with = "As::<Option<ModuleName>>")]
    module: Option<String>,
    /// When to restart it: `always`, `on-failure` (exit code other than 0, or a signal),
    /// `on-abnormal` (a signal) or `no`, the default.
    #[serde(default, with = "As::<Option<RestartWord>>")]
    restart: Option<RestartWhen>,
    /// Seconds from its end to the restart; 5 by default.
    #[serde(default, with = "As::<Option<Seconds>>")]
    restart_sec: Option<Duration>,
    /// Restarts allowed in `restart_window`; 0, the default: no limit.
    #[serde(default)]
    restart_max: Option<u32>,
    /// Seconds over which restarts are counted; 60 by default.
    #[serde(default, with = "As::<Option<Seconds>>")]
    restart_window: Option<Duration>,
    /// How it is run.
    #[serde(default)]
    launch: Launch,
}

impl EntryKeys {
    fn policy(&self) -> RestartPolicy {
        let default = RestartPolicy::default();
        RestartPolicy {
            when: self.restart.unwrap_or(default.when),
            delay: self.restart_sec.unwrap_or(default.delay),
            limit: NonZeroU32::new(self.restart_max.unwrap_or(0)),
            window: self.restart_window.unwrap_or(default.window),
            backoff: self.launch.backoff.map(Into::into),
        }
    }
}

/// What reading the services needs of the file.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) environment: &'a Arc<Environment>,
    pub(super) nats: Option<&'a Node>,
    pub(super) shared: &'a Mapping,
    pub(super) problems: &'a mut Problems,
}

/// An entry before its keys are read: the list's form, which the mapping's is brought into.
struct Raw {
    map: Mapping,
    at: Place,
}

impl Reader<'_> {
    pub(super) fn read(mut self, top: &Mapping) -> (Launch, Vec<Entry>) {
        let present = |key| top.get(key).filter(|node| !node.is_null());
        let registry = present("registry")
            .and_then(|node| decode::section(node, "registry", false, self.problems))
            .unwrap_or_default();
        let defaults = present("launch");
        let launch = defaults.map(|node| self.launch(node)).unwrap_or_default();
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
                let message = format!("`{}` is defined twice: first on line {first}", entry.id);
                let at = raw.map.get("variant").map_or(raw.at, |node| node.at);
                let problem = Problem::error(at, message);
                self.problems.push(problem.hint("give one of them another variant"));
                first_of.insert(entry.id.clone(), first);
                continue;
            }
            entries.push(entry);
        }
        self.check_profiles(&launch, defaults, &entries);
        (launch, entries)
    }

    /// Sets of services name services of the file.
    fn check_profiles(&mut self, launch: &Launch, node: Option<&Node>, entries: &[Entry]) {
        let Some(Value::Map(map)) = node.map(|node| &node.value) else { return };
        let Some(sets) = map.get(launch::PROFILES) else { return };
        let is_there = |id: &ServiceId| entries.iter().any(|entry| entry.id == *id);
        for (name, ids) in &launch.profiles {
            let set = match &sets.value {
                Value::Map(by_name) => by_name.get(name).unwrap_or(sets),
                _ => sets,
            };
            let places = launch::places(set, ids);
            for (id, at) in ids.iter().zip(places).filter(|(id, _)| !is_there(id)) {
                let message =
                    format!("`{id}` in the profile `{name}` is not a service of this file");
                let near = nearest(id.as_str(), entries.iter().map(|entry| entry.id.as_str()));
                self.problems.push(Problem::warning(at, message).suggest(near));
            }
        }
    }

    /// The `launch` at the top of the file.
    fn launch(&mut self, node: &Node) -> Launch {
        let node = self.own_launch(node);
        let launch = decode::section(&node, "launch", false, self.problems).unwrap_or_default();
        if let Value::Map(map) = &node.value {
            launch::check(map, &launch, self.problems);
        }
        launch
    }

    /// Without what belongs beside it.
    fn own_launch(&mut self, node: &Node) -> Node {
        let Value::Map(map) = &node.value else { return node.clone() };
        for key in RESTART_KEYS.iter().filter_map(|key| map.get_key(key)) {
            let message = format!("`{}` does not belong in `launch`", key.text);
            let problem = Problem::error(key.at, message);
            self.problems.push(problem.hint("write it in the entry itself, beside `type`"));
        }
        Node::new(Value::Map(map.without(&RESTART_KEYS)), node.at)
    }

    /// Python's form: `- type: guider`.
    fn listed(&mut self, items: &[Node]) -> Vec<Raw> {
        items.iter().filter_map(|item| self.listed_one(item)).collect()
    }

    fn listed_one(&mut self, item: &Node) -> Option<Raw> {
        let Value::Map(map) = &item.value else {
            let message = format!("an entry must have keys and values, found {}", item.kind());
            self.problems.push(Problem::error(item.at, message).hint("write `- type: NAME`"));
            return None;
        };
        Some(Raw { map: map.clone(), at: item.at })
    }

    /// type -> variant -> settings.
    fn by_type(&mut self, types: &Mapping) -> Vec<Raw> {
        let mut raws = Vec::new();
        for (type_key, variants) in types.iter() {
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
            let Some(service_type) = self.name("type", type_key) else { continue };
            for (key, settings) in variants.iter() {
                let Some(variant) = self.name("variant", key) else { continue };
                let map = match &settings.value {
                    Value::Map(map) => map,
                    Value::Null => &Mapping::default(),
                    _ => {
                        let (id, found) = (&key.text, settings.kind());
                        let message = format!(
                            "`{}.{id}` must have keys and values, found {found}",
                            type_key.text
                        );
                        self.problems.push(Problem::error(settings.at, message));
                        continue;
                    }
                };
                let mut map = map.clone();
                map.insert(
                    Key { text: "type".to_owned(), ..type_key.clone() },
                    service_type.clone(),
                );
                map.insert(Key { text: "variant".to_owned(), ..key.clone() }, variant);
                raws.push(Raw { map, at: key.at });
            }
        }
        raws
    }

    /// A key that names a part of an id, as a value.
    fn name(&mut self, what: &str, key: &Key) -> Option<Node> {
        if !key.is_text {
            let message = format!("the {what} `{}` is not text", key.text);
            self.problems.push(Problem::error(key.at, message).hint("put it in quotes"));
            return None;
        }
        Some(Node::new(Value::Text(key.text.clone()), key.at))
    }

    fn entry(
        &mut self,
        raw: &Raw,
        registry: &BTreeMap<String, Option<ModuleName>>,
        defaults: Option<&Node>,
    ) -> Option<Entry> {
        let mut map = raw.map.clone();
        if let Some(node) = launch::combined(defaults, raw.map.get("launch")) {
            let key = Key { text: "launch".to_owned(), at: node.at, is_text: true };
            let node = self.own_launch(&node);
            map.insert(key, node);
        }
        self.warn_of_lookalikes(&raw.map);
        if let Some(Node { value: Value::Map(own), .. }) = raw.map.get("launch")
            && let Some(node) = own.get(launch::PROFILES)
        {
            let message = "`profiles` in an entry has no effect";
            let problem = Problem::warning(node.at, message);
            self.problems.push(problem.hint("write it in `launch` at the top of the file"));
        }
        let node = Node::new(Value::Map(map), raw.at);
        let keys: Option<EntryKeys> = decode::section(&node, "", true, self.problems);
        let mut keys = keys?;
        if let Value::Map(map) = &node.value
            && let Some(Node { value: Value::Map(map), .. }) = map.get("launch")
        {
            launch::check(map, &keys.launch, self.problems);
            if let Some(after) = map.get("after") {
                keys.launch.after_places = launch::places(after, &keys.launch.after);
            }
            if let Some(schedule) = &mut keys.launch.schedule {
                schedule.at = schedule::place(map);
            }
        }
        let restart = keys.policy();
        let module = self.module(&keys, raw, registry);
        let EntryKeys { service_type, variant, instance_context, launch, .. } = keys;
        let dev = || DEFAULT_VARIANT.parse().ok();
        let variant = variant.or(instance_context).or_else(dev)?;
        let id = ServiceId::new(&service_type, &variant);
        let settings = ServiceSettings::new(
            Parts {
                source: Arc::clone(self.source),
                environment: Arc::clone(self.environment),
                shared: self.shared,
                nats: self.nats,
                own: &raw.map,
                at: Some(raw.at),
            },
            service_type.clone(),
            variant.clone(),
        );
        Some(Entry { id, service_type, variant, restart, launch, module, settings, at: raw.at })
    }

    fn module(
        &mut self,
        keys: &EntryKeys,
        raw: &Raw,
        registry: &BTreeMap<String, Option<ModuleName>>,
    ) -> Option<Module> {
        let service_type = keys.service_type.as_str();
        let registered = registry.get(service_type).map(|name| match name {
            Some(name) => name.as_str().to_owned(),
            None => default_module(service_type),
        });
        if let (Some(own), Some(name)) = (&keys.module, &registered)
            && let Some(node) = raw.map.get("module").filter(|_| own != name)
        {
            let message = format!("`module` is ignored: `registry` says `{name}` for this type");
            self.problems.push(Problem::warning(node.at, message).hint("keep one of the two"));
        }
        let registered = registered.map(|name| (name, ModuleOrigin::Registry));
        let own = || keys.module.clone().map(|name| (name, ModuleOrigin::Entry));
        let (name, origin) = registered.or_else(own)?;
        Some(Module { name, origin })
    }

    /// `restart_secs` and `lanch: {...}` are the service's own, and hardly meant so.
    fn warn_of_lookalikes(&mut self, map: &Mapping) {
        for (key, node) in map.iter() {
            let name = key.text.as_str();
            let near = match node.value {
                Value::Map(_) => nearest(name, ["launch"]),
                _ => nearest(name, RESTART_KEYS),
            };
            if near.is_some_and(|near| near != name) {
                let message =
                    format!("`{name}` is not a key of the launcher, so the service gets it");
                self.problems.push(Problem::warning(key.at, message).suggest(near));
            }
        }
    }
}
