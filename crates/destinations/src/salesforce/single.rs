//! One record at a time, with the REST API: create, or find and update, or find and delete.

use kit::{Answer, DeliveryError, Payload, Request, Wire};
use records::{Outcome, Value};

use super::Salesforce;
use super::answers::failure;
use super::lookup::{Found, encoded, given_id, query, traits};
use super::object::{Kind, Operation, body};

impl Salesforce {
    /// Delivers one record as the original does: a request, or a query and a request.
    pub(super) async fn one(
        &self,
        kind: &Kind,
        operation: Operation,
        payload: &Payload,
        wire: &Wire,
    ) -> Result<Outcome, DeliveryError> {
        let prepared = kind.incomplete(operation, payload).map_or_else(|| kind.object(payload), Err);
        let object = match prepared {
            Ok(object) => object,
            Err(refusal) => return Ok(refusal),
        };
        if operation == Operation::Create {
            return self.create(object, payload, wire).await;
        }
        let traits = match traits(payload) {
            Ok(traits) => traits,
            Err(refusal) => return Ok(refusal),
        };
        // An upsert asks in any case, since only an existing record can be updated by its id.
        let id = match given_id(traits).filter(|_| operation != Operation::Upsert) {
            Some(id) => id,
            None => {
                let soql = match query(object, payload, traits) {
                    Ok(soql) => soql,
                    Err(refusal) => return Ok(refusal),
                };
                match self.find(&soql, wire).await? {
                    Found::One(id) => id,
                    Found::Nothing if operation == Operation::Upsert => {
                        return self.create(object, payload, wire).await;
                    }
                    Found::Nothing => return Ok(nothing_found(object)),
                    Found::Many => return Ok(many_found(object)),
                }
            }
        };
        let url = self.url(&format!("sobjects/{object}/{}", encoded(&id)));
        let request = match operation {
            Operation::Delete => Request::delete(url),
            _ => Request::patch(url).json(&body(payload)),
        };
        match self.taken(&self.send(wire, request).await?) {
            // It is gone, which is what was asked for.
            Err(DeliveryError::Refused { code, .. })
                if operation == Operation::Delete && code == "ENTITY_IS_DELETED" =>
            {
                Ok(Outcome::Delivered)
            }
            other => other,
        }
    }

    async fn create(&self, object: &str, payload: &Payload, wire: &Wire) -> Result<Outcome, DeliveryError> {
        let request = Request::post(self.url(&format!("sobjects/{object}")));
        let answer = self.send(wire, request.json(&body(payload))).await?;
        if let Some(error) = failure(&answer, &self.facts.statuses) {
            return Err(error);
        }
        let json = answer.json()?;
        match json.get("success").and_then(Value::as_bool) {
            Some(true) => Ok(Outcome::Delivered),
            _ => Err(DeliveryError::UnexpectedAnswer { message: format!("no `success`: {}", answer.message()) }),
        }
    }

    /// An update or deletion is done when the answer is empty.
    fn taken(&self, answer: &Answer) -> Result<Outcome, DeliveryError> {
        if let Some(error) = failure(answer, &self.facts.statuses) {
            return Err(error);
        }
        if answer.body.trim_ascii().is_empty() {
            return Ok(Outcome::Delivered);
        }
        match answer.json()?.get("success").and_then(Value::as_bool) {
            Some(true) => Ok(Outcome::Delivered),
            _ => Err(DeliveryError::UnexpectedAnswer {
                message: format!("status {} where 204 and no body were expected", answer.status),
            }),
        }
    }
}

/// No record has what the matching fields ask for.
pub(super) fn nothing_found(object: &str) -> Outcome {
    Outcome::rejected("RECORD_NOT_FOUND", format!("no {object} record has these `traits`"))
}

/// Several records have what the matching fields ask for.
pub(super) fn many_found(object: &str) -> Outcome {
    let message = format!("several {object} records have these `traits`; nothing is changed unless they lead to one");
    Outcome::rejected("MULTIPLE_RECORDS_FOUND", message)
}
