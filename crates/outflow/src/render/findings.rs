//! What `check` found.

use super::{Paint, indented};
use crate::commands::Finding;

/// A line for each part, its problems below it.
pub(crate) fn findings(project: &str, findings: &[Finding], paint: Paint) -> String {
    let mut out = String::new();
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    for finding in findings {
        let mark = if finding.ok { paint.green("✓") } else { paint.red("✗") };
        let name = paint.bold(&format!("{:width$}", finding.name));
        let line = format!("{mark} {:11} {name}  {}", finding.part, paint.dim(&finding.about));
        out.push_str(line.trim_end());
        out.push('\n');
        for problem in &finding.problems {
            out.push_str(&indented(&problem.to_string(), 4));
        }
    }
    let wrong = findings.iter().map(|finding| finding.problems.len()).sum::<usize>();
    let verdict = match wrong {
        0 => paint.green(&format!("The project `{project}` is right.")),
        1 => paint.red(&format!("1 problem in the project `{project}`.")),
        count => paint.red(&format!("{count} problems in the project `{project}`.")),
    };
    out.push_str(&format!("\n{verdict}\n"));
    out
}
