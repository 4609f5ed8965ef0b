//! Companies, found by your own identifier, which is kept in a property of its own.

use std::collections::HashSet;

use kit::{Answer, Batch, DeliveryError, Request};
use records::{Object, Outcome, Value, object};

use super::api::{self, Api, Batched, Finder, ORIGIN, shown_id};
use super::search::{self, Found};
use super::values::{flattened, is_truthy, segment, text, trimmed};
use super::writes::Writes;

/// The property that holds the identifier, under the name that Segment gave it, so that companies which Segment
/// wrote are found.
pub(super) const IDENTIFIER: &str = "segment_group_id";

/// What a company is to become.
struct Company<'f> {
    fields: &'f Value,
    identifier: &'f str,
    properties: Value,
    /// The contact to link it with.
    contact: Option<String>,
}

/// The company of a record, or why it is refused before anything is sent.
fn company<'f>(fields: &'f Value, contact: Option<&Value>) -> Result<Company<'f>, Outcome> {
    if is_truthy(fields.at(&["properties", IDENTIFIER])) {
        let message = format!("the property `{IDENTIFIER}` is kept by `groupid`; take it out of `properties`");
        return Err(Outcome::rejected("RESERVED_PROPERTY", message));
    }
    let contact = contact.filter(|contact| is_truthy(Some(contact))).map(super::values::text_of);
    let associate = is_truthy(fields.get("associateContact"));
    if associate && contact.is_none() {
        let message = "there is no contact to associate: only an event that upserted one just before has it, which \
                       records of a warehouse do not; set `associateContact` to false, or link the two with `upsertObject`";
        return Err(Outcome::rejected("NO_CONTACT", message));
    }
    let identifier = text(fields, "groupid").unwrap_or_default();
    if identifier.is_empty() {
        return Err(Outcome::rejected("NO_IDENTIFIER", "`groupid` is empty; map it to your id of the company"));
    }
    Ok(Company {
        fields,
        identifier,
        properties: properties(fields, identifier),
        contact: contact.filter(|_| associate),
    })
}

fn properties(fields: &Value, identifier: &str) -> Value {
    let mut properties = Object::new();
    for name in ["name", "description", "address", "city", "state", "zip", "domain", "phone", "industry"] {
        if let Some(value) = text(fields, name) {
            properties.insert(name, Value::from(trimmed(value)));
        }
    }
    if let Some(count) = fields.get("numberofemployees").filter(|count| !count.is_null()) {
        properties.insert("numberofemployees", count.clone());
    }
    if let Some(stage) = text(fields, "lifecyclestage") {
        properties.insert("lifecyclestage", Value::from(trimmed(&stage.to_lowercase())));
    }
    properties.insert(IDENTIFIER, Value::from(identifier));
    for (name, value) in flattened(fields.get("properties")).into_iter().flatten() {
        properties.insert(name, value);
    }
    Value::Object(properties)
}

/// Updates or creates the company of one record.
pub(super) async fn deliver_one(
    api: Api<'_>,
    fields: &Value,
    contact: Option<&Value>,
) -> Result<Outcome, DeliveryError> {
    match company(fields, contact) {
        Ok(company) => write_one(api, &company).await,
        Err(refusal) => Ok(refusal),
    }
}

async fn write_one(api: Api<'_>, company: &Company<'_>) -> Result<Outcome, DeliveryError> {
    let there = format!("{ORIGIN}/crm/v3/objects/companies/{}?idProperty={IDENTIFIER}", segment(company.identifier));
    let answer = api.answer(Request::patch(there).json(&object! { "properties" => &company.properties })).await?;
    if lacks_identifier(&answer) {
        create_identifier(api).await?;
        return Ok(Outcome::retry(
            "PROPERTY_CREATED",
            format!("HubSpot lacked the property `{IDENTIFIER}`; it has it now"),
        ));
    }
    if answer.status == 404 {
        return find_and_write(api, company).await;
    }
    let id = shown_id(&api.taken(&answer)?)?;
    associate(api, company, &id).await
}

