//! Which row of a job's results belongs to which record.

use std::collections::HashMap;
use std::hash::Hash;

use super::table::{Mark, parse};

/// What the results say of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Taken,
    /// With what Salesforce said.
    Failed(String),
    /// For one of these reasons, but it is not known which.
    FailedSomehow(String),
    Unprocessed,
}

/// A row of the results.
#[derive(Debug)]
pub(super) struct Found {
    mark: Mark,
    fate: Fate,
}

/// Reads one file of results; none if it is not the CSV that it should be.
pub(super) fn read(text: &str, names: &[String], has_id: bool, fate: impl Fn(&str) -> Fate) -> Option<Vec<Found>> {
    let mut rows = parse(text)?.into_iter();
    let Some(header) = rows.next() else { return Some(Vec::new()) };
    let place = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let places: Vec<Option<usize>> = names.iter().map(|name| place(name)).collect();
    if places.iter().all(Option::is_none) && place("sf__Id").is_none() {
        return None;
    }
    let error = place("sf__Error");
    let cell = |row: &[String], place: Option<usize>| {
        place.and_then(|place| row.get(place)).map(String::as_str).unwrap_or_default().to_owned()
    };
    rows.map(|row| {
        // A line that was cut short has too few values.
        if row.len() != header.len() {
            return None;
        }
        let cells: Vec<String> = places.iter().map(|place| cell(&row, *place)).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        Some(Found { mark: Mark::of_result(&cells, has_id), fate: fate(&cell(&row, error)) })
    })
    .collect()
}

/// Gives each row that was sent its fate, where there is no doubt which it is: by the row as it was sent, then by
/// its id, then by its values loosely, then because nothing else is left. Rows that are equal in everything share
/// their fates in their order, which makes no difference, since nobody can tell them apart.
pub(super) fn assign(sent: &[Mark], found: Vec<Found>) -> Vec<Option<Fate>> {
    let mut fates: Vec<Option<Fate>> = sent.iter().map(|_| None).collect();
    let mut left = found;
    // What was taken first: of equal rows, the first is the one that gets in.
    left.sort_by_key(|row| row.fate != Fate::Taken);
    left = by(sent, &mut fates, left, |mark| Some(mark.exact), |_, _| true);
    left = by(sent, &mut fates, left, |mark| mark.id.clone(), certain);
    left = by(sent, &mut fates, left, |mark| Some(mark.loose), certain);
    by(sent, &mut fates, left, |_| Some(()), certain);
    fates
}

/// Whether so many records have these fates without doubt, which then are all the same.
fn certain(records: usize, rows: &mut [Found]) -> bool {
    if rows.len() != records {
        return false;
    }
    if rows.windows(2).all(|pair| pair[0].fate == pair[1].fate) {
        return true;
    }
    let mut reasons = Vec::new();
    for row in rows.iter() {
        match &row.fate {
            Fate::Failed(reason) if !reasons.contains(reason) => reasons.push(reason.clone()),
            Fate::Failed(_) => {}
            _ => return false,
        }
    }
    let reasons = reasons.join("; ");
    rows.iter_mut().for_each(|row| row.fate = Fate::FailedSomehow(reasons.clone()));
    true
}

