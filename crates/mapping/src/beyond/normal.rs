//! Brings e-mail addresses, telephone numbers and names into the form that ad platforms ask for before hashing.

use records::Value;

use super::options::Options;

/// One step of normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Normal {
    Trim,
    Lower,
    Upper,
    /// Trimmed and in lower case.
    Email,
    /// E.164: `+14155552671`. A number without a country code gets this one.
    Phone {
        country: Option<String>,
        plus: bool,
    },
    /// Trimmed, in lower case, without punctuation, single spaces.
    Name,
    Digits,
}

const WORDS: [&str; 8] = ["trim", "lower", "upper", "email", "phone", "phone_digits", "name", "digits"];

/// Reads `as` (or for a hash, `normalize`) and `country`.
pub(super) fn read(options: &mut Options<'_>) -> Vec<Normal> {
    let country = options.text("country");
    let digits = country.as_deref().map(|country| country.trim_start_matches('+').to_owned());
    let is_code = |code: &String| (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
    if digits.as_ref().is_some_and(|code| !is_code(code)) {
        options.refuse_at("country", "should be a country calling code like \"+1\" or \"49\"");
    }
    let key = if options.get("as").is_some() { "as" } else { "normalize" };
    let words = match options.get(key) {
        None => return Vec::new(),
        Some(Value::Text(word)) => vec![Value::Text(word.clone())],
        Some(Value::Array(words)) => words.clone(),
        Some(_) => {
            options.refuse_at(key, "should be a string or an array of strings");
            return Vec::new();
        }
    };
    let mut steps = Vec::new();
    for word in &words {
        steps.push(match word.as_str() {
            Some("trim") => Normal::Trim,
            Some("lower") => Normal::Lower,
            Some("upper") => Normal::Upper,
            Some("email") => Normal::Email,
            Some("phone") => Normal::Phone { country: digits.clone(), plus: true },
            Some("phone_digits") => Normal::Phone { country: digits.clone(), plus: false },
            Some("name") => Normal::Name,
            Some("digits") => Normal::Digits,
            _ => {
                options.refuse_at(key, &format!("should be one of {} but it is {}", WORDS.join(", "), word.to_json()));
                continue;
            }
        });
    }
    steps
}

/// The text after all steps; nothing if it is not what it should be.
pub(super) fn apply(steps: &[Normal], text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for step in steps {
        text = match step {
            Normal::Trim => text.trim().to_owned(),
            Normal::Lower => text.to_lowercase(),
            Normal::Upper => text.to_uppercase(),
            Normal::Email => text.trim().to_lowercase(),
            Normal::Phone { country, plus } => phone(&text, country.as_deref(), *plus)?,
            Normal::Name => {
                let kept: String = text.chars().filter(|c| !c.is_ascii_punctuation()).collect();
                kept.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
            }
            Normal::Digits => text.chars().filter(char::is_ascii_digit).collect(),
        };
    }
    Some(text)
}

fn phone(text: &str, country: Option<&str>, plus: bool) -> Option<String> {
    // An extension is not part of the number.
    let main = text.split(['x', 'X', ';', ',']).next().unwrap_or(text).trim();
    let digits: String = main.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
    let international = main.trim_start_matches(['(', ' ']).starts_with('+');
    let full = if international {
        digits
    } else if let Some(rest) = digits.strip_prefix("00") {
        rest.to_owned()
    } else {
        match country {
            // A North American number may be written with its country code.
            Some("1") if digits.len() == 11 && digits.starts_with('1') => digits,
            Some(country) => format!("{country}{}", digits.trim_start_matches('0')),
            None => digits,
        }
    };
    if !(7..=15).contains(&full.len()) || full.starts_with('0') {
        return None;
    }
    Some(if plus { format!("+{full}") } else { full })
}
