//! What parts name of each other: it must be there, and no mapping may wait for itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    located::{Content, Node},
    parts::{Origin, Project},
    problem::{Problem, Problems, suggestion},
    references::has_references,
    schema::Part,
};

/// What is there for a definition to refer to.
pub trait Known {
    /// The names of all parts of that kind.
    fn names(&self, part: Part) -> Vec<&str>;

    /// The mappings that a mapping waits for.
    fn awaited(&self, mapping: &str) -> Vec<&str>;
}

impl Known for Project {
    fn names(&self, part: Part) -> Vec<&str> {
        match part {
            Part::Source => self.sources.iter().map(|source| source.origin.name.as_str()).collect(),
            Part::Model => self.models.iter().map(|model| model.origin.name.as_str()).collect(),
            Part::Destination => self.destinations.iter().map(|to| to.origin.name.as_str()).collect(),
            Part::Mapping => self.mappings.iter().map(|mapping| mapping.origin.name.as_str()).collect(),
        }
    }

    fn awaited(&self, mapping: &str) -> Vec<&str> {
        let awaited = self.mapping(mapping).map_or(&[][..], |mapping| mapping.schedule.awaited());
        awaited.iter().map(String::as_str).collect()
    }
}

/// Reports what the parts name and is not there. What is still a reference to something outside is let pass.
pub(crate) fn check<'o>(origins: impl Iterator<Item = &'o Origin>, known: &dyn Known, problems: &mut Problems) {
    let mut names: BTreeMap<Part, Vec<&str>> = BTreeMap::new();
    for origin in origins {
        let named: &[(&str, Part)] = match origin.part {
            Part::Source | Part::Destination => &[],
            Part::Model => &[("source", Part::Source)],
            Part::Mapping => &[("model", Part::Model), ("destination", Part::Destination)],
        };
        for &(field, part) in named {
            let Some(name) = origin.node.get(field).and_then(Node::text) else { continue };
            let names = names.entry(part).or_insert_with(|| known.names(part));
            check_name(origin, part, field, name, names, problems);
        }
    }
}

/// Reports mappings that wait for what is not there, and those that wait for each other in a circle.
pub(crate) fn check_waiting<'o>(
    origins: impl Iterator<Item = &'o Origin> + Clone,
    known: &dyn Known,
    problems: &mut Problems,
) {
    let mut waits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut names = None;
    for origin in origins.clone().filter(|origin| origin.part == Part::Mapping) {
        let awaited = awaited_by(&origin.node);
        for (path, name) in &awaited {
            let names = names.get_or_insert_with(|| known.names(Part::Mapping));
            // It may be new itself.
            if *name != origin.name {
                check_name(origin, Part::Mapping, path, name, names, problems);
            }
        }
        waits.insert(&origin.name, awaited.into_iter().map(|(_, name)| name).collect());
    }
    let mut next: Vec<&str> = waits.values().flatten().copied().collect();
    let mut seen: BTreeSet<&str> = waits.keys().copied().collect();
    while let Some(name) = next.pop() {
        if seen.insert(name) {
            let awaited = known.awaited(name);
            next.extend(&awaited);
            waits.insert(name, awaited);
        }
    }
    let Some(circle) = schedule::find_circle(&waits) else { return };
    let mut found = origins.filter(|origin| origin.part == Part::Mapping);
    if let Some(origin) = found.find(|origin| circle.contains(&origin.name.as_str())) {
        let start = circle.iter().position(|name| *name == origin.name).unwrap_or_default();
        let way: Vec<String> = circle[start..].iter().chain(&circle[..start]).map(|name| format!("`{name}`")).collect();
        let message = match &way[..] {
            [_] => "it waits for itself, and so would never start".to_owned(),
            [first, way @ ..] => {
                let way = way.join(", which waits for ");
                format!("it waits for {way}, which waits for {first}: none of them would ever start")
            }
            [] => return,
        };
        problems.push(origin.problem("schedule.after", message));
    }
}

/// The mappings that a mapping waits for, each with its place.
fn awaited_by(node: &Node) -> Vec<(String, &str)> {
    let Some(after) = node.get("schedule").and_then(|schedule| schedule.get("after")) else { return Vec::new() };
    match &after.content {
        Content::Text(name) => vec![("schedule.after".to_owned(), name.as_str())],
        Content::List(items) => {
            let texts = items.iter().enumerate().filter_map(|(index, item)| Some((index, item.text()?)));
            texts.map(|(index, name)| (format!("schedule.after[{index}]"), name)).collect()
        }
        _ => Vec::new(),
    }
}

fn check_name(origin: &Origin, part: Part, path: &str, name: &str, known: &[&str], problems: &mut Problems) {
    if !known.contains(&name) && !has_references(name) {
        let message = format!("there is no {} `{name}`; {}", part.noun(), suggestion(name, known));
        problems.push(origin.problem(path, message));
    }
}

/// What is wrong with a mapping's schedule, as the schedule tells it.
pub(crate) fn schedule_problem(origin: &Origin, problem: &schedule::Problem) -> Problem {
    let path = if problem.field.is_empty() { "schedule".to_owned() } else { format!("schedule.{}", problem.field) };
    origin.problem(&path, problem.message.clone())
}
