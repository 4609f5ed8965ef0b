//! Mappings that wait for others.

use super::*;

fn after(when: When, mappings: &[&str]) -> After {
    After { mappings: mappings.iter().map(|&name| name.to_owned()).collect(), when }
}

/// The last finished syncs, as `name:sync` or `name:sync!` for one that failed.
fn last(text: &str) -> BTreeMap<String, Finished> {
    let one = |(index, word): (usize, &str)| {
        let (name, sync) = word.split_once(':').unwrap();
        let at = Timestamp::from_second(1_700_000_000 + i64::try_from(index).unwrap()).unwrap();
        (name.to_owned(), Finished { sync: sync.trim_end_matches('!').to_owned(), at, succeeded: !sync.ends_with('!') })
    };
    text.split_whitespace().enumerate().map(one).collect()
}

#[test]
fn it_is_due_when_each_has_come_to_an_end_since_the_last_start() {
    use When::{AllFinished, AllSucceeded};
    for (when, consumed, finished, missing) in [
        (AllSucceeded, "", "", vec!["orders", "customers"]),
        (AllSucceeded, "", "orders:1", vec!["customers"]),
        (AllSucceeded, "", "orders:1 customers:1", vec![]),
        (AllSucceeded, "orders:1 customers:1", "orders:1 customers:1", vec!["orders", "customers"]),
        (AllSucceeded, "orders:1 customers:1", "orders:2 customers:1", vec!["customers"]),
        (AllSucceeded, "orders:1 customers:1", "orders:7 customers:2", vec![]),
        (AllSucceeded, "orders:1 customers:1", "orders:2! customers:2", vec!["orders"]),
        (AllSucceeded, "orders:1! customers:1", "orders:2 customers:2", vec![]),
        (AllFinished, "orders:1 customers:1", "orders:2! customers:2", vec![]),
        (AllFinished, "orders:1 customers:1", "orders:2! customers:1", vec!["customers"]),
        (AllFinished, "", "orders:1!", vec!["customers"]),
    ] {
        let after = after(when, &["orders", "customers"]);
        let consumed = after.consume(|name| last(consumed).remove(name));
        let finished = last(finished);
        let finished = |name: &str| finished.get(name).cloned();
        assert_eq!(after.missing(finished, &consumed), missing, "{when:?} {consumed:?}");
        assert_eq!(after.is_due(finished, &consumed), missing.is_empty());
    }
}

#[test]
fn a_start_consumes_what_it_waited_for() {
    let after = after(When::AllSucceeded, &["orders", "customers"]);
    let finished = last("orders:1 customers:1 others:1");
    let finished = |name: &str| finished.get(name).cloned();
    let consumed = after.consume(finished);
    assert_eq!(serde_json::to_string(&consumed).unwrap(), r#"{"customers":"1","orders":"1"}"#);
    assert!(!after.is_due(finished, &consumed));
}

#[test]
fn it_is_due_since_the_last_of_them_came_to_its_end() {
    let after = after(When::AllFinished, &["orders", "customers"]);
    let finished = last("orders:1 customers:1! others:1");
    let finished = |name: &str| finished.get(name).cloned();
    let since = after.due_since(finished, &Consumed::default()).unwrap();
    assert_eq!(since, Timestamp::from_second(1_700_000_001).unwrap());
    assert_eq!(after.due_since(finished, &after.consume(finished)), None);
}

#[test]
fn mappings_that_wait_for_each_other_are_found() {
    for (waits, circle) in [
        (vec![], None),
        (vec![("b", vec!["a"]), ("c", vec!["a", "b"]), ("d", vec!["c", "b", "a"])], None),
        (vec![("a", vec!["a"])], Some(vec!["a"])),
        (vec![("a", vec!["b"]), ("b", vec!["a"])], Some(vec!["a", "b"])),
        (vec![("a", vec!["x", "b"]), ("b", vec!["y", "c"]), ("c", vec!["b"])], Some(vec!["b", "c"])),
    ] {
        let waits: BTreeMap<&str, Vec<&str>> = waits.into_iter().collect();
        assert_eq!(find_circle(&waits), circle, "{waits:?}");
    }
}

#[test]
fn a_long_chain_of_waiting_is_looked_through_once() {
    let names: Vec<String> = (0..2000).map(|number| format!("m{number:04}")).collect();
    let mut waits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        // Each waits for two before it: the number of ways doubles with each, the number of mappings does not.
        let before = names[..index].iter().rev().take(2).map(String::as_str).collect();
        waits.insert(name, before);
    }
    assert_eq!(find_circle(&waits), None);
    waits.insert("m0000", vec!["m1999"]);
    let circle = find_circle(&waits).unwrap();
    assert!(circle.contains(&"m0000") && circle.contains(&"m1999"));
}
