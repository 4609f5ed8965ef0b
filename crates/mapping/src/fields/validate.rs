//! Holds a payload to its rules: empties out, types coerced, undeclared keys out, everything wrong told.

use records::{Object, Value};

use super::schema::{ObjectSchema, Schema, Type};
use super::{FieldProblem, formats};
use crate::cases::same;
use crate::javascript::{number_of_text, utf16_len};

/// A value without what is empty; nothing if it is itself. Null is empty unless the type allows it, an empty text
/// unless the type is text; items of arrays are taken out, but not cleaned inside.
pub(super) fn without_empties(value: Value, schema: Option<&Schema>, is_root: bool) -> Option<Value> {
    let Some(schema) = schema.filter(|schema| !schema.types.is_empty() || schema.choices.is_some()) else {
        return Some(value);
    };
    match value {
        Value::Array(items) => {
            let Some(item_schema) = schema.items.as_deref() else { return Some(Value::Array(items)) };
            let kept = items.into_iter().filter(|item| !is_empty(item, item_schema));
            Some(Value::Array(kept.collect()))
        }
        Value::Object(object) => {
            let Some(rules) = &schema.object else { return Some(Value::Object(object)) };
            let mut kept = Object::with_capacity(object.len());
            for (key, value) in object {
                match without_empties(value, rules.property(&key), false) {
                    Some(Value::Text(text)) if text.is_empty() && is_root => {}
                    Some(value) => kept.push(key, value),
                    None => {}
                }
            }
            Some(Value::Object(kept))
        }
        scalar if is_empty(&scalar, schema) => None,
        scalar => Some(scalar),
    }
}

fn is_empty(value: &Value, schema: &Schema) -> bool {
    if schema.types.is_empty() && schema.choices.is_none() {
        return false;
    }
    match value {
        Value::Null => !schema.types.contains(&Type::Null),
        Value::Text(text) if text.is_empty() => !schema.types.contains(&Type::String),
        _ => false,
    }
}

/// A scalar in a root field of several values becomes a list of one.
pub(super) fn wrap_lists(payload: &mut Object, rules: &ObjectSchema) {
    for (key, value) in payload.iter_mut() {
        let is_list = rules.property(key).is_some_and(|schema| schema.types == [Type::Array]);
        if is_list && !matches!(value, Value::Null | Value::Array(_)) {
            *value = Value::Array(vec![std::mem::take(value)]);
        }
    }
}

impl ObjectSchema {
    fn property(&self, key: &str) -> Option<&Schema> {
        self.properties.iter().find(|(name, _)| name == key).map(|(_, schema)| schema)
    }
}

