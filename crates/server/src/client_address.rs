//! From where somebody calls: the other end of the connection, or what trusted proxies in front say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};

use crate::{ApiError, AppState, serve::Peer};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        Ok(Self(address(peer, &parts.headers, state.settings.proxies)))
    }
}

/// Each proxy adds the address that it was called from at the end of the header; what stands before those that the
/// trusted ones added, a caller can have made up.
fn address(peer: IpAddr, headers: &HeaderMap, proxies: usize) -> IpAddr {
    if proxies == 0 {
        return peer;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let told = all.len().checked_sub(proxies).and_then(|place| all.get(place)).and_then(|text| parse(text));
    told.unwrap_or(peer)
}

/// With or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_add_is_believed() {
        let peer = IpAddr::from([10, 0, 0, 1]);
        let of = |lines: &[&str], proxies| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            address(peer, &headers, proxies).to_string()
        };
        assert_eq!(of(&["192.0.2.1"], 0), "10.0.0.1");
        assert_eq!(of(&["192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(of(&["198.51.100.9, 192.0.2.1"], 1), "192.0.2.1");
        assert_eq!(of(&["198.51.100.9, 192.0.2.1", "10.0.0.7"], 2), "192.0.2.1");
        assert_eq!(of(&["[2001:db8::1]:4711"], 1), "2001:db8::1");
        assert_eq!(of(&["192.0.2.1:80"], 1), "192.0.2.1");
        for broken in [&[][..], &["unknown"], &["192.0.2.1, "]] {
            assert_eq!(of(broken, 1), "10.0.0.1", "{broken:?}");
        }
        assert_eq!(of(&["192.0.2.1"], 2), "10.0.0.1");
    }
}
