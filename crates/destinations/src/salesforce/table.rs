//! The CSV that a bulk job is given: one row a record, and what is kept of each row to know it again in the results.

use std::collections::HashMap;

use kit::Payload;
use records::{Outcome, Value};

use super::object::{Operation, set_fields, text_of};

/// What the Bulk API takes for "no value".
const NO_VALUE: &str = "#N/A";

/// The records of a job as a table.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<String>,
    /// The column that tells which record a row is for, always the last.
    id_column: Option<String>,
    rows: Vec<Row>,
    /// For each record of the batch: its row, or why it has none.
    pub(super) places: Vec<Result<usize, Outcome>>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<Option<String>>,
    id: Option<String>,
}

impl Table {
    /// The table of those records. `None` among them is a record that is not for this job.
    pub(super) fn new(records: &[Option<&Payload>], operation: Operation) -> Self {
        let id_column = match operation {
            Operation::Update => Some("Id".to_owned()),
            Operation::Upsert => records
                .iter()
                .flatten()
                .find_map(|record| Some(external_id(record)?.0.to_owned()))
                .or(Some(String::new())),
            Operation::Create | Operation::Delete => None,
        };
        let mut table = Self { id_column, ..Self::default() };
        table.places = records
            .iter()
            .map(|record| match record {
                Some(record) => table.refusal(record, operation).map_or(Ok(0), Err),
                None => Err(Outcome::retry("not_sent", "not sent yet")),
            })
            .collect();
        let taken = |place: usize| table.places[place].is_ok();
        // As in the original: the columns stand in the order in which they come up from the last record to the first.
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut columns = Vec::new();
        for (_, record) in records.iter().enumerate().rev().filter(|(place, _)| taken(*place)) {
            for (name, _, _) in record.iter().flat_map(|record| set_fields(record)) {
                if table.id_column.as_ref() != Some(&name) && !known.contains_key(&name) {
                    known.insert(name.clone(), columns.len());
                    columns.push(name);
                }
            }
        }
        table.columns = columns;
        if operation == Operation::Create && table.columns.is_empty() {
            let nothing = || Outcome::rejected("MISSING_FIELDS", "no field has a value; map the fields to set");
            table.places.iter_mut().filter(|place| place.is_ok()).for_each(|place| *place = Err(nothing()));
            return table;
        }
        for (place, record) in records.iter().enumerate() {
            if let (Some(record), Ok(row)) = (record, &mut table.places[place]) {
                *row = table.rows.len();
                table.rows.push(Row {
                    cells: cells(record, &known),
                    id: table.id_column.as_ref().map(|_| id_of(record, operation).unwrap_or(NO_VALUE).to_owned()),
                });
            }
        }
        // The original refuses a whole job whose first record has no id; what nobody can find is refused here.
        if operation == Operation::Update && table.rows.iter().all(|row| row.id.as_deref() == Some(NO_VALUE)) {
            let missing = || {
                let message = "`bulkUpdateRecordId` has no value, and nothing else tells which record to update";
                Outcome::rejected("MISSING_RECORD_ID", message)
            };
            table.places.iter_mut().filter(|place| place.is_ok()).for_each(|place| *place = Err(missing()));
            table.rows.clear();
        }
        table
    }

    /// Why a record cannot be in a job.
    fn refusal(&self, record: &Payload, operation: Operation) -> Option<Outcome> {
        for (name, value, _) in set_fields(record) {
            if name.is_empty() || name.contains([',', '"', '\n', '\r']) {
                let message = format!("`{name}` cannot be the name of a field; rename it in `customFields`");
                return Some(Outcome::rejected("INVALID_FIELD_NAME", message));
            }
            if text_of(value).is_none() {
                let message = format!(
                    "`{name}` is an object, which a bulk job cannot carry; to refer to another record name the field \
                     `Relation__r.ExternalId__c`"
                );
                return Some(Outcome::rejected("UNSUPPORTED_VALUE", message));
            }
        }
        if operation != Operation::Upsert {
            return None;
        }
        match external_id(record) {
            None => {
                let message = "`bulkUpsertExternalId` needs both `externalIdName` and `externalIdValue`";
                Some(Outcome::rejected("MISSING_EXTERNAL_ID", message))
            }
            Some((name, _)) if Some(name) != self.id_column.as_deref() => {
                Some(Outcome::retry("not_sent", "the records of a job must have the same `externalIdName`"))
            }
            Some((name, _)) if name.contains([',', '"', '\n', '\r']) => {
                let message = format!("`{name}` cannot be the name of an external ID field");
                Some(Outcome::rejected("INVALID_FIELD_NAME", message))
            }
            Some(_) => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The name of the external ID field, or `Id`.
    pub(super) fn id_column(&self) -> &str {
        self.id_column.as_deref().unwrap_or_default()
    }

    /// The CSV text.
    pub(super) fn csv(&self) -> String {
        let mut csv = String::new();
        let names = self.columns.iter().chain(&self.id_column).map(String::as_str);
        csv.push_str(&names.collect::<Vec<_>>().join(","));
        csv.push('\n');
        for row in &self.rows {
            let mut first = true;
            for cell in &row.cells {
                separate(&mut csv, &mut first);
                match cell {
                    Some(text) => quote(text, &mut csv),
                    None => csv.push_str(NO_VALUE),
                }
            }
            if let Some(id) = &row.id {
                separate(&mut csv, &mut first);
                quote(id, &mut csv);
            }
            csv.push('\n');
        }
        csv
    }

    /// What tells each row from the others, by row.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let mark = |row: &Row| {
            let cells = || row.cells.iter().map(Option::as_deref).chain(row.id.iter().map(|id| Some(id.as_str())));
            Mark {
                exact: fingerprint(cells().map(|cell| cell.unwrap_or(NO_VALUE))),
                loose: fingerprint(cells().map(|cell| cell.map_or("", loosened))),
                id: row.id.clone().filter(|id| id != NO_VALUE),
            }
        };
        self.rows.iter().map(mark).collect()
    }

