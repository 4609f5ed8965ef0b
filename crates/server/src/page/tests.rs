//! Pages and their cursors.

use super::*;

fn query(limit: Option<u32>, cursor: Option<&str>) -> PageQuery {
    PageQuery { limit, cursor: cursor.map(ToOwned::to_owned) }
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let all: Vec<u64> = (0..7).collect();
    let mut seen = Vec::new();
    let mut cursor = None;
    for expected in [3, 3, 1] {
        let query = PageQuery { limit: Some(3), cursor };
        let after: Option<u64> = query.after().unwrap();
        let rows = all.iter().copied().filter(|row| after.is_none_or(|after| *row > after)).take(4).collect();
        let page = Page::of(rows, query.limit().unwrap(), |row| *row, |row| row);
        assert_eq!(page.items.len(), expected);
        seen.extend(page.items);
        cursor = page.next_cursor;
    }
    assert_eq!(cursor, None);
    assert_eq!(seen, all);
}

#[test]
fn limits_have_bounds() {
    assert_eq!(query(None, None).limit().unwrap(), LIMIT_DEFAULT);
    assert_eq!(query(Some(LIMIT_MAX), None).limit().unwrap(), LIMIT_MAX);
    for wrong in [0, LIMIT_MAX + 1] {
        assert_eq!(query(Some(wrong), None).limit().unwrap_err().fields[0].field, "limit");
    }
}

#[test]
fn a_cursor_of_elsewhere_is_refused() {
    assert_eq!(query(None, Some("")).after::<u64>().unwrap(), None);
    let place = cursor(&("2026", 7));
    assert_eq!(query(None, Some(&place)).after::<(String, u8)>().unwrap(), Some(("2026".to_owned(), 7)));
    for wrong in [&place[..place.len() - 1], "***", "AAAA"] {
        assert_eq!(query(None, Some(wrong)).after::<u64>().unwrap_err().fields[0].field, "cursor");
    }
}
