//! `${env:NAME}`, `${file:PATH}` and `${sealed:…}` in the texts of definitions: what they may reach, and filling them in.

use std::path::{Component, Path, PathBuf};

use super::{
    located::{Content, Node},
    problem::{Problem, Problems},
    sealing::{KEPT_WORD, Seal},
    secrets::{Secrets, is_telling, password_of_url},
};

/// Reads an environment variable. Handed in, so that only the entry of the program reads the environment.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fields whose value is never a secret, though it may come from outside.
const PLAIN: [&str; 13] = [
    "host",
    "port",
    "database",
    "user",
    "path",
    "method",
    "schema",
    "mode",
    "name",
    "folder",
    "format",
    "enabled",
    // It stands in the address that a person opens to grant access.
    "client_id",
];

/// The beginning of a reference.
pub(crate) const REFERENCE: &str = "${";
/// The kinds of references to something outside.
const OUTSIDE: [&str; 2] = ["env:", "file:"];

/// What the references of definitions reach.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// Files are meant from here.
    pub folder: &'a Path,
    pub variables: Variables<'a>,
    /// What may be read. None: everything, for whoever reads files of their own.
    pub allowed: Option<&'a Allowed>,
    /// Opens what was sealed. None where nothing can be.
    pub seal: Option<&'a dyn Seal>,
}

/// What a server lets its definitions read of its surroundings: without it, whoever may edit a definition could read
/// everything the server can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Names, or beginnings of names if the flag is set.
    variables: Vec<(String, bool)>,
    /// Files, or folders with all that is in them.
    files: Vec<PathBuf>,
}

impl Allowed {
    /// These variables (`SHOP_PASSWORD`, or `SHOP_*` for all that begin so) and these files and folders, which are
    /// meant from `folder`.
    ///
    /// # Errors
    /// A name that cannot be one.
    pub fn new(variables: &[String], files: &[PathBuf], folder: &Path) -> Result<Self, String> {
        let variables = variables.iter().map(|pattern| {
            let (name, is_beginning) = pattern.strip_suffix('*').map_or((pattern.as_str(), false), |name| (name, true));
            let is_name = !name.is_empty() && !name.contains(['*', '=', '$', '{', '}']);
            let wrong = || format!("`{pattern}` names no variables; write a name, or a beginning such as `SHOP_*`");
            if is_name { Ok((name.to_owned(), is_beginning)) } else { Err(wrong()) }
        });
        let files = files.iter().map(|file| without_steps(&folder.join(file))).collect();
        Ok(Self { variables: variables.collect::<Result<_, _>>()?, files })
    }

    fn permits_variable(&self, name: &str) -> bool {
        let fits = |(known, is_beginning): &(String, bool)| {
            if *is_beginning { name.starts_with(known) } else { name == known }
        };
        self.variables.iter().any(fits)
    }

    /// Whether the file at this full path may be read. It must lie there in truth too, not only by a link.
    fn permits_file(&self, path: &Path) -> bool {
        let wanted = without_steps(path);
        let found = std::fs::canonicalize(path).ok();
        let lies_in = |allowed: &PathBuf| {
            let real = std::fs::canonicalize(allowed).ok();
            wanted.starts_with(allowed)
                && match (&found, &real) {
                    (Some(found), Some(real)) => found.starts_with(real),
                    // What is not there is told as missing, not as forbidden.
                    _ => true,
                }
        };
        self.files.iter().any(lies_in)
    }
}

/// A path without `.` and `..`.
fn without_steps(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                straight.pop();
            }
            other => straight.push(other),
        }
    }
    straight
}

/// A text as it is written where `${` means itself.
pub(crate) fn escaped(text: &str) -> String {
    text.replace(REFERENCE, "$${")
}

/// Whether a text is one reference to something outside and nothing else: `${env:NAME}`.
pub(crate) fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix(REFERENCE).and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains('}') && OUTSIDE.iter().any(|kind| inner.starts_with(kind)))
}

/// Whether a text has references in it.
pub(crate) fn has_references(text: &str) -> bool {
    pieces(text).is_ok_and(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Reference(_))))
}

/// The environment variables that a text refers to.
pub(crate) fn variables_of(text: &str) -> impl Iterator<Item = &str> {
    let pieces = pieces(text).unwrap_or_default();
    pieces.into_iter().filter_map(|piece| match piece {
        Piece::Reference(reference) => reference.strip_prefix("env:"),
        Piece::Text(_) | Piece::Sign => None,
    })
}

/// Whether all references in a text are to something outside. What is wrong is told without a word of the text, which
/// may be a secret.
///
/// # Errors
/// One of them is not.
pub(crate) fn check_secret(text: &str) -> Result<(), String> {
    let is_known = |piece: &Piece<'_>| match piece {
        Piece::Reference(reference) => OUTSIDE.iter().any(|kind| reference.starts_with(kind)),
        Piece::Text(_) | Piece::Sign => true,
    };
    match pieces(text) {
        Ok(pieces) if pieces.iter().all(is_known) => Ok(()),
        _ => Err("in it, `${` begins a reference such as `${env:NAME}`; write `$${` for the characters themselves"
            .to_owned()),
    }
}

