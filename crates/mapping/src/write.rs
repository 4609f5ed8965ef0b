//! Evaluates a mapping straight to JSON text: what need not be a value never is one.

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
