//! What a call's result means for its records: an end, another attempt, two halves, or the end of the load.

use std::sync::Arc;
use std::time::Duration;

use records::{Outcome, Random};
use tokio::time::Instant;

use super::batching::{Tried, Work};
use super::call::Called;
use super::{LoadPlan, LoadStop};
use crate::{DeliveryError, Exchange, Payload};

#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub ended: Vec<(Payload, Outcome, u32, Option<Arc<Exchange>>)>,
    pub again: Vec<Work>,
    /// Not sent this time, nor to be sent again.
    pub unsent: Vec<Work>,
    pub stop: Option<LoadStop>,
    /// The destination took or refused something, so it works.
    pub answered: bool,
    /// A batch was tried to the limit in vain.
    pub gave_up: bool,
    /// A record that was sent by itself was refused: code and message.
    pub refused_alone: Option<(String, String)>,
    pub why: Option<String>,
}

impl Verdict {
    pub(super) fn of(called: Called, plan: &LoadPlan, random: &dyn Random) -> Self {
        let mut verdict = Self::default();
        let (mut work, result, exchange) = match called {
            Called::NotSent(work) => {
                verdict.unsent.push(work);
                return verdict;
            }
            Called::Sent { work, result, exchange } => (work, result, exchange),
        };
        let left = !matches!(
            result,
            Err(DeliveryError::Unreachable { .. } | DeliveryError::Settings { .. } | DeliveryError::Preview)
        );
        if left {
            for tried in &mut work.tries {
                tried.attempts += 1;
                tried.exchange.clone_from(&exchange);
            }
        }
        match result {
            Ok(outcomes) if outcomes.len() == work.payloads.len() => verdict.by_record(work, outcomes, plan, random),
            Ok(outcomes) => {
                let message = format!("{} results came back for {} records", outcomes.len(), work.payloads.len());
                verdict.gave_up = true;
                verdict.why = Some(message.clone());
                work.doubt(&message);
                verdict.end(work);
            }
            Err(error) => verdict.by_error(work, error, plan, random),
        }
        verdict
    }

    fn by_record(&mut self, work: Work, outcomes: Vec<Outcome>, plan: &LoadPlan, random: &dyn Random) {
        let Work { payloads, tries, failures, waits, first_sent, .. } = work;
        let mut again = Work { payloads: Vec::new(), tries: Vec::new(), failures, waits, first_sent, not_before: None };
        let mut longest: Option<Duration> = None;
        for ((payload, mut tried), outcome) in payloads.into_iter().zip(tries).zip(outcomes) {
            match &outcome {
                Outcome::Delivered | Outcome::Rejected { .. } => {
                    self.answered = true;
                    self.ended.push((payload, outcome, tried.attempts, tried.exchange));
                    continue;
                }
                Outcome::InDoubt { message } => tried.doubt = Some(message.as_str().into()),
                Outcome::Retry { after, .. } => longest = longest.max(*after),
            }
            tried.last = Some(outcome);
            again.payloads.push(payload);
            again.tries.push(tried);
        }
        if !again.payloads.is_empty() {
            again.failures += 1;
            self.retry(again, longest, true, plan, random);
            // Some of the batch may have been taken; one record that never is does not mean a failing destination.
            self.gave_up = self.gave_up && !self.answered;
        }
    }

    fn by_error(&mut self, mut work: Work, error: DeliveryError, plan: &LoadPlan, random: &dyn Random) {
        let text = error.to_string();
        self.why = Some(text.clone());
        match error {
            DeliveryError::Refused { code, message } => {
                self.answered = true;
                if work.payloads.len() > 1 {
                    // What they are told if the load ends before they were tried alone.
                    work.say(&Outcome::Retry { after: None, code, message });
                    self.again.extend(work.halves());
                } else {
                    self.refused_alone = Some((code.clone(), message.clone()));
                    let outcome = Outcome::Rejected { code, message };
                    let records = work.payloads.into_iter().zip(work.tries);
                    self.ended.extend(
                        records.map(|(payload, tried)| (payload, outcome.clone(), tried.attempts, tried.exchange)),
                    );
                }
            }
            DeliveryError::CredentialsRefused { message } => {
                work.say(&Outcome::retry("credentials_refused", message.clone()));
                self.stop = Some(LoadStop::CredentialsRefused { message });
                self.end(work);
            }
            DeliveryError::Settings { message } => {
                self.stop = Some(LoadStop::Settings { message });
                self.unsent.push(work);
            }
            DeliveryError::Preview => {
                self.stop = Some(LoadStop::Settings { message: text });
                self.unsent.push(work);
            }
            DeliveryError::RateLimited { after } => {
                work.say(&Outcome::Retry { after, code: "rate_limited".to_owned(), message: text });
                work.waits += 1;
                self.retry(work, after, false, plan, random);
            }
            DeliveryError::Failed { code, message } => {
                work.say(&Outcome::Retry { after: None, code, message });
                work.failures += 1;
                self.retry(work, None, true, plan, random);
            }
            DeliveryError::NoAnswer { .. } | DeliveryError::UnexpectedAnswer { .. } => {
                work.doubt(&text);
                work.failures += 1;
                self.retry(work, None, true, plan, random);
            }
            DeliveryError::Unreachable { message } => {
                work.failures += 1;
                self.retry(work, None, true, plan, random);
                if self.gave_up {
                    self.stop = Some(LoadStop::Unreachable { message });
                }
            }
        }
    }

    /// Once more, unless the attempts (`counted`) or the time are used up.
    fn retry(&mut self, mut work: Work, after: Option<Duration>, counted: bool, plan: &LoadPlan, random: &dyn Random) {
        let now = Instant::now();
        let delay = plan.retry.delay(work.failures + work.waits, after, random);
        let begun = work.first_sent.unwrap_or(now);
        if (counted && work.failures >= plan.retry.attempts_max)
            || now.duration_since(begun) + delay > plan.retry.elapsed_max
        {
            self.gave_up = true;
            self.end(work);
        } else {
            work.not_before = Some(now + delay);
            self.again.push(work);
        }
    }

    /// Ends those that were sent, with what is known of them.
    fn end(&mut self, work: Work) {
        let unsent = |tried: &Tried| tried.attempts == 0;
        if work.tries.iter().all(unsent) {
            self.unsent.push(work);
            return;
        }
        for (payload, tried) in work.payloads.into_iter().zip(work.tries) {
            let outcome = tried.outcome_so_far();
            self.ended.push((payload, outcome, tried.attempts, tried.exchange));
        }
    }
}

impl Work {
    fn say(&mut self, outcome: &Outcome) {
        self.tries.iter_mut().for_each(|tried| tried.last = Some(outcome.clone()));
    }

    fn doubt(&mut self, why: &str) {
        let why: Arc<str> = why.into();
        self.tries.iter_mut().for_each(|tried| tried.doubt = Some(Arc::clone(&why)));
    }
}
