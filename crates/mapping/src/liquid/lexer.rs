//! Splits a template into text, tags and outputs, and the inside of those into words and values.

use super::at;
use super::expression::{Expression, Filter, Filtered, Operator, Value};

/// A piece of a template. Positions are indexes of characters.
#[derive(Debug, Clone)]
pub(super) enum Token {
    Text {
        begin: usize,
        end: usize,
    },
    /// Content lies between the delimiters and white space.
    Output {
        begin: usize,
        content: (usize, usize),
    },
    Tag {
        begin: usize,
        end: usize,
        name: String,
        arguments: (usize, usize),
    },
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}'
        | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

fn is_word(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '?' => true,
        c => !c.is_ascii() && !is_blank(c),
    }
}

/// Splits a whole template.
pub(super) fn tokens(source: &[char]) -> Result<Vec<Token>, String> {
    let mut raw_tokens = Vec::new();
    let mut lexer = Lexer::new(source, 0, source.len());
    let mut raw_from: Option<usize> = None;
    while lexer.at < source.len() {
        let token = match raw_from {
            Some(start) => {
                let token = lexer.raw_content(start)?;
                if matches!(token.0, Token::Tag { .. }) {
                    raw_from = None;
                }
                token
            }
            None if lexer.starts_with("{%") => {
                let token = lexer.tag()?;
                if matches!(&token.0, Token::Tag { name, .. } if name == "raw") {
                    raw_from = Some(lexer.tag_begin);
                }
                token
            }
            None if lexer.starts_with("{{") => lexer.output()?,
            None => lexer.text(),
        };
        raw_tokens.push(token);
    }
    Ok(trimmed(source, raw_tokens))
}

/// A token and whether it eats the white space before and after it.
type Trimming = (Token, bool, bool);

fn trimmed(source: &[char], raw: Vec<Trimming>) -> Vec<Token> {
    let mut tokens: Vec<Token> = raw.iter().map(|(token, ..)| token.clone()).collect();
    let mut in_raw = false;
    for (index, (token, left, right)) in raw.iter().enumerate() {
        if matches!(token, Token::Text { .. }) {
            continue;
        }
        if !in_raw
            && *left
            && index > 0
            && let Token::Text { begin, end } = &mut tokens[index - 1]
        {
            while *end > *begin && is_blank(source[*end - 1]) {
                *end -= 1;
            }
        }
        if let Token::Tag { name, .. } = token {
            match name.as_str() {
                "raw" => in_raw = true,
                "endraw" => in_raw = false,
                _ => {}
            }
        }
        if !in_raw
            && *right
            && let Some(Token::Text { begin, end }) = tokens.get_mut(index + 1)
        {
            while *begin < *end && is_blank(source[*begin]) {
                *begin += 1;
            }
        }
    }
    tokens
}

