//! Directives beyond the original's, in the same form: an object with one `@` key.

mod convert;
pub(crate) mod hash;
mod lists;
mod normal;
mod options;

use std::collections::HashMap;

use records::Value;
use regex::Regex;

use crate::build::Builder;
use crate::check::Place;
use crate::condition::Condition;
use crate::evaluate::{Context, failure, resolve};
use crate::javascript;
use crate::node::Node;
use crate::program::EvaluationError;
use crate::reads::Reads;
use crate::val::{Shape, Val};
use convert::{DateForm, MathOperator};
use hash::Hash;
use normal::Normal;
use options::Options;

/// The names of these directives.
const NAMES: [&str; 25] = [
    "@boolean",
    "@coalesce",
    "@date",
    "@filter",
    "@first",
    "@hash",
    "@join",
    "@last",
    "@lookup",
    "@map",
    "@math",
    "@normalize",
    "@number",
    "@pad",
    "@regexExtract",
    "@regexReplace",
    "@reverse",
    "@slice",
    "@sort",
    "@split",
    "@unique",
    "@urlDecode",
    "@urlEncode",
    "@uuid5",
    "@when",
];

pub(crate) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// One of these directives, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Beyond {
    name: &'static str,
    /// What it works on.
    value: Node,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Hash(Hash),
    Normalize(Vec<Normal>),
    RegexReplace { regex: Regex, with: String, global: bool },
    RegexExtract { regex: Regex, group: usize, all: bool },
    Date(Box<DateForm>),
    Number { decimals: Option<u32> },
    Boolean { yes: Vec<String>, no: Vec<String> },
    Pad { length: usize, with: char, start: bool },
    UrlEncode,
    UrlDecode,
    Uuid5(uuid::Uuid),
    Lookup { table: HashMap<String, Node>, default: Node },
    Math { operator: MathOperator, values: Vec<Node>, decimals: u32 },
    Coalesce { values: Vec<Node>, blank: bool },
    When { condition: Box<Condition>, then: Node, otherwise: Node },
    Split { separator: String, limit: Option<usize> },
    Join { separator: String },
    Map { each: Node },
    Filter { condition: Box<Condition> },
    First,
    Last,
    Unique,
    Reverse,
    Sort { by: Option<crate::path::Path>, descending: bool },
    Slice { from: i64, to: Option<i64> },
}

