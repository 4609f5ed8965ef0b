//! Telephone numbers in E.164 form: what is not in that form is read as a number of a country, by the numbering plans
//! that Google keeps, and in the steps that its libphonenumber takes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use phonenumber::Metadata;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Regex, RegexBuilder};

/// The number in E.164 form, none if it is no number of that country. A number that is in the form already is taken
/// as it is, whatever its country.
pub(super) fn e164(text: &str, country: Option<&str>) -> Option<String> {
    if is_e164(text) {
        return Some(text.to_owned());
    }
    let country = country.filter(|country| !country.is_empty())?;
    plan(country)?.read(text)
}

/// `+`, a digit that is not 0, and 1 to 14 more.
fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default().as_bytes();
    (2..=15).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit)
}

/// Texts longer than this are no numbers.
const CHARACTERS_MAX: usize = 250;
/// Digits of a number within its country, whatever the country.
const DIGITS: std::ops::RangeInclusive<usize> = 2..=17;

/// The numbering plan of a country.
struct Plan {
    /// The country's calling code: `44`.
    code: String,
    /// The plan of the country that shares the code and comes first; none if this does.
    main: Option<Arc<Plan>>,
    /// What is dialled before the code of another country.
    abroad: Option<Regex>,
    /// What is dialled before a number within the country.
    prefix: Option<Regex>,
    /// What takes the place of that, if not nothing.
    transform: Option<String>,
    /// Any number of the country.
    general: Regex,
    /// The lengths of whole numbers, and those of numbers that work within one place only.
    lengths: BTreeSet<usize>,
    local_lengths: BTreeSet<usize>,
    /// Numbers of lines, of mobiles, of services: a valid number is one of these.
    kinds: Vec<Kind>,
}

struct Kind {
    pattern: Regex,
    lengths: Vec<u16>,
}

/// How the length of a number compares with those of its country.
#[derive(PartialEq)]
enum Length {
    Possible,
    TooLong,
    /// Too short, between two lengths, or good within one place only.
    Other,
}

type Plans = RwLock<HashMap<String, Option<Arc<Plan>>>>;

/// The plans that were asked for so far; making one compiles a dozen patterns.
static PLANS: LazyLock<Plans> = LazyLock::new(Plans::default);

fn plan(country: &str) -> Option<Arc<Plan>> {
    if let Some(plan) = PLANS.read().unwrap_or_else(PoisonError::into_inner).get(country) {
        return plan.clone();
    }
    // A country that is none is not kept, so that no one's data can fill the table.
    let metadata = DATABASE.by_id(country)?;
    let plan = Plan::of(metadata).map(Arc::new);
    PLANS.write().unwrap_or_else(PoisonError::into_inner).insert(country.to_owned(), plan.clone());
    plan
}

/// The plan of the main country of a country's code, if that is another.
fn main_of(metadata: &Metadata) -> Option<Arc<Plan>> {
    let sharing = DATABASE.by_code(&metadata.country_code())?;
    let main = sharing.into_iter().find(|other| other.is_main_country_for_code())?;
    if main.id() == metadata.id() { None } else { plan(main.id()) }
}

/// The pattern at the beginning of a text, or over the whole of it.
fn pattern(pattern: &str, whole: bool) -> Option<Regex> {
    let anchored = if whole { format!("^(?:{pattern})$") } else { format!("^(?:{pattern})") };
    RegexBuilder::new(&anchored).ignore_whitespace(true).build().ok()
}

impl Plan {
    fn of(metadata: &Metadata) -> Option<Self> {
        let descriptors = metadata.descriptors();
        let kinds = [
            descriptors.fixed_line(),
            descriptors.mobile(),
            descriptors.toll_free(),
            descriptors.premium_rate(),
            descriptors.shared_cost(),
            descriptors.personal_number(),
            descriptors.voip(),
            descriptors.pager(),
            descriptors.uan(),
            descriptors.voicemail(),
        ];
        let kinds: Vec<&Descriptor> = kinds.into_iter().flatten().collect();
        let all = |lengths: fn(&Descriptor) -> &[u16]| -> BTreeSet<usize> {
            kinds.iter().flat_map(|kind| lengths(kind)).map(|length| usize::from(*length)).collect()
        };
        let lengths = all(Descriptor::possible_length);
        let prefix = metadata.national_prefix_for_parsing().map(|prefix| prefix.as_str());
        let prefix = prefix.or(metadata.national_prefix()).filter(|prefix| !prefix.is_empty());
        Some(Self {
            code: metadata.country_code().to_string(),
            main: main_of(metadata),
            abroad: metadata.international_prefix().and_then(|abroad| pattern(abroad.as_str(), false)),
            prefix: match prefix {
                Some(prefix) => Some(pattern(prefix, false)?),
                None => None,
            },
            transform: metadata.national_prefix_transform_rule().filter(|rule| !rule.is_empty()).map(braced),
            general: pattern(descriptors.general().national_number().as_str(), true)?,
            local_lengths: all(Descriptor::possible_local_length).difference(&lengths).copied().collect(),
            lengths,
            kinds: kinds
                .iter()
                .map(|kind| {
                    let pattern = pattern(kind.national_number().as_str(), true)?;
                    Some(Kind { pattern, lengths: kind.possible_length().to_vec() })
                })
                .collect::<Option<_>>()?,
        })
    }

