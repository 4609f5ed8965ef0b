//! Makes nodes of a mapping. Total: what the check before it let through but cannot work becomes a [`Node::Fail`].

use records::{Object, Value};

use crate::check::{self, NESTING_MAX, Place};
use crate::javascript::utf16_len;
use crate::node::{Case, Flatten, If, Key, Node, Replace, Transform};
use crate::path::{Path, without_dollar};
use crate::program::Problem;
use crate::replace::{PATTERN_MAX, REPLACEMENT_MAX, Replacement};
use crate::template::Template;
use crate::{beyond, liquid};

/// The root key whose directive takes all other keys as its mapping.
const ROOT_DIRECTIVE: &str = "__segment_internal_directive";

/// Builds nodes and gathers what is wrong with our own directives.
pub(crate) struct Builder {
    pub(crate) problems: Vec<Problem>,
    /// A Liquid template is in it, which may ask what time it is.
    pub(crate) has_liquid: bool,
}

/// The mapping that runs: for one with a root directive, that directive with the other keys as its mapping.
///
/// # Errors
/// A root directive that is not one directive with an object.
pub(crate) fn mapping_to_run(mapping: &Object) -> Result<Option<Value>, String> {
    let Some(root) = mapping.get(ROOT_DIRECTIVE) else { return Ok(None) };
    let keys = match root {
        Value::Object(object) => object.len(),
        Value::Array(items) => items.len(),
        Value::Text(text) => utf16_len(text),
        _ => 0,
    };
    if keys > 1 {
        return Err("The root mapping must only have a single directive object".to_owned());
    }
    let (Some(root), 1) = (root.as_object(), keys) else {
        return Err("The root directive must be an object".to_owned());
    };
    let mut others = mapping.clone();
    others.remove(ROOT_DIRECTIVE);
    let mut run = Object::new();
    for (name, argument) in root.iter() {
        let argument = match argument {
            Value::Object(argument) => {
                let mut argument = argument.clone();
                argument.insert("mapping", Value::Object(others.clone()));
                Value::Object(argument)
            }
            // The check of the mapping refuses it.
            Value::Array(items) => Value::Array(items.clone()),
            _ => return Err("The root directive must be an object".to_owned()),
        };
        run.insert(name, argument);
    }
    Ok(Some(Value::Object(run)))
}

