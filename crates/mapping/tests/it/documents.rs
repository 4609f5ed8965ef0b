//! Runs every example of `docs/mapping.md`.

use mapping::{Condition, Event, Program};
use records::Value;

const PAGE: &str = include_str!("../../../../docs/mapping.md");

/// The fenced blocks of the page: what stands after the fence, and the text.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in PAGE.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => open = Some((kind, String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence of the page is not closed");
    blocks
}

#[test]
fn every_example_of_the_page_gives_what_the_page_says() {
    let mut record = Value::Null;
    let mut mapping: Option<(String, Result<Program, Vec<mapping::Problem>>)> = None;
    let mut examples = 0;
    let evaluate = |mapping: &Option<(String, Result<Program, Vec<mapping::Problem>>)>, record: &Value| {
        let (text, program) = mapping.as_ref().unwrap();
        let program = program.as_ref().unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let event = Event::of_value(record);
        program.evaluate(&event).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    for (kind, text) in blocks() {
        match kind {
            "json record" => record = Value::parse(&text).unwrap(),
            "json mapping" => {
                let value = Value::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                mapping = Some((text, Program::compile(&value)));
            }
            "json result" => {
                let expected = Value::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
                let found = evaluate(&mapping, &record);
                assert!(found == Some(expected.clone()), "{mapping:?}\nsays {expected}\ngives {found:?}");
                examples += 1;
            }
            "text refused" => {
                let Some((text_of, Err(problems))) = &mapping else { panic!("{mapping:?} is not refused") };
                let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert_eq!(told.join("\n"), text.trim_end(), "{text_of}");
                examples += 1;
            }
            "fql holds" | "fql fails" => {
                for line in text.lines() {
                    let condition = Condition::parse(line).unwrap_or_else(|problems| panic!("{line}: {problems:?}"));
                    let holds = condition.holds(&Event::of_value(&record)).unwrap();
                    assert_eq!(holds, kind == "fql holds", "{line}");
                }
                examples += 1;
            }
            "json condition" => {
                let condition = Condition::compile(&Value::parse(&text).unwrap()).unwrap();
                assert!(condition.holds(&Event::of_value(&record)).unwrap(), "{text}");
                examples += 1;
            }
            _ => {}
        }
    }
    assert!(examples >= 40, "{examples} examples");
}

#[test]
fn every_directive_has_an_example_on_the_page() {
    let shown: String =
        blocks().into_iter().filter(|(kind, _)| *kind == "json mapping").map(|(_, text)| text).collect();
    let lacking: Vec<&str> = mapping::directives().filter(|name| !shown.contains(&format!("\"{name}\""))).collect();
    assert!(lacking.is_empty(), "no example of {}", lacking.join(", "));
}
