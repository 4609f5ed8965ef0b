//! `cargo xtask new-destination SLUG`: the folder of a destination, from the template beside this crate's sources or
//! from the catalogue of the original, and its lines in the list.

mod catalogue;
mod list;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use catalogue::Original;

/// What stands where a person is to write. `kit::testing::cases::UNWRITTEN` refuses it.
const UNWRITTEN: &str = "WRITE ME";

/// The destination that the template is of, which is compiled and tested in `crates/destinations/tests/it`.
const TEMPLATE: [(&str, &str); 6] = [
    ("destination.yaml", include_str!("../template/destination.yaml")),
    ("mod.rs", include_str!("../template/mod.rs")),
    ("simulator.rs", include_str!("../template/simulator.rs")),
    ("cases/all_accepted.yaml", include_str!("../template/cases/all_accepted.yaml")),
    ("example.yaml", include_str!("../template/example.yaml")),
    ("README.md", include_str!("../template/README.md")),
];

/// Lines of the template that depend on how a tool is signed in to.
const IMPORTS: &str = "use kit::{Auth, Batch";
const TEXT: &str = "    let text = |key: &str| settings.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();\n";
const MUT: &str = "let mut wire";
const AUTH: &str = "    wire.auth = Auth::Bearer { token: text(\"api_key\") };\n";
const KEY: &str = "/api_key";
const BEARER: &str = "request.bearer() != self.key.as_deref()";

/// Words that cannot be, or had better not be, the name of a module in the list.
const TAKEN_MODULES: [&str; 20] = [
    "as", "async", "await", "box", "break", "const", "crate", "dyn", "enum", "final", "kit", "loop", "mapping",
    "match", "move", "override", "records", "std", "try", "type",
];

/// Names that the template uses.
const TAKEN_TYPES: [&str; 13] = [
    "Arc",
    "Auth",
    "Batch",
    "DeliveryError",
    "Destination",
    "Facts",
    "Outcome",
    "Request",
    "SettingsError",
    "Simulator",
    "Value",
    "Wire",
    "WireSettings",
];

/// Why nothing was written, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewDestinationError {
    #[error(
        "`{0}` is not a slug: write lower-case letters, digits and single hyphens between them, as in `customer-io`"
    )]
    Slug(String),
    #[error("there is `{}` already; choose another slug, or remove it first", .0.display())]
    Exists(PathBuf),
    #[error("there is no `{slug}` in `{}`; leave `--from-catalog` out for a tool that the original does not have", catalogue.display())]
    Unlisted { slug: String, catalogue: PathBuf },
    #[error("line {line} of `{}` is not as catalogues are: {message}", catalogue.display())]
    Catalogue { catalogue: PathBuf, line: usize, message: String },
    #[error("`{0}` has no {1}; is it still where destinations are listed?")]
    List(&'static str, &'static str),
    #[error("cannot read or write `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// How a destination is called in each place.
struct Names {
    slug: String,
    module: String,
    type_name: String,
    /// For people.
    title: String,
}

/// Writes the folder and the lines of the list, and gives the paths that were written, relative to `root`. Nothing is
/// written unless all of it can be made.
///
/// # Errors
/// The slug is wrong or taken, the catalogue does not have it, or a file cannot be read or written.
pub(crate) fn write(root: &Path, slug: &str, catalogue: Option<&Path>) -> Result<Vec<PathBuf>, NewDestinationError> {
    let mut names = Names::of(slug)?;
    let src = Path::new("crates/destinations/src");
    let folder = src.join(slug);
    for taken in [folder.clone(), src.join(&names.module), src.join(format!("{}.rs", names.module))] {
        if root.join(&taken).exists() {
            return Err(NewDestinationError::Exists(taken));
        }
    }
    let original = catalogue.map(|path| catalogue::read(path, slug)).transpose()?;
    if let Some(original) = &original {
        names.title = original.name();
    }
    let lib = root.join(list::PATH);
    let listed = list::with(&read(&lib)?, &names)?;
    let mut written = Vec::new();
    for (name, template) in TEMPLATE {
        let text = match (name, &original) {
            ("destination.yaml", Some(original)) => original.facts(),
            ("cases/all_accepted.yaml", Some(original)) => original.first_case(),
            ("example.yaml", Some(original)) => original.example(slug),
            _ => filled(name, template, &names, original.as_ref()),
        };
        let path = folder.join(name);
        save(&root.join(&path), &text)?;
        written.push(path);
    }
    save(&lib, &listed)?;
    written.push(list::PATH.into());
    Ok(written)
}

