//! Liquid's filters, with LiquidJS's results.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::render::{Render, Stop, Term, is_true, output_text};
use super::{strftime, strings};
use crate::dates;
use crate::javascript::{self, number_val, utf16_len};
use crate::val::{Shape, Val};

/// Filters that Segment has switched off.
const DISABLED: [&str; 20] = [
    "array_to_sentence_string",
    "concat",
    "find",
    "find_exp",
    "find_index",
    "find_index_exp",
    "group_by",
    "group_by_exp",
    "has",
    "has_exp",
    "map",
    "newline_to_br",
    "reject",
    "reject_exp",
    "reverse",
    "sort",
    "sort_natural",
    "uniq",
    "where_exp",
    "type",
];

/// Numbers above this are not all whole numbers' own.
const SAFE_MAX: f64 = 9_007_199_254_740_991.0;

/// The arguments of a filter, named ones with their names.
pub(super) type Arguments<'a, 's> = &'a [(Option<&'a str>, Val<'s>)];

/// Applies a filter. One that is not known gives its input.
pub(super) fn apply<'s>(
    name: &str,
    val: Val<'s>,
    arguments: Arguments<'_, 's>,
    render: &mut Render<'_, 's>,
) -> Result<Val<'s>, Stop> {
    if DISABLED.contains(&name) {
        return Err(Stop::Message(format!("filter \"{name}\" is disabled")));
    }
    let context = render.context;
    let budget = &context.budget;
    let argument = |index: usize| arguments.get(index).map(|(_, val)| val).filter(|val| !val.is_missing());
    let text = |val: &Val<'s>| output_text(val, context);
    let argument_text = |index: usize| argument(index).map_or(Ok(String::new()), text);
    let number = |val: &Val<'s>| -> Result<f64, Stop> {
        let number = javascript::number(val, budget)?;
        Ok(if number.is_nan() { 0.0 } else { number })
    };
    let argument_number = |index: usize| arguments.get(index).map_or(Ok(0.0), |(_, val)| number(val));
    let given_number = |index: usize, default: f64| match argument(index) {
        Some(val) => javascript::number(val, budget),
        None => Ok(default),
    };
    let made = |made: String| -> Result<Val<'s>, Stop> {
        budget.text(made.len())?;
        Ok(Val::text(made))
    };

    match name {
        // Numbers.
        "abs" => Ok(number_val(number(&val)?.abs())),
        "ceil" => Ok(number_val(number(&val)?.ceil())),
        "floor" => Ok(number_val(number(&val)?.floor())),
        "at_least" | "at_most" => {
            let mut best = number(&val)?;
            for (_, other) in arguments {
                let other = number(other)?;
                best = if name == "at_least" { best.max(other) } else { best.min(other) };
            }
            Ok(number_val(best))
        }
        // An argument that is left out is not a number.
        "plus" | "minus" | "times" | "divided_by" | "modulo" => {
            let left = number(&val)?;
            let right = if arguments.is_empty() { f64::NAN } else { argument_number(0)? };
            let result = match name {
                "plus" => left + right,
                "minus" => left - right,
                "times" => left * right,
                "divided_by" if argument_number(1)? != 0.0 => (left / right).floor(),
                "divided_by" => left / right,
                _ => ((left % right) + right) % right,
            };
            Ok(number_val(result))
        }
        "round" => Ok(number_val(round(number(&val)?, argument_number(0)?))),
        "to_integer" => Ok(number_val(javascript::number(&val, budget)?)),

        // Text.
        "append" | "prepend" => {
            if arguments.len() != 1 {
                return Err(Stop::Message(format!("{name} expect 2 arguments")));
            }
            let (left, right) = (text(&val)?, argument_text(0)?);
            made(if name == "append" { left + &right } else { right + &left })
        }
        "upcase" => made(text(&val)?.to_uppercase()),
        "downcase" => made(text(&val)?.to_lowercase()),
        "capitalize" => made(strings::capitalize(&text(&val)?)),
        "strip" | "lstrip" | "rstrip" => {
            let characters = match argument(0) {
                Some(val) if val.is_truthy() => Some(text(val)?),
                _ => None,
            };
            made(strings::strip(&text(&val)?, characters.as_deref(), name != "rstrip", name != "lstrip"))
        }
        "strip_newlines" => made(text(&val)?.replace("\r\n", "").replace('\n', "")),
        "strip_html" => made(strings::strip_html(&text(&val)?)),
        "squish" => made(javascript::trim(&strings::single_spaces(&text(&val)?)).to_owned()),
        "normalize_whitespace" => made(strings::single_spaces(&text(&val)?)),
        "remove" => made(strings::replace_all(&text(&val)?, &argument_text(0)?, "", budget)?),
        "remove_first" => {
            let pattern = argument_text(0)?;
            made(text(&val)?.replacen(&pattern, "", 1))
        }
        "remove_last" => made(strings::replace_last(&text(&val)?, &argument_text(0)?, "")),
        "replace" => made(strings::replace_all(&text(&val)?, &argument_text(0)?, &argument_text(1)?, budget)?),
        "replace_first" => made(text(&val)?.replacen(&argument_text(0)?, &argument_text(1)?, 1)),
        "replace_last" => made(strings::replace_last(&text(&val)?, &argument_text(0)?, &argument_text(1)?)),
        "split" => {
            let pieces = strings::split(&text(&val)?, &argument_text(0)?);
            budget.spend(pieces.len())?;
            Ok(Val::Array(pieces.into_iter().map(Val::text).collect()))
        }
        "truncate" => {
            let whole = text(&val)?;
            let length = given_number(0, 50.0)?;
            let ellipsis = argument(1).map_or(Ok("...".to_owned()), text)?;
            let characters = whole.chars().count();
            if utf16_len(&whole) as f64 <= length || characters as f64 <= length {
                return Ok(val);
            }
            let kept = (length - ellipsis.chars().count() as f64).max(0.0);
            made(whole.chars().take(kept.ceil() as usize).chain(ellipsis.chars()).collect())
        }
        "truncatewords" => {
            let whole = text(&val)?;
            let words_max = given_number(0, 15.0)?;
            let words_max = if words_max > 0.0 { words_max } else { 1.0 };
            let ellipsis = argument(1).map_or(Ok("...".to_owned()), text)?;
            let words = strings::words(whole.trim_start_matches(javascript::is_space));
            let mut short = words.iter().take(words_max as usize).copied().collect::<Vec<_>>().join(" ");
            if words.len() as f64 >= words_max {
                short.push_str(&ellipsis);
            }
            made(short)
        }
        "number_of_words" => Ok(number_val(strings::word_count(&text(&val)?, &argument_text(0)?) as f64)),
        "escape" | "xml_escape" => made(strings::escape(&text(&val)?)),
        "escape_once" => made(strings::escape(&strings::unescape(&text(&val)?))),
        "url_encode" => made(strings::encode_uri(&text(&val)?, "-_.!~*'()").replace("%20", "+")),
        "cgi_escape" => made(strings::encode_uri(&text(&val)?, "-_.~").replace("%20", "+")),
        "uri_escape" => made(strings::encode_uri(&text(&val)?, "-_.!~*'();/?:@&=+$,#[]")),
        "url_decode" => match strings::decode_uri(&text(&val)?.replace('+', " ")) {
            Some(decoded) => made(decoded),
            None => Err(Stop::Message("URI malformed".to_owned())),
        },
        "slugify" => {
            let mode = argument(0).map_or(Ok("default".to_owned()), text)?;
            made(strings::slugify(&text(&val)?, &mode, argument(1).is_some_and(Val::is_truthy)))
        }
        "base64_encode" => made(STANDARD.encode(text(&val)?)),
        "base64_decode" => match strings::decode_base64(&text(&val)?) {
            Some(decoded) => made(decoded),
            None => Err(Stop::Message("invalid base64 provided to base64_decode".to_owned())),
        },
        "sha256" => made(crate::beyond::hash::hex_of_sha256(text(&val)?.as_bytes())),
        "hmac_sha256" => {
            made(crate::beyond::hash::hex_of_hmac_sha256(argument_text(0)?.as_bytes(), text(&val)?.as_bytes()))
        }

        // Arrays.
        "join" => {
            let separator = argument(0).filter(|val| !val.is_absent()).map_or(Ok(" ".to_owned()), text)?;
            let mut joined = String::new();
            for (index, item) in array(&val, render)?.iter().enumerate() {
                if index > 0 {
                    joined.push_str(&separator);
                }
                if !item.is_absent() {
                    javascript::write_text(item, &mut joined, budget, 0)?;
                }
            }
            made(joined)
        }
        "first" | "last" => match &val {
            Val::Text(text) => {
                let character = if name == "first" { text.chars().next() } else { text.chars().next_back() };
                Ok(character.map_or(Val::Missing, |c| Val::text(c.to_string())))
            }
            val if val.is_array() => render.item(val, if name == "first" { 0 } else { -1 }),
            _ => Ok(Val::text("")),
        },
        "size" => Ok(match &val {
            Val::Text(text) => number_val(utf16_len(text) as f64),
            val if val.is_array() => render.size(val)?.map_or(Val::Int(0), crate::val::count),
            _ => Val::Int(0),
        }),
        "compact" => Ok(Val::Array(array(&val, render)?.into_iter().filter(|item| !item.is_absent()).collect())),
        "push" | "unshift" | "pop" | "shift" => {
            let mut items = array(&val, render)?;
            let added = || argument(0).map_or(Ok(Val::Missing), |val| val.share(budget));
            match name {
                "push" => items.push(added()?),
                "unshift" => items.insert(0, added()?),
                "pop" => drop(items.pop()),
                _ if !items.is_empty() => drop(items.remove(0)),
                _ => {}
            }
            Ok(Val::Array(items))
        }
        "slice" => slice(&val, given_number(0, f64::NAN)?, given_number(1, 1.0)?, render),
        "sum" => {
            let mut sum = 0.0;
            for item in array(&val, render)? {
                let item = match argument(0) {
                    Some(property) => property_of(&item, &text(property)?, render)?,
                    None => item,
                };
                sum += number(&item)?;
            }
            Ok(number_val(sum))
        }
        "where" => {
            let property = argument_text(0)?;
            let mut kept = Vec::new();
            for item in array(&val, render)? {
                let found = property_of(&item, &property, render)?;
                let fits = match argument(1) {
                    None => is_true(&found),
                    Some(wanted) => render.equal(&Term::Val(found), &Term::Val(wanted.share(budget)?), 0)?,
                };
                if fits {
                    kept.push(item);
                }
            }
            Ok(Val::Array(kept))
        }
        // The original shuffles; here the same record always gives the same payload.
        "sample" => {
            let items = match &val {
                Val::Text(text) => text.chars().map(|c| Val::text(c.to_string())).collect(),
                val => array(val, render)?,
            };
            match given_number(0, 1.0)? {
                1.0 => Ok(items.into_iter().next().unwrap_or_default()),
                count => Ok(Val::Array(items.into_iter().take(count.max(0.0) as usize).collect())),
            }
        }

        // Dates.
        "date" => {
            let format = argument(0).filter(|format| !format.is_absent());
            let format = format.map_or(Ok("%A, %B %-e, %Y at %-l:%M %P %z".to_owned()), text)?;
            date(val, &format, argument(1), render)
        }
        "date_to_xmlschema" => date(val, "%Y-%m-%dT%H:%M:%S%:z", None, render),
        "date_to_rfc822" => date(val, "%a, %d %b %Y %H:%M:%S %z", None, render),
        "date_to_string" | "date_to_long_string" => {
            let month = if name == "date_to_string" { "%b" } else { "%B" };
            let ordinal = argument_text(0)? == "ordinal";
            let format = match (ordinal, argument_text(1)? == "US") {
                (true, true) => format!("{month} %-d%q, %Y"),
                (true, false) => format!("%-d%q {month} %Y"),
                (false, _) => format!("%d {month} %Y"),
            };
            date(val, &format, None, render)
        }

        // The rest.
        "default" => {
            let fallback = || arguments.first().map_or(Ok(Val::Missing), |(_, val)| val.share(budget));
            let allow_false =
                arguments.iter().skip(1).any(|(name, val)| *name == Some("allow_false") && val.is_truthy());
            let is_empty =
                matches!(&val, Val::Text(text) if text.is_empty()) || (val.is_array() && render.size(&val)? == Some(0));
            match &val {
                Val::Bool(false) if allow_false => Ok(val),
                _ if is_empty || !is_true(&val) => Ok(fallback()?),
                _ => Ok(val),
            }
        }
        "json" | "jsonify" | "inspect" => match javascript::stringify(&val, budget)? {
            Some(json) => made(json),
            None => Ok(Val::Missing),
        },
        _ => Ok(val),
    }
}

