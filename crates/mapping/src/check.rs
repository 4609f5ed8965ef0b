//! Validation of a mapping before it runs: the original's rules, in its words, in its order.

use records::{Object, Value};

use crate::program::Problem;

/// Mappings are not nested deeper than this.
pub(crate) const NESTING_MAX: usize = 100;

/// Where in a mapping we are. The original's messages may begin their path further down.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    keys: Vec<String>,
    origin: usize,
}

type Checked = Result<(), Vec<Problem>>;

impl Place {
    pub(crate) fn below(&self, key: &str) -> Self {
        let mut below = self.clone();
        below.keys.push(key.to_owned());
        below
    }

    /// The same place, where the original counts from.
    fn as_origin(&self) -> Self {
        Self { keys: self.keys.clone(), origin: self.keys.len() }
    }

    pub(crate) fn problem(&self, reason: impl Into<String>) -> Problem {
        let reason = reason.into();
        let original = format!("/{} {reason}.", self.keys.get(self.origin..).unwrap_or_default().join("/"));
        Problem { place: self.keys.join("."), message: reason, original }
    }

    fn refuse(&self, reason: impl Into<String>) -> Checked {
        Err(vec![self.problem(reason)])
    }
}

/// Whether the directives know a key, in the original's sense: every key begins with `@`, apart from `_metadata`.
pub(crate) fn is_directive(object: &Object) -> bool {
    has_directive_key(object) && object.iter().all(|(key, _)| key.starts_with('@') || key == "_metadata")
}

fn has_directive_key(object: &Object) -> bool {
    object.iter().any(|(key, _)| key.starts_with('@'))
}

/// The value's type in the words of the messages.
fn type_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "undefined",
        Some(Value::Object(object)) if has_directive_key(object) => "directive",
        Some(value) => value.type_name(),
    }
}

pub(crate) fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

fn but_it_is(value: Option<&Value>) -> String {
    format!("but it is {}", with_article(type_of(value)))
}

/// Checks a mapping, or a part of one that stands for itself.
pub(crate) fn mapping(value: &Value, place: &Place) -> Checked {
    if place.keys.len() > NESTING_MAX {
        return place.refuse(format!("is nested deeper than {NESTING_MAX} levels"));
    }
    match value {
        Value::Object(object) if has_directive_key(object) => directive(object, place),
        Value::Object(object) => entries(object, place),
        // The original does not look into arrays; what is wrong there shows when it runs.
        _ => Ok(()),
    }
}

fn entries(object: &Object, place: &Place) -> Checked {
    collect(object.iter().map(|(key, value)| mapping(value, &place.below(key))))
}

fn collect(results: impl Iterator<Item = Checked>) -> Checked {
    let problems: Vec<Problem> = results.filter_map(Result::err).flatten().collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn directive(object: &Object, place: &Place) -> Checked {
    let names: Vec<&str> = object.iter().map(|(key, _)| key).filter(|key| key.starts_with('@')).collect();
    let others = object.iter().filter(|(key, _)| !key.starts_with('@') && *key != "_metadata").count();
    let keys = match (names.len(), others) {
        (count @ 2.., _) => count,
        (_, 1..) => object.len(),
        _ => 1,
    };
    if keys > 1 {
        return place.refuse(format!("should only have one @-prefixed key but it has {keys} keys"));
    }
    let name = names.first().copied().unwrap_or_default();
    match object.get(name) {
        Some(argument) => check_directive(name, argument, &place.below(name))
            .unwrap_or_else(|| place.refuse(format!("has an invalid directive: {name}"))),
        None => Ok(()),
    }
}

/// Checks a directive's argument; nothing if there is no such directive.
fn check_directive(name: &str, argument: &Value, place: &Place) -> Option<Checked> {
    Some(match name {
        "@path" | "@template" => text_or_directive(Some(argument), place),
        "@literal" | "@excludeWhenNull" => any(argument, place),
        "@liquid" => text(argument, place),
        "@if" => fields(
            argument,
            place,
            &[("exists", Some(any_option)), ("then", Some(any_option)), ("else", Some(any_option))],
        ),
        "@case" => fields(argument, place, &[("operator", Some(text)), ("value", Some(text_or_directive_option))]),
        "@replace" => required(
            argument,
            place,
            &["pattern", "value"],
            &[
                ("pattern", Some(pattern)),
                ("replacement", Some(replacement)),
                ("value", Some(text_or_directive_option)),
                ("ignorecase", Some(boolean)),
                ("global", Some(boolean)),
            ],
        ),
        "@json" => {
            required(argument, place, &["value", "mode"], &[("value", Some(any_option)), ("mode", Some(json_mode))])
        }
        "@flatten" => required(argument, place, &["value"], &[("separator", Some(text)), ("value", Some(any_option))]),
        "@merge" => merge(argument, place),
        "@transform" => required(
            argument,
            place,
            &["apply", "mapping"],
            &[("apply", Some(object_or_directive_option)), ("mapping", Some(object_or_directive_option))],
        ),
        "@arrayPath" => array_path(argument, place),
        _ if crate::beyond::is_known(name) => beyond(argument, place),
        _ => return None,
    })
}

/// Our own directives: everything below is checked, arrays too; the argument itself when it is built.
fn beyond(argument: &Value, place: &Place) -> Checked {
    match argument {
        Value::Array(items) => {
            let item = |(index, item): (usize, &Value)| beyond(item, &place.below(&index.to_string()));
            collect(items.iter().enumerate().map(item))
        }
        other => mapping(other, place),
    }
}

type Check = fn(&Value, &Place) -> Checked;

fn fields(argument: &Value, place: &Place, checks: &[(&str, Option<Check>)]) -> Checked {
    required(argument, place, &[], checks)
}

fn required(argument: &Value, place: &Place, needed: &[&str], checks: &[(&str, Option<Check>)]) -> Checked {
    let object = match argument {
        Value::Object(object) if !has_directive_key(object) => object,
        other => return place.refuse(format!("should be an object {}", but_it_is(Some(other)))),
    };
    entries(object, place)?;
    collect(checks.iter().map(|(key, check)| match (object.get(key), check) {
        (Some(value), Some(check)) => check(value, &place.below(key)),
        (None, _) if needed.contains(key) => place.refuse(format!("should have field \"{key}\" but it doesn't")),
        _ => Ok(()),
    }))
}

fn any(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Object(object) if has_directive_key(object) => directive(object, place),
        _ => Ok(()),
    }
}

