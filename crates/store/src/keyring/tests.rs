//! Sealing and opening, the file of the keys, and changing keys.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};

use super::*;
use crate::{
    Change, Edit, ResourceKind, Store, Through,
    testing::{Counting, HandClock, author, on_both_databases},
};

fn random() -> Arc<dyn Random> {
    Arc::new(Counting)
}

fn ring(path: &Path, byte: u8) -> Keyring {
    Keyring::of_file(path, || Ok([byte; 32]), random()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| general_purpose::STANDARD.encode([*byte; 32])).collect::<Vec<_>>().join(",")
}

#[test]
fn what_is_sealed_opens_about_the_same_and_nowhere_else() {
    let ring = Keyring::of_text(&text(&[1]), random()).unwrap();
    for plain in ["", "hunter22", "Schlüssel\n\0", &"long ".repeat(10_000)] {
        let sealed = ring.seal("destination/crm", plain);
        assert!(!sealed.contains(['}', '"', '\\', '$', '\n']) && (plain.is_empty() || !sealed.contains(plain)));
        assert_ne!(ring.seal("destination/crm", plain), sealed, "two seals of one text look alike");
        assert_eq!(ring.open("destination/crm", &sealed).unwrap(), plain);
        assert!(matches!(ring.open("destination/crm2", &sealed), Err(KeyringError::Damaged)));
        let mut damaged = sealed.clone();
        let last = if damaged.ends_with('A') { 'B' } else { 'A' };
        damaged.replace_range(damaged.len() - 2..damaged.len() - 1, &last.to_string());
        assert!(ring.open("destination/crm", &damaged).is_err(), "{damaged}");
        assert!(ring.open("destination/crm", &sealed[..sealed.len() - 4]).is_err());
    }
    let short = format!("{}.AAAA", ring.ids()[0]);
    for text in ["", ".", "x.y", "no key", &short] {
        assert!(ring.open("a", text).is_err(), "{text}");
    }
}

#[test]
fn each_key_opens_and_the_first_seals() {
    let (old, both) = (Keyring::of_text(&text(&[1]), random()).unwrap(), text(&[2, 1]));
    let sealed = old.seal("a", "secret");
    let both = Keyring::of_text(&both, random()).unwrap();
    assert_eq!(both.open("a", &sealed).unwrap(), "secret");
    let again = both.seal("a", "secret");
    let error = old.open("a", &again).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("it was sealed with the key `{}`, which is not among those given ({})", both.ids()[0], old.ids()[0])
    );
    assert_eq!(both.ids()[1], old.ids()[0]);
}

#[test]
fn nothing_of_a_key_is_shown() {
    let secret = text(&[7]);
    let ring = Keyring::of_text(&secret, random()).unwrap();
    let shown = format!("{ring:?}");
    assert!(shown.contains(&ring.ids()[0]) && !shown.contains(&secret) && !shown.contains("7, 7"), "{shown}");
    let wrong = format!("{}x", &secret[..40]);
    for bad in [wrong.as_str(), "", "# nothing", "c2hvcnQ=", "not base64 at all"] {
        let error = Keyring::of_text(bad, random()).unwrap_err();
        assert!(error.to_string().contains("openssl rand -base64 32"), "{error}");
        assert!(!format!("{error:?}").contains(&secret[..20]), "{error:?}");
    }
}

#[test]
fn the_file_is_made_once_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let first = ring(&path, 1);
    let again = ring(&path, 2);
    assert_eq!(first.ids(), again.ids());
    assert_eq!(again.open("a", &first.seal("a", "secret")).unwrap(), "secret");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = Keyring::of_file(&folder.path().join("no/key"), || Ok([1; 32]), random()).unwrap_err();
    assert!(error.to_string().contains("no/key` cannot be written"), "{error}");
    std::fs::write(&path, "nonsense\n").unwrap();
    let error = Keyring::of_file(&path, || Ok([1; 32]), random()).unwrap_err();
    assert!(error.to_string().contains("line 1 is not a key"), "{error}");
}

#[test]
fn another_process_sees_a_key_that_was_added() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let (here, there) = (ring(&path, 1), ring(&path, 1));
    let old = here.ids()[0].clone();
    let sealed = here.seal("a", "first");
    let new = here.add([2; 32]).unwrap();
    assert_eq!(here.ids(), [new.clone(), old.clone()]);
    assert_eq!(there.open("a", &here.seal("a", "second")).unwrap(), "second");
    assert_eq!(there.open("a", &sealed).unwrap(), "first");
    assert!(matches!(here.drop_key(&new), Err(KeyringError::Newest { .. })));
    here.drop_key(&old).unwrap();
    assert!(matches!(here.open("a", &sealed), Err(KeyringError::UnknownKey { .. })));
    let given = Keyring::of_text(&text(&[1]), random()).unwrap();
    assert!(matches!(given.add([2; 32]), Err(KeyringError::NotInFile)));
}

