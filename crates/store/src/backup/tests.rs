//! Backups taken while syncs write, put back, and refused where they would do harm.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use std::{fs, sync::Arc};

use postgres_server::PostgresServer;
use serde_json::json;
use sqlx::Connection as _;

use super::*;
use crate::{
    Change, Edit, ResourceKind, SyncState, Through,
    testing::{HandClock, author, new_sync, postgres_database},
};

const MADE_BY: &str = "1.2.3";

/// A data folder with a store, some definitions, syncs and files.
struct Installation {
    folder: tempfile::TempDir,
    store: Store,
}

async fn open(data: &Path, url: Option<&str>) -> Store {
    let clock = Arc::new(HandClock::default());
    match url {
        Some(url) => Store::open_postgres(url, clock).await.unwrap(),
        None => Store::open(&data.join("control.db"), clock).await.unwrap(),
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

impl Installation {
    async fn new(url: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), url).await;
        let edits = [
            Edit::new(ResourceKind::Source, "shop", Change::Create(json!({ "type": "sqlite", "text": "ü\0\n\"" }))),
            Edit::new(ResourceKind::Model, "people", Change::Create(json!({ "source": "shop", "query": "SELECT 1" }))),
        ];
        store.edit_resources(&edits, Through::Api, &author("user_1")).await.unwrap();
        for sync in 0..20 {
            let sync = store.begin_sync(&new_sync(sync, "people")).await.unwrap();
            store.set_state(sync.unwrap().id, SyncState::Loading).await.unwrap();
        }
        let data = folder.path();
        write(&data.join("mappings/people/checkpoint/manifest.json"), "{\"files\":[\"a\"]}");
        write(&data.join("mappings/people/checkpoint/a.parquet"), "values");
        write(&data.join("mappings/people/syncs/sync_1/changes"), "set");
        write(&data.join("history/people/sync_1/rows.parquet"), "rows");
        write(&data.join("credentials/crm.json"), "sealed");
        for left_out in ["keys", "locks/people.lock", "scratch/x", "credentials/crm.json.1.part", "server.lock"] {
            write(&data.join(left_out), "left out");
        }
        Self { folder, store }
    }

    async fn backup(&self, keys: Option<&Path>) -> (Manifest, Vec<u8>) {
        let path = self.folder.path().with_extension("backup");
        let options = BackupOptions { data: self.folder.path(), keys, made_by: MADE_BY };
        let manifest = self.store.backup(options, fs::File::create(&path).unwrap()).await.unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(path).unwrap();
        (manifest, bytes)
    }
}

async fn restore(bytes: &[u8], data: &Path, database_url: Option<&str>) -> Result<Restored, BackupError> {
    let archive = io::Cursor::new(bytes.to_vec());
    Store::restore(archive, Target { data, database_url }, Arc::new(HandClock::default())).await
}

/// The files below a folder, by path, but for the store's own.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true => walk(&path, root, into),
                false if name.starts_with("control.db") => {}
                false => drop(into.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned())),
            }
        }
    }
    let mut into = BTreeMap::new();
    walk(folder, folder, &mut into);
    into
}

/// All rows of all tables, in no order.
async fn rows(store: &Store) -> BTreeMap<String, Vec<String>> {
    let mut snapshot = store.snapshot().await.unwrap().unwrap();
    let mut all = BTreeMap::new();
    for table in tables(schema_version()) {
        let columns = snapshot.columns(&table).await.unwrap();
        let mut rows = Vec::new();
        let take = |row: &Row| {
            let values: Vec<_> = columns.iter().map(|(name, kind)| value(row, name, *kind).unwrap()).collect();
            rows.push(format!("{columns:?} {}", json!(values)));
            Ok::<_, StoreError>(())
        };
        snapshot.each_row(&table, take).await.unwrap();
        rows.sort();
        all.insert(table, rows);
    }
    all
}

