//! Which columns a mapping or condition reads.

use std::collections::BTreeSet;

use crate::node::Node;
use crate::path::Path;
use crate::program::Columns;

/// Gathers columns from what is evaluated with the event as its scope.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    all: bool,
    named: BTreeSet<String>,
}

impl Reads {
    pub(crate) fn columns(self) -> Columns {
        if self.all { Columns::All } else { Columns::Named(self.named) }
    }

    /// Anything may be read.
    pub(crate) fn anything(&mut self) {
        self.all = true;
    }

    pub(crate) fn path(&mut self, path: &Path) {
        self.keys(path.keys());
    }

    pub(crate) fn keys<'k>(&mut self, mut keys: impl Iterator<Item = &'k str>) {
        match (keys.next(), keys.next()) {
            (Some("properties" | "previous"), Some(column)) => {
                self.named.insert(column.to_owned());
            }
            (None | Some("properties" | "previous" | "changed"), _) => self.all = true,
            _ => {}
        }
    }

    pub(crate) fn node(&mut self, node: &Node) {
        match node {
            Node::Missing | Node::Constant(_) | Node::Fail(_) => {}
            Node::Object(entries) => entries.iter().for_each(|(_, node)| self.node(node)),
            Node::Array(items) => items.iter().for_each(|item| self.node(item)),
            Node::Path(path) => self.path(path),
            // A computed path may lead anywhere.
            Node::PathOf(_) | Node::TemplateOf(_) => self.all = true,
            Node::Template(template) => template.paths().iter().for_each(|path| self.path(path)),
            Node::If(parts) => {
                [&parts.test, &parts.then, &parts.otherwise].into_iter().for_each(|node| self.node(node))
            }
            Node::Case { value, .. } | Node::Encode(value) | Node::Decode(value) | Node::ExcludeWhenNull(value) => {
                self.node(value);
            }
            Node::Replace(parts) => self.node(&parts.value),
            // A shape sees an item of the root, which has been counted.
            Node::ArrayPath { root, .. } => self.node(root),
            Node::Flatten(parts) => {
                self.node(&parts.separator);
                self.node(&parts.value);
            }
            Node::Merge { direction, objects } => {
                self.node(direction);
                objects.iter().for_each(|object| self.node(object));
            }
            // The inner mapping sees only what was applied.
            Node::Transform(parts) => self.node(&parts.apply),
            Node::Liquid(template) => template.reads(self),
            Node::Beyond(directive) => directive.reads(self),
        }
    }
}
