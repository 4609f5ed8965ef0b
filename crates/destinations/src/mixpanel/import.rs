//! Sends events to `/import`, which checks them one by one.

use kit::{DeliveryError, Request, Wire};
use records::{Outcome, Value};

use super::Mixpanel;
use super::answers::{self, Refused};

/// What Mixpanel takes in one request; of the ten megabytes some are kept free.
const EVENTS_MAX: usize = 2000;
const BYTES_MAX: usize = 9_000_000;
/// A body is packed from this size on.
const PACKED_FROM: usize = 32 * 1024;

impl Mixpanel {
    /// Sends the events of each record, and tells of each record what became of its events.
    pub(super) async fn import(
        &self,
        strict: &str,
        events: Vec<Vec<Value>>,
        wire: &Wire,
    ) -> Result<Vec<Outcome>, DeliveryError> {
        let counts: Vec<usize> = events.iter().map(Vec::len).collect();
        let refused = self.import_all(strict, events.into_iter().flatten(), wire).await?;
        let mut first = 0;
        let outcomes = counts.into_iter().map(|count| {
            let own: Vec<_> = refused.range(first..first + count).collect();
            let outcome = match own.first() {
                None => Outcome::Delivered,
                Some((_, why)) if count == 1 => Outcome::rejected("INVALID_EVENT", why.as_str()),
                Some((place, why)) => {
                    let message = format!(
                        "{} of its {count} events were refused, number {} because: {why}",
                        own.len(),
                        *place - first + 1
                    );
                    Outcome::rejected("INVALID_EVENT", message)
                }
            };
            first += count;
            outcome
        });
        Ok(outcomes.collect())
    }

    /// Sends events in as few requests as they fit into.
    pub(super) async fn import_all(
        &self,
        strict: &str,
        events: impl Iterator<Item = Value>,
        wire: &Wire,
    ) -> Result<Refused, DeliveryError> {
        let (mut refused, mut sent) = (Refused::new(), 0);
        let mut body = String::from("[");
        let mut count = 0;
        for event in events {
            let start = body.len();
            if count > 0 {
                body.push(',');
            }
            event.write_json(&mut body);
            count += 1;
            if count > 1 && (count > EVENTS_MAX || body.len() > BYTES_MAX) {
                let last = body.split_off(start).split_off(1);
                self.import_list(strict, body, count - 1, sent, &mut refused, wire).await?;
                sent += count - 1;
                body = format!("[{last}");
                count = 1;
            }
        }
        if count > 0 {
            self.import_list(strict, body, count, sent, &mut refused, wire).await?;
        }
        Ok(refused)
    }

    async fn import_list(
        &self,
        strict: &str,
        mut body: String,
        count: usize,
        sent: usize,
        refused: &mut Refused,
        wire: &Wire,
    ) -> Result<(), DeliveryError> {
        body.push(']');
        let origin = self.account.origin;
        let is_large = body.len() > PACKED_FROM;
        let request = Request::post(format!("{origin}/import?strict={strict}")).text("application/json", body);
        let answer = wire.send(if is_large { request.gzip() } else { request }).await?;
        let found = answers::of_list(&answer, count, &self.facts.statuses)?;
        refused.extend(found.into_iter().map(|(place, why)| (place + sent, why)));
        Ok(())
    }
}