/// Reads a stretch of a template from `at` to `end`.
pub(super) struct Lexer<'s> {
    source: &'s [char],
    pub(super) at: usize,
    end: usize,
    tag_begin: usize,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s [char], from: usize, end: usize) -> Self {
        Self { source, at: from, end: end.min(source.len()), tag_begin: 0 }
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<char> {
        self.source[..self.end].get(self.at + ahead).copied()
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.end
    }

    pub(super) fn text_of(&self, from: usize, to: usize) -> String {
        self.source[from..to.max(from)].iter().collect()
    }

    pub(super) fn error(&self, message: &str) -> String {
        at(message, self.source, self.at)
    }

    /// What follows, quoted and cut short, for messages.
    fn snapshot(&self, from: usize) -> String {
        let rest = self.text_of(from, self.end);
        let short = match rest.chars().count() {
            ..=32 => rest,
            _ => rest.chars().take(29).chain("...".chars()).collect(),
        };
        let mut quoted = String::new();
        records::write_text(&short, &mut quoted);
        quoted
    }

    pub(super) fn skip_blank(&mut self) {
        while self.peek(0).is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn starts_with(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(index, c)| self.peek(index) == Some(c))
    }

    fn ends_with(&self, word: &str) -> bool {
        let length = word.chars().count();
        self.at >= length && word.chars().enumerate().all(|(index, c)| self.source[self.at - length + index] == c)
    }

    fn text(&mut self) -> Trimming {
        let begin = self.at;
        while !self.is_done() && !self.starts_with("{%") && !self.starts_with("{{") {
            self.at += 1;
        }
        (Token::Text { begin, end: self.at }, false, false)
    }

    fn skip_to_delimiter(&mut self, delimiter: &str, respect_quotes: bool) -> bool {
        self.skip_blank();
        while !self.is_done() {
            if respect_quotes && matches!(self.peek(0), Some('"' | '\'')) {
                self.quoted();
                continue;
            }
            self.at += 1;
            if self.ends_with(delimiter) {
                return true;
            }
        }
        false
    }

    /// What lies between delimiters, without dashes and white space; and whether there were dashes.
    fn inner(&self, begin: usize, end: usize) -> ((usize, usize), bool, bool) {
        let (mut from, mut to) = (begin + 2, (end - 2).max(begin + 2));
        let left = self.source.get(from) == Some(&'-');
        let right = to > 0 && self.source.get(to - 1) == Some(&'-');
        if left {
            from += 1;
        }
        if right {
            to -= 1;
        }
        while from < to && is_blank(self.source[from]) {
            from += 1;
        }
        while to > from && is_blank(self.source[to - 1]) {
            to -= 1;
        }
        ((from, to.max(from)), left, right)
    }

    fn output(&mut self) -> Result<Trimming, String> {
        let begin = self.at;
        if !self.skip_to_delimiter("}}", true) {
            let message = format!("output {} not closed", self.snapshot(begin));
            return Err(at(&message, self.source, begin));
        }
        let (content, left, right) = self.inner(begin, self.at);
        Ok((Token::Output { begin, content }, left, right))
    }

    fn tag(&mut self) -> Result<Trimming, String> {
        let begin = self.at;
        self.tag_begin = begin;
        if !self.skip_to_delimiter("%}", false) {
            let message = format!("tag {} not closed", self.snapshot(begin));
            return Err(at(&message, self.source, begin));
        }
        self.tag_between(begin, self.at)
    }

    fn tag_between(&self, begin: usize, end: usize) -> Result<Trimming, String> {
        let (content, left, right) = self.inner(begin, end);
        let (name, from) = self.tag_name(content)?;
        Ok((Token::Tag { begin, end, name, arguments: (from, content.1) }, left, right))
    }

    fn tag_name(&self, content: (usize, usize)) -> Result<(String, usize), String> {
        let mut inside = Lexer::new(self.source, content.0, content.1);
        inside.skip_blank();
        let name = match inside.peek(0) {
            Some('#') => {
                inside.at += 1;
                "#".to_owned()
            }
            _ => inside.identifier(),
        };
        if name.is_empty() {
            return Err(inside.error("illegal tag syntax, tag name expected"));
        }
        inside.skip_blank();
        Ok((name, inside.at))
    }

    /// The text of a raw block, or the tag that ends it.
    fn raw_content(&mut self, raw_begin: usize) -> Result<Trimming, String> {
        let begin = self.at;
        while !self.is_done() {
            if !self.starts_with("{%") {
                self.at += 1;
                continue;
            }
            let left = self.at;
            self.at += 2;
            if self.peek(0) == Some('-') {
                self.at += 1;
            }
            if self.identifier() != "endraw" {
                self.at = left + 1;
                continue;
            }
            if left > begin {
                self.at = left;
                return Ok((Token::Text { begin, end: left }, false, false));
            }
            while !self.is_done() {
                self.at += 1;
                if self.ends_with("%}") {
                    return self.tag_between(left, self.at);
                }
            }
        }
        Err(at(&format!("raw {} not closed", self.snapshot(raw_begin)), self.source, begin))
    }

    /// The lines of a `{% liquid %}` tag, each a tag.
    pub(super) fn lines(&mut self) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        loop {
            self.skip_blank();
            if self.is_done() {
                return Ok(tokens);
            }
            let begin = self.at;
            while !self.is_done() && self.peek(0) != Some('\n') {
                self.at += 1;
            }
            let (name, from) = self.tag_name((begin, self.at))?;
            tokens.push(Token::Tag { begin, end: self.at, name, arguments: (from, self.at) });
        }
    }

    pub(super) fn identifier(&mut self) -> String {
        self.skip_blank();
        let begin = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        self.text_of(begin, self.at)
    }

    /// A word of a closed set at this place; words need an end, signs do not.
    fn word_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        self.skip_blank();
        let longest = words.iter().filter(|word| self.starts_with(word)).max_by_key(|word| word.len())?;
        let needs_end = longest.ends_with(is_word);
        if needs_end && self.peek(longest.len()).is_some_and(is_word) {
            return None;
        }
        self.at += longest.len();
        Some(longest)
    }

    /// A quoted text, its escapes read.
    pub(super) fn quoted(&mut self) -> Option<String> {
        self.skip_blank();
        let quote = self.peek(0).filter(|c| matches!(c, '"' | '\''))?;
        let begin = self.at;
        self.at += 1;
        let mut escaped = false;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == quote && !escaped {
                break;
            }
            escaped = !escaped && c == '\\';
        }
        let inside = &self.source[begin + 1..(self.at - 1).max(begin + 1)];
        Some(unescape(inside))
    }

    fn number(&mut self) -> Option<f64> {
        self.skip_blank();
        let mut length = usize::from(matches!(self.peek(0), Some('+' | '-')));
        let (mut digits, mut point) = (false, false);
        loop {
            match self.peek(length) {
                Some('0'..='9') => digits = true,
                Some('.') if self.peek(length + 1) != Some('.') => {
                    if point || !digits {
                        return None;
                    }
                    point = true;
                }
                _ => break,
            }
            length += 1;
        }
        if !digits || self.peek(length).is_some_and(is_word) {
            return None;
        }
        let text = self.text_of(self.at, self.at + length);
        self.at += length;
        Some(crate::javascript::number_of_text(&text))
    }

    pub(super) fn value(&mut self) -> Result<Option<Value>, String> {
        self.value_within(0)
    }

    fn value_within(&mut self, depth: usize) -> Result<Option<Value>, String> {
        if depth > 50 {
            return Err(self.error("value is nested too deep"));
        }
        self.skip_blank();
        let literal = match self.word_of(&["true", "false", "nil", "null", "empty", "blank"]) {
            Some("true") => Some(Value::Bool(true)),
            Some("false") => Some(Value::Bool(false)),
            Some("nil" | "null") => Some(Value::Nil),
            Some("empty") => Some(Value::Empty),
            Some(_) => Some(Value::Blank),
            None => None,
        };
        let mut value = literal;
        if value.is_none() {
            value = self.quoted().map(Value::Text);
        }
        if value.is_none() {
            value = self.number().map(Value::Number);
        }
        if value.is_none() && self.peek(0) == Some('(') {
            value = Some(self.range(depth)?);
        }
        let properties = self.properties(value.is_none(), depth)?;
        Ok(match (value, properties.is_empty()) {
            (value, true) => value,
            (value, false) => Some(Value::Access(value.map(Box::new), properties)),
        })
    }

    fn range(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let low = self.needed_value(depth)?;
        self.skip_blank();
        if !self.starts_with("..") {
            return Err(self.error("invalid range syntax"));
        }
        self.at += 2;
        let high = self.needed_value(depth)?;
        self.skip_blank();
        let closed = self.peek(0) == Some(')');
        self.at += 1;
        if !closed {
            return Err(self.error("invalid range syntax"));
        }
        Ok(Value::Range(Box::new(low), Box::new(high)))
    }

    fn needed_value(&mut self, depth: usize) -> Result<Value, String> {
        match self.value_within(depth + 1)? {
            Some(value) => Ok(value),
            None => Err(self.error(&format!("unexpected token {}, value expected", self.snapshot(self.at)))),
        }
    }

    fn properties(&mut self, from_start: bool, depth: usize) -> Result<Vec<Value>, String> {
        let mut properties = Vec::new();
        loop {
            match self.peek(0) {
                Some('[') => {
                    self.at += 1;
                    let property = self.value_within(depth + 1)?.unwrap_or(Value::Text(String::new()));
                    loop {
                        if self.is_done() {
                            return Err(self.error("[ not closed"));
                        }
                        self.at += 1;
                        if self.ends_with("]") {
                            break;
                        }
                    }
                    properties.push(property);
                }
                _ if from_start && properties.is_empty() => {
                    let name = self.identifier();
                    if name.is_empty() {
                        return Ok(properties);
                    }
                    properties.push(Value::Text(name));
                }
                Some('.') if self.peek(1) != Some('.') => {
                    self.at += 1;
                    let name = self.identifier();
                    if name.is_empty() {
                        return Ok(properties);
                    }
                    properties.push(Value::Text(name));
                }
                _ => return Ok(properties),
            }
        }
    }

    /// A value expression with filters.
    pub(super) fn filtered(&mut self) -> Result<Filtered, String> {
        let begin = self.at;
        let mut postfix = Expression::default();
        let mut operators: Vec<Operator> = Vec::new();
        loop {
            if let Some(word) = self.word_of(Operator::WORDS) {
                let operator = Operator::of(word);
                while let Some(last) = operators.pop_if(|last| last.precedence() > operator.precedence()) {
                    postfix.operator(last);
                }
                operators.push(operator);
                continue;
            }
            match self.value()? {
                Some(value) => postfix.operand(value),
                None => break,
            }
        }
        while let Some(operator) = operators.pop() {
            postfix.operator(operator);
        }
        if postfix.is_empty() {
            let message = format!("invalid value expression: {}", self.snapshot(self.at));
            return Err(self.error(&message));
        }
        let filters = self.filters()?;
        let text = self.text_of(begin, self.at);
        Ok(Filtered { expression: postfix, filters, text })
    }

    fn filters(&mut self) -> Result<Vec<Filter>, String> {
        let mut filters = Vec::new();
        loop {
            self.skip_blank();
            match self.peek(0) {
                None | Some(')' | ',') => return Ok(filters),
                Some('|') => self.at += 1,
                Some(_) => {
                    self.at += 1;
                    return Err(self.error("expected \"|\" before filter"));
                }
            }
            let name = self.identifier();
            if name.is_empty() {
                if !self.is_done() {
                    return Err(self.error("expected filter name"));
                }
                return Ok(filters);
            }
            let mut filter = Filter { name, arguments: Vec::new() };
            self.skip_blank();
            match self.peek(0) {
                Some(':') => loop {
                    self.at += 1;
                    if let Some(argument) = self.filter_argument()? {
                        filter.arguments.push(argument);
                    }
                    self.skip_blank();
                    match self.peek(0) {
                        Some(',') => {}
                        None | Some('|' | ')') => break,
                        Some(_) => {
                            let message = format!("unexpected character {}", self.snapshot(self.at));
                            return Err(self.error(&message));
                        }
                    }
                },
                None | Some('|' | ')' | ',') => {}
                Some(_) => return Err(self.error("expected \":\" after filter name")),
            }
            filters.push(filter);
        }
    }

    fn filter_argument(&mut self) -> Result<Option<(Option<String>, Value)>, String> {
        let begin = self.at;
        let Some(value) = self.value()? else { return Ok(None) };
        let name = self.text_of(begin, self.at);
        self.skip_blank();
        if self.peek(0) != Some(':') {
            return Ok(Some((None, value)));
        }
        self.at += 1;
        let value = self.value()?.unwrap_or(Value::Nil);
        Ok(Some((Some(name.trim().to_owned()), value)))
    }

    /// Goes behind the next comma, or to the end.
    pub(super) fn skip_to_comma(&mut self) {
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == ',' {
                return;
            }
        }
    }
}

fn unescape(inside: &[char]) -> String {
    let mut out = String::new();
    let mut at = 0;
    let number = |from: usize, radix: u32, max: usize| {
        let digits: Vec<u32> =
            inside[from.min(inside.len())..].iter().take(max).map_while(|c| c.to_digit(radix)).collect();
        (digits.iter().fold(0, |value, digit| value * radix + digit), digits.len())
    };
    while let Some(&c) = inside.get(at) {
        at += 1;
        let Some(&escaped) = inside.get(at).filter(|_| c == '\\') else {
            if c != '\\' {
                out.push(c);
            }
            continue;
        };
        at += 1;
        match escaped {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            'u' => {
                let (code, length) = number(at, 16, 4);
                at += length;
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            '0'..='7' => {
                let (code, length) = number(at - 1, 8, 3);
                at += length - 1;
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => out.push(other),
        }
    }
    out
}
