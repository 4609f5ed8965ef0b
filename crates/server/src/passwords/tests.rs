//! Passwords are hashed by today's rules, checked, and hashed anew when the rules have changed.

use super::*;
use crate::testing::Seeded;

fn passwords() -> Passwords {
    Passwords::new(Arc::new(Seeded::new(1)))
}

#[tokio::test]
async fn a_password_is_right_and_another_is_not() {
    let passwords = passwords();
    let hash = passwords.hash("correct horse battery").await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert_ne!(passwords.hash("correct horse battery").await.unwrap(), hash, "each has a salt of its own");
    let check = async |password, hash| passwords.check(password, hash).await.unwrap();
    assert_eq!(check("correct horse battery", Some(hash.clone())).await, Checked::Right);
    assert_eq!(check("Correct horse battery", Some(hash.clone())).await, Checked::Wrong);
    assert_eq!(check("", Some(hash.clone())).await, Checked::Wrong);
    assert_eq!(check("correct horse battery", None).await, Checked::Wrong);
    assert_eq!(check(&"x".repeat(BYTES_MAX + 1), Some(hash)).await, Checked::Wrong);
}

#[tokio::test]
async fn a_hash_by_older_rules_is_made_anew() {
    let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).unwrap());
    let older: PasswordHash = older.hash_password_with_salt(b"correct horse battery", b"0123456789abcdef").unwrap();
    let passwords = passwords();
    let checked = passwords.check("correct horse battery", Some(older.to_string())).await.unwrap();
    let Checked::RightByOlderRules(newer) = checked else { panic!("{checked:?}") };
    assert_eq!(passwords.check("correct horse battery", Some(newer)).await.unwrap(), Checked::Right);
    let wrong = passwords.check("wrong horse battery", Some(older.to_string())).await.unwrap();
    assert_eq!(wrong, Checked::Wrong);
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_is_a_fault_of_ours() {
    let error = passwords().check("correct horse battery", Some("plain".to_owned())).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
}

#[test]
fn bad_passwords_are_refused_with_what_is_wrong() {
    for (password, says) in [
        ("short", "fewer than 12"),
        ("ääääääääääb", "fewer than 12"),
        ("aaaaaaaaaaaaaaaa", "again and again"),
        ("Ada@Example.com", "e-mail"),
        (&"ab".repeat(600), "longer than"),
    ] {
        let error = acceptable("password", password, "ada@example.com").unwrap_err();
        assert_eq!(error.fields[0].field, "password");
        assert!(error.detail.contains(says), "{password}: {}", error.detail);
        assert!(!error.detail.contains(password), "the answer repeats the password");
    }
    acceptable("password", "correct horse", "ada@example.com").unwrap();
}

#[tokio::test]
async fn a_check_for_nobody_takes_a_hash_of_todays_rules() {
    assert!(is_current(NOBODYS));
    assert!(!verify("", NOBODYS).unwrap());
    assert_eq!(passwords().check("", None).await.unwrap(), Checked::Wrong);
}
