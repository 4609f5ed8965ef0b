//! The rules a payload is held to, made of an action's fields.

use records::Value;

use super::conditions::Rule;
use super::field::{Field, FieldType, Required};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Null,
    Array,
    Object,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Number => "number",
            Type::Integer => "integer",
            Type::Boolean => "boolean",
            Type::Null => "null",
            Type::Array => "array",
            Type::Object => "object",
        }
    }

    /// Whether a value is of this type.
    pub(super) fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (Type::Integer, Value::Float(float)) => float.fract() == 0.0,
            (Type::Integer, Value::Decimal(digits)) => digits.parse::<f64>().is_ok_and(|number| number.fract() == 0.0),
            (Type::Integer, Value::Int(_)) => true,
            (kind, value) => kind.name() == value.type_name(),
        }
    }
}

/// What one value must be.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    pub(super) title: String,
    pub(super) types: Vec<Type>,
    pub(super) format: Option<String>,
    pub(super) choices: Option<Vec<Value>>,
    pub(super) number_min: Option<f64>,
    pub(super) number_max: Option<f64>,
    pub(super) length_min: Option<f64>,
    pub(super) length_max: Option<f64>,
    pub(super) items: Option<Box<Schema>>,
    pub(super) object: Option<ObjectSchema>,
}

/// What an object holds.
#[derive(Debug, Clone, Default)]
pub(super) struct ObjectSchema {
    pub(super) properties: Vec<(String, Schema)>,
    pub(super) required: Vec<String>,
    pub(super) additional: bool,
    pub(super) rules: Vec<Rule>,
}

fn types_of(kind: FieldType) -> Vec<Type> {
    match kind {
        FieldType::String | FieldType::Text | FieldType::Password => vec![Type::String],
        FieldType::Number => vec![Type::Number],
        FieldType::Integer => vec![Type::Integer],
        FieldType::Boolean => vec![Type::Boolean],
        FieldType::Datetime => vec![Type::String, Type::Number],
        FieldType::Object => vec![Type::Object],
    }
}

fn format_of(field: &Field) -> Option<String> {
    match field.kind {
        FieldType::Datetime => Some("date-like".to_owned()),
        FieldType::Password | FieldType::Text => None,
        _ => field.format.clone(),
    }
}

/// The schema of a payload.
pub(super) fn root(fields: &[Field]) -> Schema {
    Schema { types: vec![Type::Object], object: Some(object(fields, false, false)), ..Schema::default() }
}

fn object(fields: &[Field], additional: bool, required_left_out: bool) -> ObjectSchema {
    let mut out = ObjectSchema { additional, ..ObjectSchema::default() };
    for field in fields {
        out.properties.push((field.key.clone(), of_field(field)));
        // Conditional requirements of an object's fields are rules of what the object is in.
        let inner = field.properties.as_deref().filter(|_| field.kind == FieldType::Object).unwrap_or_default();
        for property in inner {
            if let Required::When(conditions) = &property.required {
                let (key, parent) = (property.key.clone(), Some(field.key.clone()));
                out.rules.push(Rule { key, parent, conditions: conditions.clone() });
            }
        }
        match &field.required {
            Required::Always(true) => out.required.push(field.key.clone()),
            Required::Always(false) => {}
            Required::When(conditions) => {
                out.rules.push(Rule { key: field.key.clone(), parent: None, conditions: conditions.clone() });
            }
        }
    }
    if required_left_out {
        out.required.clear();
        out.rules.clear();
    }
    out
}

fn of_field(field: &Field) -> Schema {
    // Zero is no limit, as in the original.
    let limit = |limit: Option<f64>| limit.filter(|limit| *limit != 0.0);
    let (is_string, is_number) = (field.kind == FieldType::String, field.kind == FieldType::Number);
    let mut schema = Schema {
        title: field.label.clone(),
        types: types_of(field.kind),
        format: format_of(field),
        choices: field.choices.as_ref().map(|choices| choices.iter().map(|choice| choice.value.clone()).collect()),
        number_min: limit(field.minimum).filter(|_| is_number),
        number_max: limit(field.maximum).filter(|_| is_number),
        length_min: limit(field.minimum).filter(|_| is_string),
        length_max: limit(field.maximum).filter(|_| is_string),
        ..Schema::default()
    };
    if field.allow_null {
        schema.types.push(Type::Null);
        if let Some(choices) = &mut schema.choices {
            choices.push(Value::Null);
        }
    }
    let properties = field.properties.as_ref().filter(|_| field.kind == FieldType::Object);
    let properties = properties.map(|properties| {
        let conditional = properties.iter().any(|property| matches!(property.required, Required::When(_)));
        object(properties, field.additional_properties, conditional)
    });
    if field.multiple {
        schema.types = vec![Type::Array];
        // Only type and choices go to the items; a format or limit of a list has no effect.
        schema.items = Some(Box::new(match properties {
            Some(properties) => Schema { types: vec![Type::Object], object: Some(properties), ..Schema::default() },
            None => Schema { types: types_of(field.kind), choices: schema.choices.take(), ..Schema::default() },
        }));
    } else if let Some(properties) = properties {
        schema.types = vec![Type::Object];
        schema.object = Some(properties);
    }
    schema
}
