//! Prints the OpenAPI document, without building the whole program: `make schema` keeps what it prints.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let document = server::openapi().to_pretty_json().map_err(std::io::Error::other)?;
    writeln!(std::io::stdout(), "{document}")
}