/// Any value as an array: nothing is none, a single value is one of its own.
fn array<'s>(val: &Val<'s>, render: &Render<'_, 's>) -> Result<Vec<Val<'s>>, Stop> {
    let budget = &render.context.budget;
    if val.is_absent() {
        return Ok(Vec::new());
    }
    if !val.is_array() {
        return Ok(vec![val.share(budget)?]);
    }
    match val.shape(budget)? {
        Shape::Array(items) => Ok(items.iter().map(|item| item.share(budget)).collect::<Result<_, _>>()?),
        _ => Ok(Vec::new()),
    }
}

fn property_of<'s>(item: &Val<'s>, property: &str, render: &Render<'_, 's>) -> Result<Val<'s>, Stop> {
    if !item.is_truthy() {
        return Ok(Val::Missing);
    }
    Ok(crate::path::Path::parse(property).get(item, &render.context.budget)?)
}

fn slice<'s>(val: &Val<'s>, begin: f64, length: f64, render: &Render<'_, 's>) -> Result<Val<'s>, Stop> {
    if val.is_absent() {
        return Ok(Val::Array(Vec::new()));
    }
    let budget = &render.context.budget;
    let begin = if begin.is_nan() { 0.0 } else { begin };
    let place = |size: usize| if begin < 0.0 { size as f64 + begin } else { begin };
    if val.is_array() {
        let items = array(val, render)?;
        let begin = place(items.len());
        if begin < 0.0 || length < 0.0 {
            return Ok(Val::Array(Vec::new()));
        }
        return Ok(Val::Array(items.into_iter().skip(begin as usize).take(length as usize).collect()));
    }
    let text = output_text(val, render.context)?;
    let begin = place(text.chars().count());
    if begin < 0.0 || length < 0.0 {
        return Ok(Val::text(""));
    }
    let cut: String = text.chars().skip(begin.ceil() as usize).take(length.ceil() as usize).collect();
    budget.text(cut.len())?;
    Ok(Val::text(cut))
}

