//! A compiled mapping: one node a value or directive.

use records::Value;

use crate::beyond::Beyond;
use crate::liquid;
use crate::path::Path;
use crate::replace::Replacement;
use crate::template::Template;

/// One value or directive of a mapping.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Missing,
    /// No directive is in it.
    Constant(Value),
    Object(Vec<(Key, Node)>),
    Array(Vec<Node>),
    Path(Path),
    /// The path is itself computed.
    PathOf(Box<Node>),
    Template(Template),
    TemplateOf(Box<Node>),
    If(Box<If>),
    Case {
        operator: Case,
        value: Box<Node>,
    },
    Replace(Box<Replace>),
    ArrayPath {
        root: Box<Node>,
        shape: Option<Box<Node>>,
    },
    Encode(Box<Node>),
    Decode(Box<Node>),
    Flatten(Box<Flatten>),
    Merge {
        direction: Box<Node>,
        objects: Vec<Node>,
    },
    Transform(Box<Transform>),
    ExcludeWhenNull(Box<Node>),
    Liquid(Box<liquid::Template>),
    Beyond(Box<Beyond>),
    /// Wrong in a way that shows only when it runs.
    Fail(String),
}

/// A key of an object, and the same as it stands in JSON text: `"email":`.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) json: String,
}

impl Key {
    pub(crate) fn new(name: &str) -> Self {
        let mut json = String::new();
        records::write_text(name, &mut json);
        json.push(':');
        Self { name: name.to_owned(), json }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct If {
    /// Whether a value that is loosely equal to an empty text counts as absent.
    pub(crate) blank: bool,
    pub(crate) test: Node,
    pub(crate) then: Node,
    pub(crate) otherwise: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    /// An error, but only for text.
    Unknown,
}

#[derive(Debug, Clone)]
pub(crate) struct Replace {
    pub(crate) value: Node,
    /// Nothing if the arguments have wrong types, which gives an empty text.
    pub(crate) steps: Option<Vec<Result<Replacement, String>>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Flatten {
    pub(crate) separator: Node,
    pub(crate) value: Node,
    pub(crate) keep_arrays: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Transform {
    pub(crate) apply: Node,
    pub(crate) mapping: Node,
}