#[tokio::test]
async fn a_backup_restores_all_from_either_database_into_either() {
    let server = PostgresServer::start(&Default::default());
    for (from, to) in [(false, false), (false, true), (true, false), (true, true)] {
        let url = |is_postgres: bool, name: &str| {
            is_postgres.then(|| postgres_database(&server, &format!("{name}_{from}_{to}")))
        };
        let (from_url, to_url) = (url(from, "from"), url(to, "to"));
        let installation = Installation::new(from_url.as_deref()).await;
        let (manifest, bytes) = installation.backup(None).await;
        assert!(!manifest.has_keys && manifest.made_by == MADE_BY);
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("new");
        let restored = restore(&bytes, &data, to_url.as_deref()).await.unwrap();
        assert_eq!(restored.manifest, manifest);
        assert_eq!(restored.keys, None);

        let expected: BTreeMap<_, _> =
            files(installation.folder.path()).into_iter().filter(|(_, text)| text != "left out").collect();
        assert_eq!(files(&data), expected);
        assert_eq!(expected.len(), 5);
        let store = open(&data, to_url.as_deref()).await;
        let (before, after) = (rows(&installation.store).await, rows(&store).await);
        assert_eq!(before["syncs"].len(), 20);
        assert_eq!(before, after);
        // What is restored goes on.
        store.begin_sync(&new_sync(1_000, "people")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_writing_syncs_is_of_one_moment() {
    let installation = Installation::new(None).await;
    let data = installation.folder.path().to_owned();
    let checkpoint = data.join("mappings/people/checkpoint");
    let stop = Arc::new(AtomicBool::new(false));
    let syncs = tokio::spawn({
        let (store, stop) = (installation.store.clone(), Arc::clone(&stop));
        async move {
            // Each sync comes with a failed record, in one transaction.
            for number in 100.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let mut transaction = store.begin("begin a sync").await.unwrap();
                for table in ["syncs", "failures"] {
                    let id = new_sync(number, "people").id.to_string();
                    let sql = match table {
                        "syncs" => {
                            "INSERT INTO syncs (id, mapping, state, trigger, started_at, counts) \
                             VALUES ($1, 'people', 'loading', 'x', 1, '{}')"
                        }
                        _ => {
                            "INSERT INTO failures (sync, record_index, record_key, operation, outcome, code, message, \
                             at) VALUES ($1, 1, 'k', 'added', 'rejected', 'c', 'm', 1)"
                        }
                    };
                    transaction.execute(sql, crate::database::args![id]).await.unwrap();
                    tokio::task::yield_now().await;
                }
                transaction.commit().await.unwrap();
            }
        }
    });
    // A checkpoint that is replaced all the time: the manifest names the one data file that is there.
    let commits = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            for number in 0_u64.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let name = format!("{number}.parquet");
                fs::write(checkpoint.join(&name), number.to_string()).unwrap();
                fs::write(checkpoint.join("manifest.json.tmp"), &name).unwrap();
                fs::rename(checkpoint.join("manifest.json.tmp"), checkpoint.join("manifest.json")).unwrap();
                if let Some(before) = number.checked_sub(1) {
                    fs::remove_file(checkpoint.join(format!("{before}.parquet"))).unwrap();
                }
                std::thread::yield_now();
            }
        }
    });
    for _ in 0..2 {
        let (_, bytes) = installation.backup(None).await;
        let place = tempfile::tempdir().unwrap();
        restore(&bytes, place.path(), None).await.unwrap();
        let store = open(place.path(), None).await;
        let rows = rows(&store).await;
        assert_eq!(rows["syncs"].len() - 20, rows["failures"].len());
        let checkpoint = place.path().join("mappings/people/checkpoint");
        let named = fs::read_to_string(checkpoint.join("manifest.json")).unwrap();
        assert_eq!(format!("{}.parquet", fs::read_to_string(checkpoint.join(&named)).unwrap_or(named.clone())), named);
    }
    stop.store(true, Ordering::SeqCst);
    syncs.await.unwrap();
    commits.join().unwrap();
}

#[tokio::test]
async fn the_keys_go_along_where_it_is_said() {
    let installation = Installation::new(None).await;
    let keys = installation.folder.path().join("keys");
    fs::write(&keys, "key").unwrap();
    let (manifest, bytes) = installation.backup(Some(&keys)).await;
    assert!(manifest.has_keys);
    let place = tempfile::tempdir().unwrap();
    let restored = restore(&bytes, place.path(), None).await.unwrap();
    let keys = restored.keys.unwrap();
    assert_eq!((keys.clone(), fs::read_to_string(&keys).unwrap()), (place.path().join("keys"), "key".to_owned()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(keys).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_is_in_use_is_not_overwritten() {
    let installation = Installation::new(None).await;
    let (_, bytes) = installation.backup(None).await;
    let data = installation.folder.path();
    let before = files(data);
    let error = restore(&bytes, data, None).await.unwrap_err();
    assert!(matches!(error, BackupError::FolderInUse(_)), "{error}");
    assert_eq!(files(data), before);

    let server = PostgresServer::start(&Default::default());
    let url = postgres_database(&server, "in_use");
    open(data, Some(&url)).await;
    let place = tempfile::tempdir().unwrap();
    let error = restore(&bytes, place.path(), Some(&url)).await.unwrap_err();
    assert_eq!(error.to_string(), "the database has a control store already; restore into an empty one");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let installation = Installation::new(None).await;
    let (_, bytes) = installation.backup(None).await;
    let unpacked = zstd::decode_all(&bytes[..]).unwrap();
    let repacked = |change: &dyn Fn(&str, &mut Vec<u8>) -> bool| {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in tar::Archive::new(&unpacked[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let (path, mut text) = (entry.path().unwrap().to_str().unwrap().to_owned(), Vec::new());
            io::Read::read_to_end(&mut entry, &mut text).unwrap();
            if change(&path, &mut text) {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, &text[..]).unwrap();
            }
        }
        zstd::encode_all(&tar.into_inner().unwrap()[..], 1).unwrap()
    };
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    let cases: [(&str, Vec<u8>); 7] = [
        ("cut off", bytes[..bytes.len() - 20].to_vec()),
        ("half", bytes[..bytes.len() / 2].to_vec()),
        ("a bit flipped", flipped),
        ("no archive", b"hello".to_vec()),
        ("a file missing", repacked(&|path, _| path != "files/credentials/crm.json")),
        (
            "a file changed",
            repacked(&|path, text| {
                if path.ends_with("rows.parquet") {
                    text[0] = b'R';
                }
                true
            }),
        ),
        ("the manifest missing", repacked(&|path, _| path != MANIFEST)),
    ];
    for (case, bytes) in cases {
        let place = tempfile::tempdir().unwrap();
        let error = restore(&bytes, place.path(), None).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged(_)), "{case}: {error}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "{case}");
    }
    let newer = repacked(&|path, text| {
        if path == MANIFEST {
            *text = json!({ "format": 2, "made_by": "9.0.0" }).to_string().into_bytes();
        }
        true
    });
    let place = tempfile::tempdir().unwrap();
    let error = restore(&newer, place.path(), None).await.unwrap_err();
    assert!(matches!(&error, BackupError::Newer { made_by } if made_by == "9.0.0"), "{error}");
}

#[tokio::test]
async fn every_table_is_copied() {
    let installation = Installation::new(None).await;
    let path = installation.folder.path().join("control.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
               AND name <> '_sqlx_migrations' ORDER BY name";
    let there: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    let mut copied = tables(schema_version());
    copied.sort();
    assert_eq!(copied, there);
}
