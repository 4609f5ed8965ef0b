//! One attempt to send a notice through a channel, and what came of it.

use std::{sync::Arc, time::Duration};

use kit::Reach;
use records::Clock;
use serde::Serialize;

use crate::{ChannelForm, Notice, email, slack, webhook};

/// The longest an attempt may take.
pub(crate) const ATTEMPT_MAX: Duration = Duration::from_secs(60);
/// The longest answer that is kept.
const ANSWER_CHARS_MAX: usize = 500;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub end: End,
    /// What the other side said, or why it was not reached; without secrets.
    pub answer: String,
    /// Recipients who have it now, those of earlier attempts included. Only e-mail knows them.
    #[serde(skip)]
    pub received_by: Vec<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The other side said that it has it.
    Sent,
    /// It may go better later, after so long if the other side has said so.
    Passing(Option<Duration>),
    /// The other side refuses it. A person may have to change something.
    Refused,
}

impl Attempt {
    pub(crate) fn new(end: End, answer: impl Into<String>) -> Self {
        let answer: String = answer.into();
        let answer = match answer.char_indices().nth(ANSWER_CHARS_MAX) {
            Some((cut, _)) => format!("{}…", &answer[..cut]),
            None => answer,
        };
        Self { end, answer, received_by: Vec::new() }
    }

    pub(crate) fn refused(answer: impl Into<String>) -> Self {
        Self::new(End::Refused, answer)
    }

    pub(crate) fn passing(answer: impl Into<String>) -> Self {
        Self::new(End::Passing(None), answer)
    }
}

/// Sends notices. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    pub clock: Arc<dyn Clock>,
    /// Which addresses webhooks may call.
    pub reach: Reach,
}

impl Sender {
    /// Tries once. `received_by` are the recipients who have it from earlier attempts.
    pub async fn send(&self, channel: &ChannelForm, notice: &Notice, received_by: &[String]) -> Attempt {
        let sending = async {
            match channel {
                ChannelForm::Email(form) => email::send(form, notice, received_by).await,
                ChannelForm::Slack(form) => slack::send(form, notice, self).await,
                ChannelForm::Webhook(form) => webhook::send(form, notice, self).await,
            }
        };
        match tokio::time::timeout(ATTEMPT_MAX, sending).await {
            Ok(attempt) => attempt,
            Err(_) => Attempt {
                received_by: received_by.to_vec(),
                ..Attempt::passing(format!("no answer within {} seconds", ATTEMPT_MAX.as_secs()))
            },
        }
    }
}
