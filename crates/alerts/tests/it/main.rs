//! Alerts on their way out: real servers for e-mail and webhooks on loopback, a real store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to fail there")]

mod alerting;
mod dispatching;
mod email;
mod scene;
mod slack;
mod smtp_server;
mod webhook;