    fn read(&self, text: &str) -> Option<String> {
        if text.encode_utf16().count() > CHARACTERS_MAX || text.contains(";phone-context=") {
            return None;
        }
        let possible = possible_number(text);
        let possible = possible.split(";isub=").next().unwrap_or_default();
        if !is_viable(possible) {
            return None;
        }
        let number = without_extension(possible);
        // A number with its code is read by the plan of the code's main country: `+44` is of Great Britain first.
        let (digits, reader) = match self.after_code(number)? {
            Some(rest) => (rest, self.main.as_deref().unwrap_or(self)),
            None => (normalized(number), self),
        };
        if digits.len() < *DIGITS.start() {
            return None;
        }
        let digits = match reader.without_prefix(&digits) {
            Some(shorter) if matches!(reader.length(&shorter), Length::Possible | Length::TooLong) => shorter,
            _ => digits,
        };
        (DIGITS.contains(&digits.len()) && self.is_valid(&digits)).then(|| format!("+{}{digits}", self.code))
    }

    /// What follows the country's code. `Some(None)`: the number has no code. None: it is another country's, or none.
    fn after_code(&self, number: &str) -> Option<Option<String>> {
        let plain = number.trim_start_matches(['+', '＋']);
        if plain.len() != number.len() {
            let digits = normalized(plain);
            if digits.len() <= 2 {
                return None;
            }
            if let Some(code) = calling_code(&digits) {
                return (code == self.code).then(|| Some(digits[code.len()..].to_owned()));
            }
            // A `+` before what is dialled to get abroad.
            return self.after_code(plain)?.map(Some);
        }
        let digits = normalized(number);
        if let Some(rest) = self.abroad.as_ref().and_then(|abroad| abroad.find(&digits)).map(|m| &digits[m.end()..])
            // No code begins with 0, so this was not dialled to get abroad.
            && !rest.starts_with('0')
        {
            if rest.len() <= 2 {
                return None;
            }
            return (calling_code(rest)? == self.code).then(|| Some(rest[self.code.len()..].to_owned()));
        }
        let Some(rest) = digits.strip_prefix(&self.code) else { return Some(None) };
        let rest = self.without_prefix(rest).unwrap_or_else(|| rest.to_owned());
        let only_so = !self.general.is_match(&digits) && self.general.is_match(&rest);
        Some((only_so || self.length(&digits) == Length::TooLong).then_some(rest))
    }

    /// Takes away what is dialled before a number within the country; none if there is nothing of that kind.
    fn without_prefix(&self, digits: &str) -> Option<String> {
        let found = self.prefix.as_ref()?.captures(digits)?;
        let whole = found.get(0)?;
        let captured = found.len() > 1 && found.get(found.len() - 1).is_some_and(|last| !last.is_empty());
        let rest = match &self.transform {
            Some(transform) if captured => {
                let mut replaced = String::new();
                found.expand(transform, &mut replaced);
                replaced + &digits[whole.end()..]
            }
            _ => digits[whole.end()..].to_owned(),
        };
        // What was a number and is none without the prefix had none.
        (!self.general.is_match(digits) || self.general.is_match(&rest)).then_some(rest)
    }

    fn length(&self, digits: &str) -> Length {
        let length = digits.len();
        if self.local_lengths.contains(&length) {
            Length::Other
        } else if self.lengths.contains(&length) {
            Length::Possible
        } else if self.lengths.last().is_some_and(|longest| *longest < length) {
            Length::TooLong
        } else {
            Length::Other
        }
    }

