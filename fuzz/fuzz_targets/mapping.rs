//! No mapping and no record make the mapping language panic or run long:
//! `cargo +nightly fuzz run mapping`. The input is a mapping, a zero byte, and a record, both as JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mapping::{Condition, Event, Program};
use records::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mapping, record) = text.split_once('\0').unwrap_or((text, "{}"));
    let Ok(record) = Value::parse(record) else { return };
    let event = Event::of_value(&record);
    if let Ok(condition) = Condition::parse(mapping) {
        let _ = condition.holds(&event);
    }
    let Ok(mapping) = Value::parse(mapping) else { return };
    if let Ok(condition) = Condition::compile(&mapping) {
        let _ = condition.holds(&event);
    }
    let Ok(program) = Program::compile(&mapping) else { return };
    let evaluated = program.evaluate(&event);
    let mut json = String::new();
    let written = program.write_json(&event, &mut json);
    assert_eq!(evaluated.is_ok(), written.is_ok());
});
