//! Numbers, booleans, dates and arithmetic.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::options::Options;
use crate::budget::Budget;
use crate::evaluate::Context;
use crate::javascript::{self, number_val};
use crate::program::EvaluationError;
use crate::val::Val;

/// A finite number of a value; nothing of what is not one, an empty text included.
fn finite(val: &Val<'_>, budget: &Budget) -> Result<Option<f64>, EvaluationError> {
    let number = match val {
        Val::Text(text) if javascript::trim(text).is_empty() => return Ok(None),
        Val::Missing | Val::Null => return Ok(None),
        val if val.is_array() || val.is_object() => return Ok(None),
        val => javascript::number(val, budget)?,
    };
    Ok(Some(number).filter(|number| number.is_finite()))
}

/// A whole number, exact to 64 bits.
fn exact(val: &Val<'_>) -> Option<i64> {
    match val {
        Val::Int(int) => Some(*int),
        Val::Bool(value) => Some(i64::from(*value)),
        Val::Text(text) => javascript::trim(text).parse().ok(),
        Val::Decimal(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn rounded(number: f64, decimals: u32) -> f64 {
    // Through the shortest text, so that 1.005 rounds to 1.01 as people expect.
    let text = records::number_text(number.abs());
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let shift = i32::try_from(decimals).unwrap_or(0);
    let scaled: f64 = format!("{mantissa}e{}", power.saturating_add(shift)).parse().unwrap_or(number.abs());
    if scaled > 9e15 {
        return number;
    }
    let result: f64 = format!("{}e-{shift}", (scaled + 0.5).floor()).parse().unwrap_or(scaled);
    result.copysign(number)
}

/// A number, whatever it was written as; missing of what is none.
pub(super) fn number<'s>(val: &Val<'s>, decimals: Option<u32>, budget: &Budget) -> Result<Val<'s>, EvaluationError> {
    match (val, exact(val)) {
        (_, Some(int)) => return Ok(Val::Int(int)),
        (Val::Decimal(_), _) if decimals.is_none() => return Ok(val.clone()),
        _ => {}
    }
    Ok(match finite(val, budget)? {
        Some(number) => number_val(decimals.map_or(number, |decimals| rounded(number, decimals))),
        None => Val::Missing,
    })
}

/// True or false; missing of what is neither.
pub(super) fn boolean<'s>(
    val: &Val<'s>,
    yes: &[String],
    no: &[String],
    budget: &Budget,
) -> Result<Val<'s>, EvaluationError> {
    if let Val::Bool(_) = val {
        return Ok(val.clone());
    }
    let word = javascript::trim(&javascript::text(val, budget)?).to_lowercase();
    Ok(if yes.contains(&word) {
        Val::Bool(true)
    } else if no.contains(&word) {
        Val::Bool(false)
    } else {
        Val::Missing
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MathOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Min,
    Max,
    Round,
    Floor,
    Ceil,
    Abs,
}

impl MathOperator {
    const NAMED: [(&'static str, MathOperator); 12] = [
        ("add", MathOperator::Add),
        ("subtract", MathOperator::Subtract),
        ("multiply", MathOperator::Multiply),
        ("divide", MathOperator::Divide),
        ("modulo", MathOperator::Modulo),
        ("power", MathOperator::Power),
        ("min", MathOperator::Min),
        ("max", MathOperator::Max),
        ("round", MathOperator::Round),
        ("floor", MathOperator::Floor),
        ("ceil", MathOperator::Ceil),
        ("abs", MathOperator::Abs),
    ];

    pub(super) fn read(options: &mut Options<'_>, values: usize) -> Option<Self> {
        options.refuse_missing("operator");
        let words: Vec<&str> = Self::NAMED.iter().map(|(name, _)| *name).collect();
        let word = options.choice("operator", &words)?;
        let operator = Self::NAMED.iter().find(|(name, _)| *name == word).map(|(_, operator)| *operator)?;
        let takes_one = matches!(operator, Self::Round | Self::Floor | Self::Ceil | Self::Abs);
        let takes_two = matches!(operator, Self::Subtract | Self::Divide | Self::Modulo | Self::Power);
        if (takes_one && values > 1) || (takes_two && values != 2) {
            let wanted = if takes_one { "1 value" } else { "2 values" };
            options.refuse_at("values", &format!("should be an array of {wanted} for {word}"));
            return None;
        }
        Some(operator)
    }
}

/// The result; missing if a value is no number, or the result is none.
pub(super) fn math<'s>(
    operator: MathOperator,
    values: &[Val<'s>],
    decimals: u32,
    budget: &Budget,
) -> Result<Val<'s>, EvaluationError> {
    let exact: Option<Vec<i64>> = values.iter().map(exact).collect();
    if let Some(exact) = exact
        && let Some(result) = exact_math(operator, &exact)
    {
        return Ok(Val::Int(result));
    }
    let mut numbers = Vec::with_capacity(values.len());
    for value in values {
        match finite(value, budget)? {
            Some(number) => numbers.push(number),
            None => return Ok(Val::Missing),
        }
    }
    let mut rest = numbers.iter().copied();
    let Some(first) = rest.next() else { return Ok(Val::Missing) };
    let result = match operator {
        MathOperator::Add => rest.fold(first, |sum, number| sum + number),
        MathOperator::Multiply => rest.fold(first, |product, number| product * number),
        MathOperator::Min => rest.fold(first, f64::min),
        MathOperator::Max => rest.fold(first, f64::max),
        MathOperator::Subtract => rest.fold(first, |left, right| left - right),
        MathOperator::Divide => rest.fold(first, |left, right| left / right),
        MathOperator::Modulo => rest.fold(first, |left, right| left.rem_euclid(right)),
        MathOperator::Power => rest.fold(first, f64::powf),
        MathOperator::Round => rounded(first, decimals),
        MathOperator::Floor => first.floor(),
        MathOperator::Ceil => first.ceil(),
        MathOperator::Abs => first.abs(),
    };
    Ok(if result.is_finite() { number_val(result) } else { Val::Missing })
}

/// Whole numbers give whole numbers where they can; nothing where they cannot.
fn exact_math(operator: MathOperator, values: &[i64]) -> Option<i64> {
    let (first, rest) = values.split_first()?;
    let mut rest = rest.iter().copied();
    match operator {
        MathOperator::Add => rest.try_fold(*first, i64::checked_add),
        MathOperator::Multiply => rest.try_fold(*first, i64::checked_mul),
        MathOperator::Min => values.iter().copied().min(),
        MathOperator::Max => values.iter().copied().max(),
        MathOperator::Subtract => first.checked_sub(rest.next()?),
        MathOperator::Divide => {
            let divisor = rest.next()?;
            if first.checked_rem(divisor)? == 0 { first.checked_div(divisor) } else { None }
        }
        MathOperator::Modulo => first.checked_rem_euclid(rest.next()?),
        MathOperator::Power => first.checked_pow(u32::try_from(rest.next()?).ok()?),
        MathOperator::Round | MathOperator::Floor | MathOperator::Ceil => Some(*first),
        MathOperator::Abs => first.checked_abs(),
    }
}

/// How a date is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Iso,
    Date,
    Unix,
    UnixMillis,
    Pattern(String),
}

