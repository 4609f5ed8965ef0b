//! `groupIdentifyContact`: a company, and the contact that belongs to it.

use kit::{DeliveryError, Request, Wire};
use records::{Outcome, Value, object};

use super::contacts::Found;
use super::{Intercom, ORIGIN, is_id, stored_id, text};

impl Intercom {
    /// Stores the company, and puts the contact into it if there is one.
    pub(super) async fn update_company(&self, fields: &Value, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let found = self.find_contact(fields, wire).await?;
        let mut company = fields.clone();
        if let Value::Object(company) = &mut company {
            company.remove("email");
            company.remove("external_id");
        }
        let answer = self.ask(Request::post(format!("{ORIGIN}/companies")).json(&company), wire).await?;
        let company = stored_id(&answer)?;
        let contact = match (found, text(fields, "contact_id")) {
            (Found::One(id), _) => id,
            (Found::NotAsked, None) => return Ok(Outcome::Delivered),
            (Found::NotAsked, Some(id)) if is_id(id) => id.to_owned(),
            (Found::NotAsked, Some(id)) => {
                let message = format!("the company is stored, but `{id}` in `contact_id` is no id of a contact");
                return Ok(Outcome::rejected("CONTACT_NOT_FOUND", message));
            }
            (Found::Nobody | Found::Several(_), _) => {
                let message = "the company is stored, but no single contact has this external id or email, so none was put into it";
                return Ok(Outcome::rejected("CONTACT_NOT_FOUND", message));
            }
        };
        let request = Request::post(format!("{ORIGIN}/contacts/{contact}/companies"));
        let answer = self.ask(request.json(&object! { "id" => company }), wire).await?;
        stored_id(&answer).map(|_| Outcome::Delivered)
    }
}
