//! The rule that a model is exactly one read-only `SELECT`, checked on the tokens of its text before it runs.
//!
//! Tokens and not a parser: a parser of SQL refuses valid queries that use syntax it does not know, and the
//! read-only transaction stands behind this check anyway.

use kit::{Place, SourceError};

/// How a warehouse writes quotes and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An unquoted word: a keyword or a name.
    Word,
    /// Quoted text, a quoted name or a number.
    Other,
    Symbol(u8),
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    shape: Shape,
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.shape == Shape::Word && self.text.eq_ignore_ascii_case(word)
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    fn is_symbol(&self, symbol: u8) -> bool {
        self.shape == Shape::Symbol(symbol)
    }
}

/// The text of the model without its trailing `;`. It begins where `text` begins, so places stay right; it may
/// end in a comment, so whoever adds text behind it begins with a new line.
///
/// # Errors
/// `ModelRefused` with the place for whatever is not one read-only `SELECT`.
pub(crate) fn one_select(text: &str, dialect: Dialect) -> Result<&str, SourceError> {
    let tokens = Scanner { text, dialect, at: 0 }.tokens()?;
    let end = tokens.iter().position(|token| token.is_symbol(b';')).unwrap_or(tokens.len());
    let (select, behind) = tokens.split_at(end);
    let refuse = |token: Token<'_>, message: String| {
        Err(SourceError::ModelRefused { message, place: Some(place_at(text, token.start)) })
    };
    if let Some(second) = behind.iter().find(|token| !token.is_symbol(b';')) {
        return refuse(*second, "a second statement begins here; a model is one SELECT".to_owned());
    }
    let Some(first) = select.iter().find(|token| !token.is_symbol(b'(')) else {
        let message = "it is empty; write one SELECT".to_owned();
        return Err(SourceError::ModelRefused { message, place: None });
    };
    let main = if first.is("with") { main_statement(select).unwrap_or(*first) } else { *first };
    if !main.is_one_of(&["select", "values", "table", "with"]) {
        let message = format!(
            "`{}` stands where a SELECT must; a model is one read-only SELECT (or WITH … SELECT, VALUES, TABLE)",
            main.text
        );
        return refuse(main, message);
    }
    if let Some((token, message)) = writes(select, dialect) {
        return refuse(token, message.to_owned());
    }
    Ok(behind.first().map_or(text, |semicolon| &text[..semicolon.start]))
}

/// The first word behind the list of `WITH` that begins a statement.
fn main_statement<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    const STATEMENTS: [&str; 7] = ["select", "values", "table", "insert", "update", "delete", "merge"];
    let with = tokens.iter().position(|token| token.is("with"))?;
    let outer = with; // parentheses before `WITH` count as depth zero
    let mut depth = 0_i64;
    for (index, token) in tokens.iter().enumerate().skip(outer + 1) {
        match token.shape {
            Shape::Symbol(b'(') => depth += 1,
            Shape::Symbol(b')') => depth -= 1,
            _ if depth == 0 && token.is_one_of(&STATEMENTS) => {
                // `WITH update AS (…)`: a name of the list, not a statement.
                let next = tokens.get(index + 1);
                let named = next.is_some_and(|next| next.is("as") || next.is_symbol(b'('));
                if token.is_one_of(&["select", "values", "table"]) || !named {
                    return Some(*token);
                }
            }
            _ => {}
        }
    }
    None
}

/// The first token of something in a `SELECT` that would write or lock, with what to say.
fn writes<'a>(tokens: &[Token<'a>], dialect: Dialect) -> Option<(Token<'a>, &'static str)> {
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let next = |offset: usize| tokens.get(index + offset);
        let next_is = |offset: usize, word: &str| next(offset).is_some_and(|token| token.is(word));
        if token.is_one_of(&["as", "materialized"]) && next(1).is_some_and(|token| token.is_symbol(b'(')) {
            let statement = next(2).copied();
            let modifies = (next_is(2, "insert") && next_is(3, "into"))
                || (next_is(2, "delete") && next_is(3, "from"))
                || (next_is(2, "merge") && next_is(3, "into"))
                || (next_is(2, "update") && (3..9).any(|offset| next_is(offset, "set")));
            if let (true, Some(statement)) = (modifies, statement) {
                return Some((statement, "a part of `WITH` changes data; a model only reads"));
            }
        }
        if dialect == Dialect::Sqlite {
            continue;
        }
        let is_name = before.is_some_and(|before| before.is("as") || before.is_symbol(b'.'));
        if token.is("into") && !is_name {
            return Some((*token, "`SELECT … INTO` creates a table; a model only reads"));
        }
        if token.is("for") && !is_name && next(1).is_some_and(|next| next.is_one_of(&["update", "share", "no", "key"]))
        {
            return Some((*token, "`FOR UPDATE` and its kin lock rows; a model only reads"));
        }
    }
    None
}

