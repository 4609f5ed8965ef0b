//! A YAML file as a tree whose every node knows its line and column, the base of every message about a file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
    /// Of what stands in no file.
    pub const NONE: Self = Self { line: 0, column: 0 };
}

/// One value of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Null,
    Flag(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

/// Text that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxProblem {
    pub place: Place,
    pub message: String,
}

impl Node {
    /// Reads one YAML document. An empty one is an empty map.
    ///
    /// # Errors
    /// The text is not YAML, holds a key twice in one map, or nests or repeats without bounds.
    pub fn parse(text: &str) -> Result<Self, SyntaxProblem> {
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        match serde_saphyr::from_str_with_options::<Option<Self>>(text, options) {
            Ok(Some(node)) => Ok(node),
            Ok(None) => Ok(Self { place: Place::START, content: Content::Map(Vec::new()) }),
            Err(error) => {
                let location = error.location();
                let place = location.map_or(Place::START, |location| place_of(location.line(), location.column()));
                let mut message = error.without_snippet().to_string();
                // The place is told apart from the message, so it need not stand in it again.
                if let Some(end) = message.rfind(" at line ") {
                    message.truncate(end);
                }
                Err(SyntaxProblem { place, message })
            }
        }
    }

    /// A document that has no places: all of it is at line 0.
    pub fn of_json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(flag) => Content::Flag(*flag),
            Value::Number(number) => Content::Number(number.clone()),
            Value::String(text) => Content::Text(text.clone()),
            Value::Array(items) => Content::List(items.iter().map(Self::of_json).collect()),
            Value::Object(entries) => {
                let entry =
                    |(key, below)| Entry { key: String::clone(key), place: Place::NONE, node: Self::of_json(below) };
                Content::Map(entries.iter().map(entry).collect())
            }
        };
        Self { place: Place::NONE, content }
    }

    /// The value under a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Where `path` (`address.city`, `items[2].name`) stands below this node, or the deepest part of it that is there.
    pub fn place_of(&self, path: &str) -> Place {
        let mut deepest = (self.place, self);
        for part in parts(path) {
            let Some(found) = deepest.1.below(part) else { break };
            deepest = found;
        }
        deepest.0
    }

    /// What stands at `path` below this node.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        parts(path).try_fold(self, |node, part| node.below(part).map(|(_, below)| below))
    }

    fn below(&self, part: &str) -> Option<(Place, &Node)> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == part).map(|e| (e.place, &e.node)),
            Content::List(items) => part.parse().ok().and_then(|i: usize| items.get(i)).map(|n| (n.place, n)),
            _ => None,
        }
    }

    /// The word for its type in messages.
    pub fn type_name(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Flag(_) => "true or false",
            Content::Number(number) if number.is_f64() => "a number",
            Content::Number(_) => "a whole number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// The plain JSON value.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.content {
            Content::Null => Value::Null,
            Content::Flag(flag) => Value::Bool(*flag),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect())
            }
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty())
}

fn place_of(line: u64, column: u64) -> Place {
    let of = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    Place { line: of(line), column: of(column) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        let place = place_of(spanned.referenced.line(), spanned.referenced.column());
        Ok(Self { place, content: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Content, E> {
        Ok(Content::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Content, E> {
        serde_json::Number::from_f64(number).map(Content::Number).ok_or_else(|| E::custom("the number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = access.next_key::<Node>()? {
            let place = key.place;
            let key = match key.content {
                Content::Text(text) => text,
                Content::Number(number) => number.to_string(),
                Content::Flag(flag) => flag.to_string(),
                _ => return Err(A::Error::custom("a key must be text")),
            };
            let node = access.next_value::<Node>()?;
            entries.push(Entry { key, place, node });
        }
        Ok(Content::Map(entries))
    }
}