/// Builds a directive; nothing if there is none of this name. What is wrong goes to the builder's problems.
pub(crate) fn build(builder: &mut Builder, name: &str, argument: &Value, place: &Place) -> Option<Node> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut options = Options::read(builder, argument, place, name);
    let (value, kind) = match name {
        "@hash" => {
            let normal = normal::read(&mut options);
            (options.needed_value("value"), Hash::read(&mut options, normal).map(Kind::Hash))
        }
        "@normalize" => {
            let normal = normal::read(&mut options);
            if normal.is_empty() {
                options.refuse("should have field \"as\" but it doesn't");
            }
            (options.needed_value("value"), Some(Kind::Normalize(normal)))
        }
        "@regexReplace" => {
            let value = options.needed_value("value");
            let (with, global) = (options.text("replacement").unwrap_or_default(), options.flag("global", true));
            (value, options.regex().map(|regex| Kind::RegexReplace { regex, with, global }))
        }
        "@regexExtract" => {
            let value = options.needed_value("value");
            let all = options.flag("all", false);
            let regex = options.regex();
            let group = options.group(regex.as_ref());
            (value, regex.zip(group).map(|(regex, group)| Kind::RegexExtract { regex, group, all }))
        }
        "@date" => {
            let value = options.value_or_self(&["from", "to", "timezone", "inputTimezone"]);
            (value, DateForm::read(&mut options).map(|form| Kind::Date(Box::new(form))))
        }
        "@number" => {
            let value = options.value_or_self(&["decimals"]);
            let decimals = options.whole("decimals", 0, 15).and_then(|decimals| u32::try_from(decimals).ok());
            (value, Some(Kind::Number { decimals }))
        }
        "@boolean" => {
            let value = options.value_or_self(&["true", "false"]);
            let words = |words: Option<Vec<String>>, default: &[&str]| {
                words.unwrap_or_else(|| default.iter().map(|word| (*word).to_owned()).collect())
            };
            let yes = words(options.texts("true"), &["true", "t", "yes", "y", "on", "1"]);
            let no = words(options.texts("false"), &["false", "f", "no", "n", "off", "0"]);
            (value, Some(Kind::Boolean { yes, no }))
        }
        "@pad" => {
            let value = options.needed_value("value");
            let with = options.text("with").unwrap_or_else(|| " ".to_owned());
            let mut chars = with.chars();
            let (with, more) = (chars.next(), chars.next());
            if with.is_none() || more.is_some() {
                options.refuse_at("with", "should be a string of length 1");
            }
            let start = options.choice("side", &["start", "end"]) != Some("end");
            let length = options.whole("length", 0, 1000);
            if length.is_none() {
                options.refuse_missing("length");
            }
            let length = length.and_then(|length| usize::try_from(length).ok());
            (value, length.zip(with).map(|(length, with)| Kind::Pad { length, with, start }))
        }
        "@urlEncode" => (options.value_or_self(&[]), Some(Kind::UrlEncode)),
        "@urlDecode" => (options.value_or_self(&[]), Some(Kind::UrlDecode)),
        "@uuid5" => (options.needed_value("value"), options.namespace().map(Kind::Uuid5)),
        "@lookup" => {
            let value = options.needed_value("value");
            let (table, default) = (options.table(), options.value("default"));
            (value, table.map(|table| Kind::Lookup { table, default }))
        }
        "@math" => {
            let values = options.values("values", 1);
            let decimals = options.whole("decimals", 0, 15).and_then(|decimals| u32::try_from(decimals).ok());
            let operator = MathOperator::read(&mut options, values.as_ref().map_or(0, Vec::len));
            let kind = operator.zip(values).map(|(operator, values)| Kind::Math {
                operator,
                values,
                decimals: decimals.unwrap_or(0),
            });
            (Node::Missing, kind)
        }
        "@coalesce" => {
            let values = options.list_or_values();
            let blank = options.flag("blank", false);
            (Node::Missing, values.map(|values| Kind::Coalesce { values, blank }))
        }
        "@when" => {
            let condition = options.condition("condition", false).map(Box::new);
            let (then, otherwise) = (options.value("then"), options.value("else"));
            (Node::Missing, condition.map(|condition| Kind::When { condition, then, otherwise }))
        }
        "@split" => {
            let value = options.needed_value("value");
            let limit = options.whole("limit", 1, 1_000_000).and_then(|limit| usize::try_from(limit).ok());
            let separator = options.text("separator");
            if separator.is_none() {
                options.refuse_missing("separator");
            }
            (value, separator.map(|separator| Kind::Split { separator, limit }))
        }
        "@join" => {
            let value = options.needed_value("value");
            (value, Some(Kind::Join { separator: options.text("separator").unwrap_or_else(|| ",".to_owned()) }))
        }
        "@map" => {
            let value = options.needed_value("value");
            let each = options.needed_value("each");
            (value, Some(Kind::Map { each }))
        }
        "@filter" => {
            let value = options.needed_value("value");
            let condition = options.condition("where", true).map(Box::new);
            (value, condition.map(|condition| Kind::Filter { condition }))
        }
        "@sort" => {
            let value = options.value_or_self(&["by", "order"]);
            let by = options.text("by").map(|by| crate::path::Path::parse(&crate::path::without_dollar(&by)));
            let descending = options.choice("order", &["ascending", "descending"]) == Some("descending");
            (value, Some(Kind::Sort { by, descending }))
        }
        "@slice" => {
            let value = options.needed_value("value");
            let from = options.whole("from", i64::MIN, i64::MAX).unwrap_or(0);
            (value, Some(Kind::Slice { from, to: options.whole("to", i64::MIN, i64::MAX) }))
        }
        "@last" => (options.value_or_self(&[]), Some(Kind::Last)),
        "@unique" => (options.value_or_self(&[]), Some(Kind::Unique)),
        "@reverse" => (options.value_or_self(&[]), Some(Kind::Reverse)),
        _ => (options.value_or_self(&[]), Some(Kind::First)),
    };
    options.finish();
    Some(kind.map_or(Node::Missing, |kind| Node::Beyond(Box::new(Beyond { name, value, kind }))))
}

