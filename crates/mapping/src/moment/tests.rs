//! The fast way prints what the plain way prints.

use proptest::prelude::*;

use super::timestamp_text;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_time_stamp_prints_as_everywhere_else(micros in any::<i64>(), near in -300_000_000_000_000_000i64..300_000_000_000_000_000) {
        for micros in [micros, near, near / 1000 * 1000, near / 1_000_000 * 1_000_000] {
            prop_assert_eq!(timestamp_text(micros), records::timestamp_text(micros));
        }
    }
}
