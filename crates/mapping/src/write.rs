//! Evaluates a mapping straight to its output, JSON text or a value: what need not be anything between never is.

use records::{Object, Value};

use crate::evaluate::{Context, branch, resolve};
use crate::javascript;
use crate::node::Node;
use crate::program::EvaluationError;
use crate::val::Val;

/// Appends a node's value as JSON text; false if it is missing, and nothing is appended.
pub(crate) fn write<'s>(
    node: &'s Node,
    scope: &Val<'s>,
    context: &Context,
    out: &mut String,
) -> Result<bool, EvaluationError> {
    let budget = &context.budget;
    match node {
        Node::Missing => Ok(false),
        Node::Object(entries) => {
            budget.spend(1)?;
            out.push('{');
            let mut first = true;
            for (key, node) in entries {
                let start = out.len();
                if !first {
                    out.push(',');
                }
                out.push_str(&key.json);
                if write(node, scope, context, out)? {
                    first = false;
                    budget.text(key.json.len())?;
                } else {
                    out.truncate(start);
                }
            }
            out.push('}');
            Ok(true)
        }
        Node::Array(items) => {
            budget.spend(1)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if !write(item, scope, context, out)? {
                    out.push_str("null");
                }
            }
            out.push(']');
            Ok(true)
        }
        Node::If(parts) => {
            budget.spend(1)?;
            write(branch(parts, scope, context)?, scope, context, out)
        }
        Node::Template(template) => {
            budget.spend(1)?;
            template.write_json(scope, out, budget)?;
            Ok(true)
        }
        other => {
            let val = resolve(other, scope, context)?;
            if val.is_missing() {
                return Ok(false);
            }
            javascript::write_json(&val, out, budget, 0, false)?;
            Ok(true)
        }
    }
}

/// A node's output as a value; nothing if it is missing.
pub(crate) fn produce<'s>(
    node: &'s Node,
    scope: &Val<'s>,
    context: &Context,
    depth: usize,
) -> Result<Option<Value>, EvaluationError> {
    let budget = &context.budget;
    match node {
        Node::Object(entries) => {
            budget.spend(1)?;
            let mut object = Object::with_capacity(entries.len());
            for (key, node) in entries {
                if let Some(value) = produce(node, scope, context, depth + 1)? {
                    object.push(key.name.clone(), value);
                }
            }
            Ok(Some(Value::Object(object)))
        }
        Node::Array(items) => {
            budget.spend(1)?;
            let item = |item| Ok(produce(item, scope, context, depth + 1)?.unwrap_or_default());
            Ok(Some(Value::Array(items.iter().map(item).collect::<Result<_, EvaluationError>>()?)))
        }
        Node::If(parts) => {
            budget.spend(1)?;
            produce(branch(parts, scope, context)?, scope, context, depth)
        }
        other => resolve(other, scope, context)?.into_value_below(budget, depth),
    }
}
