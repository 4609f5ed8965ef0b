//! FQL, the text form of conditions: `type = "track" and (event = "new" or contains(properties.email, "@"))`.

use records::Value;

use super::{NESTING_MAX, Operator, Test};
use crate::path::Path;

/// What a path may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roots {
    /// The keys of an event.
    OfEvent,
    /// Anything: the condition is on the items of an array.
    Any,
}

const EVENT_KEYS: [&str; 12] = [
    "type",
    "event",
    "name",
    "userId",
    "context",
    "properties",
    "traits",
    "previous",
    "messageId",
    "__segment_id",
    "timestamp",
    "receivedAt",
];

/// Longest condition, in bytes.
const LENGTH_MAX: usize = 20_000;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Path(String),
    Sign(&'static str),
    And,
    Or,
    Null,
    Text(String),
    Number(f64),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Path(path) => format!("`{path}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::And => "`and`".to_owned(),
            Token::Or => "`or`".to_owned(),
            Token::Null => "`null`".to_owned(),
            Token::Text(text) => format!("\"{text}\""),
            Token::Number(number) => format!("`{}`", records::number_text(*number)),
        }
    }
}

pub(super) fn parse(text: &str, roots: Roots) -> Result<Test, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("the condition is longer than {LENGTH_MAX} bytes"));
    }
    let mut parser = Parser { tokens: lex(text)?, at: 0, roots };
    let test = parser.group(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(test),
        Some((column, token)) => Err(format!("unexpected {} at column {column}", token.shown())),
    }
}

fn lex(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    while let Some(&c) = chars.get(at) {
        let column = at + 1;
        let next = chars.get(at + 1).copied();
        at += 1;
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Sign("("),
            ')' => Token::Sign(")"),
            ',' => Token::Sign(","),
            '=' => {
                at += usize::from(next == Some('='));
                Token::Sign("=")
            }
            '!' | '<' | '>' if next == Some('=') => {
                at += 1;
                Token::Sign(match c {
                    '!' => "!=",
                    '<' => "<=",
                    _ => ">=",
                })
            }
            '!' => Token::Sign("!"),
            '<' => Token::Sign("<"),
            '>' => Token::Sign(">"),
            '"' | '\'' => {
                let end = chars[at..].iter().position(|other| *other == c);
                let Some(end) = end else { return Err(format!("the text that begins at column {column} has no end")) };
                let inside: String = chars[at..at + end].iter().collect();
                at += end + 1;
                Token::Text(inside)
            }
            c if c.is_ascii_digit() || (matches!(c, '-' | '+') && next.is_some_and(|next| next.is_ascii_digit())) => {
                let start = at - 1;
                while chars.get(at).is_some_and(|c| c.is_ascii_digit() || *c == '.') {
                    at += 1;
                }
                let digits: String = chars[start..at].iter().collect();
                match digits.parse() {
                    Ok(number) => Token::Number(number),
                    Err(_) => return Err(format!("`{digits}` at column {column} is not a number")),
                }
            }
            c if is_word(c) || c == '\\' => {
                let mut word = String::new();
                at -= 1;
                while let Some(&c) = chars.get(at) {
                    match c {
                        '\\' => {
                            word.extend(chars.get(at + 1));
                            at += 1;
                        }
                        '.' => word.push('.'),
                        '[' => {
                            let end = chars[at..].iter().position(|c| *c == ']').map(|end| at + end);
                            let Some(end) = end else { return Err(format!("`[` at column {} is not closed", at + 1)) };
                            word.extend(&chars[at..=end]);
                            at = end;
                        }
                        c if is_word(c) => word.push(c),
                        _ => break,
                    }
                    at += 1;
                }
                match word.as_str() {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "null" => Token::Null,
                    _ => Token::Path(word),
                }
            }
            c => return Err(format!("invalid character `{c}` at column {column}")),
        };
        tokens.push((column, token));
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    roots: Roots,
}

