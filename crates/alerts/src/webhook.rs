//! Signed requests to programs, and what webhooks of all kinds have in common.

use std::time::Duration;

use http::HeaderName;
use kit::{Answer, Request, Signature, SignatureAlgorithm, SignatureEncoding, Wire, WireSettings};

use crate::{
    Notice, Sender, WebhookForm,
    attempt::{Attempt, End},
};

const SIGNATURE: &str = "outflow-signature";
/// Carries the id that a repeat has again.
const DISPATCH: &str = "outflow-dispatch";
const ANSWER_BYTES_MAX: usize = 64 << 10;

pub(crate) async fn send(form: &WebhookForm, notice: &Notice, sender: &Sender) -> Attempt {
    let signature = Signature {
        algorithm: SignatureAlgorithm::Sha256,
        secret: form.secret.clone(),
        header: HeaderName::from_static(SIGNATURE),
        encoding: SignatureEncoding::Hex,
        prefix: "t={timestamp},v1=".to_owned(),
        content: "{timestamp}.{body}".to_owned(),
        timestamp_header: None,
    };
    let settings = WireSettings {
        signature: Some(signature),
        secrets: form.headers.values().cloned().collect(),
        ca_certificate: form.ca_certificate.clone(),
        ..wire_settings(sender)
    };
    let mut request = Request::post(&form.url).json(&notice.json()).header(DISPATCH, &notice.id);
    for (name, value) in &form.headers {
        request = request.header(name, value);
    }
    post(settings, request, sender, |answer| match answer.status {
        200..=299 => End::Sent,
        _ => refusal(answer),
    })
    .await
}

pub(crate) fn wire_settings(sender: &Sender) -> WireSettings {
    WireSettings {
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(20),
        total_timeout: Duration::from_secs(30),
        answer_bytes_max: ANSWER_BYTES_MAX,
        reach: sender.reach,
        ..WireSettings::default()
    }
}

/// Sends a request and tells what came of it, in words without secrets.
pub(crate) async fn post(
    settings: WireSettings,
    request: Request,
    sender: &Sender,
    judge: impl Fn(&Answer) -> End,
) -> Attempt {
    let wire = match Wire::open(settings, sender.clock.clone()) {
        Ok(wire) => wire,
        Err(error) => return Attempt::refused(error.to_string()),
    };
    match wire.send(request).await {
        Ok(answer) => {
            let told = match answer.status {
                status @ 300..=399 => {
                    format!("status {status}: a redirection, which is not followed; write the URL where it leads")
                }
                status if answer.body.is_empty() => format!("status {status}"),
                status => format!("status {status}: {}", answer.message()),
            };
            Attempt::new(judge(&answer), wire.redact(&told))
        }
        Err(kit::DeliveryError::Settings { message }) => Attempt::refused(wire.redact(&message)),
        Err(error) => {
            // The other side is no destination, which the words of a delivery's errors speak of.
            let message = match error {
                kit::DeliveryError::Unreachable { message } => format!("it cannot be reached: {message}"),
                kit::DeliveryError::NoAnswer { message } => format!("no answer: {message}"),
                kit::DeliveryError::UnexpectedAnswer { message } => message,
                other => other.to_string(),
            };
            Attempt::passing(wire.redact(&message))
        }
    }
}

/// What a status stands for that does not say that it was taken.
pub(crate) fn refusal(answer: &Answer) -> End {
    match answer.status {
        408 | 425 | 429 | 500..=599 => End::Passing(answer.retry_after()),
        _ => End::Refused,
    }
}
