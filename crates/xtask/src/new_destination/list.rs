//! The list of destinations, with the lines of one more.

use super::{Names, NewDestinationError};

pub(super) const PATH: &str = "crates/destinations/src/lib.rs";

const LENGTH: &str = "const LIST: [Listed; ";
const LINE: &str = "listed!(\"";

/// The text of `lib.rs` with the module's line, the list's line and the list's new length.
///
/// # Errors
/// The list is not where it was.
pub(super) fn with(lib: &str, names: &Names) -> Result<String, NewDestinationError> {
    let mut lines: Vec<String> = lib.lines().map(str::to_owned).collect();
    add_module(&mut lines, names)?;
    let missing = || NewDestinationError::List(PATH, "line `const LIST: [Listed; N]`");
    let length = lines.iter_mut().find(|line| line.starts_with(LENGTH)).ok_or_else(missing)?;
    let (number, rest) = length[LENGTH.len()..].split_once(']').ok_or_else(missing)?;
    let count: usize = number.parse().map_err(|_| missing())?;
    *length = format!("{LENGTH}{}]{rest}", count + 1);
    let slug_of = |line: &String| Some(line.split_once(LINE)?.1.split_once('"')?.0.to_owned());
    let place = place(&lines, slug_of, &names.slug).ok_or(NewDestinationError::List(PATH, "line `listed!(…)`"))?;
    lines.insert(place, format!("    {LINE}{}\", {}, simulated),", names.slug, names.module));
    Ok(lines.join("\n") + "\n")
}

fn add_module(lines: &mut Vec<String>, names: &Names) -> Result<(), NewDestinationError> {
    let module_of = |line: &String| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned());
    // The module of tests stands alone at the end.
    let end = lines.iter().position(|line| line.starts_with("use ")).unwrap_or(lines.len());
    let mut at = place(&lines[..end], module_of, &names.module).ok_or(NewDestinationError::List(PATH, "modules"))?;
    if at > 0 && lines[at - 1].starts_with("#[path") {
        at -= 1;
    }
    lines.insert(at, format!("mod {};", names.module));
    if names.module != names.slug {
        lines.insert(at, format!("#[path = \"{}/mod.rs\"]", names.slug));
    }
    Ok(())
}

/// Where a line of that name belongs: before the first whose name is greater, or after the last.
fn place(lines: &[String], name_of: impl Fn(&String) -> Option<String>, name: &str) -> Option<usize> {
    let named = || lines.iter().enumerate().filter_map(|(at, line)| Some((at, name_of(line)?)));
    let last = named().last()?.0;
    Some(named().find(|(_, other)| other.as_str() > name).map_or(last + 1, |(at, _)| at))
}