/// A `@date` directive.
#[derive(Debug, Clone)]
pub(super) struct DateForm {
    from: Option<Form>,
    to: Form,
    zone: Option<TimeZone>,
    input_zone: TimeZone,
}

impl DateForm {
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let form = |text: String| match text.as_str() {
            "iso" => Form::Iso,
            "date" => Form::Date,
            "unix" => Form::Unix,
            "unix_ms" => Form::UnixMillis,
            _ => Form::Pattern(text),
        };
        let mut zone = |key: &str| {
            let name = options.text(key)?;
            let zone = TimeZone::get(&name).ok();
            if zone.is_none() {
                options.refuse_at(key, &format!("should be a time zone like \"Europe/Berlin\" but it is \"{name}\""));
            }
            zone
        };
        let (output_zone, input_zone) = (zone("timezone"), zone("inputTimezone"));
        let from = options.text("from").map(form);
        let to = options.text("to").map_or(Form::Iso, form);
        for (key, form) in [("from", from.as_ref()), ("to", Some(&to))] {
            let Some(Form::Pattern(pattern)) = form else { continue };
            if pattern.len() > 200 || !pattern.contains('%') || !is_printable(pattern) {
                options.refuse_at(key, "should be one of iso, date, unix, unix_ms or a pattern like \"%Y-%m-%d\"");
                return None;
            }
        }
        Some(Self { from, to, zone: output_zone, input_zone: input_zone.unwrap_or(TimeZone::UTC) })
    }

    /// The date in its other form; missing of what is no date.
    pub(super) fn convert<'s>(&self, val: &Val<'s>, context: &Context) -> Result<Val<'s>, EvaluationError> {
        let Some(at) = self.parse(val, &context.budget)? else { return Ok(Val::Missing) };
        let zoned = at.to_zoned_datetime(self.zone.clone().unwrap_or(TimeZone::UTC));
        Ok(match &self.to {
            Form::Unix => Val::Int(at.as_second()),
            Form::UnixMillis => Val::Int(at.as_millisecond()),
            Form::Date => Val::text(zoned.date().to_string()),
            Form::Iso if self.zone.is_none() => Val::text(records::timestamp_text(at.as_microsecond())),
            Form::Iso => printed("%Y-%m-%dT%H:%M:%S%.3f%:z", &zoned),
            Form::Pattern(pattern) => printed(pattern, &zoned),
        })
    }

    fn parse(&self, val: &Val<'_>, budget: &Budget) -> Result<Option<Timestamp>, EvaluationError> {
        let of_number = |number: f64, millis: bool| {
            let millis = if millis { number } else { number * 1000.0 };
            if millis.is_finite() { Timestamp::from_millisecond(millis as i64).ok() } else { None }
        };
        let text = match val {
            Val::Text(text) => javascript::trim(text),
            Val::Bool(_) => return Ok(None),
            number => {
                let number = javascript::number(number, budget)?;
                // Later than the year 5138 in seconds means milliseconds.
                let millis = match self.from {
                    Some(Form::UnixMillis) => true,
                    Some(Form::Unix) => false,
                    _ => number.abs() >= 1e11,
                };
                return Ok(of_number(number, millis));
            }
        };
        let in_zone = |civil: DateTime| self.input_zone.to_timestamp(civil).ok();
        Ok(match &self.from {
            Some(Form::Unix) => text.parse().ok().and_then(|number| of_number(number, false)),
            Some(Form::UnixMillis) => text.parse().ok().and_then(|number| of_number(number, true)),
            Some(Form::Pattern(pattern)) => strtime::parse(pattern, text).ok().and_then(|parsed| {
                if let Ok(at) = parsed.to_timestamp() {
                    return Some(at);
                }
                let civil = parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)));
                civil.ok().and_then(in_zone)
            }),
            _ if self.input_zone != TimeZone::UTC && !has_zone(text) => {
                let millis = crate::dates::parse_plain(text);
                let civil = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
                civil.map(|at| TimeZone::UTC.to_datetime(at)).and_then(in_zone)
            }
            // What is exact to the microsecond stays so.
            _ => match text.parse::<Timestamp>() {
                Ok(at) => Some(at),
                Err(_) => crate::dates::parse_plain(text).and_then(|millis| Timestamp::from_millisecond(millis).ok()),
            },
        })
    }
}

fn printed(pattern: &str, zoned: &ZonedDateTime) -> Val<'static> {
    strtime::format(pattern, zoned).map_or(Val::Missing, Val::text)
}

fn is_printable(pattern: &str) -> bool {
    strtime::format(pattern, &Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC)).is_ok()
}

fn has_zone(text: &str) -> bool {
    let Some(colon) = text.find(':') else { return false };
    let after = &text[colon..];
    after.ends_with(['Z', 'z']) || after.contains(['+', '-']) || after.contains("GMT") || after.contains("UTC")
}