    /// The columns in their order, that of the id last.
    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().chain(&self.id_column).cloned().collect()
    }
}

/// What is kept of a row to find it among the results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Of the row as it was sent.
    pub(super) exact: u64,
    /// Of the row without blanks around its values, and with no difference between empty and no value.
    pub(super) loose: u64,
    pub(super) id: Option<String>,
}

impl Mark {
    /// The mark of a row of the results, whose cells stand in the order of the job's columns.
    pub(super) fn of_result(cells: &[&str], has_id: bool) -> Self {
        Self {
            exact: fingerprint(cells.iter().copied()),
            loose: fingerprint(cells.iter().map(|cell| loosened(cell))),
            id: cells.last().filter(|_| has_id).map(|id| (*id).to_owned()),
        }
    }
}

fn loosened(cell: &str) -> &str {
    if cell == NO_VALUE { "" } else { cell.trim() }
}

/// FNV-1a over the cells, the same in every build: it is kept while a job runs.
fn fingerprint<'a>(cells: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for cell in cells {
        for byte in cell.bytes().filter(|byte| *byte != b'\r').chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

fn separate(csv: &mut String, first: &mut bool) {
    if !std::mem::take(first) {
        csv.push(',');
    }
}

fn quote(text: &str, csv: &mut String) {
    csv.push('"');
    csv.push_str(&text.replace('"', "\"\""));
    csv.push('"');
}

/// The values of a record by column. What `customFields` says goes before the other fields.
fn cells(record: &Payload, known: &HashMap<String, usize>) -> Vec<Option<String>> {
    let mut cells = vec![None; known.len()];
    for custom_turn in [false, true] {
        for (name, value, _) in set_fields(record).filter(|(_, _, custom)| *custom == custom_turn) {
            if let Some(place) = known.get(&name) {
                cells[*place] = if value.is_null() { None } else { text_of(value) };
            }
        }
    }
    cells
}

/// Name and value of the external id, if both are there.
pub(super) fn external_id(record: &Payload) -> Option<(&str, &str)> {
    let id = record.fields.get("bulkUpsertExternalId")?;
    let text = |key: &str| id.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some((text("externalIdName")?, text("externalIdValue")?))
}

fn id_of(record: &Payload, operation: Operation) -> Option<&str> {
    match operation {
        Operation::Update => record.fields.get("bulkUpdateRecordId")?.as_str().filter(|id| !id.is_empty()),
        Operation::Upsert => external_id(record).map(|(_, value)| value),
        Operation::Create | Operation::Delete => None,
    }
}

/// The rows of a CSV text; none if it ends within a quoted value.
pub(super) fn parse(text: &str) -> Option<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut cell = String::new();
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    let mut quoted = false;
    let mut any = false;
    while let Some(char) = chars.next() {
        any = true;
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
                any = false;
            }
            other => cell.push(other),
        }
    }
    if any {
        row.push(cell);
        rows.push(row);
    }
    (!quoted).then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_read_as_it_was_written() {
        let rows = parse("\"sf__Id\",\"Note\"\r\n\"1\",\"a \"\"b\"\"\nc, d\"\n2,\n").unwrap();
        assert_eq!(rows, [vec!["sf__Id", "Note"], vec!["1", "a \"b\"\nc, d"], vec!["2", ""]]);
        assert_eq!(parse("a,b").unwrap(), [["a", "b"]]);
        assert!(parse("").unwrap().is_empty());
        assert!(parse("a,\"cut sho").is_none());
    }

    #[test]
    fn blanks_and_no_value_do_not_tell_rows_apart_loosely() {
        let sent = Mark::of_result(&[" a\r\nb ", "#N/A"], false);
        let came = Mark::of_result(&["a\nb", ""], false);
        assert_ne!(sent.exact, came.exact);
        assert_eq!(sent.loose, came.loose);
    }
}