    fn is_valid(&self, digits: &str) -> bool {
        self.lengths.contains(&digits.len())
            && self.general.is_match(digits)
            && self.kinds.iter().any(|kind| {
                kind.lengths.iter().any(|length| usize::from(*length) == digits.len()) && kind.pattern.is_match(digits)
            })
    }
}

/// `9$1` as `9${1}`: a name of a group goes as far as letters and digits do.
fn braced(rule: &str) -> String {
    let mut braced = String::with_capacity(rule.len() + 2);
    let mut rest = rule;
    while let Some((before, after)) = rest.split_once('$') {
        braced.push_str(before);
        let digits = after.bytes().take(1).filter(u8::is_ascii_digit).count();
        braced.push_str(&format!("${{{}}}", &after[..digits]));
        rest = &after[digits..];
    }
    braced + rest
}

static CALLING_CODES: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| DATABASE.iter().map(|metadata| metadata.country_code().to_string()).collect());

/// The calling code at the beginning, of whichever country.
fn calling_code(digits: &str) -> Option<&str> {
    (1..=3).filter_map(|length| digits.get(..length)).find(|code| CALLING_CODES.contains(*code))
}

const DIGIT_CHARACTERS: &str = r"0-9\u{FF10}-\u{FF19}\u{0660}-\u{0669}\u{06F0}-\u{06F9}";
const PUNCTUATION: &str = concat!(
    r"\-x\u{2010}-\u{2015}\u{2212}\u{30FC}\u{FF0D}-\u{FF0F}\u{20}\u{A0}\u{AD}\u{200B}\u{2060}\u{3000}()",
    r"\u{FF08}\u{FF09}\u{FF3B}\u{FF3D}.\[\]/\u{7E}\u{2053}\u{223C}\u{FF5E}"
);

/// The ways of writing an extension.
fn extensions() -> String {
    let digits = |most: usize| format!("([{DIGIT_CHARACTERS}]{{1,{most}}})");
    let space = r"[\u{20}\u{A0}\t,]*";
    let after = r"[:.\u{FF0E}]?[\u{20}\u{A0}\t,\-]*";
    let word = r"(?:e?xt(?:ensi(?:ó?|ó))?n?|ｅ?ｘｔｎ?|доб|anexo)";
    let sign = r"(?:[xｘ\#＃~～]|int|ｉｎｔ)";
    [
        format!(";ext={}", digits(20)),
        format!(r"{space}{word}{after}{}\#?", digits(20)),
        format!(r"{space}{sign}{after}{}\#?", digits(9)),
        format!(r"[\-\u{{20}}]+{}\#", digits(6)),
        format!(r"[\u{{20}}\u{{A0}}\t]*(?:,{{2}}|;){after}{}\#?", digits(15)),
        format!(r"[\u{{20}}\u{{A0}}\t]*(?:,)+{after}{}\#?", digits(9)),
    ]
    .join("|")
}

/// What may be a number: two digits, or three and more with signs between and letters after them.
static VIABLE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let (digits, signs, extension) = (DIGIT_CHARACTERS, PUNCTUATION, extensions());
    let pattern = format!(
        "(?i)^[{digits}]{{2}}$|^[+＋]*(?:[{signs}*]*[{digits}]){{3,}}[{signs}*A-Za-z{digits}]*(?:{extension})?$"
    );
    Regex::new(&pattern).ok()
});

fn is_viable(number: &str) -> bool {
    VIABLE.as_ref().is_some_and(|viable| viable.is_match(number))
}

static EXTENSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("(?i)(?:{})$", extensions())).ok());

/// From the first digit or `+` on, without signs at the end and without a second number.
fn possible_number(text: &str) -> &str {
    let Some(start) = text.find(|c: char| matches!(c, '+' | '＋') || digit(c).is_some()) else { return "" };
    let number = text[start..].trim_end_matches(|c: char| !(c.is_ascii_alphabetic() || c == '#' || digit(c).is_some()));
    // `530-583-6985 x302/x2303` names one number.
    let second = number
        .char_indices()
        .find(|(at, c)| matches!(c, '\\' | '/') && number[at + 1..].trim_start_matches(' ').starts_with('x'));
    second.map_or(number, |(at, _)| &number[..at])
}

fn without_extension(number: &str) -> &str {
    match EXTENSION.as_ref().and_then(|extension| extension.find(number)) {
        Some(extension) if is_viable(&number[..extension.start()]) => &number[..extension.start()],
        _ => number,
    }
}

