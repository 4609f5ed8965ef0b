//! Tests of what happens when the disk fails.

use std::io::{self, Write};
use std::path::Path;

use kit::DeliveryError;
use records::Value;

use super::io_failed;
use super::options::Options;
use super::table::{Columns, write_csv, write_parquet};

/// A disk with room for so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn rows() -> Vec<Value> {
    (0..1000).map(|id| serde_json::json!({ "id": id, "name": format!("name {}", id * 7919) }).into()).collect()
}

#[test]
fn a_full_disk_is_told_as_such() {
    let columns = Columns::of(&rows());
    let options = Options::read(&serde_json::Value::Null, &serde_json::Value::Null).unwrap();
    let csv = write_csv(&mut Disk(100), &columns.names(), &options, rows().into_iter().map(Ok)).unwrap_err();
    let parquet =
        write_parquet(&mut Disk(100), &columns.typed(&columns.names()), rows().into_iter().map(Ok)).unwrap_err();
    for error in [csv, parquet] {
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        assert_eq!(
            io_failed(Path::new("/out/x.csv"), "cannot be written", &error),
            DeliveryError::Settings {
                message: "`/out/x.csv` cannot be written: no space is left there; free some and sync again".to_owned()
            }
        );
    }
}