/// Goes on when no company has the identifier.
async fn find_and_write(api: Api<'_>, company: &Company<'_>) -> Result<Outcome, DeliveryError> {
    let show = search::Show { properties: &["name", "domain", "lifecyclestage", IDENTIFIER], sorts: &["name"] };
    let found = search::by_fields(api, "companies", company.fields.get("companysearchfields"), show).await?;
    let id = match found {
        Found::Refused(reason) => {
            let message = format!(
                "HubSpot refused the search for the company: {reason}; see that `companysearchfields` names properties of companies"
            );
            return Ok(Outcome::rejected("COMPANY_SEARCH_FAILED", message));
        }
        Found::Failed(outcome) => return Ok(outcome),
        Found::Several(count) => {
            let message =
                format!("{count} companies fit `companysearchfields`, so none is updated; make the search unique");
            return Ok(Outcome::rejected("COMPANY_NOT_UNIQUE", message));
        }
        Found::None if !is_truthy(company.fields.get("createNewCompany")) => return Ok(not_found(company.identifier)),
        Found::None => {
            let url = format!("{ORIGIN}/crm/v3/objects/companies");
            let body = object! { "properties" => &company.properties, "associations" => Vec::<Value>::new() };
            write_again_with_identifier(api, || Request::post(url.clone()).json(&body)).await?
        }
        Found::One(id) => {
            let url = format!("{ORIGIN}/crm/v3/objects/companies/{}", segment(&id));
            let body = object! { "properties" => &company.properties };
            write_again_with_identifier(api, || Request::patch(url.clone()).json(&body)).await?;
            id
        }
    };
    associate(api, company, &id).await
}

fn not_found(identifier: &str) -> Outcome {
    let message = format!("no company is found for the identifier `{identifier}`, and `createNewCompany` is off");
    Outcome::rejected("NOT_FOUND", message)
}

async fn associate(api: Api<'_>, company: &Company<'_>, id: &str) -> Result<Outcome, DeliveryError> {
    if let Some(contact) = &company.contact {
        let url = format!(
            "{ORIGIN}/crm/v3/objects/companies/{}/associations/contacts/{}/company_to_contact",
            segment(id),
            segment(contact)
        );
        let answer = api.answer(Request::put(url)).await?;
        api.acknowledged(&answer)?;
    }
    Ok(Outcome::Delivered)
}

/// Sends a request, creates the identifier's property if HubSpot lacks it and sends the request again. Gives the
/// company's id.
async fn write_again_with_identifier(api: Api<'_>, request: impl Fn() -> Request) -> Result<String, DeliveryError> {
    let mut answer = api.answer(request()).await?;
    if lacks_identifier(&answer) {
        create_identifier(api).await?;
        answer = api.answer(request()).await?;
    }
    shown_id(&api.taken(&answer)?)
}

/// Whether a request was refused for nothing but that the identifier's property does not exist.
fn lacks_identifier(answer: &Answer) -> bool {
    if answer.status != 400 {
        return false;
    }
    let message = answer.json().ok().and_then(|json| json.get("message").and_then(Value::as_str).map(str::to_owned));
    let Some(message) = message else { return false };
    let listed = Value::parse(&message.replacen("Property values were not valid: ", "", 1));
    let Ok(Value::Array(problems)) = listed else { return false };
    let [problem] = &problems[..] else { return false };
    text(problem, "name") == Some(IDENTIFIER) && text(problem, "error") == Some("PROPERTY_DOESNT_EXIST")
}

async fn create_identifier(api: Api<'_>) -> Result<(), DeliveryError> {
    let property = object! {
        "name" => IDENTIFIER,
        "label" => "Segment Group ID",
        "description" => "Unique Property to map Segment Group ID with a HubSpot Company Object",
        "groupName" => "companyinformation",
        "type" => "string",
        "fieldType" => "text",
        "hidden" => true,
        "displayOrder" => -1_i64,
        "hasUniqueValue" => true,
        "formField" => false,
    };
    let answer = api.answer(Request::post(format!("{ORIGIN}/crm/v3/properties/companies")).json(&property)).await?;
    // Another call may have created it in the meantime.
    if answer.status == 409 { Ok(()) } else { api.acknowledged(&answer) }
}

