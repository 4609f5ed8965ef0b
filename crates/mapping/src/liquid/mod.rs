//! Liquid templates as LiquidJS renders them, closed to the tags and filters that Segment allows.

mod expression;
mod filters;
mod lexer;
mod parser;
mod render;
mod strftime;
mod strings;
pub(crate) use strings::{decode_uri, encode_uri};

use crate::evaluate::{Context, failure};
use crate::javascript::utf16_len;
use crate::program::EvaluationError;
use crate::reads::Reads;
use crate::val::Val;

/// The longest template, in UTF-16 units.
const LENGTH_MAX: usize = 1000;

/// A template, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    nodes: Vec<parser::Node>,
    source: Box<[char]>,
}

/// An error of the template's text, with where it is.
pub(crate) fn at(message: &str, source: &[char], position: usize) -> String {
    let before = source.get(..position).unwrap_or(source);
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let start = before.iter().rposition(|c| *c == '\n').map_or(0, |index| index + 1);
    let column = before[start..].iter().map(|c| c.len_utf16()).sum::<usize>() + 1;
    format!("{message}, line:{line}, col:{column}")
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// The original's message, which it gives when the template runs.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if utf16_len(text) > LENGTH_MAX {
            return Err(format!("liquid template values are limited to {LENGTH_MAX} characters"));
        }
        let source: Box<[char]> = text.chars().collect();
        let nodes = parser::parse(&source)?;
        Ok(Self { nodes, source })
    }

    pub(crate) fn render(&self, scope: &Val<'_>, context: &Context) -> Result<String, EvaluationError> {
        let mut render = render::Render::new(scope, context, &self.source);
        let mut out = String::new();
        match render.nodes(&self.nodes, &mut out) {
            Ok(()) => Ok(out),
            Err(render::Stop::Message(message)) => Err(failure(message)),
            Err(render::Stop::Evaluation(error)) => Err(error),
        }
    }

    /// Counts the columns it reads.
    pub(crate) fn reads(&self, reads: &mut Reads) {
        parser::visit_variables(&self.nodes, &mut |keys| match keys {
            Some(keys) => reads.keys(keys.iter().map(String::as_str)),
            None => reads.anything(),
        });
    }
}
