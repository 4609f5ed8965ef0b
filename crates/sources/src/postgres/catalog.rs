//! What the server's type numbers mean: which are read in binary form, which the server must turn to text first.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    binary::Scalar,
    structure::Form,
    wire::{Connection, Failure},
};

/// Composites within arrays within domains…; more steps than this are not asked for.
const STEPS_MAX: usize = 16;

/// What the server's catalog says of types, collected as far as the columns need.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    entries: BTreeMap<u32, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    name: String,
    /// `b` base, `c` composite, `d` domain, `e` enumeration, `p` pseudo, `r` range, `m` multirange.
    sort: char,
    base: u32,
    element: u32,
    relation: u32,
    attributes: Vec<(String, u32)>,
}

impl Catalog {
    /// Asks the server for whatever these types and their parts are, if it is not known by heart.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn load(connection: &mut Connection, types: &[u32]) -> Result<Self, Failure> {
        let mut catalog = Self::default();
        let mut wanted: BTreeSet<u32> = types.iter().copied().collect();
        for _ in 0..STEPS_MAX {
            wanted.retain(|id| built_in(*id).is_none() && !catalog.entries.contains_key(id));
            if wanted.is_empty() {
                break;
            }
            wanted = catalog.load_some(connection, &wanted).await?;
        }
        Ok(catalog)
    }

    /// Loads these types and gives those they are made of.
    async fn load_some(
        &mut self,
        connection: &mut Connection,
        wanted: &BTreeSet<u32>,
    ) -> Result<BTreeSet<u32>, Failure> {
        let ids: Vec<String> = wanted.iter().map(u32::to_string).collect();
        let text = format!(
            "SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typrelid, \
             CASE WHEN t.typinput = 'pg_catalog.array_in'::pg_catalog.regproc THEN t.typelem ELSE 0 END \
             FROM pg_catalog.pg_type t WHERE t.oid IN ({})",
            ids.join(",")
        );
        let mut relations = BTreeMap::new();
        let mut next = BTreeSet::new();
        for row in connection.query(&text).await? {
            let entry = Entry {
                name: text_at(&row, 1),
                sort: text_at(&row, 2).chars().next().unwrap_or('b'),
                base: number_at(&row, 3),
                relation: number_at(&row, 4),
                element: number_at(&row, 5),
                attributes: Vec::new(),
            };
            next.extend([entry.base, entry.element].into_iter().filter(|&id| id != 0));
            if entry.relation != 0 {
                relations.insert(entry.relation, number_at(&row, 0));
            }
            self.entries.insert(number_at(&row, 0), entry);
        }
        // A type that is gone by now is one that we do not know.
        for id in wanted {
            self.entries.entry(*id).or_default();
        }
        if !relations.is_empty() {
            let ids: Vec<String> = relations.keys().map(u32::to_string).collect();
            let text = format!(
                "SELECT attrelid, attname, atttypid FROM pg_catalog.pg_attribute \
                 WHERE attrelid IN ({}) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum",
                ids.join(",")
            );
            for row in connection.query(&text).await? {
                let owner = relations.get(&number_at(&row, 0)).and_then(|id| self.entries.get_mut(id));
                if let Some(entry) = owner {
                    entry.attributes.push((text_at(&row, 1), number_at(&row, 2)));
                    next.insert(number_at(&row, 2));
                }
            }
        }
        Ok(next)
    }

    /// How a type's binary form is read; none if the server must make text or JSON of it.
    pub(super) fn form(&self, id: u32) -> Option<Form> {
        self.form_at(id, STEPS_MAX)
    }

    fn form_at(&self, id: u32, depth: usize) -> Option<Form> {
        if let Some(scalar) = built_in(id) {
            return Some(Form::Scalar(scalar));
        }
        let deeper = depth.checked_sub(1)?;
        let entry = self.entries.get(&id)?;
        match entry.sort {
            'd' => self.form_at(entry.base, deeper),
            'e' => Some(Form::Scalar(Scalar::Text)),
            'c' => {
                let attributes = entry.attributes.iter();
                let forms = attributes.map(|(name, id)| Some((name.clone(), self.form_at(*id, deeper)?)));
                Some(Form::Composite(forms.collect::<Option<_>>()?))
            }
            'b' if entry.element != 0 => Some(Form::Array(Box::new(self.form_at(entry.element, deeper)?))),
            'b' if entry.name == "citext" => Some(Form::Scalar(Scalar::Text)),
            _ => None,
        }
    }

    /// Whether a type has parts, so that JSON tells more of it than text.
    pub(super) fn is_structure(&self, id: u32) -> bool {
        const RECORD: u32 = 2249;
        const RECORDS: u32 = 2287;
        let mut id = id;
        for _ in 0..STEPS_MAX {
            match self.entries.get(&id) {
                _ if id == RECORD || id == RECORDS => return true,
                Some(entry) if entry.sort == 'd' => id = entry.base,
                Some(entry) => return entry.sort == 'c' || (entry.sort == 'b' && entry.element != 0),
                None => return false,
            }
        }
        false
    }
}

/// PostgreSQL's own types, whose numbers never change.
fn built_in(id: u32) -> Option<Scalar> {
    Some(match id {
        16 => Scalar::Bool,
        17 => Scalar::Bytea,
        20 => Scalar::Int8,
        21 => Scalar::Int2,
        23 => Scalar::Int4,
        26 => Scalar::Oid,
        // "char", name, text, xml, unknown, character, character varying
        18 | 19 | 25 | 142 | 705 | 1042 | 1043 => Scalar::Text,
        114 => Scalar::Json,
        650 | 869 => Scalar::Inet,
        700 => Scalar::Float4,
        701 => Scalar::Float8,
        774 | 829 => Scalar::MacAddr,
        790 => Scalar::Money,
        1082 => Scalar::Date,
        1083 => Scalar::Time,
        1114 => Scalar::Timestamp,
        1184 => Scalar::TimestampTz,
        1186 => Scalar::Interval,
        1266 => Scalar::TimeTz,
        1700 => Scalar::Numeric,
        2950 => Scalar::Uuid,
        3802 => Scalar::Jsonb,
        _ => return None,
    })
}

fn text_at(row: &[Option<String>], index: usize) -> String {
    row.get(index).cloned().flatten().unwrap_or_default()
}

fn number_at(row: &[Option<String>], index: usize) -> u32 {
    row.get(index).and_then(|cell| cell.as_deref()).and_then(|cell| cell.parse().ok()).unwrap_or(0)
}
