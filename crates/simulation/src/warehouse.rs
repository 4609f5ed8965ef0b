//! The truth on the warehouse's side: a table that changes between syncs.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use records::{Column, Kind, Schema};

use crate::clock::Dice;

/// One row of the customers table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub email: String,
    pub plan: Option<String>,
    pub score: f64,
    pub active: bool,
    /// Not used by the first mapping: a change here must send nothing.
    pub note: String,
}

/// The table, and what is wrong with it at the moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warehouse {
    pub rows: BTreeMap<i64, Row>,
    /// Keys that stand twice in the result.
    pub twice: Vec<i64>,
    /// Rows whose key is null.
    pub nameless: u64,
    next_id: i64,
}

const PLANS: [&str; 4] = ["free", "pro", "team", "Enterprise €"];

impl Warehouse {
    pub(crate) fn schema() -> Schema {
        let columns = [
            ("id", Kind::Int),
            ("email", Kind::Text),
            ("plan", Kind::Text),
            ("score", Kind::Float),
            ("active", Kind::Bool),
            ("note", Kind::Text),
        ];
        Schema::new(columns.into_iter().map(|(name, kind)| Column::new(name, kind)).collect())
            .unwrap_or_else(|error| unreachable!("the names are unique: {error}"))
    }

    fn new_row(id: i64, dice: &Dice) -> Row {
        Row {
            email: format!("person{id}@example.com"),
            plan: (!dice.chance(10)).then(|| PLANS[dice.below(4) as usize].to_owned()),
            score: dice.below(1000) as f64 / 4.0,
            active: dice.chance(70),
            note: String::new(),
        }
    }

    /// A step of life: rows come, change and go, and now and then the model is broken.
    pub(crate) fn live(&mut self, dice: &Dice) {
        for _ in 0..dice.below(if self.rows.is_empty() { 120 } else { 30 }) {
            let id = self.next_id;
            self.next_id += 1;
            self.rows.insert(id, Self::new_row(id, dice));
        }
        let ids: Vec<i64> = self.rows.keys().copied().collect();
        for id in ids {
            match dice.below(20) {
                0 => {
                    self.rows.remove(&id);
                }
                1 | 2 => {
                    self.rows.insert(id, Self::new_row(id, dice));
                }
                3 => {
                    if let Some(row) = self.rows.get_mut(&id) {
                        row.note = format!("note {}", dice.below(1000));
                    }
                }
                _ => {}
            }
        }
        let ids: Vec<i64> = self.rows.keys().copied().collect();
        self.twice.clear();
        if dice.chance(15) && !ids.is_empty() {
            self.twice.push(ids[dice.below(ids.len() as u64) as usize]);
        }
        self.nameless = if dice.chance(10) { dice.range(1, 3) } else { 0 };
    }

    /// The model is right again.
    pub(crate) fn heal(&mut self) {
        self.twice.clear();
        self.nameless = 0;
    }

    /// The model's result, in an order drawn from the dice, in batches of `rows_max`.
    pub(crate) fn result(&self, rows_max: usize, dice: &Dice) -> Vec<RecordBatch> {
        let mut rows: Vec<(Option<i64>, &Row)> = self.rows.iter().map(|(id, row)| (Some(*id), row)).collect();
        rows.extend(self.twice.iter().filter_map(|id| self.rows.get(id).map(|row| (Some(*id), row))));
        let nameless = Row { email: "nobody".into(), plan: None, score: 0.0, active: false, note: String::new() };
        rows.extend((0..self.nameless).map(|_| (None, &nameless)));
        for index in (1..rows.len()).rev() {
            rows.swap(index, dice.below(index as u64 + 1) as usize);
        }
        rows.chunks(rows_max.max(1)).map(batch).collect()
    }
}

fn batch(rows: &[(Option<i64>, &Row)]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(id, _)| *id).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|(_, row)| Some(row.email.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, row)| row.plan.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|(_, row)| Some(row.score)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|(_, row)| Some(row.active)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|(_, row)| Some(row.note.as_str())).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Warehouse::schema().to_arrow(), columns)
        .unwrap_or_else(|error| unreachable!("the columns are those of the schema: {error}"))
}