/// Pairs what is left on both sides by a key, where `certain` allows it, and gives the rows that found no record.
fn by<K: Hash + Eq>(
    sent: &[Mark],
    fates: &mut [Option<Fate>],
    found: Vec<Found>,
    key: impl Fn(&Mark) -> Option<K>,
    certain: impl Fn(usize, &mut [Found]) -> bool,
) -> Vec<Found> {
    let mut records: HashMap<K, Vec<usize>> = HashMap::new();
    for (place, mark) in sent.iter().enumerate().filter(|(place, _)| fates[*place].is_none()) {
        if let Some(key) = key(mark) {
            records.entry(key).or_default().push(place);
        }
    }
    let mut rows: HashMap<K, Vec<Found>> = HashMap::new();
    let mut left = Vec::new();
    for row in found {
        match key(&row.mark).filter(|key| records.contains_key(key)) {
            Some(key) => rows.entry(key).or_default().push(row),
            None => left.push(row),
        }
    }
    let mut open = Vec::new();
    for (key, places) in records {
        let Some(mut rows) = rows.remove(&key) else { continue };
        if !certain(places.len(), &mut rows) {
            open.push((places[0], rows));
            continue;
        }
        let mut rows = rows.into_iter();
        for (place, row) in places.into_iter().zip(rows.by_ref()) {
            fates[place] = Some(row.fate);
        }
        left.extend(rows);
    }
    // In an order that does not depend on the map's.
    open.sort_by_key(|(place, _)| *place);
    left.extend(open.into_iter().flat_map(|(_, rows)| rows));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(cells: &[&str]) -> Mark {
        Mark::of_result(cells, true)
    }

    fn found(cells: &[&str], fate: Fate) -> Found {
        Found { mark: mark(cells), fate }
    }

    fn failed() -> Fate {
        Fate::Failed("X".to_owned())
    }

    #[test]
    fn rows_come_in_any_order() {
        let sent = [mark(&["Ada", "1"]), mark(&["Bob", "2"]), mark(&["Cy", "3"])];
        let rows =
            vec![found(&["Cy", "3"], failed()), found(&["Bob", "2"], Fate::Taken), found(&["Ada", "1"], failed())];
        assert_eq!(assign(&sent, rows), [Some(failed()), Some(Fate::Taken), Some(failed())]);
    }

    #[test]
    fn equal_rows_share_their_fates() {
        let sent = [mark(&["Ada", "1"]), mark(&["Ada", "1"])];
        let rows = vec![found(&["Ada", "1"], failed()), found(&["Ada", "1"], Fate::Taken)];
        assert_eq!(assign(&sent, rows), [Some(Fate::Taken), Some(failed())]);
    }

    #[test]
    fn a_changed_value_is_known_by_its_id() {
        let sent = [mark(&["Ada ", "1"]), mark(&["Bob", "2"])];
        let rows = vec![found(&["", "2"], failed()), found(&["ADA", "1"], Fate::Taken)];
        assert_eq!(assign(&sent, rows), [Some(Fate::Taken), Some(failed())]);
    }

    #[test]
    fn what_cannot_be_told_apart_stays_open() {
        let sent = [mark(&["Ada", ""]), mark(&["Bob", ""])];
        let rows = vec![found(&["?", ""], failed()), found(&["!", ""], Fate::Taken)];
        assert_eq!(assign(&sent, rows), [None, None]);
        let rows = vec![found(&["?", ""], Fate::Taken), found(&["!", ""], Fate::Taken)];
        assert_eq!(assign(&sent, rows), [Some(Fate::Taken), Some(Fate::Taken)]);
        assert_eq!(assign(&sent, vec![found(&["Ada", ""], Fate::Taken)]), [Some(Fate::Taken), None]);
        // Both failed, but which for which reason?
        let other = Fate::Failed("Y".to_owned());
        let somehow = Some(Fate::FailedSomehow("X; Y".to_owned()));
        let rows = vec![found(&["?", ""], failed()), found(&["!", ""], other)];
        assert_eq!(assign(&sent, rows), [somehow.clone(), somehow]);
    }

    #[test]
    fn a_file_is_read_by_its_header() {
        let names = ["Name".to_owned(), "ext__c".to_owned()];
        let text = "\"sf__Id\",\"sf__Error\",EXT__C,\"Name\"\n\"\",\"REQUIRED:x\",7,\"Ada\"\n";
        let rows = read(text, &names, true, |error| Fate::Failed(error.to_owned())).unwrap();
        assert_eq!(rows[0].mark, mark(&["Ada", "7"]));
        assert_eq!(rows[0].fate, Fate::Failed("REQUIRED:x".to_owned()));
        assert!(read("<html>", &names, true, |_| Fate::Taken).is_none());
        assert!(read("", &names, true, |_| Fate::Taken).unwrap().is_empty());
        assert!(read("\"sf__Id\",\"sf__Error\",Name\n\"a\",\"b\"\n", &names, true, |_| Fate::Taken).is_none());
    }
}
