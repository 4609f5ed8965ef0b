//! The form of a schedule in mapping files and in the API. Its JSON Schema is made of these types, comments included.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer as _, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};

use crate::{HookKind, When};

/// The fields of a schedule that hold secrets, as ways from its top.
pub const SECRETS: [&str; 1] = ["hook.secret"];

const MANUAL: &str = "manual";

/// When a mapping is synced: the word `manual`, or a map with one of `every`, `at`, `cron`, `after` and `hook`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ScheduleForm {
    /// Only when it is started.
    #[default]
    Manual,
    Parts(Box<SchedulePartsForm>),
}

/// When a mapping is synced: one of `every`, `at`, `cron`, `after` and `hook`, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "schedule_parts")]
pub struct SchedulePartsForm {
    /// The length of time between two starts, from `1s` on: `90s`, `15m`, `2h`, `1h30m`, `1d`. The first sync starts
    /// right away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Times of day such as `09:30`: one, or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<OneOrMore<String>>,
    /// With `at`: the days of the week, such as `mon` or `mon-fri`: one, or a list. Default: every day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<OneOrMore<String>>,
    /// Five fields of cron: minute, hour, day of month, month, day of week, as in `*/10 8-18 * * mon-fri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// With `at` or `cron`: the IANA time zone whose clock counts, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The mappings that are waited for: one name, or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<OneOrMore<String>>,
    /// With `after`: what they must have done since the last start. Default: `all_succeeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// A signed request from outside starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookForm>,
}

/// A signed request from outside.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "schedule_hook")]
pub struct HookForm {
    /// Who calls: a program that signs its requests (the default), or dbt Cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<HookKind>,
    /// What the body of the request is signed with (HMAC-SHA256).
    #[schemars(extend("writeOnly" = true))]
    pub secret: String,
    /// The header that holds the signature, of requests that are `signed`. Default: `X-Outflow-Signature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Jobs of dbt Cloud whose success starts a sync: one number, or a list. Default: every job that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<OneOrMore<u64>>,
}

impl fmt::Debug for HookForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookForm")
            .field("kind", &self.kind)
            .field("header", &self.header)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl Serialize for ScheduleForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Manual => serializer.serialize_str(MANUAL),
            Self::Parts(parts) => parts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ScheduleForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ScheduleForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`manual`, or a map such as `every: 15m`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ScheduleForm, E> {
                match text {
                    MANUAL => Ok(ScheduleForm::Manual),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a schedule; write `{MANUAL}`, or a map such as `every: 15m`"
                    ))),
                }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ScheduleForm, A::Error> {
                let parts = SchedulePartsForm::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ScheduleForm::Parts(Box::new(parts)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ScheduleForm {
    fn schema_name() -> Cow<'static, str> {
        "schedule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "When it is synced: `manual`, or a map with one of `every`, `at`, `cron`, `after` and `hook`.",
            "anyOf": [
                { "type": "string", "enum": [MANUAL] },
                generator.subschema_for::<SchedulePartsForm>(),
            ],
        })
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<T: Serialize> Serialize for OneOrMore<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
                T::deserialize(text.into_deserializer()).map(|one| OneOrMore(vec![one]))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<OneOrMore<T>, E> {
                T::deserialize(number.into_deserializer()).map(|one| OneOrMore(vec![one]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<OneOrMore<T>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMore)
            }
        }

        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("one_or_more_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "minItems": 1, "items": one }] })
    }
}

#[cfg(test)]
mod tests;
