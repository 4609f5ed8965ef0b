//! Connectors' folders against their list, in a made-up checkout.

use super::*;
use crate::tidy::tests::{file, messages};

#[test]
fn a_folder_and_a_line_go_together() {
    let root = tempfile::tempdir().unwrap();
    let src = root.path().join("crates/sources/src");
    for path in ["postgres/mod.rs", "customer_io/mod.rs", "select/tests.rs"] {
        fs::create_dir_all(src.join(path).parent().unwrap()).unwrap();
        fs::write(src.join(path), "//! It.\n").unwrap();
    }
    let problems = |list: &str| {
        let lib = file("crates/sources/src/lib.rs", &format!("//! Sources.\npub const SLUGS: [&str; 2] = [{list}];\n"));
        messages(&check(root.path(), &[lib]).unwrap())
    };
    assert!(problems(r#""postgres", "customer-io""#).is_empty());
    assert!(problems(r#""customer-io""#)[0].contains("the folder `postgres` is not in the list"));
    assert!(problems(r#""postgres", "customer-io", "select""#)[0].contains("names `select`, which has no folder"));
    let lib = "//! It.\nconst LIST: [Listed; 1] = [\n    Listed { slug: \"postgres\", facts: include_str!(\"postgres/a.yaml\") },\n];\n\
               pub const SLUGS: [&str; LIST.len()] = { let slugs = [\"\"; LIST.len()]; slugs };\n";
    let found = messages(&check(root.path(), &[file("crates/sources/src/lib.rs", lib)]).unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`customer-io` is not in the list"), "{found:?}");
}

#[test]
fn connectors_do_not_know_each_other() {
    let connectors = ["http", "customer-io"].map(str::to_owned).into();
    let problems = |path: &str, text: &str| {
        let mut problems = Vec::new();
        strangers("crates/destinations/src", &connectors, &[file(path, text)], &mut problems);
        messages(&problems)
    };
    assert!(problems("crates/destinations/src/http/mod.rs", "use crate::http::path;\n").is_empty());
    let found = problems("crates/destinations/src/customer_io/mod.rs", "//! It.\nuse crate::http::path;\n");
    assert_eq!(
        found,
        ["crates/destinations/src/customer_io/mod.rs:2: `customer_io` must not know `http`; what both need is a file \
          beside them"]
    );
}
