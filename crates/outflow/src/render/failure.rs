//! Why a command failed.

use super::{Paint, indented};
use crate::failure::Failure;

/// The message, its causes, the problems in files, and what to do.
pub(crate) fn failure(failure: &Failure, paint: Paint) -> String {
    let mut out = format!("{} {}\n", paint.red("error:"), failure.message);
    for cause in &failure.causes {
        out.push_str(&format!("  {} {cause}\n", paint.dim("because")));
    }
    for problem in failure.problems.iter() {
        out.push('\n');
        let mut place = problem.file.display().to_string();
        if problem.line > 0 {
            place.push_str(&format!(":{}:{}", problem.line, problem.column));
        }
        out.push_str(&paint.bold(&place));
        out.push('\n');
        let message = match problem.field.as_str() {
            "" => problem.message.clone(),
            field => format!("{}: {}", paint.cyan(field), problem.message),
        };
        out.push_str(&indented(&message, 2));
    }
    if let Some(hint) = &failure.hint {
        out.push_str(&format!("{} {hint}\n", paint.green("hint:")));
    }
    out
}