enum Piece<'t> {
    Text(&'t str),
    /// `${` as such.
    Sign,
    /// What stands between `${` and `}`.
    Reference(&'t str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(REFERENCE) {
        let (before, from) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(before), Piece::Sign]);
            rest = &from[REFERENCE.len()..];
            continue;
        }
        pieces.push(Piece::Text(before));
        let Some(end) = from.find('}') else {
            return Err("`${` has no `}`; write `$${` if you mean the characters themselves".to_owned());
        };
        pieces.push(Piece::Reference(&from[REFERENCE.len()..end]));
        rest = &from[end + 1..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// Fills in references, and notes what is secret.
pub(crate) struct Resolver<'a> {
    pub(crate) reach: Reach<'a>,
    /// What sealed texts are bound to: `destination/crm`.
    pub(crate) about: &'a str,
    pub(crate) secrets: &'a mut Secrets,
    pub(crate) problems: &'a mut Problems,
    /// The paths of texts into which something came from outside that may be a secret.
    pub(crate) outside: Vec<String>,
}

impl Resolver<'_> {
    /// Replaces the references in every text value below `node`, which stands at `prefix` of its file; keys stay as
    /// they are, and so does what stands under one of the keys `except`.
    pub(crate) fn resolve(&mut self, file: &Path, node: &mut Node, prefix: &str, except: &[&str]) {
        match &mut node.content {
            Content::Map(entries) => {
                for entry in entries.iter_mut().filter(|entry| !except.contains(&entry.key.as_str())) {
                    let below = joined(prefix, &entry.key);
                    self.walk(file, &mut entry.node, &below, &entry.key, "");
                }
            }
            _ => self.walk(file, node, prefix, "", ""),
        }
    }

    fn walk(&mut self, file: &Path, node: &mut Node, path: &str, key: &str, above: &str) {
        let place = node.place;
        match &mut node.content {
            Content::Text(text) => {
                if text.contains(REFERENCE) {
                    match self.replaced(text, key) {
                        Ok(replaced) => {
                            if has_references(text) && !PLAIN.contains(&key) {
                                self.outside.push(path.to_owned());
                            }
                            *text = replaced;
                        }
                        Err(message) => self.problems.push(Problem::new(file, place, path, message)),
                    }
                }
                if is_telling(key, above) {
                    self.secrets.add(text);
                } else if let Some(password) = password_of_url(text) {
                    self.secrets.add(password);
                }
            }
            Content::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(file, item, &format!("{path}[{index}]"), key, above);
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    let below = joined(path, &entry.key);
                    let (key, above) = named(&entry.key, key, above);
                    self.walk(file, &mut entry.node, &below, key, above);
                }
            }
            Content::Null | Content::Flag(_) | Content::Number(_) => {}
        }
    }

    /// The text with all references filled in.
    pub(crate) fn replaced(&mut self, text: &str, key: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        for piece in pieces(text)? {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Sign => out.push_str(REFERENCE),
                Piece::Reference(reference) => {
                    let value = self.value_of(reference, key)?;
                    if !PLAIN.contains(&key) {
                        self.secrets.add(&value);
                    }
                    out.push_str(&value);
                }
            }
        }
        Ok(out)
    }

    fn value_of(&mut self, reference: &str, key: &str) -> Result<String, String> {
        match reference.split_once(':') {
            Some(("env", name)) => self.variable(name),
            Some(("file", path)) => self.file(path),
            Some(("sealed", sealed)) => self.opened(sealed, key),
            None if reference == KEPT_WORD => {
                Err("it keeps a secret that a server has, and here is none; write the secret itself, or `${env:NAME}`"
                    .to_owned())
            }
            _ => Err(format!(
                "`${{{reference}}}` is not understood; write `${{env:NAME}}` or `${{file:PATH}}`, or `$${{` for the \
                 characters themselves"
            )),
        }
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        if self.reach.allowed.is_some_and(|allowed| !allowed.permits_variable(name)) {
            return Err(format!(
                "the server does not let definitions read the environment variable `{name}`; start it with \
                 `--allow-env {name}` to allow it, or write the value itself, which is then kept encrypted"
            ));
        }
        (self.reach.variables)(name)
            .ok_or_else(|| format!("the environment variable `{name}` is not set; set it before running outflow"))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let full = self.reach.folder.join(path);
        if self.reach.allowed.is_some_and(|allowed| !allowed.permits_file(&full)) {
            return Err(format!(
                "the server does not let definitions read the file `{path}`; start it with `--allow-file {path}` to \
                 allow it, or write the value itself, which is then kept encrypted"
            ));
        }
        match std::fs::read_to_string(&full) {
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(format!("the file `{}` cannot be read: {error}", full.display())),
        }
    }

    /// What was sealed is a text like any other, in which references may stand; none of them can be sealed again.
    fn opened(&mut self, sealed: &str, key: &str) -> Result<String, String> {
        let Some(seal) = self.reach.seal else {
            return Err("it was sealed by a server and can be opened only there; write the secret itself, or \
                        `${env:NAME}`"
                .to_owned());
        };
        let plain = seal.open(self.about, sealed)?;
        self.secrets.add(&plain);
        let within = Reach { seal: None, ..self.reach };
        let mut inner = Resolver {
            reach: within,
            about: self.about,
            secrets: self.secrets,
            problems: self.problems,
            outside: Vec::new(),
        };
        if plain.contains(REFERENCE) { inner.replaced(&plain, key) } else { Ok(plain) }
    }
}

/// The name of what stands under `key` in a map that is called `name`, and of the map: a literal has the name of the
/// field that it is of.
pub(crate) fn named<'k>(key: &'k str, name: &'k str, above: &'k str) -> (&'k str, &'k str) {
    if key == "@literal" { (name, above) } else { (key, name) }
}

pub(crate) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