impl Beyond {
    pub(crate) fn reads(&self, reads: &mut Reads) {
        reads.node(&self.value);
        match &self.kind {
            Kind::Lookup { table, default } => {
                table.values().for_each(|node| reads.node(node));
                reads.node(default);
            }
            Kind::Math { values, .. } | Kind::Coalesce { values, .. } => {
                values.iter().for_each(|value| reads.node(value));
            }
            Kind::When { condition, then, otherwise } => {
                condition.reads(reads);
                reads.node(then);
                reads.node(otherwise);
            }
            _ => {}
        }
    }

    pub(crate) fn resolve<'s>(&'s self, scope: &Val<'s>, context: &Context) -> Result<Val<'s>, EvaluationError> {
        let budget = &context.budget;
        match &self.kind {
            Kind::Math { operator, values, decimals } => {
                let values = values.iter().map(|value| resolve(value, scope, context));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                convert::math(*operator, &values, *decimals, budget)
            }
            Kind::Coalesce { values, blank } => {
                let mut last = Val::Missing;
                for value in values {
                    let value = resolve(value, scope, context)?;
                    let skipped = value.is_absent() || (*blank && is_blank(&value));
                    if !skipped {
                        return Ok(value);
                    }
                    if last.is_missing() {
                        last = value;
                    }
                }
                Ok(if *blank { Val::Missing } else { last })
            }
            Kind::When { condition, then, otherwise } => {
                let branch = if condition.holds_for(scope, budget)? { then } else { otherwise };
                resolve(branch, scope, context)
            }
            Kind::Lookup { table, default } => {
                let value = resolve(&self.value, scope, context)?;
                self.each(
                    value,
                    context,
                    &|value, context| match table.get(javascript::text(&value, &context.budget)?.as_ref()) {
                        Some(found) => resolve(found, scope, context),
                        None => resolve(default, scope, context),
                    },
                    Some(default),
                    scope,
                )
            }
            Kind::Split { separator, limit } => {
                let Val::Text(text) = resolve(&self.value, scope, context)? else { return Ok(Val::Missing) };
                budget.spend(text.len())?;
                budget.text(text.len())?;
                Ok(lists::split(&text, separator, *limit))
            }
            Kind::Join { .. }
            | Kind::Map { .. }
            | Kind::Filter { .. }
            | Kind::First
            | Kind::Last
            | Kind::Unique
            | Kind::Reverse
            | Kind::Sort { .. }
            | Kind::Slice { .. } => self.of_list(resolve(&self.value, scope, context)?, context),
            _ => {
                let value = resolve(&self.value, scope, context)?;
                self.each(value, context, &|value, context| self.of_scalar(value, context), None, scope)
            }
        }
    }

