//! Links of made-up pages.

use super::*;
use crate::tidy::tests::{file, messages};

fn problems(text: &str) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("docs")).unwrap();
    fs::write(root.path().join("README.md"), "").unwrap();
    fs::write(root.path().join("docs/guide.md"), "").unwrap();
    fs::create_dir_all(root.path().join("docs/tests/it")).unwrap();
    fs::write(root.path().join("Makefile"), "demo: build\n\ttrue\n").unwrap();
    let readme = file("README.md", "# Outflow\n\n## How it's *built* – now\n");
    messages(&check(root.path(), &[readme, file("docs/guide.md", text)]))
}

#[test]
fn links_that_lead_somewhere_are_no_problem() {
    let text = "# Guide\n[a](../README.md), [b](../README.md#how-its-built--now), [c](#guide), [d](https://x.example)\n\
                `docs/guide.md`, `tests/it` and `make demo`, `crates/<name>/src`\n```\n[e](nowhere.md)\n```\n";
    assert_eq!(problems(text), Vec::<String>::new());
}

#[test]
fn links_that_lead_nowhere_are_problems() {
    for (text, part) in [
        ("[a](nowhere.md)", "docs/guide.md:1: the link `nowhere.md` leads nowhere: there is no `docs/nowhere.md`"),
        ("[a](../README.md#gone)", "`README.md` has no such heading"),
        ("[a](#gone)", "`docs/guide.md` has no such heading"),
        ("see `docs/gone.md`", "there is no `docs/gone.md`"),
        ("run `make gone`", "no target `gone`"),
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}");
        assert!(problems[0].contains(part), "{problems:?}");
    }
}

#[test]
fn the_changelog_may_speak_of_what_is_gone() {
    let root = tempfile::tempdir().unwrap();
    assert!(check(root.path(), &[file(HISTORY, "- `crates/gone` is gone")]).is_empty());
}
