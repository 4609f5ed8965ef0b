//! The rules on Rust files, on made-up ones.

use super::*;
use crate::tidy::tests::{file, messages};

#[test]
fn a_file_begins_with_what_it_is() {
    for (text, problems) in [
        ("//! The lock.\n\nuse std::fs;\n", 0),
        ("use std::fs;\n", 1),
        ("//!\nfn main() {}\n", 1),
        ("\n//! The lock.\n", 1),
        ("", 1),
    ] {
        assert_eq!(
            check(&[file("crates/a/src/lock.rs", text)]).iter().filter(|p| p.line == Some(1)).count(),
            problems,
            "{text}"
        );
    }
}

#[test]
fn names_that_say_nothing_are_refused_for_files_and_folders() {
    let text = "//! Text.\n";
    for (path, problems) in [
        ("crates/a/src/utils.rs", 1),
        ("crates/a/src/common/mod.rs", 1),
        ("crates/a/src/types.rs", 1),
        ("crates/a/src/prototypes.rs", 0),
    ] {
        let found = [file(path, text)];
        let mut list = Vec::new();
        name(&found[0], &mut list);
        assert_eq!(list.len(), problems, "{path}");
    }
}

#[test]
fn leftovers_are_found_as_whole_words() {
    let hit = |line: &str| {
        let mut problems = Vec::new();
        leftovers(&file("crates/a/src/a.rs", &format!("//! A.\n{line}\n")), &mut problems);
        problems.iter().all(|problem| problem.line == Some(2)) && !problems.is_empty()
    };
    for (word, _) in LEFTOVERS {
        assert!(hit(&format!("    {word}")), "{word}");
        assert!(!hit(&format!("    a{word}")), "{word}");
    }
    assert!(!hit(concat!("XX", "XL")));
    assert!(!hit("the rest is done"));
}

#[test]
fn a_file_of_too_many_lines_is_refused_and_the_list_may_only_shrink() {
    let long = |lines: usize| file("crates/a/src/a.rs", &"//! A.\n".repeat(lines));
    let problems = |lines: usize, list: &str| {
        let mut problems = Vec::new();
        lengths([long(lines)].iter(), list, &mut problems);
        messages(&problems)
    };
    assert!(problems(LINES_MAX, "# none\n").is_empty());
    assert!(problems(LINES_MAX + 1, "")[0].contains("has 601 lines, more than 600"));
    assert!(problems(700, "crates/a/src/a.rs 700\n").is_empty());
    assert!(problems(701, "crates/a/src/a.rs 700\n")[0].contains("has 701 lines and may have 700"));
    assert!(problems(650, "crates/a/src/a.rs 700\n")[0].contains("write 650 instead of 700"));
    assert!(problems(600, "crates/a/src/a.rs 700\n")[0].contains("take it off the list"));
    assert!(problems(1, "crates/b.rs 700\n")[0].contains("there is no `crates/b.rs`"));
    assert!(problems(1, "crates/b.rs\n")[0].contains("write a path"));
}
