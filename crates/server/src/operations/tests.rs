//! Every operation of the document asks for what the table says, of everybody who may call.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use store::Role;

use super::*;
use crate::{
    openapi,
    testing::{Person, TestServer},
};

/// What anybody may call: what somebody needs before there is a session, and what watches the server. This list may
/// only shrink; an operation that is open is open to the whole network.
const OPEN: [&str; 12] = [
    "begin_oidc",
    "finish_oidc",
    "get_live",
    "get_openapi",
    "get_ready",
    "get_setup",
    "get_sign_in",
    "look_at_link",
    "set_up",
    "sign_in",
    "sign_out",
    "use_link",
];

/// Every operation of the document: id, method, and its address with something in the place of parameters.
fn operations() -> Vec<(String, Method, String)> {
    let document = openapi();
    let of_path = |(path, item): (&String, &PathItem)| {
        let filled: Vec<_> =
            path.split('/').map(|part| if part.starts_with('{') { "something" } else { part }).collect();
        let filled = filled.join("/");
        methods(item)
            .map(|(method, operation)| (operation.operation_id.clone().unwrap(), method, filled.clone()))
            .collect::<Vec<_>>()
    };
    document.paths.paths.iter().flat_map(of_path).collect()
}

#[test]
fn the_table_has_a_line_for_each_operation_and_no_other() {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    assert_eq!(table().count(), lines, "a line of operations.txt is not `operation_id access`");
    let known: BTreeSet<_> = table().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(known.len(), lines, "an operation stands twice in operations.txt");
    let there: BTreeSet<_> = operations().into_iter().map(|(id, _, _)| id).collect();
    assert_eq!(there, known, "the document (left) and operations.txt (right) differ");
}

/// What other programs call without a session, each request signed. This list may only shrink too.
const SIGNED: [&str; 1] = ["call_hook"];

#[test]
fn no_more_is_signed_than_was() {
    let signed: BTreeSet<_> = table().filter(|(_, access)| *access == Access::Signed).map(|(id, _)| id).collect();
    assert_eq!(signed, SIGNED.into_iter().collect());
}

#[test]
fn no_more_is_open_than_was() {
    let open: BTreeSet<_> = table().filter(|(_, access)| *access == Access::Open).map(|(id, _)| id).collect();
    assert_eq!(open, OPEN.into_iter().collect());
}

async fn status(person: &Person<'_>, method: &Method, path: &str) -> (u16, String) {
    // No operation can do anything with this: whoever is let in learns that, who is not learns nothing.
    let request =
        person.request(method, path).header("content-type", "application/json").body(Body::from("[]")).unwrap();
    let answer = person.server.send(request).await;
    let code = serde_json::from_slice(&answer.body).map(|body: serde_json::Value| body["code"].clone());
    (answer.status().as_u16(), code.ok().and_then(|code| Some(code.as_str()?.to_owned())).unwrap_or_default())
}

#[tokio::test]
async fn every_operation_is_refused_to_those_without_the_right_and_to_nobody_else() {
    let server = TestServer::start().await;
    let mut callers = BTreeMap::new();
    for role in Role::ALL {
        callers.insert(role, server.person(role).await);
    }
    let table: HashMap<_, _> = table().collect();
    let mut asked = 0;
    for (id, method, path) in operations() {
        let access = table[id.as_str()];
        let (stranger, code) = status(&server.stranger(), &method, &path).await;
        let let_in = stranger != 401 || code == "wrong_credentials";
        let is_open = matches!(access, Access::Open | Access::Signed);
        assert_eq!(let_in, is_open, "{id} answers {stranger} {code} to somebody who is not signed in");
        for (role, person) in &callers {
            let mut person = person.clone();
            let (status, code) = status(&person, &method, &path).await;
            let allowed = match access {
                Access::Open | Access::Signed => true,
                Access::With(Right::View) => *role >= Role::Viewer,
                Access::With(Right::Operate) => *role >= Role::Operator,
                Access::With(Right::Edit) => *role >= Role::Editor,
                Access::With(Right::Own) => *role >= Role::Owner,
                other => panic!("{other:?}"),
            };
            let refused = status == 401 || (status == 403 && code == "not_allowed");
            assert_eq!(!refused, allowed, "{id} answers {status} {code} to the {}", role.name());
            assert_ne!(status, 500, "{id} fails for the {}", role.name());
            asked += 1;
            // Whoever signed out is signed in anew.
            if id == "sign_out" {
                person = server.person(*role).await;
                assert_eq!(person.get("/api/v1/me").await.status(), 200);
            }
        }
        if id == "sign_out" {
            for (role, person) in &mut callers {
                *person = server.person(*role).await;
            }
        }
    }
    assert!(asked >= 4 * table.len());
}

#[tokio::test]
async fn the_same_holds_for_tokens_which_have_no_right_that_their_person_has_not() {
    let server = TestServer::start().await;
    let owner = server.person(Role::Owner).await;
    for (id, method, path) in operations() {
        for role in [Role::Viewer, Role::Editor] {
            let form = serde_json::json!({ "name": "test", "role": role });
            let made = owner.post("/api/v1/tokens", form).await.json();
            let token = made["secret"].as_str().unwrap().to_owned();
            let program = Person { server: &server, cookie: None, token: Some(token) };
            let (status, code) = status(&program, &method, &path).await;
            let needs = table().find(|(known, _)| *known == id).unwrap().1;
            let rights = crate::rights::Rights { role, see_personal: false };
            let allowed = match needs {
                Access::With(right) => rights.has(right),
                _ => true,
            };
            let refused = status == 403 && code == "not_allowed";
            assert!(allowed || refused, "{id} answers {status} {code} to a token of a {}", role.name());
        }
    }
}