/// Many companies: read by the identifier, then those that exist updated and the others created, each with one
/// request. Only companies that have to be searched for, or linked, take requests of their own.
pub(super) async fn deliver_batch(api: Api<'_>, batch: &Batch) -> Result<Vec<Outcome>, DeliveryError> {
    let contact = batch.settings.transaction.get("contact_id");
    let mut outcomes: Vec<Option<Outcome>> = batch.records.iter().map(|_| None).collect();
    let mut companies = Vec::with_capacity(batch.records.len());
    let mut seen = HashSet::new();
    for (record, payload) in batch.records.iter().enumerate() {
        match company(&payload.fields, contact) {
            Ok(company) if seen.insert(company.identifier) => companies.push((record, company)),
            // One request may hold a company only once; the later record is sent after the earlier.
            Ok(_) => outcomes[record] = Some(same_company()),
            Err(refusal) => outcomes[record] = Some(refusal),
        }
    }
    let (alone, together): (Vec<_>, Vec<_>) = companies.into_iter().partition(|(_, company)| company.contact.is_some());
    write_many(api, together, &mut outcomes).await?;
    for (record, company) in alone {
        outcomes[record] = Some(write_one(api, &company).await?);
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(not_read)).collect())
}

fn same_company() -> Outcome {
    Outcome::retry("SAME_COMPANY", "another record of the batch has the same `groupid`; sent again after it")
}

fn not_read() -> Outcome {
    Outcome::retry(
        "NOT_READ",
        "HubSpot said neither that there is a company with this identifier nor that there is none",
    )
}

async fn write_many(
    api: Api<'_>,
    companies: Vec<(usize, Company<'_>)>,
    outcomes: &mut [Option<Outcome>],
) -> Result<(), DeliveryError> {
    if companies.is_empty() {
        return Ok(());
    }
    let identifiers = || companies.iter().map(|(_, company)| company.identifier);
    let read = match read(api, identifiers()).await {
        Err(DeliveryError::Refused { .. }) if !identifier_exists(api).await? => {
            create_identifier(api).await?;
            let message = format!("HubSpot lacked the property `{IDENTIFIER}`; it has it now");
            for (record, _) in companies {
                outcomes[record] = Some(Outcome::retry("PROPERTY_CREATED", message.clone()));
            }
            return Ok(());
        }
        read => read?,
    };
    let finder = Finder::new(&read.results, |result| api::property(result, IDENTIFIER));
    let (mut updates, mut creates) = (Writes::updates(), Writes::creates());
    for (record, company) in companies {
        match read.read(&finder, company.identifier) {
            Err(outcome) => outcomes[record] = Some(outcome),
            Ok(Some(place)) => {
                let id = shown_id(&read.results[place])?;
                outcomes[record] = updates.add(record, Some(id), &company.properties, None);
            }
            Ok(None) if search::has_fields(company.fields.get("companysearchfields")) => {
                outcomes[record] = Some(find_and_write(api, &company).await?);
            }
            Ok(None) if !is_truthy(company.fields.get("createNewCompany")) => {
                outcomes[record] = Some(not_found(company.identifier));
            }
            Ok(None) => outcomes[record] = creates.add(record, None, &company.properties, None),
        }
    }
    creates.send(api, "companies", outcomes).await?;
    updates.send(api, "companies", outcomes).await
}

async fn read<'i>(api: Api<'_>, identifiers: impl Iterator<Item = &'i str>) -> Result<Batched, DeliveryError> {
    api.batch("companies", "read", &api::read_body(&[IDENTIFIER], IDENTIFIER, identifiers)).await
}

async fn identifier_exists(api: Api<'_>) -> Result<bool, DeliveryError> {
    let answer =
        api.answer(Request::get(format!("{ORIGIN}/crm/v3/properties/companies/{IDENTIFIER}")).reading()).await?;
    if answer.status == 404 { Ok(false) } else { api.acknowledged(&answer).map(|()| true) }
}