struct Scanner<'a> {
    text: &'a str,
    dialect: Dialect,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn tokens(mut self) -> Result<Vec<Token<'a>>, SourceError> {
        let bytes = self.text.as_bytes();
        let mut tokens = Vec::new();
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            let shape = match byte {
                byte if byte.is_ascii_whitespace() => {
                    self.at += 1;
                    continue;
                }
                b'-' if bytes.get(start + 1) == Some(&b'-') => {
                    self.at = self.text[start..].find('\n').map_or(bytes.len(), |length| start + length);
                    continue;
                }
                b'/' if bytes.get(start + 1) == Some(&b'*') => {
                    self.comment()?;
                    continue;
                }
                b'e' | b'E' if self.dialect == Dialect::Postgres && bytes.get(start + 1) == Some(&b'\'') => {
                    self.at += 1;
                    self.quoted(b'\'', true)?;
                    Shape::Other
                }
                b'\'' | b'"' => {
                    self.quoted(byte, false)?;
                    Shape::Other
                }
                b'`' if self.dialect == Dialect::Sqlite => {
                    self.quoted(byte, false)?;
                    Shape::Other
                }
                b'[' if self.dialect == Dialect::Sqlite => {
                    self.quoted(b']', false)?;
                    Shape::Other
                }
                b'$' if self.dialect == Dialect::Postgres => self.dollar()?,
                byte if byte.is_ascii_digit() => {
                    self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
                    Shape::Other
                }
                byte if byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii() => {
                    self.skip_while(|byte| {
                        byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
                    });
                    Shape::Word
                }
                symbol => {
                    self.at += 1;
                    Shape::Symbol(symbol)
                }
            };
            tokens.push(Token { shape, text: &self.text[start..self.at], start });
        }
        Ok(tokens)
    }

    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|&byte| holds(byte)) {
            self.at += 1;
        }
    }

    /// Quoted text up to `close`; a doubled `close` stands for itself.
    fn quoted(&mut self, close: u8, backslashes: bool) -> Result<(), SourceError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            if backslashes && byte == b'\\' {
                self.at += 1;
            } else if byte == close {
                if bytes.get(self.at) != Some(&close) {
                    return Ok(());
                }
                self.at += 1;
            }
        }
        Err(self.not_closed(start, "this quote is never closed"))
    }

    fn comment(&mut self) -> Result<(), SourceError> {
        let start = self.at;
        let nests = self.dialect == Dialect::Postgres;
        let bytes = self.text.as_bytes();
        let mut depth = 0;
        while self.at + 1 < bytes.len() {
            match &bytes[self.at..self.at + 2] {
                b"/*" if depth == 0 || nests => {
                    depth += 1;
                    self.at += 2;
                }
                b"*/" => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(self.not_closed(start, "this comment is never closed"))
    }

    /// `$tag$ … $tag$`, or a lone `$` as in `$1`.
    fn dollar(&mut self) -> Result<Shape, SourceError> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let is_quote = rest[length..].starts_with('$') && !rest.starts_with(|c: char| c.is_ascii_digit());
        if !is_quote {
            self.at += 1;
            return Ok(Shape::Symbol(b'$'));
        }
        let tag = &self.text[start..start + length + 2];
        let body = start + tag.len();
        match self.text[body..].find(tag) {
            Some(found) => self.at = body + found + tag.len(),
            None => return Err(self.not_closed(start, "this quote is never closed")),
        }
        Ok(Shape::Other)
    }

    fn not_closed(&self, start: usize, message: &str) -> SourceError {
        SourceError::ModelRefused { message: message.to_owned(), place: Some(place_at(self.text, start)) }
    }
}

/// The place of a byte of the text.
pub(crate) fn place_at(text: &str, byte: usize) -> Place {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |index| index + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    // Columns count characters: bytes that do not continue one.
    let column = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
    Place { line, column }
}

/// The place of a character of the text, counted from 1. A place behind the text is its end.
pub(crate) fn place_of_character(text: &str, position: usize) -> Place {
    let byte = text.char_indices().nth(position.saturating_sub(1)).map_or(text.trim_end().len(), |(byte, _)| byte);
    place_at(text, byte)
}

#[cfg(test)]
mod tests;