on_both_databases!(all_that_was_sealed_is_sealed_anew_with_the_newest_key);

#[test]
fn a_key_that_another_process_replaced_seals_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let (server, command) = (ring(&path, 1), ring(&path, 1));
    let newest = command.add([2; 32]).unwrap();
    command.drop_key(&command.ids()[1]).unwrap();
    assert!(server.seal("a", "secret").starts_with(&newest));
}

fn sealed(ring: &Keyring, about: &str, plain: &str) -> Value {
    format!("${{sealed:{}}}", ring.seal(about, plain)).into()
}

fn opened(ring: &Keyring, about: &str, value: &Value) -> String {
    let text = value.as_str().unwrap();
    ring.open(about, text.strip_prefix("${sealed:").unwrap().strip_suffix('}').unwrap()).unwrap()
}

async fn all_that_was_sealed_is_sealed_anew_with_the_newest_key(store: Store, _: Arc<HandClock>) {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(&folder.path().join("key"), 1);
    let old = ring.ids()[0].clone();
    let author = author("user_1");
    let document = |about: &str, token: &str| json!({ "type": "http", "auth": [{ "token": sealed(&ring, about, token) }], "note": "${sealed:x}" });
    let mut edits: Vec<Edit> = (0..450)
        .map(|number| {
            let name = format!("d{number:03}");
            let document = document(&format!("destination/{name}"), &name);
            Edit::new(ResourceKind::Destination, name, Change::Create(document))
        })
        .collect();
    edits.push(Edit::new(ResourceKind::Destination, "d000", Change::Replace(document("destination/d000", "newer"))));
    edits.push(Edit::new(ResourceKind::Source, "plain", Change::Create(json!({ "type": "sqlite" }))));
    store.edit_resources(&edits, Through::Api, &author).await.unwrap();
    let smtp = json!({ "password": sealed(&ring, "setting/smtp", "mail") });
    store.set_server_setting("smtp", Some(&smtp), None, &author).await.unwrap();
    store.granted_tokens("d000", &ring).save("{\"access_token\":\"t\"}").await.unwrap();

    assert_eq!(store.reseal(&ring).await.unwrap(), Resealed::default());
    ring.add([2; 32]).unwrap();
    let resealed = store.reseal(&ring).await.unwrap();
    assert_eq!(resealed, Resealed { rows: 450 + 451 + 1 + 1, unopened: vec![] });
    assert_eq!(store.reseal(&ring).await.unwrap(), Resealed::default());
    ring.drop_key(&old).unwrap();

    let now = store.resource(ResourceKind::Destination, "d000").await.unwrap();
    assert_eq!(now.version, 2);
    assert_eq!(opened(&ring, "destination/d000", &now.document["auth"][0]["token"]), "newer");
    assert_eq!(now.document["note"], "${sealed:x}");
    for number in [0, 199, 200, 449] {
        let name = format!("d{number:03}");
        let first = store.resource_version(ResourceKind::Destination, &name, 1).await.unwrap();
        assert_eq!(opened(&ring, &format!("destination/{name}"), &first.document["auth"][0]["token"]), name);
    }
    let smtp = store.server_setting("smtp").await.unwrap().unwrap();
    assert_eq!((smtp.version, opened(&ring, "setting/smtp", &smtp.value["password"])), (1, "mail".to_owned()));
    assert_eq!(store.granted_tokens("d000", &ring).load().await.unwrap().unwrap(), "{\"access_token\":\"t\"}");

    // What cannot be opened is told, and keeps nothing else back.
    let stolen = json!({ "token": sealed(&ring, "destination/other", "x") });
    let fine = json!({ "token": sealed(&ring, "destination/fine", "x") });
    let edits = [
        Edit::new(ResourceKind::Destination, "stolen", Change::Create(stolen)),
        Edit::new(ResourceKind::Destination, "fine", Change::Create(fine)),
    ];
    store.edit_resources(&edits, Through::Api, &author).await.unwrap();
    ring.add([3; 32]).unwrap();
    let resealed = store.reseal(&ring).await.unwrap();
    assert_eq!(resealed.unopened, ["destination/stolen", "destination/stolen"]);
    assert_eq!(resealed.rows, 903 + 2);
}
