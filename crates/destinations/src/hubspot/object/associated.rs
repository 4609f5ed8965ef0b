//! The records that others are linked with: found, or created, by their own id properties, then linked.

use std::collections::HashMap;

use kit::DeliveryError;
use records::{Object, Outcome, Value, object};

use super::item::Association;
use super::written::Written;
use super::{Common, Outcomes};
use crate::hubspot::api::{self, Api, Batched, Finder, RECORDS_MAX, Said, id_of};
use crate::hubspot::links::{self, Change, Link};

/// A link that a written record asks for.
struct Wish<'w> {
    /// Its place among the written records.
    of: usize,
    association: &'w Association,
}

/// The other records of one object type and id property.
struct Others<'w> {
    object_type: &'w str,
    id_property: &'w str,
    wishes: Vec<Wish<'w>>,
}

/// Makes or removes the links that the written records ask for. What fails is told of the record that asked.
pub(super) async fn change(
    api: Api<'_>,
    common: &Common<'_>,
    change: Change,
    written: &[Written],
    outcomes: &mut Outcomes,
) -> Result<(), DeliveryError> {
    let creates = change == Change::Make && common.creates_associated;
    let mut links: Vec<(&str, Vec<Link>)> = Vec::new();
    for others in grouped(written, change) {
        let found = found(api, &others, creates).await?;
        for wish in &others.wishes {
            match found.get(wish.association.id.as_str()) {
                Some(Ok(Some(id))) => {
                    let link = link(wish, &written[wish.of].id, id);
                    match links.iter_mut().find(|(object_type, _)| *object_type == others.object_type) {
                        Some((_, links)) if links.contains(&link) => {}
                        Some((_, links)) => links.push(link),
                        None => links.push((others.object_type, vec![link])),
                    }
                }
                // There is no such record, and none is to be created.
                Some(Ok(None)) | None => {}
                Some(Err(outcome)) => outcomes.fail(&written[wish.of].item, outcome.clone()),
            }
        }
    }
    for (object_type, links) in links {
        for (of, outcome) in links::change(api, change, common.object_type, object_type, &links).await? {
            outcomes.fail(&written[of].item, outcome);
        }
    }
    Ok(())
}

fn link(wish: &Wish<'_>, from: &str, to: &str) -> Link {
    let mut label = wish.association.label.split(':');
    let part = |part: Option<&str>| part.map_or(Value::Null, Value::from);
    let (category, type_id) = (part(label.next()), part(label.next()));
    Link { of: wish.of, from: from.to_owned(), to: to.to_owned(), category, type_id }
}

/// By object type and id property, in the order in which they first come.
fn grouped(written: &[Written], change: Change) -> Vec<Others<'_>> {
    let mut groups: Vec<Others<'_>> = Vec::new();
    for (of, written) in written.iter().enumerate() {
        let asked = match change {
            Change::Make => &written.item.associations,
            Change::Remove => &written.item.dissociations,
        };
        for association in asked {
            let wish = Wish { of, association };
            let (object_type, id_property) = (association.object_type.as_str(), association.id_property.as_str());
            match groups.iter_mut().find(|group| group.object_type == object_type && group.id_property == id_property) {
                Some(group) => group.wishes.push(wish),
                None => groups.push(Others { object_type, id_property, wishes: vec![wish] }),
            }
        }
    }
    groups
}

type FoundIds<'w> = HashMap<&'w str, Result<Option<String>, Outcome>>;

/// The ids of the other records by their id properties: none where there is no such record, or why it is not known.
async fn found<'w>(api: Api<'_>, others: &Others<'w>, creates: bool) -> Result<FoundIds<'w>, DeliveryError> {
    let mut ids: Vec<&str> = Vec::new();
    for wish in &others.wishes {
        if !ids.contains(&wish.association.id.as_str()) {
            ids.push(&wish.association.id);
        }
    }
    let mut found = HashMap::new();
    for ids in ids.chunks(RECORDS_MAX) {
        let answered = if creates {
            let inputs = ids.iter().map(|id| {
                let properties: Object = [(others.id_property.to_owned(), Value::from(*id))].into_iter().collect();
                object! { "idProperty" => others.id_property, "id" => *id, "properties" => properties }
            });
            api.batch(others.object_type, "upsert", &object! { "inputs" => inputs.collect::<Vec<_>>() }).await?
        } else {
            let body = api::read_body(&[others.id_property], others.id_property, ids.iter().copied());
            api.batch(others.object_type, "read", &body).await?
        };
        let finder = Finder::new(&answered.results, |object| {
            let shown = api::property(object, others.id_property);
            shown.or_else(|| (others.id_property == "hs_object_id").then(|| id_of(object)).flatten())
        });
        if creates {
            let said = answered.said(ids, |id| finder.place(id), |id| vec![(*id).to_owned()]);
            found.extend(ids.iter().zip(said).map(|(id, said)| (*id, created(&answered, said))));
        } else {
            for id in ids {
                let read = answered.read(&finder, id);
                found.insert(*id, read.map(|place| place.and_then(|place| id_of(&answered.results[place]))));
            }
        }
    }
    Ok(found)
}

fn created(answered: &Batched, said: Said) -> Result<Option<String>, Outcome> {
    let doubt = || Outcome::InDoubt {
        message: "the record was written; HubSpot does not show the one to link it with".to_owned(),
    };
    match said {
        Said::Object(place) => id_of(&answered.results[place]).map(Some).ok_or_else(doubt),
        Said::Failed(Outcome::Rejected { code, message }) => Err(Outcome::rejected(
            "ASSOCIATION_FAILED",
            format!("the record was written, but the one to link it with was not ({code}): {message}"),
        )),
        Said::Failed(outcome) => Err(outcome),
        Said::Processed | Said::Nothing => Err(doubt()),
    }
}
