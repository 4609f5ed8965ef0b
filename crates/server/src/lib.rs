//! The HTTP server: routes, the forms of the API and their OpenAPI document, people and what they may do.

mod caller;
mod error;
mod etag;
mod extract;
mod openapi;
mod page;
mod problem_body;
mod request_id;
mod rights;
mod router;
mod routes;
mod security_headers;
mod serve;
mod settings;
mod state;
#[cfg(test)]
mod testing;

pub use error::{ApiError, Code, FieldError};
pub use openapi::openapi;
pub use router::router;
pub use serve::{ServeError, serve};
pub use settings::{PublicUrl, PublicUrlError, Settings};
pub use state::{AppState, Parts};