// What follows checks one option of a directive. All options have been looked into before, so these do not look
// deeper once more: done at every level that would take time without end.

fn any_option(_: &Value, _: &Place) -> Checked {
    Ok(())
}

fn object_or_directive_option(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Object(_) => Ok(()),
        other => object_or_directive(other, place),
    }
}

fn text_or_directive_option(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Object(object) if has_directive_key(object) => Ok(()),
        other => text_or_directive(Some(other), place),
    }
}

fn text(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Text(_) => Ok(()),
        other => place.refuse(format!("should be a string {}", but_it_is(Some(other)))),
    }
}

fn boolean(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Bool(_) => Ok(()),
        other => place.refuse(format!("should be a boolean {}", but_it_is(Some(other)))),
    }
}

fn text_or_directive(value: Option<&Value>, place: &Place) -> Checked {
    match value {
        Some(Value::Text(_)) => Ok(()),
        Some(Value::Object(object)) if has_directive_key(object) => directive(object, place),
        other => place.refuse(format!("should be a string or a mapping directive {}", but_it_is(other))),
    }
}

fn object_or_directive(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Object(_) => mapping(value, place),
        other => place.refuse(format!("should be a object or a mapping directive {}", but_it_is(Some(other)))),
    }
}

fn pattern(value: &Value, place: &Place) -> Checked {
    text(value, place)?;
    length(value, 1, crate::replace::PATTERN_MAX, place)
}

fn replacement(value: &Value, place: &Place) -> Checked {
    text(value, place)?;
    length(value, 0, crate::replace::REPLACEMENT_MAX, place)
}

fn length(value: &Value, min: usize, max: usize, place: &Place) -> Checked {
    match value.as_str().map(crate::javascript::utf16_len) {
        Some(length) if length < min => place.refuse(format!("should be a string of length {min} or greater")),
        Some(length) if length > max => place.refuse(format!("should be a string of length {max} or less")),
        _ => Ok(()),
    }
}

fn json_mode(value: &Value, place: &Place) -> Checked {
    one_of(value, &["encode", "decode"], place)
}

fn direction(value: &Value, place: &Place) -> Checked {
    one_of(value, &["left", "right"], place)
}

fn one_of(value: &Value, allowed: &[&str], place: &Place) -> Checked {
    text(value, place)?;
    let word = value.as_str().unwrap_or_default();
    if allowed.contains(&word.to_lowercase().as_str()) {
        return Ok(());
    }
    place.refuse(format!("should be one of {} but it is {}", allowed.join(", "), value.to_json()))
}

fn array(value: &Value, place: &Place) -> Checked {
    match value {
        Value::Array(_) => Ok(()),
        other => place.refuse(format!("should be an array but it is {}", with_article(other.type_name()))),
    }
}

fn merge(argument: &Value, place: &Place) -> Checked {
    required(argument, place, &["objects"], &[("direction", Some(direction)), ("objects", Some(array))])?;
    let objects = argument.get("objects").and_then(Value::as_array).unwrap_or_default();
    for (index, object) in objects.iter().enumerate() {
        let place = place.below("objects").below(&index.to_string()).as_origin();
        object_or_directive(object, &place)?;
    }
    Ok(())
}

fn array_path(argument: &Value, place: &Place) -> Checked {
    array(argument, place)?;
    let items = argument.as_array().unwrap_or_default();
    text_or_directive(items.first(), place)?;
    match items.get(1) {
        Some(shape) => mapping(shape, place),
        None => Ok(()),
    }
}
