//! Chores of the house: `cargo xtask tidy` checks the rules that no compiler knows.

mod tidy;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

const USAGE: &str = "usage: cargo xtask tidy\n\n  tidy  check the rules of the house (make test does it too)\n";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (text, code) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => match tidy::check(workspace()) {
            Ok(problems) if problems.is_empty() => ("tidy: all is in order\n".to_owned(), 0),
            Ok(problems) => (tidy::report(&problems), 1),
            Err(error) => (format!("tidy could not run: {error}\n"), 1),
        },
        ["help" | "--help" | "-h"] => (USAGE.to_owned(), 0),
        _ => (USAGE.to_owned(), 2),
    };
    // Whoever closed our output does not want to hear of it.
    drop(if code == 0 { io::stdout().write_all(text.as_bytes()) } else { io::stderr().write_all(text.as_bytes()) });
    ExitCode::from(code)
}

/// The checkout this program was built in.
fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap_or(here)
}
