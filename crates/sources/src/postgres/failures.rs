//! From what the server and the network report to the closed set of [`SourceError`].

use kit::{Query, SourceError};

use super::{
    settings::Target,
    wire::{Failure, ServerError},
};
use crate::select::place_of_character;

/// A failure while connecting and signing in.
pub(super) fn while_connecting(failure: Failure, target: &Target) -> SourceError {
    let address = target.address();
    let error = match failure {
        Failure::Server(error) => error,
        Failure::SignIn(message) => return SourceError::CredentialsRefused { address, message },
        other => return lost_or(other, address),
    };
    let message = with_detail(&error);
    match error.code.as_str() {
        "28P01" | "28000" => SourceError::CredentialsRefused { address, message },
        "42501" => SourceError::CredentialsRefused {
            address,
            message: format!("{message}; GRANT CONNECT ON DATABASE {} TO {}", target.database, target.user),
        },
        "3D000" => SourceError::Settings {
            message: format!("`database`: there is no `{}` at {address}; say one that exists", target.database),
        },
        _ => SourceError::Unreachable { address, message },
    }
}

/// What went wrong on the network, in the words for connecting.
fn lost_or(failure: Failure, address: String) -> SourceError {
    match failure {
        Failure::Tls(message) => SourceError::Tls { address, message },
        Failure::Io(error) => {
            let message = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    "nothing listens there; check `host` and `port` and that the server runs".to_owned()
                }
                std::io::ErrorKind::UnexpectedEof => {
                    "the connection was closed while signing in; is it a PostgreSQL server?".to_owned()
                }
                _ => error.to_string(),
            };
            SourceError::Unreachable { address, message }
        }
        Failure::TookTooLong(limit) => SourceError::Unreachable {
            address,
            message: format!(
                "no answer within {} s; check `host` and `port` and firewalls, or raise `connect_timeout_seconds`",
                limit.as_secs()
            ),
        },
        Failure::Protocol(what) => SourceError::Unreachable {
            address,
            message: format!("it sent {what}; check that `host` and `port` are those of a PostgreSQL server"),
        },
        Failure::SignIn(message) => SourceError::CredentialsRefused { address, message },
        Failure::Server(error) => SourceError::Unreachable { address, message: with_detail(&error) },
    }
}

/// A failure while a query is described or runs. `before` is how many characters of ours stand before the query's
/// own text in what the server was sent.
pub(super) fn while_querying(failure: Failure, target: &Target, query: &Query, before: usize) -> SourceError {
    let error = match failure {
        Failure::Server(error) => error,
        Failure::Io(error) => {
            let message = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => format!("{} closed it", target.address()),
                _ => error.to_string(),
            };
            return SourceError::Lost { message };
        }
        Failure::Protocol(what) => return SourceError::Lost { message: format!("the server sent {what}") },
        Failure::Tls(message) | Failure::SignIn(message) => return SourceError::Lost { message },
        Failure::TookTooLong(limit) => return SourceError::TimedOut { seconds: limit.as_secs() },
    };
    of_server(&error, target, query, before)
}

/// The server's error for a query.
pub(super) fn of_server(error: &ServerError, target: &Target, query: &Query, before: usize) -> SourceError {
    let message = with_detail(error);
    let place = error.position.and_then(|position| position.checked_sub(before)).filter(|&position| position > 0);
    let place = place.map(|position| place_of_character(&query.text, position));
    match error.code.as_str() {
        "57014" => match target.statement_timeout_seconds {
            Some(seconds) => SourceError::TimedOut { seconds },
            None => SourceError::QueryFailed {
                message,
                place: None,
                hint: Some("the server ended it; set `statement_timeout_seconds` to allow it more time".to_owned()),
            },
        },
        "25006" => SourceError::ModelRefused { message: format!("it writes: {message}; a model only reads"), place },
        "42501" => SourceError::QueryFailed { hint: Some(grant(&error.message, &target.user)), message, place },
        // The server shuts down, a standby had to end the query, or the connection broke.
        "57P01" | "57P02" | "57P03" | "40001" | "40P01" => SourceError::Lost { message },
        code if code.starts_with("08") => SourceError::Lost { message },
        _ => SourceError::QueryFailed { message, place, hint: error.hint.clone() },
    }
}

/// The command that would give the missing right, named as well as the message allows.
fn grant(message: &str, user: &str) -> String {
    let words: Vec<&str> = message.split(' ').collect();
    match words.as_slice() {
        [.., "schema", name] => format!("GRANT USAGE ON SCHEMA {name} TO {user}"),
        [.., "function", name] => format!("GRANT EXECUTE ON FUNCTION {name} TO {user}"),
        [.., name] => format!("GRANT SELECT ON {name} TO {user}"),
        [] => format!("GRANT SELECT on what the model reads TO {user}"),
    }
}

fn with_detail(error: &ServerError) -> String {
    match &error.detail {
        Some(detail) => format!("{} ({detail})", error.message),
        None => error.message.clone(),
    }
}