/// Whether JavaScript takes a literal for true.
fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false) | Value::Int(0)) => false,
        Some(Value::Float(float)) => *float != 0.0,
        Some(Value::Text(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

fn has_directive(value: &Value) -> bool {
    match value {
        Value::Object(object) => check::is_directive(object) || object.iter().any(|(_, value)| has_directive(value)),
        Value::Array(items) => items.iter().any(has_directive),
        _ => false,
    }
}

fn depth(value: &Value, limit: usize) -> bool {
    match value {
        _ if limit == 0 => false,
        Value::Object(object) => object.iter().all(|(_, value)| depth(value, limit - 1)),
        Value::Array(items) => items.iter().all(|item| depth(item, limit - 1)),
        _ => true,
    }
}

/// Whether a mapping is nested no deeper than allowed, so that all else may recurse.
pub(crate) fn is_shallow(mapping: &Value) -> bool {
    depth(mapping, NESTING_MAX)
}

impl Builder {
    pub(crate) fn node(&mut self, value: &Value, place: &Place) -> Node {
        match value {
            Value::Object(object) if check::is_directive(object) => {
                let directive = object.iter().find(|(key, _)| key.starts_with('@'));
                match directive {
                    Some((name, argument)) => self.directive(name, argument, &place.below(name)),
                    None => Node::Missing,
                }
            }
            _ if !has_directive(value) => Node::Constant(value.clone()),
            Value::Object(object) => {
                let entry = |(key, value)| (Key::new(key), self.node(value, &place.below(key)));
                Node::Object(object.iter().map(entry).collect())
            }
            Value::Array(items) => {
                let item = |(index, item): (usize, &Value)| self.node(item, &place.below(&index.to_string()));
                Node::Array(items.iter().enumerate().map(item).collect())
            }
            scalar => Node::Constant(scalar.clone()),
        }
    }

    fn optional(&mut self, value: Option<&Value>, place: &Place) -> Node {
        value.map_or(Node::Missing, |value| self.node(value, place))
    }

    fn boxed(&mut self, value: Option<&Value>, place: &Place) -> Box<Node> {
        Box::new(self.optional(value, place))
    }

    fn directive(&mut self, name: &str, argument: &Value, place: &Place) -> Node {
        match (name, argument) {
            ("@path", Value::Text(path)) => Node::Path(Path::parse(&without_dollar(path))),
            ("@path", other) => Node::PathOf(Box::new(self.node(other, place))),
            ("@template", Value::Text(template)) => Node::Template(Template::parse(template)),
            ("@template", other) => Node::TemplateOf(Box::new(self.node(other, place))),
            ("@literal", value) => self.node(value, place),
            ("@excludeWhenNull", value) => Node::ExcludeWhenNull(Box::new(self.node(value, place))),
            ("@liquid", Value::Text(template)) => match liquid::Template::parse(template) {
                Ok(template) => {
                    self.has_liquid = true;
                    Node::Liquid(Box::new(template))
                }
                Err(message) => Node::Fail(message),
            },
            ("@liquid", _) => Node::Fail("liquid template value must be a string".to_owned()),
            ("@if", Value::Object(options)) => self.condition(options, place),
            ("@if", _) => Node::Fail("@if requires an object with an \"exists\" key".to_owned()),
            ("@case", Value::Object(options)) => self.case(options, place),
            ("@case", _) => Node::Fail("@case requires an object with a \"operator\" key".to_owned()),
            ("@replace", Value::Object(options)) => self.replace(options, place),
            ("@replace", _) => Node::Fail("@replace requires an object with a \"pattern\" key".to_owned()),
            ("@arrayPath", Value::Array(items)) => self.array_path(items, place),
            ("@arrayPath", other) => Node::Fail(format!("@arrayPath expected array, got {}", other.type_name())),
            ("@json", Value::Object(options)) => self.json(options, place),
            ("@json", _) => Node::Fail("@json requires an object with a \"value\" key".to_owned()),
            ("@flatten", Value::Object(options)) => self.flatten(options, place),
            ("@flatten", _) => Node::Fail("@flatten requires an object with a \"separator\" key".to_owned()),
            ("@merge", Value::Object(options)) => self.merge(options, place),
            ("@merge", _) => {
                Node::Fail("@merge requires an object with an \"objects\" key and a \"direction\" key".to_owned())
            }
            ("@transform", Value::Object(options)) => self.transform(options, place),
            ("@transform", _) => {
                Node::Fail("@transform requires an object with an \"apply\" key and a \"mapping\" key".to_owned())
            }
            _ => match beyond::build(self, name, argument, place) {
                Some(node) => node,
                None => Node::Fail(format!("{name} is not a valid directive, got undefined")),
            },
        }
    }

    fn condition(&mut self, options: &Object, place: &Place) -> Node {
        let (exists, blank) = (options.get("exists"), options.get("blank"));
        if !truthy(exists) && !truthy(blank) {
            return Node::Fail("@if requires an \"exists\" key or a \"blank\" key".to_owned());
        }
        let otherwise = options.get("else").filter(|value| truthy(Some(value)));
        Node::If(Box::new(If {
            blank: exists.is_none(),
            test: self.optional(exists.or(blank), &place.below(if exists.is_some() { "exists" } else { "blank" })),
            then: self.optional(options.get("then"), &place.below("then")),
            otherwise: self.optional(otherwise, &place.below("else")),
        }))
    }

    fn case(&mut self, options: &Object, place: &Place) -> Node {
        if !truthy(options.get("operator")) {
            return Node::Fail("@case requires a \"operator\" key".to_owned());
        }
        let operator = match options.get("operator").and_then(Value::as_str) {
            Some("lower") => Case::Lower,
            Some("upper") => Case::Upper,
            _ => Case::Unknown,
        };
        let value = options.get("value").filter(|value| truthy(Some(value)));
        Node::Case { operator, value: self.boxed(value, &place.below("value")) }
    }

    fn replace(&mut self, options: &Object, place: &Place) -> Node {
        if !truthy(options.get("pattern")) {
            return Node::Fail("@replace requires a \"pattern\" key".to_owned());
        }
        let given = |key: &str| options.get(key).filter(|value| !value.is_null());
        let text = |key: &str| match given(key) {
            None => Some(String::new()),
            Some(Value::Text(text)) => Some(text.clone()),
            Some(_) => None,
        };
        let flag = |key: &str, default: bool| match given(key) {
            None => Some(default),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => None,
        };
        let value = options.get("value").filter(|value| truthy(Some(value)));
        let Some(value) = value else { return Node::Missing };
        let value = self.node(value, &place.below("value"));
        let first = options.get("pattern").and_then(Value::as_str);
        let arguments = (first, text("replacement"), flag("ignorecase", false), flag("global", true));
        let (Some(pattern), Some(with), Some(ignore_case), Some(global)) = arguments else {
            return Node::Replace(Box::new(Replace { value, steps: None }));
        };
        let step = |pattern: &str, with: String| {
            if utf16_len(pattern) > PATTERN_MAX {
                return Err(format!("@replace requires a \"pattern\" less than {PATTERN_MAX} characters"));
            }
            if utf16_len(&with) > REPLACEMENT_MAX {
                return Err(format!("@replace requires a \"replacement\" less than {REPLACEMENT_MAX} characters"));
            }
            Ok(Replacement { pattern: pattern.to_owned(), with, ignore_case, global })
        };
        let mut steps = vec![step(pattern, with)];
        let second = options.get("pattern2").and_then(Value::as_str).filter(|pattern| !pattern.is_empty());
        if let (Some(pattern), Some(with)) = (second, text("replacement2")) {
            steps.push(step(pattern, with));
        }
        Node::Replace(Box::new(Replace { value, steps: Some(steps) }))
    }

    fn array_path(&mut self, items: &[Value], place: &Place) -> Node {
        let root = match items.first() {
            Some(Value::Text(path)) => Node::Path(Path::parse(&without_dollar(path))),
            other => self.optional(other, &place.below("0")),
        };
        let shape = items.get(1).filter(|shape| shape.as_object().is_some_and(|shape| !shape.is_empty()));
        let shape = shape.map(|shape| Box::new(self.node(shape, &place.below("1"))));
        Node::ArrayPath { root: Box::new(root), shape }
    }

    fn json(&mut self, options: &Object, place: &Place) -> Node {
        if !truthy(options.get("mode")) {
            return Node::Fail("@json requires a \"mode\" key".to_owned());
        }
        let value = options.get("value");
        if !truthy(value) {
            return Node::Fail("@json requires a \"value\" key".to_owned());
        }
        let value = self.boxed(value, &place.below("value"));
        match options.get("mode").and_then(Value::as_str) {
            Some("encode") => Node::Encode(value),
            Some("decode") => Node::Decode(value),
            _ => Node::Missing,
        }
    }

    fn flatten(&mut self, options: &Object, place: &Place) -> Node {
        if !truthy(options.get("separator")) {
            return Node::Fail("@flatten requires a \"separator\" key".to_owned());
        }
        Node::Flatten(Box::new(Flatten {
            separator: self.optional(options.get("separator"), &place.below("separator")),
            value: self.optional(options.get("value"), &place.below("value")),
            keep_arrays: truthy(options.get("omitArrays")),
        }))
    }

    fn merge(&mut self, options: &Object, place: &Place) -> Node {
        if !truthy(options.get("direction")) {
            return Node::Fail("@merge requires a \"direction\" key".to_owned());
        }
        let objects = match options.get("objects") {
            Some(Value::Array(objects)) => objects,
            value if !truthy(value) => return Node::Fail("@merge requires a \"objects\" key".to_owned()),
            other => {
                let kind = match other {
                    Some(Value::Object(_)) | None => "object",
                    Some(other) => other.type_name(),
                };
                return Node::Fail(format!("@merge: expected opts.array, got {kind}"));
            }
        };
        let below = place.below("objects");
        let object = |(index, object): (usize, &Value)| self.node(object, &below.below(&index.to_string()));
        let objects = objects.iter().enumerate().map(object).collect();
        Node::Merge { direction: self.boxed(options.get("direction"), &place.below("direction")), objects }
    }

    fn transform(&mut self, options: &Object, place: &Place) -> Node {
        if !truthy(options.get("mapping")) {
            return Node::Fail("@transform requires a \"mapping\" key".to_owned());
        }
        if !truthy(options.get("apply")) {
            return Node::Fail("@transform requires a \"apply\" key".to_owned());
        }
        let Some(Value::Object(apply)) = options.get("apply") else {
            return Node::Fail("@transform \"apply\" key should be an object".to_owned());
        };
        let apply = match mapping_to_run(apply) {
            Ok(Some(run)) => run,
            Ok(None) => Value::Object(apply.clone()),
            Err(message) => return Node::Fail(message),
        };
        if let Err(problems) = check::mapping(&apply, &Place::default()) {
            let messages: Vec<String> = problems.into_iter().map(|problem| problem.original).collect();
            return Node::Fail(messages.join("\n"));
        }
        Node::Transform(Box::new(Transform {
            apply: self.node(&apply, &place.below("apply")),
            mapping: self.optional(options.get("mapping"), &place.below("mapping")),
        }))
    }
}
