//! Chores of the house: `cargo xtask tidy` checks the rules that no compiler knows, `cargo xtask new-destination` writes
//! the folder of a destination.

mod new_destination;
mod tidy;

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

const USAGE: &str = "\
usage: cargo xtask tidy
       cargo xtask new-destination SLUG [--from-catalog FILE]

  tidy             check the rules of the house (make test does it too)
  new-destination  write the folder of a destination and its line in the list: a small example, or with --from-catalog
                   the settings, actions and fields that a catalogue (catalog.jsonl) has of it. Then see
                   docs/add-a-destination.md
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (text, code) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => match tidy::check(workspace()) {
            Ok(problems) if problems.is_empty() => ("tidy: all is in order\n".to_owned(), 0),
            Ok(problems) => (tidy::report(&problems), 1),
            Err(error) => (format!("tidy could not run: {error}\n"), 1),
        },
        ["new-destination", slug] if !slug.starts_with('-') => new_destination(slug, None),
        ["new-destination", slug, "--from-catalog", file] | ["new-destination", "--from-catalog", file, slug] => {
            new_destination(slug, Some(Path::new(file)))
        }
        ["help" | "--help" | "-h"] => (USAGE.to_owned(), 0),
        _ => (USAGE.to_owned(), 2),
    };
    // Whoever closed our output does not want to hear of it.
    drop(if code == 0 { io::stdout().write_all(text.as_bytes()) } else { io::stderr().write_all(text.as_bytes()) });
    ExitCode::from(code)
}

fn new_destination(slug: &str, catalogue: Option<&Path>) -> (String, u8) {
    let root = std::env::current_dir().ok().and_then(|here| new_destination::checkout_of(&here));
    let root = root.unwrap_or_else(|| workspace().to_owned());
    match new_destination::write(&root, slug, catalogue) {
        Ok(written) => (new_destination::report(&root, &written), 0),
        Err(error) => (format!("new-destination: {error}\n"), 1),
    }
}

/// The checkout this program was built in.
fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap_or(here)
}