/// The checkout that a person stands in. Builds of several checkouts may share a folder, so that this program need not
/// be of theirs.
pub(crate) fn checkout_of(here: &Path) -> Option<PathBuf> {
    here.ancestors().find(|folder| folder.join(list::PATH).is_file()).map(Path::to_owned)
}

/// What a person is told when all is written.
pub(crate) fn report(root: &Path, written: &[PathBuf]) -> String {
    let list: String = written.iter().map(|path| format!("  {}\n", path.display())).collect();
    format!(
        "written in `{}`:\n{list}\nnext: cargo nextest run -p destinations cases::\n  it fails at each place that says `{UNWRITTEN}`; \
         docs/add-a-destination.md says what belongs there\n",
        root.display()
    )
}

impl Names {
    fn of(slug: &str) -> Result<Self, NewDestinationError> {
        let fits = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !slug.split('-').all(fits) {
            return Err(NewDestinationError::Slug(slug.to_owned()));
        }
        let mut module = slug.replace('-', "_");
        if TAKEN_MODULES.contains(&module.as_str()) {
            module.push('_');
        }
        let words: Vec<_> = slug.split('-').map(capitalised).collect();
        let mut type_name = words.concat();
        if slug.starts_with(|first: char| first.is_ascii_digit()) {
            module.insert(0, '_');
            type_name.insert_str(0, "Tool");
        } else if TAKEN_TYPES.contains(&type_name.as_str()) {
            type_name.push_str("Tool");
        }
        Ok(Self { slug: slug.to_owned(), module, type_name, title: words.join(" ") })
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// The template's file with the destination's names in place of its own, and signed in to as the original is.
fn filled(file: &str, template: &str, names: &Names, original: Option<&Original>) -> String {
    let mut text = template.to_owned();
    if let Some(original) = original {
        let (auth, key, sent) = original.credentials();
        let auth = auth.map(|auth| format!("    wire.auth = {auth};\n"));
        if auth.is_none() {
            text = text.replacen(TEXT, "", 1).replacen(MUT, "let wire", 1).replacen(IMPORTS, "use kit::{Batch", 1);
        }
        text = text.replacen(AUTH, auth.as_deref().unwrap_or_default(), 1).replacen(KEY, &key, 1);
        text = text.replacen(BEARER, sent.unwrap_or(BEARER), 1);
    }
    match file {
        "mod.rs" => {
            text = text.replacen("//! Example:", &format!("//! {}:", names.title), 1);
            text.replace("struct Example ", &format!("struct {} ", names.type_name))
                .replace("for Example ", &format!("for {} ", names.type_name))
                .replace("(Example ", &format!("({} ", names.type_name))
        }
        "destination.yaml" => text.replacen("slug: example\n", &format!("slug: {}\n", names.slug), 1).replacen(
            "name: Example\n",
            &format!("name: {}\n", names.title),
            1,
        ),
        "example.yaml" => text
            .replace("EXAMPLE_", &format!("{}_", names.slug.replace('-', "_").to_uppercase()))
            .replace("example", &names.slug),
        _ => text.replacen("Example", &names.title, 1),
    }
}

fn read(path: &Path) -> Result<String, NewDestinationError> {
    fs::read_to_string(path).map_err(|source| NewDestinationError::Io { path: path.to_owned(), source })
}

fn save(path: &Path, text: &str) -> Result<(), NewDestinationError> {
    let failed = |source| NewDestinationError::Io { path: path.to_owned(), source };
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests;