/// Gathers what is wrong.
pub(super) struct Checker {
    pub(super) problems: Vec<FieldProblem>,
    path: Vec<String>,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self { problems: Vec::new(), path: Vec::new() }
    }

    fn refuse(&mut self, title: &str, missing: Option<&str>, complaint: &str) {
        let escaped = |key: &String| key.replace('~', "~0").replace('/', "~1");
        let pointer: String = self.path.iter().map(|key| format!("/{}", escaped(key))).collect();
        let subject = match (title, pointer.as_str()) {
            ("", "") => "the root value".to_owned(),
            ("", pointer) => format!("the value at {pointer}"),
            (title, _) => title.to_owned(),
        };
        let mut chars = subject.chars();
        let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
        let field = self.path.iter().map(String::as_str).chain(missing).collect::<Vec<_>>().join("/");
        self.problems.push(FieldProblem { field, message: format!("{first}{} {complaint}.", chars.as_str()) });
    }

    pub(super) fn check(&mut self, value: &mut Value, schema: &Schema) {
        let mut seen = Seen::Whole;
        // An object's type is told where its properties would be, after all else.
        let late = schema.types == [Type::Object] && schema.object.is_some();
        if !late && !schema.types.is_empty() && !schema.types.iter().any(|kind| kind.holds(value)) {
            seen = coerce(value, &schema.types);
            if seen != Seen::Coerced {
                let expected = list(schema.types.iter().map(|kind| kind.name().to_owned()).collect());
                let found = found(seen.of(value));
                let article = crate::check::with_article(&expected);
                self.refuse(&schema.title, None, &format!("must be {article} but it was {found}"));
            }
        }
        self.scalars(seen.of(value), schema);
        if let Some(rules) = &schema.object
            && let Value::Object(object) = seen.of_mut(value)
        {
            self.rules(object, rules);
        }
        if let Some(choices) = &schema.choices
            && !choices.iter().any(|choice| same(choice, seen.of(value)))
        {
            let allowed = list(choices.iter().map(Value::to_json).collect());
            self.refuse(&schema.title, None, &format!("must be one of: {allowed}"));
        }
        if late && !matches!(value, Value::Object(_)) {
            self.refuse(&schema.title, None, &format!("must be an object but it was {}", found(value)));
        }
        match seen.of_mut(value) {
            Value::Array(items) => {
                let Some(item_schema) = &schema.items else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(index.to_string());
                    self.check(item, item_schema);
                    self.path.pop();
                }
            }
            Value::Object(object) => {
                if let Some(rules) = &schema.object {
                    self.object(object, &schema.title, rules);
                }
            }
            _ => {}
        }
    }

    fn scalars(&mut self, value: &Value, schema: &Schema) {
        let title = &schema.title;
        if let Some(number) = number_of(value) {
            if let Some(max) = schema.number_max.filter(|max| number > *max) {
                let max = records::number_text(max);
                self.refuse(title, None, &format!("must be equal to or less than {max}"));
            }
            if let Some(min) = schema.number_min.filter(|min| number < *min) {
                let min = records::number_text(min);
                self.refuse(title, None, &format!("must be equal to or greater than {min}"));
            }
        }
        let Value::Text(text) = value else { return };
        let length = text.chars().count() as f64;
        let characters = |count: f64| {
            let unit = if count == 1.0 { "character" } else { "characters" };
            format!("{} {unit}", records::number_text(count))
        };
        let shown = characters(utf16_len(text) as f64);
        if let Some(max) = schema.length_max.filter(|max| length > *max) {
            self.refuse(title, None, &format!("must be {} or fewer but it was {shown}", characters(max)));
        }
        if let Some(min) = schema.length_min.filter(|min| length < *min) {
            self.refuse(title, None, &format!("must be {} or more but it was {shown}", characters(min)));
        }
        if let Some(format) = schema.format.as_deref().filter(|format| !formats::fits(format, text)) {
            let name = match format {
                "date-time" => "date and time",
                "email" => "email address",
                "ipv4" => "IPv4 address",
                "ipv6" => "IPv6 address",
                "uri" => "URI",
                "uri-reference" => "URI Reference",
                "uri-template" => "URI-template",
                "json-pointer" => "JSON Pointer",
                "relative-json-pointer" => "relative JSON Pointer",
                "regex" => "regular expression",
                other => other,
            };
            self.refuse(title, None, &format!("must be a valid {name} string but it was not"));
        }
    }

    /// Fields that are required under conditions. They are looked at before anything in the object is coerced.
    fn rules(&mut self, object: &mut Object, rules: &ObjectSchema) {
        for rule in &rules.rules {
            if !rule.applies(object) {
                continue;
            }
            let before = self.problems.len();
            match &rule.parent {
                None if object.get(&rule.key).is_none() => self.missing("", &rule.key),
                None => {}
                Some(parent) => match object.get(parent) {
                    None => self.missing("", parent),
                    Some(Value::Object(inner)) if inner.get(&rule.key).is_none() => {
                        self.path.push(parent.clone());
                        self.missing("", &rule.key);
                        self.path.pop();
                    }
                    Some(_) => {}
                },
            }
            if self.problems.len() > before {
                self.refuse("", None, "must match \"then\" schema");
            }
        }
    }

    fn missing(&mut self, title: &str, key: &str) {
        self.refuse(title, Some(key), &format!("is missing the required field '{key}'"));
    }

    fn object(&mut self, object: &mut Object, title: &str, rules: &ObjectSchema) {
        for key in &rules.required {
            if object.get(key).is_none() {
                self.missing(title, key);
            }
        }
        if !rules.additional {
            object.retain(|key, _| rules.property(key).is_some());
        }
        for (key, schema) in &rules.properties {
            if let Some(value) = object.get_mut(key) {
                self.path.push(key.clone());
                self.check(value, schema);
                self.path.pop();
            }
        }
    }
}

