//! The rules hold for this very checkout.

use super::*;

#[test]
fn the_checkout_is_tidy() {
    let problems = check(crate::workspace()).unwrap();
    assert!(problems.is_empty(), "\n{}", report(&problems));
}

#[test]
fn a_problem_names_its_file_and_line() {
    let problem = Problem::new("README.md", 7, "the link leads nowhere");
    assert_eq!(report(&[problem]), "README.md:7: the link leads nowhere\n\ntidy: 1 problem\n");
}

pub(super) fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.into(), text: text.to_owned() }
}

pub(super) fn messages(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}