fn digit(c: char) -> Option<char> {
    let value = match c {
        '0'..='9' => return Some(c),
        '\u{FF10}'..='\u{FF19}' => u32::from(c) - 0xFF10,
        '\u{0660}'..='\u{0669}' => u32::from(c) - 0x0660,
        '\u{06F0}'..='\u{06F9}' => u32::from(c) - 0x06F0,
        _ => return None,
    };
    char::from_digit(value, 10)
}

/// The digits; letters too, as on the keys of a telephone, where there are three of them: `1-800-FLOWERS`.
fn normalized(text: &str) -> String {
    let lettered = text.chars().filter(char::is_ascii_alphabetic).count() >= 3;
    let key = |c: char| match c.to_ascii_uppercase() {
        'A'..='C' => Some('2'),
        'D'..='F' => Some('3'),
        'G'..='I' => Some('4'),
        'J'..='L' => Some('5'),
        'M'..='O' => Some('6'),
        'P'..='S' => Some('7'),
        'T'..='V' => Some('8'),
        'W'..='Z' => Some('9'),
        _ => None,
    };
    text.chars().filter_map(|c| digit(c).or_else(|| if lettered { key(c) } else { None })).collect()
}

#[cfg(test)]
mod tests {
    use phonenumber::metadata::DATABASE;

    use super::{e164, plan};

    #[test]
    fn the_form_is_taken_as_it_is() {
        for number in ["+14155550101", "+358955550104", "+12", "+999999999999999"] {
            assert_eq!(e164(number, None).as_deref(), Some(number));
            assert_eq!(e164(number, Some("FR")).as_deref(), Some(number));
        }
        for number in ["", "+1", "+0123456789", "14155550101", "+1 415 555 0101", "+9999999999999999", "+1415555010x"] {
            assert_eq!(e164(number, None), None, "{number}");
        }
    }

    #[test]
    fn other_forms_are_read_as_numbers_of_the_country() {
        for (number, country, expected) in [
            ("(415) 555-2671", "US", Some("+14155552671")),
            ("1-415-555-2671", "US", Some("+14155552671")),
            ("+1 415 555 2671", "US", Some("+14155552671")),
            ("011 44 20 7946 0958", "US", None),
            ("415-555-2671 ext. 89", "US", Some("+14155552671")),
            ("1-800-FLOWERS", "US", Some("+18003569377")),
            ("555-2671", "US", None),
            ("020 7946 0958", "GB", Some("+442079460958")),
            ("+44 (0)20 7946 0958", "GB", Some("+442079460958")),
            ("00 44 20 7946 0958", "GB", Some("+442079460958")),
            ("02 3661 8300", "IT", Some("+390236618300")),
            ("8 (912) 345-67-89", "RU", Some("+79123456789")),
            ("011 15-2312-3456", "AR", Some("+5491123123456")),
            ("030 123456", "DE", Some("+4930123456")),
            ("06 12 34 56 78", "FR", Some("+33612345678")),
            ("+33 6 12 34 56 78", "US", None),
            ("(11) 96123-4567", "BR", Some("+5511961234567")),
            ("０３-1234-5678", "JP", Some("+81312345678")),
            ("415 555 2671", "CA", None),
            ("not a number", "US", None),
            ("020 7946 0958", "AQ", None),
            ("020 7946 0958", "", None),
            ("020 7946 0958", "gb", None),
        ] {
            assert_eq!(e164(number, Some(country)).as_deref(), expected, "{number} of {country}");
        }
    }

    #[test]
    fn the_example_of_every_plan_is_read_with_and_without_code() {
        let mut count = 0;
        for metadata in DATABASE.iter().filter(|metadata| metadata.id().len() == 2) {
            let descriptors = metadata.descriptors();
            for kind in [descriptors.fixed_line(), descriptors.mobile(), descriptors.toll_free()].into_iter().flatten()
            {
                let Some(example) = kind.example() else { continue };
                let expected = format!("+{}{example}", metadata.country_code());
                assert!(plan(metadata.id()).is_some());
                assert_eq!(
                    e164(example, Some(metadata.id())),
                    Some(expected.clone()),
                    "{example} of {}",
                    metadata.id()
                );
                let spaced = format!("+{} {example}", metadata.country_code());
                assert_eq!(e164(&spaced, Some(metadata.id())), Some(expected), "{spaced} of {}", metadata.id());
                count += 1;
            }
        }
        assert!(count > 500, "{count} examples");
    }
}
