//! How often somebody may try to sign in: per account, per address, and per both together. Counted in memory, with a
//! bound; a restart forgets, which gives a guesser a few attempts more.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::header;
use tokio::time::Instant;

use crate::{ApiError, Code};

/// Over how long attempts are counted.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// One address at one account: a person who mistypes.
const PAIR_MAX: u32 = 10;
/// One account from wherever, so that many addresses do not guess it. Higher, lest a stranger lock its person out.
const ACCOUNT_MAX: u32 = 50;
/// One address at whichever accounts: an office behind one address.
const ADDRESS_MAX: u32 = 100;
/// Counters at a time. Beyond, those that say least make room.
const COUNTERS_MAX: usize = 20_000;

/// What attempts are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Pair(String, Network),
    Account(String),
    Address(Network),
}

/// Whoever has one address of IPv6 has the other 2^64 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Network::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Network::V6([a, b, c, d])
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    attempts: u32,
    ends: Instant,
}

/// Counts attempts to sign in.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<Counted, Counter>>);

impl Attempts {
    /// Counts an attempt before it is made, so that many at once count too.
    ///
    /// # Errors
    /// There were too many.
    pub(crate) fn begin(&self, account: &str, address: IpAddr) -> Result<(), ApiError> {
        let now = Instant::now();
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = counted(account, address);
        for (what, most) in &counted {
            let counter = counters.get(what).filter(|counter| counter.ends > now);
            if let Some(counter) = counter.filter(|counter| counter.attempts >= *most) {
                return Err(too_many(counter.ends - now));
            }
        }
        for (what, _) in counted {
            if !counters.contains_key(&what) {
                make_room(&mut counters, now);
            }
            let fresh = Counter { attempts: 0, ends: now + WINDOW };
            let counter = counters.entry(what).or_insert(fresh);
            if counter.ends <= now {
                *counter = fresh;
            }
            counter.attempts += 1;
        }
        Ok(())
    }

    /// An attempt succeeded: the pair begins anew, and the others are given it back.
    pub(crate) fn succeeded(&self, account: &str, address: IpAddr) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [(pair, _), others @ ..] = counted(account, address);
        counters.remove(&pair);
        for (what, _) in others {
            if let Some(counter) = counters.get_mut(&what) {
                counter.attempts = counter.attempts.saturating_sub(1);
            }
        }
    }
}

fn counted(account: &str, address: IpAddr) -> [(Counted, u32); 3] {
    let (account, network) = (account.trim().to_lowercase(), Network::of(address));
    [
        (Counted::Pair(account.clone(), network), PAIR_MAX),
        (Counted::Account(account), ACCOUNT_MAX),
        (Counted::Address(network), ADDRESS_MAX),
    ]
}

fn make_room(counters: &mut HashMap<Counted, Counter>, now: Instant) {
    if counters.len() < COUNTERS_MAX {
        return;
    }
    counters.retain(|_, counter| counter.ends > now);
    let kept = COUNTERS_MAX - COUNTERS_MAX / 10;
    if counters.len() < kept {
        return;
    }
    // A tenth goes at once, so that not every attempt looks at all of them. Counters that stand at few attempts say
    // least, then those that end first.
    let mut all: Vec<_> = counters.values().map(|counter| (counter.attempts, counter.ends)).collect();
    let last = all.len().saturating_sub(kept);
    let (_, last, _) = all.select_nth_unstable(last);
    counters.retain(|_, counter| (counter.attempts, counter.ends) > *last);
}

fn too_many(wait: Duration) -> ApiError {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    ApiError::new(Code::TooManyAttempts, "there were too many attempts to sign in")
        .with_hint(format!("wait {} minutes, or use a link to set a new password", seconds.div_ceil(60)))
        .with_header(header::RETRY_AFTER, seconds)
}

#[cfg(test)]
mod tests;
