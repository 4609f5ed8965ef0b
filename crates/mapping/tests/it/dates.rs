//! Dates in text, as V8 and dayjs read them.

use mapping::{date_millis, date_text, dayjs_millis};

#[test]
fn dates_are_read_as_v8_reads_them() {
    let check = |text: &str, expected: Option<i64>| assert_eq!(date_millis(text), expected, "{text}");
    for text in [
        "2024-06-10T08:30:00Z",
        "2024-06-10T08:30:00.000+0000",
        "2024-06-10T10:30+02:00",
        "2024-06-10 08:30",
        "2024-06-10 08:30:00 UTC",
        "2024-06-10 08:30:00+00",
        "Mon, 10 Jun 2024 08:30:00 GMT",
        "Mon Jun 10 2024 10:30:00 GMT+0200 (CEST)",
        "6/10/2024 8:30 AM",
        "2024.06.10 8:30",
        "10-June-24 8:30",
    ] {
        check(text, Some(1_718_008_200_000));
    }
    check("2024-02-30", Some(1_709_251_200_000));
    check("1969-12-31T23:59:59.5Z", Some(-500));
    check("2024-06-10T24:00:00", Some(1_718_064_000_000));
    check("room 5", Some(988_675_200_000));
    for text in ["", "pro", "2024-13-01", "2024-06-10T8:30", "2024-06-10T24:00:01", "8:30", "1718008200", "10:30 x 5"] {
        check(text, None);
    }
    check("999999999-01-01", None);
}

#[test]
fn dates_are_read_as_dayjs_reads_them() {
    let check = |text: &str, expected: Option<i64>| assert_eq!(dayjs_millis(text), expected, "{text}");
    check("2024-06-10 08:30", Some(1_718_008_200_000));
    check("20240610083000", Some(1_718_008_200_000));
    check("2024/6/10", Some(1_717_977_600_000));
    check("2024-13-45", Some(1_739_491_200_000));
    check("2024-06-10T10:30:00+02:00", Some(1_718_008_200_000));
    check("1718008200", Some(-7_948_022_400_000));
    check("2024-06-10 08:30:15.5", Some(1_718_008_215_005));
    check("June 10, 2024", Some(1_717_977_600_000));
    check("now", None);
}

#[test]
fn dates_are_written_as_javascript_writes_them() {
    assert_eq!(date_text(1_718_008_200_005).as_deref(), Some("2024-06-10T08:30:00.005Z"));
    assert_eq!(date_text(-500).as_deref(), Some("1969-12-31T23:59:59.500Z"));
    assert_eq!(date_text(-62_167_219_200_001), None);
}
