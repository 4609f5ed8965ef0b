//! The invariants of absence, on made-up files.

use super::*;
use crate::tidy::{
    metadata::Dependency,
    tests::{file, messages},
};

#[test]
fn a_word_is_a_problem_only_where_it_must_not_be() {
    for (path, text, count) in [
        ("crates/kit/src/wire.rs", "use reqwest::Client;", 0),
        ("crates/destinations/src/http/mod.rs", "use reqwest::Client;", 1),
        ("crates/destinations/src/http/tests.rs", "use reqwest::Client;", 1),
        ("crates/destinations/src/http/mod.rs", "// unlike reqwest, which", 0),
        ("crates/sync/src/engine.rs", "sqlx::query(\"\")", 1),
        ("crates/sources/src/sqlite/mod.rs", "sqlx::query(\"\")", 0),
        ("crates/sources/src/postgres/mod.rs", "sqlx::query(\"\")", 1),
        ("crates/sources/tests/it/main.rs", "sqlx::query(\"\")", 0),
        ("crates/kit/src/wire.rs", "std::env::var(\"PROXY\")", 1),
        ("crates/outflow/src/main.rs", "std::env::var_os(\"HOME\")", 0),
        ("crates/mapping/tests/it/main.rs", "std::env::var(\"CASES\")", 0),
    ] {
        let problems = check(&[file(path, &format!("//! It.\n{text}\n"))], &[]);
        assert_eq!(problems.len(), count, "{path}: {text}: {:?}", messages(&problems));
        assert!(problems.iter().all(|problem| problem.line == Some(2)));
    }
}

#[test]
fn a_dependency_is_a_problem_only_in_the_wrong_crate() {
    let package = |name: &str, kind: Option<&str>| Package {
        name: name.to_owned(),
        manifest_path: format!("crates/{name}/Cargo.toml").into(),
        dependencies: vec![Dependency { name: "reqwest".to_owned(), kind: kind.map(str::to_owned), path: None }],
    };
    assert!(check(&[], &[package("kit", None), package("outflow", Some("dev"))]).is_empty());
    let problems = messages(&check(&[], &[package("sync", None)]));
    assert_eq!(problems, ["crates/sync/Cargo.toml: `reqwest` is a dependency of kit only; take it out"]);
}

#[test]
fn a_second_tls_library_is_a_problem() {
    let lock = |name: &str| file(LOCK, &format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n"));
    assert!(check(&[lock("ring")], &[]).is_empty());
    let problems = messages(&check(&[lock("openssl-sys")], &[]));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("Cargo.lock:2: `openssl-sys` came in"), "{problems:?}");
}
