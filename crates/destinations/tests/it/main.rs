//! Destinations over real connections on loopback, and files in real folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to fail there")]

mod braze;
mod cases;
mod customerio;
mod file;
mod http;
mod hubspot;
mod intercom;
mod iterable;
mod klaviyo;
mod loops;
mod mixpanel;
mod previews;
mod recorded;
mod round_trip;
mod salesforce;
mod segment;
mod slack;
mod template;
mod webhook;
