//! One call of a destination: when it may begin, and what it gave.

use std::sync::Arc;
use std::time::Duration;

use records::{Outcome, Random};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::LoadPlan;
use super::batching::Work;
use crate::pace::Load;
use crate::{Batch, DeliveryError, Exchange};

/// What came of a work.
#[derive(Debug)]
pub(super) enum Called {
    /// The load was halted before its turn.
    NotSent(Work),
    Sent {
        work: Work,
        result: Result<Vec<Outcome>, DeliveryError>,
        exchange: Option<Arc<Exchange>>,
    },
}

/// Waits for the work's time, a free place and the rate limit, then makes the call. Once it has begun it is not
/// interrupted: only its end tells what the destination took.
pub(super) async fn call(plan: &LoadPlan, mut work: Work, halt: CancellationToken) -> Called {
    let limiter = plan.wire.limiter();
    let turn = tokio::select! {
        biased;
        () = halt.cancelled() => return Called::NotSent(work),
        turn = async {
            if let Some(at) = work.not_before {
                sleep_until(at).await;
            }
            let turn = limiter.pace.enter().await;
            limiter.acquire().await;
            turn
        } => turn,
    };
    let started = Instant::now();
    work.first_sent.get_or_insert(started);
    let wire = plan.wire.for_paid_call();
    let batch = Batch {
        action: plan.action.clone(),
        mode: plan.mode,
        sync: plan.sync.clone(),
        batching: plan.batching,
        settings: Arc::clone(&plan.settings),
        records: std::mem::take(&mut work.payloads),
        jobs: plan.jobs.clone(),
    };
    let result = plan.destination.deliver(&batch, &wire).await.map_err(|error| wire.redact_error(error));
    work.payloads = batch.records;
    turn.done(match &result {
        Ok(outcomes) if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Retry { .. })) => Load::Unknown,
        Ok(_) | Err(DeliveryError::Refused { .. } | DeliveryError::CredentialsRefused { .. }) => {
            Load::Fine(started.elapsed())
        }
        Err(DeliveryError::RateLimited { .. } | DeliveryError::NoAnswer { .. }) => Load::TooMuch,
        Err(DeliveryError::Failed { code, .. }) if code == "http_503" => Load::TooMuch,
        Err(_) => Load::Unknown,
    });
    if let Err(DeliveryError::RateLimited { after: Some(after) }) = &result {
        limiter.pause((*after).min(plan.retry.retry_after_max));
    }
    let result = result.map(|outcomes| outcomes.into_iter().map(|outcome| redacted(plan, outcome)).collect());
    Called::Sent { work, result, exchange: wire.exchanges().pop() }
}

fn redacted(plan: &LoadPlan, outcome: Outcome) -> Outcome {
    let redact = |text: String| plan.wire.redact(&text);
    match outcome {
        Outcome::Delivered => Outcome::Delivered,
        Outcome::Rejected { code, message } => Outcome::Rejected { code: redact(code), message: redact(message) },
        Outcome::Retry { after, code, message } => {
            Outcome::Retry { after, code: redact(code), message: redact(message) }
        }
        Outcome::InDoubt { message } => Outcome::InDoubt { message: redact(message) },
    }
}

/// Finishes a whole, again after passing faults.
pub(super) async fn finish(
    plan: &LoadPlan,
    cancel: &CancellationToken,
    random: &dyn Random,
) -> Result<(), DeliveryError> {
    let started = Instant::now();
    let mut failures = 0;
    loop {
        let wire = plan.wire.for_call();
        let result = plan.destination.finish(&plan.action, &plan.sync, &wire).await;
        let Err(error) = result.map_err(|error| wire.redact_error(error)) else { return Ok(()) };
        failures += 1;
        let after = match &error {
            DeliveryError::RateLimited { after } => *after,
            DeliveryError::Failed { .. }
            | DeliveryError::Unreachable { .. }
            | DeliveryError::NoAnswer { .. }
            | DeliveryError::UnexpectedAnswer { .. } => None,
            _ => return Err(error),
        };
        let delay: Duration = plan.retry.delay(failures, after, random);
        if failures >= plan.retry.attempts_max || started.elapsed() + delay > plan.retry.elapsed_max {
            return Err(error);
        }
        tokio::select! {
            () = sleep(delay) => {}
            () = cancel.cancelled() => return Err(error),
        }
    }
}
