//! `@template`: text with `{{path}}` and `{{{path}}}`.

use crate::budget::Budget;
use crate::javascript;
use crate::path::Path;
use crate::program::EvaluationError;
use crate::val::Val;

/// A template, split once.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
    /// There are triple braces: what they put in is looked through again for double ones, as in the original.
    triple: bool,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Path(Path),
}

impl Template {
    pub(crate) fn parse(template: &str) -> Self {
        let triple = split(template, 3);
        if triple.iter().any(|piece| matches!(piece, Piece::Path(_))) {
            return Self { pieces: triple, triple: true };
        }
        Self { pieces: split(template, 2), triple: false }
    }

    /// The paths in it.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Path(path) => paths.push(path.clone()),
                Piece::Text(text) if self.triple => paths.extend(Template::parse(text).paths()),
                Piece::Text(_) => {}
            }
        }
        paths
    }

    pub(crate) fn render(&self, scope: &Val<'_>, budget: &Budget) -> Result<String, EvaluationError> {
        let mut out = String::new();
        self.write(scope, &mut out, budget)?;
        Ok(out)
    }

    /// Appends the text as a JSON string.
    pub(crate) fn write_json(&self, scope: &Val<'_>, out: &mut String, budget: &Budget) -> Result<(), EvaluationError> {
        if self.triple {
            javascript::quote(&self.render(scope, budget)?, out);
            return Ok(());
        }
        let start = out.len();
        out.push('"');
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => javascript::escape(text, out),
                Piece::Path(path) => match path.get(scope, budget)? {
                    Val::Missing | Val::Null => {}
                    Val::Text(text) => javascript::escape(&text, out),
                    other => javascript::escape(&javascript::text(&other, budget)?, out),
                },
            }
        }
        out.push('"');
        budget.text(out.len() - start)
    }

    /// Appends the text.
    pub(crate) fn write(&self, scope: &Val<'_>, out: &mut String, budget: &Budget) -> Result<(), EvaluationError> {
        let start = out.len();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    budget.text(text.len())?;
                    out.push_str(text);
                }
                Piece::Path(path) => {
                    let val = path.get(scope, budget)?;
                    if !val.is_absent() {
                        javascript::write_text(&val, out, budget, 0)?;
                    }
                }
            }
        }
        if self.triple {
            let again = Template { pieces: split(&out[start..], 2), triple: false };
            out.truncate(start);
            again.write(scope, out, budget)?;
        }
        Ok(())
    }
}

/// Finds what stands between this many braces. It is not empty and has no closing brace in it; of a longer run of
/// opening braces the first count, as in a search from the left that takes any text but `}`.
fn split(template: &str, braces: usize) -> Vec<Piece> {
    let (open, close) = (&"{{{"[..braces], &"}}}"[..braces]);
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(start) = rest.find(open) {
        let inner = &rest[start + braces..];
        let end = inner.find('}').unwrap_or(inner.len());
        if end > 0 && inner[end..].starts_with(close) {
            text.push_str(&rest[..start]);
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Path(Path::parse(javascript::trim(&inner[..end]))));
            rest = &inner[end + braces..];
        } else if inner.is_empty() || end == inner.len() {
            break;
        } else {
            // Nothing that opens before this `}` can close: look for the next opening after it, except that an
            // opening right here may still begin one brace later.
            let skip = if end == 0 { start + 1 } else { start + braces + end };
            text.push_str(&rest[..skip]);
            rest = &rest[skip..];
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}
