//! The recorded cases of every destination, and its facts.

use std::path::Path;

use kit::testing::cases;

#[tokio::test]
async fn every_recorded_case_holds() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for slug in destinations::SLUGS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(slug).join("cases");
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let yaml = std::fs::read_to_string(&path).unwrap();
            let failures = cases::run(&yaml, |settings, options| destinations::connect(slug, settings, options)).await;
            if failures != Ok(Vec::new()) {
                wrong.push(format!("{}: {failures:#?}", path.display()));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 5, "{count} cases");
}

#[test]
fn every_folder_is_listed_and_its_facts_are_right() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<_> = std::fs::read_dir(&src)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, destinations::SLUGS);
    for slug in destinations::SLUGS {
        let facts = destinations::facts(slug).unwrap().unwrap();
        assert_eq!(cases::facts_failures(&facts, slug), Vec::<String>::new());
        let read = |file: &str| std::fs::read_to_string(src.join(slug).join(file));
        let readme = read("README.md").unwrap_or_else(|error| panic!("{slug}/README.md: {error}"));
        for (file, text) in [("README.md", readme), ("example.yaml", read("example.yaml").unwrap_or_default())] {
            assert!(!text.contains(cases::UNWRITTEN), "{slug}/{file} still says `{}`", cases::UNWRITTEN);
        }
    }
}

#[test]
fn an_unknown_destination_is_told_with_the_known_ones() {
    let error = destinations::connect("htpp", &serde_json::json!({}), &serde_json::Value::Null).unwrap_err();
    let known = destinations::SLUGS.map(|slug| format!("`{slug}`")).join(", ");
    assert_eq!(error.to_string(), format!("`type`: there is no destination `htpp`; known: {known}"));
}
