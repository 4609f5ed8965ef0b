//! Makes a tree of a template's tokens.

use std::collections::VecDeque;

use super::at;
use super::expression::{Filtered, Value};
use super::lexer::{self, Lexer, Token};

/// Tags that Segment has switched off.
const DISABLED: [&str; 6] = ["case", "for", "include", "layout", "render", "tablerow"];

/// Tags are not nested deeper than this.
const NESTING_MAX: usize = 60;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Output {
        position: usize,
        value: Filtered,
    },
    Assign {
        position: usize,
        name: String,
        value: Filtered,
    },
    Capture {
        name: String,
        body: Vec<Node>,
    },
    /// The first branch whose test holds; a test of `unless` holds if its value is false.
    Branches {
        position: usize,
        branches: Vec<Branch>,
        otherwise: Vec<Node>,
    },
    Increment(String),
    Decrement(String),
    Cycle {
        position: usize,
        group: Option<Value>,
        values: Vec<Filtered>,
    },
    Block(Vec<Node>),
    /// `break` and `continue`, which outside of a loop end the template.
    Halt,
}

#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) test: Filtered,
    pub(super) negated: bool,
    pub(super) body: Vec<Node>,
}

pub(super) fn parse(source: &[char]) -> Result<Vec<Node>, String> {
    let mut parser = Parser { source, tokens: lexer::tokens(source)?.into() };
    let mut nodes = Vec::new();
    while let Some(token) = parser.tokens.pop_front() {
        nodes.extend(parser.node(token, 0)?);
    }
    Ok(nodes)
}

struct Parser<'s> {
    source: &'s [char],
    tokens: VecDeque<Token>,
}

/// A tag as it was met.
struct Tag {
    begin: usize,
    end: usize,
    arguments: (usize, usize),
}

