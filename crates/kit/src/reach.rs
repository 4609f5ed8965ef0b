//! How far a connection may reach: addresses that a person may name are not all meant to be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

use crate::DeliveryError;

/// Which addresses a connection may lead to. It is the address that counts, whatever name stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Every address.
    #[default]
    Any,
    /// The internet and private networks, but neither this machine nor its link: there stand services that trust
    /// whoever reaches them, such as the one that tells a cloud's machine its credentials.
    Private,
    /// The internet alone.
    Public,
}

impl Reach {
    /// Whether an address may be called.
    pub fn includes(self, address: IpAddr) -> bool {
        match (self, Zone::of(address)) {
            (Reach::Any, _) | (_, Zone::Public) | (Reach::Private, Zone::Private) => true,
            (Reach::Private, Zone::Near) | (Reach::Public, Zone::Private | Zone::Near) => false,
        }
    }

    /// A URL that holds an address instead of a name is never looked up, so it is seen here.
    pub(crate) fn check(self, url: &Url) -> Result<(), DeliveryError> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) if !self.includes(address) => Err(DeliveryError::Settings { message: self.refusal(host) }),
            _ => Ok(()),
        }
    }

    fn refusal(self, host: &str) -> String {
        let may = match self {
            Reach::Any => "any address",
            Reach::Private => "addresses of the internet and of private networks",
            Reach::Public => "addresses of the internet",
        };
        format!("`{host}` is an address that must not be called: this server may call {may} only")
    }
}

/// Where clouds tell a machine its credentials, other than on its link.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

/// Where an address lies, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zone {
    Public,
    Private,
    /// This machine, its link, and what is no single place.
    Near,
}

impl Zone {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(address) => Self::of_v4(address),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, third, _] = address.octets();
        match (first, second, third) {
            _ if address.is_loopback() || address.is_link_local() || METADATA_V4.contains(&address) => Zone::Near,
            // This network, multicast, broadcast and what is reserved.
            (0 | 224.., ..) => Zone::Near,
            // Shared by carriers, for benchmarks, for protocols.
            (100, 64..=127, _) | (198, 18 | 19, _) | (192, 0, 0) => Zone::Private,
            _ if address.is_private() => Zone::Private,
            _ => Zone::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let near = address.is_loopback()
            || address.is_unspecified()
            || address.is_multicast()
            || address.is_unicast_link_local()
            || address == METADATA_V6;
        if near {
            Zone::Near
        } else if address.is_unique_local() || address.segments()[0] & 0xffc0 == 0xfec0 {
            Zone::Private
        } else {
            Zone::Public
        }
    }
}

/// The address of version 4 that one of version 6 leads to: written in it (mapped, compatible), or by a gateway
/// (NAT64, 6to4).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

/// Looks names up and leaves out the addresses that must not be called. What it gives is what is called, so that a
/// name that changes its address between two look-ups comes no further.
#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| reach.includes(address.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(std::io::Error::other(reach.refusal(name.as_str())).into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests;
