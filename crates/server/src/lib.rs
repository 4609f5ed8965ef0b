//! The HTTP server: routes, the forms of the API and their OpenAPI document, people and what they may do.

mod attempts;
mod caller;
mod client_address;
mod cookies;
mod error;
mod etag;
mod extract;
mod form_schema;
mod gate;
mod hook_signature;
mod oidc;
mod openapi;
mod operations;
mod page;
mod passwords;
mod people;
mod personal;
mod problem_body;
mod request_id;
mod rights;
mod router;
mod routes;
mod security_headers;
mod serve;
mod service;
mod settings;
mod setup;
mod state;
#[cfg(test)]
mod testing;
mod tickets;

pub use error::{ApiError, Code, FieldError};
pub use oidc::{IssuerError, OidcSettings};
pub use openapi::openapi;
pub use router::router;
pub use serve::{ServeError, serve};
pub use settings::{PublicUrl, PublicUrlError, Settings};
pub use setup::setup_link;
pub use state::{AppState, Parts};