    /// Works on a scalar, or on each item of a list. Null and missing stay what they are, unless there is a default.
    fn each<'s>(
        &'s self,
        value: Val<'s>,
        context: &Context,
        work: &dyn Fn(Val<'s>, &Context) -> Result<Val<'s>, EvaluationError>,
        default: Option<&'s Node>,
        scope: &Val<'s>,
    ) -> Result<Val<'s>, EvaluationError> {
        if value.is_absent() {
            return match default {
                Some(Node::Missing) | None => Ok(value),
                Some(default) => resolve(default, scope, context),
            };
        }
        if value.is_object() {
            return Err(failure(format!("{}: expected string, got object", self.name)));
        }
        if !value.is_array() {
            return work(value, context);
        }
        let Shape::Array(items) = value.shape(&context.budget)? else { return Ok(Val::Missing) };
        let mut out = Vec::with_capacity(items.len());
        for item in items.iter() {
            if item.is_absent() {
                out.push(item.clone());
                continue;
            }
            if item.is_array() || item.is_object() {
                return Err(failure(format!("{}: expected string, got {} in the list", self.name, item.type_name())));
            }
            out.push(work(item.share(&context.budget)?, context)?);
        }
        Ok(Val::Array(out))
    }

    fn of_scalar<'s>(&'s self, value: Val<'s>, context: &Context) -> Result<Val<'s>, EvaluationError> {
        let budget = &context.budget;
        match &self.kind {
            Kind::Number { decimals } => return convert::number(&value, *decimals, budget),
            Kind::Boolean { yes, no } => return convert::boolean(&value, yes, no, budget),
            Kind::Date(form) => return form.convert(&value, context),
            _ => {}
        }
        let text = javascript::text(&value, budget)?;
        budget.spend(text.len() / 8)?;
        let made = match &self.kind {
            Kind::Hash(hash) => hash.apply(&text),
            Kind::Normalize(normal) => normal::apply(normal, &text),
            Kind::RegexReplace { regex, with, global } => {
                Some(lists::regex_replace(regex, &text, with, *global, budget)?)
            }
            Kind::RegexExtract { regex, group, all } => {
                return lists::regex_extract(regex, &text, *group, *all, budget);
            }
            Kind::Pad { length, with, start } => {
                let missing = length.saturating_sub(text.chars().count());
                let padding: String = std::iter::repeat_n(*with, missing).collect();
                Some(if *start { padding + &text } else { text.into_owned() + &padding })
            }
            Kind::UrlEncode => Some(crate::liquid::encode_uri(&text, "-_.!~*'()")),
            Kind::UrlDecode => crate::liquid::decode_uri(&text),
            Kind::Uuid5(namespace) => Some(uuid::Uuid::new_v5(namespace, text.as_bytes()).to_string()),
            _ => None,
        };
        match made {
            Some(made) => {
                budget.text(made.len())?;
                Ok(Val::text(made))
            }
            None => Ok(Val::Missing),
        }
    }

    fn of_list<'s>(&'s self, value: Val<'s>, context: &Context) -> Result<Val<'s>, EvaluationError> {
        let budget = &context.budget;
        if value.is_absent() {
            return Ok(value);
        }
        if let (Kind::Slice { from, to }, Val::Text(text)) = (&self.kind, &value) {
            return Ok(Val::text(lists::slice_text(text, *from, *to)));
        }
        if value.is_object() || !value.is_array() {
            return Err(failure(format!("{}: expected array, got {}", self.name, value.type_name())));
        }
        let Shape::Array(items) = value.shape(budget)? else { return Ok(Val::Missing) };
        match &self.kind {
            Kind::Join { separator } => lists::join(&items, separator, budget),
            Kind::Map { each } => {
                let mapped = items.iter().map(|item| resolve(each, item, context));
                Ok(Val::Array(mapped.collect::<Result<_, _>>()?))
            }
            Kind::Filter { condition } => {
                let mut kept = Vec::new();
                for item in items.iter() {
                    if condition.holds_for(item, budget)? {
                        kept.push(item.share(budget)?);
                    }
                }
                Ok(Val::Array(kept))
            }
            Kind::First => items.first().map_or(Ok(Val::Missing), |item| item.share(budget)),
            Kind::Last => items.last().map_or(Ok(Val::Missing), |item| item.share(budget)),
            Kind::Unique => lists::unique(&items, budget),
            Kind::Reverse => {
                Ok(Val::Array(items.iter().rev().map(|item| item.share(budget)).collect::<Result<_, _>>()?))
            }
            Kind::Sort { by, descending } => lists::sort(&items, by.as_ref(), *descending, budget),
            Kind::Slice { from, to } => {
                let (from, to) = lists::bounds(*from, *to, items.len());
                Ok(Val::Array(items[from..to].iter().map(|item| item.share(budget)).collect::<Result<_, _>>()?))
            }
            _ => Ok(Val::Missing),
        }
    }
}

fn is_blank(value: &Val<'_>) -> bool {
    match value {
        Val::Text(text) => javascript::trim(text).is_empty(),
        Val::Array(items) => items.is_empty(),
        Val::Ref(Value::Array(items)) => items.is_empty(),
        _ => false,
    }
}

/// The names of all directives, the original's and ours.
pub fn directives() -> impl Iterator<Item = &'static str> {
    const ORIGINAL: [&str; 13] = [
        "@arrayPath",
        "@case",
        "@excludeWhenNull",
        "@flatten",
        "@if",
        "@json",
        "@liquid",
        "@literal",
        "@merge",
        "@path",
        "@replace",
        "@template",
        "@transform",
    ];
    ORIGINAL.into_iter().chain(NAMES)
}
