//! Five-field cron expressions: `*/10 8-18 * * mon-fri`.

use crate::calendar::Days;

/// What an expression says, without a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    /// Minutes since midnight, in order.
    pub(crate) times: Vec<u16>,
    pub(crate) days: Days,
    /// Whether each hour is meant, as by `*`.
    pub(crate) every_hour: bool,
}

struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Words for the numbers from `least` on.
    words: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, words: &[] };
const HOUR: Field = Field { name: "hour", least: 0, most: 23, words: &[] };
const DAY_OF_MONTH: Field = Field { name: "day of month", least: 1, most: 31, words: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// 7 is Sunday too.
const DAY_OF_WEEK: Field =
    Field { name: "day of week", least: 0, most: 7, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

const ABBREVIATIONS: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * sun"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

impl Cron {
    /// Day of month and day of week are taken as cron has always taken them: a day that is one of either is due,
    /// unless one of the two begins with `*`; then it must be one of both.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, expression)) = ABBREVIATIONS.iter().find(|(word, _)| *word == text.trim()) {
            return Err(format!("`{}` is not known; write `{expression}`", text.trim()));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
            let count = fields.len();
            return Err(format!(
                "`{text}` has {count} field{}; write five: minute, hour, day of month, month, day of week, as in `30 9 * * mon-fri`",
                if count == 1 { "" } else { "s" }
            ));
        };
        let minutes = MINUTE.parse(minute)?;
        let hours = HOUR.parse(hour)?;
        let mut of_week = DAY_OF_WEEK.parse(day_of_week)?;
        of_week = (of_week | of_week >> 7) & 0b111_1111;
        let days = Days {
            months: MONTH.parse(month)?,
            of_month: DAY_OF_MONTH.parse(day_of_month)?,
            of_week,
            either: !day_of_month.starts_with('*') && !day_of_week.starts_with('*'),
        };
        if !days.exist() {
            return Err(format!("`{text}` is never due: no month in it has such a day"));
        }
        let times = (0..24 * 60).filter(|time| hours >> (time / 60) & 1 == 1 && minutes >> (time % 60) & 1 == 1);
        Ok(Self { times: times.collect(), days, every_hour: hours == (1 << 24) - 1 })
    }
}

impl Field {
    /// The set of numbers that a list such as `1-5,10,*/15` names.
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part, text)?))
    }

    fn part(&self, part: &str, text: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step, part)?)),
            None => (part, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (self.least, self.last()),
            (_, Some((first, last))) => {
                let (first, last) = (self.number(first, text)?, self.number(last, text)?);
                // A week that ends with Sunday: `fri-sun`.
                let last = if self.most == 7 && last == 0 && first > 0 { 7 } else { last };
                if first > last {
                    return Err(
                        self.wrong(part, "the range runs backwards; write its two halves, with a comma between")
                    );
                }
                (first, last)
            }
            (one, None) => {
                let first = self.number(one, text)?;
                (first, if step.is_some() { self.last() } else { first })
            }
        };
        let numbers = (first..=last).step_by(step.unwrap_or(1));
        Ok(numbers.fold(0, |set, number| set | 1 << number))
    }

    /// The last number of a whole turn.
    fn last(&self) -> u32 {
        if self.most == 7 { 6 } else { self.most }
    }

    fn step(&self, step: &str, part: &str) -> Result<usize, String> {
        match step.parse::<usize>() {
            Ok(number) if number >= 1 && step.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(self.wrong(part, "after `/` stands a number from 1 on, as in `*/15`")),
        }
    }

    fn number(&self, word: &str, text: &str) -> Result<u32, String> {
        let lower = word.to_ascii_lowercase();
        if let Some(place) = self.words.iter().position(|known| *known == lower) {
            return Ok(self.least + u32::try_from(place).unwrap_or(0));
        }
        let number = word.parse::<u32>().ok().filter(|_| word.bytes().all(|byte| byte.is_ascii_digit()));
        match number {
            Some(number) if (self.least..=self.most).contains(&number) => Ok(number),
            _ => Err(self.wrong(if word.is_empty() { text } else { word }, &self.advice())),
        }
    }

    fn wrong(&self, what: &str, advice: &str) -> String {
        let article = if self.name == "hour" { "an" } else { "a" };
        format!("`{what}` is not {article} {}; {advice}", self.name)
    }

    fn advice(&self) -> String {
        let words = match self.words {
            [first, .., last] => format!(" (or `{first}` to `{last}`)"),
            _ => String::new(),
        };
        format!("it takes numbers from {} to {}{words}, `*`, ranges, lists and steps", self.least, self.most)
    }
}

#[cfg(test)]
mod tests;
