//! The code map against made-up crates.

use super::*;
use crate::tidy::{
    metadata::Dependency,
    tests::{file, messages},
};

fn package(name: &str, uses: &[&str]) -> Package {
    let dependencies = uses.iter().map(|used| match used.strip_prefix("dev ") {
        Some(used) => Dependency { name: used.to_owned(), kind: Some("dev".to_owned()), path: Some("x".to_owned()) },
        None => Dependency { name: (*used).to_owned(), kind: None, path: Some("x".to_owned()) },
    });
    let manifest_path = format!("crates/{name}/Cargo.toml").into();
    Package { name: name.to_owned(), manifest_path, dependencies: dependencies.collect() }
}

const MAP: &str = "\
# Map

| crate | is | may use | must not know |
|---|---|---|---|
| `records` | plain data | – | IO |
| `store` | state | records | HTTP |
| `outflow` | the binary | all | |
| `server` | routes | all but `outflow` | |
| `fakes` | fake things, for tests | records, store | |

| other | table |
|---|---|
";

fn check_map(packages: &[Package]) -> Vec<String> {
    messages(&check(&[file(PAGE, MAP)], packages))
}

fn all_but(changed: Package) -> Vec<Package> {
    let mut packages = vec![
        package("records", &[]),
        package("store", &["records"]),
        package("outflow", &["records", "store", "server"]),
        package("server", &["records", "store"]),
        package("fakes", &["records", "store"]),
    ];
    packages.retain(|package| package.name != changed.name);
    packages.push(changed);
    packages
}

#[test]
fn crates_that_keep_to_the_map_are_no_problem() {
    assert!(check_map(&all_but(package("store", &["records", "dev fakes"]))).is_empty());
}

#[test]
fn an_edge_the_map_does_not_have_is_a_problem_in_code_and_in_tests() {
    for used in ["store", "dev store"] {
        let problems = check_map(&all_but(package("records", &[used])));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("crates/records/Cargo.toml: `records` may not use `store`"), "{problems:?}");
        assert!(problems[0].contains("ARCHITECTURE.md:5"), "{problems:?}");
    }
}

#[test]
fn all_but_leaves_out_what_it_names() {
    let problems = check_map(&all_but(package("server", &["records", "outflow"])));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("`server` may not use `outflow`"), "{problems:?}");
}

#[test]
fn a_crate_for_tests_is_no_normal_dependency() {
    let problems = check_map(&all_but(package("outflow", &["fakes"])));
    assert_eq!(problems, ["crates/outflow/Cargo.toml: `fakes` is for tests: move it to [dev-dependencies]"]);
}

#[test]
fn a_crate_without_a_row_and_a_row_without_a_crate_are_problems() {
    let mut packages = all_but(package("web", &[]));
    packages.retain(|package| package.name != "server");
    let problems = check_map(&packages);
    assert!(
        problems
            .contains(&"ARCHITECTURE.md:8: there is no crate `server`; take its row out of the code map".to_owned())
    );
    assert!(problems.iter().any(|problem| problem.contains("`web` has no row")), "{problems:?}");
}

#[test]
fn a_word_that_is_no_crate_is_a_problem() {
    let page = "| crate | is | may use |\n|---|---|---|\n| records | data | everything |\n| short |\n";
    let problems = messages(&check(&[file(PAGE, page)], &[]));
    assert!(problems[0].starts_with("ARCHITECTURE.md:3: `everything` is no crate"), "{problems:?}");
    assert!(problems[1].starts_with("ARCHITECTURE.md:4: a row of the code map needs"), "{problems:?}");
}

#[test]
fn a_page_without_a_map_is_a_problem() {
    assert_eq!(check(&[], &[]).len(), 1);
    assert_eq!(check(&[file(PAGE, "# Architecture\n")], &[]).len(), 1);
}
