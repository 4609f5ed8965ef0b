//! Sends what is waiting in the store: each message by one process at a time, tried again with growing pauses, and given
//! up in the end for a person to see.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use records::{ChannelId, Clock, Random};
use store::{AlertError, ChannelRow, DispatchEnd, DispatchRow, Keyring, Store, StoreError};

use crate::{
    Attempt, Notice, Sender,
    attempt::{ATTEMPT_MAX, End},
    open_channel,
};

/// Messages that are taken at once. Those of one channel are sent one after the other.
const TAKEN_MAX: u32 = 4;
/// Who has not told of a message for so long has lost it.
const LEASE: Duration = Duration::from_secs(ATTEMPT_MAX.as_secs() * (TAKEN_MAX as u64 + 1));
/// The pause after the first attempt; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_secs(15);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// How long it is tried when it is not refused.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);
/// How long when it is: a receiver that is being repaired refuses for a while.
const PATIENCE_REFUSED: Duration = Duration::from_secs(3_600);

/// Sends what is waiting. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    pub store: Store,
    pub sender: Sender,
    pub random: Arc<dyn Random>,
    /// Opens the channels' secrets.
    pub keyring: Keyring,
    /// Where people find Outflow's pages.
    pub public_url: Option<String>,
}

impl Dispatcher {
    fn clock(&self) -> &dyn Clock {
        &*self.sender.clock
    }

    /// Makes an attempt with some of what is due. Gives how many; none are left when it is 0.
    ///
    /// # Errors
    /// The store fails. What was taken by then is tried again later.
    pub async fn send_due(&self) -> Result<usize, StoreError> {
        let taken = self.store.take_dispatches(LEASE, TAKEN_MAX).await?;
        let count = taken.len();
        let mut by_channel: BTreeMap<ChannelId, Vec<DispatchRow>> = BTreeMap::new();
        for dispatch in taken {
            by_channel.entry(dispatch.channel).or_default().push(dispatch);
        }
        let sending = by_channel.into_values().map(async |dispatches| {
            for dispatch in dispatches {
                self.send(&dispatch).await?;
            }
            Ok(())
        });
        join_all(sending).await.into_iter().collect::<Result<(), StoreError>>()?;
        Ok(count)
    }

    async fn send(&self, dispatch: &DispatchRow) -> Result<(), StoreError> {
        let channel = match self.store.channel(&dispatch.channel.to_string()).await {
            Ok(channel) => channel,
            Err(AlertError::Store(error)) => return Err(error),
            // It was removed meanwhile, and the message with it.
            Err(_) => return Ok(()),
        };
        let events = self.store.events_of_dispatch(dispatch.id).await?;
        let notice = Notice {
            id: dispatch.id.to_string(),
            created_at: dispatch.created_at,
            events,
            is_test: false,
            public_url: self.public_url.clone(),
        };
        let attempt = match open_channel(&channel, &self.keyring) {
            // The events were forgotten, so there is nothing to say any more.
            _ if notice.events.is_empty() => Attempt::new(End::Sent, "nothing is left to be told"),
            Ok(form) => self.sender.send(&form, &notice, &dispatch.received_by).await,
            Err(why) => Attempt::passing(why),
        };
        let end = self.end(dispatch, attempt.end);
        if end == DispatchEnd::Failed {
            tracing::warn!(channel = channel.name, dispatch = %dispatch.id, "an alert could not be sent and was given up");
        }
        let received_by = match attempt.received_by.is_empty() {
            true => &dispatch.received_by,
            false => &attempt.received_by,
        };
        self.store.end_dispatch_attempt(dispatch, end, received_by, &attempt.answer).await
    }

    fn end(&self, dispatch: &DispatchRow, end: End) -> DispatchEnd {
        let now = self.clock().now();
        let (patience, asked) = match end {
            End::Sent => return DispatchEnd::Sent,
            End::Passing(asked) => (PATIENCE, asked),
            End::Refused => (PATIENCE_REFUSED, None),
        };
        let next = now + asked.map_or_else(|| self.pause(dispatch.attempts), |asked| asked.min(PAUSE_MAX));
        // A clock that was set back gives no message up.
        let since = |time: Timestamp| Duration::try_from(time.duration_since(dispatch.created_at)).unwrap_or_default();
        if since(next) > patience { DispatchEnd::Failed } else { DispatchEnd::Again(next) }
    }

    /// Twice as long from attempt to attempt, a little more or less, so that many that failed together do not come
    /// back together.
    fn pause(&self, attempts: u64) -> Duration {
        let doubled = PAUSE_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(12)).min(PAUSE_MAX);
        let share = self.random.next() as f64 / u64::MAX as f64;
        doubled.mul_f64(0.8 + 0.4 * share)
    }

    /// Sends a message that says nothing but that the channel works, once and right away.
    pub async fn test(&self, channel: &ChannelRow) -> Attempt {
        let now = self.clock().now();
        let id = records::DispatchId::new(now, &*self.random).to_string();
        let notice = Notice::test(id, now, self.public_url.clone());
        match open_channel(channel, &self.keyring) {
            Ok(form) => self.sender.send(&form, &notice, &[]).await,
            Err(why) => Attempt::refused(why),
        }
    }
}