fn date<'s>(val: Val<'s>, format: &str, zone: Option<&Val<'s>>, render: &Render<'_, 's>) -> Result<Val<'s>, Stop> {
    let budget = &render.context.budget;
    let millis = match &val {
        Val::Missing | Val::Null => None,
        Val::Text(text) if matches!(text.as_ref(), "now" | "today") => {
            render.context.now.map(|now| now.as_millisecond() as f64)
        }
        Val::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(javascript::number_of_text(text) * 1000.0)
        }
        Val::Text(text) => dates::date_millis(text).map(|millis| millis as f64),
        Val::Int(_) | Val::Float(_) | Val::Decimal(_) => Some(javascript::number(&val, budget)? * 1000.0),
        Val::Bool(value) => Some(f64::from(u8::from(*value))),
        other => dates::date_millis(&javascript::text(other, budget)?).map(|millis| millis as f64),
    };
    let zone = match zone {
        None | Some(Val::Missing | Val::Null) => strftime::Zone::Unset,
        Some(Val::Text(name)) => strftime::Zone::Named(name.to_string()),
        // Minutes west of Greenwich, as JavaScript counts them.
        Some(minutes) => strftime::Zone::Minutes(javascript::number(minutes, budget)?),
    };
    match millis.and_then(|millis| strftime::Moment::new(millis, &zone)) {
        Some(moment) => {
            let text = moment.format(format);
            budget.text(text.len())?;
            Ok(Val::text(text))
        }
        None => Ok(val),
    }
}

/// Rounds half up, by magnitude, after moving the decimal point in the number's shortest text.
fn round(number: f64, places: f64) -> f64 {
    let scaled = shifted(number.abs(), places);
    if scaled.is_nan() || scaled > SAFE_MAX {
        return number;
    }
    let rounded = shifted((scaled + 0.5).floor(), -places);
    if number < 0.0 { -rounded } else { rounded }
}

fn shifted(number: f64, places: f64) -> f64 {
    let text = records::number_text(number);
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: f64 = power.parse().unwrap_or(0.0);
    format!("{mantissa}e{}", records::number_text(power + places)).parse().unwrap_or(f64::NAN)
}
