//! What each operation of the API asks of its caller. The table is a text of its own, so that whoever adds an operation
//! adds a line; an operation without one is refused to everybody.

use std::collections::HashMap;

use http::Method;
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

use crate::rights::Right;

/// `operation_id access`, one a line.
const TABLE: &str = include_str!("operations.txt");

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, without signing in.
    Open,
    /// Whoever has signed the request, which the route finds out. Neither a session nor a token is looked for: the
    /// header of a token may hold the signature.
    Signed,
    /// Who has the right.
    With(Right),
    /// The table does not say, so nobody.
    Nobody,
}

impl Access {
    /// The word in the table.
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "open" => Access::Open,
            "signed" => Access::Signed,
            "view" => Access::With(Right::View),
            "operate" => Access::With(Right::Operate),
            "edit" => Access::With(Right::Edit),
            "own" => Access::With(Right::Own),
            _ => return None,
        })
    }
}

/// The operations of a router, found by the pattern of their address and their method.
#[derive(Debug)]
pub(crate) struct Operations(HashMap<String, Vec<(Method, Access)>>);

impl Operations {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let table: HashMap<&str, Access> = table().collect();
        let access = |operation: &Operation| {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            table.get(id).copied().unwrap_or(Access::Nobody)
        };
        let routes = document.paths.paths.iter().map(|(path, item)| {
            let operations = methods(item).map(|(method, operation)| (method, access(operation)));
            (path.clone(), operations.collect())
        });
        Self(routes.collect())
    }

    /// Whether a route is part of the document.
    pub(crate) fn knows(&self, route: &str) -> bool {
        self.0.contains_key(route)
    }

    /// Who may call a method of a route. None for a route that is no part of the API, and for a method the route has
    /// not.
    pub(crate) fn access(&self, route: &str, method: &Method) -> Option<Access> {
        // HEAD is GET without the body.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.get(route)?.iter().find(|(known, _)| known == method).map(|(_, access)| *access)
    }
}

/// The lines of the table.
pub(crate) fn table() -> impl Iterator<Item = (&'static str, Access)> {
    let lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| {
        let (id, word) = line.split_once(' ')?;
        Some((id, Access::of_word(word.trim())?))
    })
}

/// The operations of one address.
pub(crate) fn methods(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::OPTIONS, options),
        (Method::HEAD, head),
        (Method::PATCH, patch),
        (Method::TRACE, trace),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

#[cfg(test)]
mod tests;