impl Parser {
    fn next(&mut self) -> Option<(usize, Token)> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|(_, token)| token == wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str, after: &str) -> Result<(), String> {
        match self.next() {
            Some((_, Token::Sign(found))) if found == sign => Ok(()),
            Some((column, token)) => {
                Err(format!("expected `{sign}` {after}, found {} at column {column}", token.shown()))
            }
            None => Err(format!("expected `{sign}` {after}")),
        }
    }

    fn group(&mut self, depth: usize) -> Result<Test, String> {
        if depth > NESTING_MAX {
            return Err(format!("the condition is nested deeper than {NESTING_MAX} levels"));
        }
        let mut tests = vec![self.single(depth)?];
        let mut all = None;
        loop {
            let is_and = match self.tokens.get(self.at) {
                // A comma between conditions counts as `and`, as some triggers have it.
                Some((_, Token::And | Token::Sign(","))) => true,
                Some((_, Token::Or)) => false,
                _ => break,
            };
            if all.is_some_and(|all| all != is_and) {
                let column = self.tokens[self.at].0;
                return Err(format!("`and` and `or` are mixed at column {column}; put one of them in parentheses"));
            }
            all = Some(is_and);
            self.at += 1;
            tests.push(self.single(depth)?);
        }
        Ok(match all {
            None => tests.remove(0),
            Some(true) => Test::All(tests),
            Some(false) => Test::Any(tests),
        })
    }

    fn single(&mut self, depth: usize) -> Result<Test, String> {
        match self.next() {
            Some((_, Token::Sign("("))) => {
                let group = self.group(depth + 1)?;
                self.expect(")", "after the group")?;
                Ok(group)
            }
            Some((_, Token::Sign("!"))) => {
                if depth > NESTING_MAX {
                    return Err(format!("the condition is nested deeper than {NESTING_MAX} levels"));
                }
                let inner = self.single(depth + 1)?;
                // A text that is not text contains nothing and does not contain it either.
                Ok(match inner {
                    Test::Leaf { path, operator: Operator::Contains, value } => {
                        Test::Leaf { path, operator: Operator::NotContains, value }
                    }
                    Test::Leaf { path, operator: Operator::StartsWith, value } => {
                        Test::Leaf { path, operator: Operator::NotStartsWith, value }
                    }
                    Test::Leaf { path, operator: Operator::EndsWith, value } => {
                        Test::Leaf { path, operator: Operator::NotEndsWith, value }
                    }
                    other => Test::Not(Box::new(other)),
                })
            }
            Some((column, Token::Path(name)))
                if matches!(name.as_str(), "contains" | "match") && self.takes(&Token::Sign("(")) =>
            {
                self.function(&name, column)
            }
            Some((column, Token::Path(path))) => self.comparison(&path, column),
            Some((column, token)) => {
                Err(format!("expected a path like `properties.plan`, found {} at column {column}", token.shown()))
            }
            None => Err("the condition ends where a path like `properties.plan` is expected".to_owned()),
        }
    }

    fn path(&self, path: &str, column: usize) -> Result<Path, String> {
        let path = path.strip_prefix("$.").unwrap_or(path);
        let first = path.split(['.', '[']).next().unwrap_or_default();
        if self.roots == Roots::OfEvent && !EVENT_KEYS.contains(&first) {
            return Err(format!(
                "`{path}` at column {column} is not known; paths begin with {}",
                EVENT_KEYS.join(", ")
            ));
        }
        Ok(Path::parse(path))
    }

    fn function(&mut self, name: &str, column: usize) -> Result<Test, String> {
        let path = match self.next() {
            Some((column, Token::Path(path))) => self.path(&path, column)?,
            _ => return Err(format!("{name}() at column {column} is missing a path as its 1st argument")),
        };
        self.expect(",", &format!("after the 1st argument of {name}()"))?;
        let text = match self.next() {
            Some((_, Token::Text(text))) => text,
            Some((_, Token::Number(number))) => records::number_text(number),
            _ => return Err(format!("{name}() at column {column} is missing a text as its 2nd argument")),
        };
        self.expect(")", &format!("after the 2nd argument of {name}()"))?;
        let (operator, text) = match (name, text.strip_suffix('*'), text.strip_prefix('*')) {
            ("contains", ..) => (Operator::Contains, text),
            (_, Some(start), _) => (Operator::StartsWith, start.to_owned()),
            (_, _, Some(end)) => (Operator::EndsWith, end.to_owned()),
            _ => return Err(format!("the 2nd argument of match() at column {column} has no `*` at its start or end")),
        };
        Ok(Test::Leaf { path, operator, value: Value::Text(text) })
    }

    fn comparison(&mut self, name: &str, column: usize) -> Result<Test, String> {
        let path = self.path(name, column)?;
        let operator = match self.next() {
            Some((_, Token::Sign("="))) => Operator::Equals,
            Some((_, Token::Sign("!="))) => Operator::Differs,
            Some((_, Token::Sign("<"))) => Operator::Less,
            Some((_, Token::Sign("<="))) => Operator::AtMost,
            Some((_, Token::Sign(">"))) => Operator::Greater,
            Some((_, Token::Sign(">="))) => Operator::AtLeast,
            Some((column, token)) => {
                return Err(format!("expected =, !=, <, <=, > or >=, found {} at column {column}", token.shown()));
            }
            None => return Err(format!("expected =, !=, <, <=, > or >= after `{name}`")),
        };
        let is_plain = matches!(name, "event" | "type" | "name");
        let (operator, value) = match (operator, self.next()) {
            (Operator::Equals, Some((_, Token::Null))) if !is_plain => (Operator::NotExists, Value::Null),
            (Operator::Differs, Some((_, Token::Null))) if !is_plain => (Operator::Exists, Value::Null),
            (Operator::Equals, Some((_, Token::Path(word)))) if word == "true" && !is_plain => {
                (Operator::IsTrue, Value::Null)
            }
            (Operator::Equals, Some((_, Token::Path(word)))) if word == "false" && !is_plain => {
                (Operator::IsFalse, Value::Null)
            }
            (Operator::Equals, Some((_, Token::Number(number)))) if !is_plain => {
                (Operator::NumberEquals, Value::Float(number))
            }
            (Operator::Differs, Some((_, Token::Number(number)))) if !is_plain => {
                (Operator::NumberDiffers, Value::Float(number))
            }
            (operator, Some((_, Token::Number(number)))) => (operator, Value::Float(number)),
            (operator, Some((_, Token::Text(text)))) => (operator, Value::Text(text)),
            // A bare word is a text: `type = track`.
            (operator, Some((_, Token::Path(word)))) => (operator, Value::Text(word)),
            (operator, Some((_, Token::Null))) => (operator, Value::Text("null".to_owned())),
            (_, Some((column, token))) => {
                return Err(format!(
                    "expected a text, a number, true, false or null, found {} at column {column}",
                    token.shown()
                ));
            }
            (_, None) => return Err(format!("expected a value after `{name}`")),
        };
        Ok(Test::Leaf { path, operator, value })
    }
}