impl Parser<'_> {
    fn text(&self, begin: usize, end: usize) -> String {
        self.source[begin..end].iter().collect()
    }

    fn inside(&self, tag: &Tag) -> Lexer<'_> {
        Lexer::new(self.source, tag.arguments.0, tag.arguments.1)
    }

    fn error(&self, message: &str, tag: &Tag) -> String {
        at(message, self.source, tag.begin)
    }

    fn not_closed(&self, tag: &Tag) -> String {
        self.error(&format!("tag {} not closed", self.text(tag.begin, tag.end)), tag)
    }

    fn node(&mut self, token: Token, depth: usize) -> Result<Option<Node>, String> {
        Ok(Some(match token {
            Token::Text { begin, end } => Node::Text(self.text(begin, end)),
            Token::Output { begin, content } => {
                let value = Lexer::new(self.source, content.0, content.1).filtered()?;
                Node::Output { position: begin, value }
            }
            Token::Tag { begin, end, name, arguments } => {
                let tag = Tag { begin, end, arguments };
                if depth > NESTING_MAX {
                    return Err(self.error("tags are nested too deep", &tag));
                }
                return self.tag(&name, &tag, depth);
            }
        }))
    }

    fn tag(&mut self, name: &str, tag: &Tag, depth: usize) -> Result<Option<Node>, String> {
        Ok(Some(match name {
            "if" | "unless" => self.branches(name == "unless", tag, depth)?,
            "assign" => {
                let mut inside = self.inside(tag);
                let name = inside.identifier();
                if name.is_empty() {
                    return Err(inside.error("expected variable name"));
                }
                inside.skip_blank();
                if inside.peek(0) != Some('=') {
                    return Err(inside.error("expected \"=\""));
                }
                inside.at += 1;
                Node::Assign { position: tag.begin, name, value: inside.filtered()? }
            }
            "capture" => {
                let mut inside = self.inside(tag);
                let name = match inside.identifier() {
                    name if !name.is_empty() => name,
                    _ => inside.quoted().ok_or_else(|| inside.error("invalid capture name"))?,
                };
                Node::Capture { name, body: self.body("endcapture", tag, depth)? }
            }
            "block" => Node::Block(self.body("endblock", tag, depth)?),
            "comment" => {
                while let Some(token) = self.tokens.pop_front() {
                    if matches!(token, Token::Tag { name, .. } if name == "endcomment") {
                        return Ok(None);
                    }
                }
                return Err(self.not_closed(tag));
            }
            "raw" => {
                let mut text = String::new();
                while let Some(token) = self.tokens.pop_front() {
                    match token {
                        Token::Tag { name, .. } if name == "endraw" => return Ok(Some(Node::Text(text))),
                        Token::Text { begin, end } => text.push_str(&self.text(begin, end)),
                        Token::Tag { begin, end, .. } => text.push_str(&self.text(begin, end)),
                        Token::Output { .. } => {}
                    }
                }
                return Err(self.not_closed(tag));
            }
            "increment" => Node::Increment(self.inside(tag).identifier()),
            "decrement" => Node::Decrement(self.inside(tag).identifier()),
            "cycle" => self.cycle(tag)?,
            "echo" => {
                let mut inside = self.inside(tag);
                inside.skip_blank();
                if inside.is_done() {
                    return Ok(None);
                }
                Node::Output { position: tag.begin, value: inside.filtered()? }
            }
            "liquid" => {
                let tokens = self.inside(tag).lines()?;
                let mut inner = Parser { source: self.source, tokens: tokens.into() };
                let mut nodes = Vec::new();
                while let Some(token) = inner.tokens.pop_front() {
                    nodes.extend(inner.node(token, depth + 1)?);
                }
                Node::Block(nodes)
            }
            "#" => {
                let text = self.text(tag.arguments.0, tag.arguments.1);
                let lines = text.split('\n').skip(1).map(|line| line.trim_start_matches(lexer::is_blank));
                if lines.into_iter().any(|line| !line.is_empty() && !line.starts_with('#')) {
                    let message = "every line of an inline comment must start with a '#' character";
                    return Err(self.error(message, tag));
                }
                return Ok(None);
            }
            "break" | "continue" => Node::Halt,
            _ if DISABLED.contains(&name) => return Err(self.error(&format!("tag \"{name}\" is disabled"), tag)),
            _ => return Err(self.error(&format!("tag \"{name}\" not found"), tag)),
        }))
    }

    fn body(&mut self, end: &str, tag: &Tag, depth: usize) -> Result<Vec<Node>, String> {
        let mut body = Vec::new();
        while let Some(token) = self.tokens.pop_front() {
            if matches!(&token, Token::Tag { name, .. } if name == end) {
                return Ok(body);
            }
            body.extend(self.node(token, depth + 1)?);
        }
        Err(self.not_closed(tag))
    }

    fn branches(&mut self, negated: bool, tag: &Tag, depth: usize) -> Result<Node, String> {
        let mut branches = vec![Branch { test: self.inside(tag).filtered()?, negated, body: Vec::new() }];
        let mut otherwise: Option<Vec<Node>> = None;
        // After a second `else` of an `unless` nothing counts any more.
        let mut ignored = false;
        let closing = if negated { "endunless" } else { "endif" };
        while let Some(token) = self.tokens.pop_front() {
            if let Token::Tag { begin, end, name, arguments } = &token {
                let inner = Tag { begin: *begin, end: *end, arguments: *arguments };
                match name.as_str() {
                    name if name == closing => {
                        let otherwise = otherwise.unwrap_or_default();
                        return Ok(Node::Branches { position: tag.begin, branches, otherwise });
                    }
                    "elsif" if otherwise.is_none() => {
                        let test = self.inside(&inner).filtered()?;
                        branches.push(Branch { test, negated: false, body: Vec::new() });
                        continue;
                    }
                    "elsif" if negated => {
                        ignored = true;
                        continue;
                    }
                    "elsif" => return Err(self.error("unexpected elsif after else", tag)),
                    "else" if otherwise.is_some() && !negated => return Err(self.error("duplicated else", tag)),
                    "else" => {
                        ignored = otherwise.is_some();
                        otherwise.get_or_insert_default();
                        continue;
                    }
                    _ => {}
                }
            }
            let node = self.node(token, depth + 1)?;
            let body = match &mut otherwise {
                Some(body) => Some(body),
                None => branches.last_mut().map(|branch| &mut branch.body),
            };
            if let (Some(body), false) = (body, ignored) {
                body.extend(node);
            }
        }
        Err(self.not_closed(tag))
    }

    fn cycle(&mut self, tag: &Tag) -> Result<Node, String> {
        let mut inside = self.inside(tag);
        let begin = inside.at;
        let mut group = inside.value()?;
        inside.skip_blank();
        if group.is_some() && inside.peek(0) == Some(':') {
            inside.at += 1;
        } else {
            group = None;
            inside.at = begin;
        }
        let mut values = Vec::new();
        while !inside.is_done() {
            values.push(inside.filtered()?);
            inside.skip_to_comma();
        }
        if values.is_empty() {
            return Err(inside.error(&format!("empty candidates: \"{}\"", self.text(tag.begin, tag.end))));
        }
        Ok(Node::Cycle { position: tag.begin, group, values })
    }
}

/// Calls `visit` with the first keys of every variable, or nothing where a key is computed.
pub(super) fn visit_variables(nodes: &[Node], visit: &mut dyn FnMut(Option<Vec<String>>)) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Increment(_) | Node::Decrement(_) | Node::Halt => {}
            Node::Output { value, .. } | Node::Assign { value, .. } => value.visit_variables(visit),
            Node::Capture { body, .. } | Node::Block(body) => visit_variables(body, visit),
            Node::Branches { branches, otherwise, .. } => {
                for branch in branches {
                    branch.test.visit_variables(visit);
                    visit_variables(&branch.body, visit);
                }
                visit_variables(otherwise, visit);
            }
            Node::Cycle { group, values, .. } => {
                if let Some(group) = group {
                    group.visit_variables(visit);
                }
                values.iter().for_each(|value| value.visit_variables(visit));
            }
        }
    }
}