/// Which part of a value the rules look at once it was to be coerced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Whole,
    Coerced,
    /// The only item of an array, which was tried in its place.
    OnlyItem,
}

impl Seen {
    fn of(self, value: &Value) -> &Value {
        match (self, value) {
            (Seen::OnlyItem, Value::Array(items)) => items.first().unwrap_or(value),
            _ => value,
        }
    }

    fn of_mut(self, value: &mut Value) -> &mut Value {
        if self == Seen::OnlyItem
            && let Value::Array(items) = value
            && !items.is_empty()
        {
            return match value {
                Value::Array(items) => &mut items[0],
                other => other,
            };
        }
        value
    }
}

/// Tries to make a value one of the types.
fn coerce(value: &mut Value, types: &[Type]) -> Seen {
    if types == [Type::Object] {
        return Seen::Whole;
    }
    let mut seen = Seen::Whole;
    if let Value::Array(items) = value
        && items.len() == 1
    {
        // The original asks whether the item is of all the types at once: with two, it never is.
        if matches!(types, [kind] if kind.holds(&items[0])) {
            *value = items.pop().unwrap_or_default();
            return Seen::Coerced;
        }
        seen = Seen::OnlyItem;
    }
    let looked_at = seen.of(value);
    match types.iter().find_map(|kind| coerced(looked_at, *kind)) {
        Some(coerced) => {
            *value = coerced;
            Seen::Coerced
        }
        None => seen,
    }
}

fn coerced(value: &Value, kind: Type) -> Option<Value> {
    Some(match (kind, value) {
        (Type::String, Value::Bool(value)) => Value::Text(value.to_string()),
        (Type::String, Value::Int(int)) => Value::Text(int.to_string()),
        (Type::String, Value::Float(float)) => Value::Text(records::number_text(*float)),
        (Type::String, Value::Decimal(digits)) => Value::Text(digits.to_string()),
        (Type::String, Value::Null) => Value::Text(String::new()),
        (Type::Number | Type::Integer, Value::Bool(value)) => Value::Int(i64::from(*value)),
        (Type::Number | Type::Integer, Value::Null) => Value::Int(0),
        (Type::Number | Type::Integer, Value::Text(text)) if !text.is_empty() => {
            let number = number_of_text(text);
            // JavaScript compares the text with the number, so an infinite one passes; JSON has none.
            if !number.is_finite() || (kind == Type::Integer && number.fract() != 0.0) {
                return None;
            }
            match text.parse::<i64>() {
                Ok(exact) => Value::Int(exact),
                Err(_) if number.fract() == 0.0 && number.abs() < 9e15 => Value::Int(number as i64),
                Err(_) => Value::Float(number),
            }
        }
        (Type::Boolean, Value::Null | Value::Int(0)) => Value::Bool(false),
        (Type::Boolean, Value::Int(1)) => Value::Bool(true),
        (Type::Boolean, Value::Float(float)) if *float == 0.0 => Value::Bool(false),
        (Type::Boolean, Value::Float(float)) if *float == 1.0 => Value::Bool(true),
        (Type::Boolean, Value::Text(text)) if text == "false" => Value::Bool(false),
        (Type::Boolean, Value::Text(text)) if text == "true" => Value::Bool(true),
        (Type::Null, Value::Bool(false) | Value::Int(0)) => Value::Null,
        (Type::Null, Value::Float(float)) if *float == 0.0 => Value::Null,
        (Type::Null, Value::Text(text)) if text.is_empty() => Value::Null,
        (Type::Array, Value::Array(_) | Value::Object(_)) => return None,
        (Type::Array, scalar) => Value::Array(vec![scalar.clone()]),
        _ => return None,
    })
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::Decimal(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => crate::check::with_article(other.type_name()),
    }
}

fn list(mut items: Vec<String>) -> String {
    match items.len() {
        0 => "nothing".to_owned(),
        1 => items.remove(0),
        2 => format!("{} or {}", items[0], items[1]),
        _ => {
            let last = items.pop().unwrap_or_default();
            format!("{}, or {last}", items.join(", "))
        }
    }
}
