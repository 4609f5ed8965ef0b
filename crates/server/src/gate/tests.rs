//! Sessions and tokens open what they should; other sites' pages open nothing.

use axum::body::Body;
use http::Method;
use serde_json::json;

use crate::{
    Settings,
    testing::{Person, TestServer},
};
use store::{Role, UserChange};

#[tokio::test]
async fn a_session_lasts_until_it_rests_or_ends() {
    let server = TestServer::start().await;
    let person = server.person(Role::Viewer).await;
    assert_eq!(person.get("/api/v1/me").await.json()["user"]["email"], "viewer@example.com");
    server.clock.forward(12 * 3_600 - 1);
    assert_eq!(person.get("/api/v1/me").await.status(), 200);
    server.clock.forward(12 * 3_600);
    let problem = person.get("/api/v1/me").await.problem();
    assert_eq!(problem["code"], "sign_in_required");
}

#[tokio::test]
async fn rights_follow_the_person_at_once() {
    let server = TestServer::start().await;
    server.person(Role::Owner).await;
    let editor = server.person(Role::Editor).await;
    let made =
        editor.post("/api/v1/tokens", json!({ "name": "t", "role": "editor", "see_personal": true })).await.json();
    let program = Person { cookie: None, token: Some(made["secret"].as_str().unwrap().to_owned()), ..editor.clone() };
    let rights = async |person: &Person<'_>| person.get("/api/v1/me").await.json()["rights"].clone();
    assert_eq!(rights(&program).await, json!(["view", "operate", "edit", "see_personal"]));
    let user = server.state.store.user_of_email("editor@example.com").await.unwrap().unwrap();
    let change = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    server.state.store.update_user(user.id, None, &change, &server.system()).await.unwrap();
    assert_eq!(rights(&program).await, json!(["view"]));
    assert_eq!(rights(&editor).await, json!(["view"]));
    server.state.store.delete_user(user.id, None, &server.system()).await.unwrap();
    assert_eq!(program.get("/api/v1/me").await.status(), 401);
    assert_eq!(editor.get("/api/v1/me").await.status(), 401);
}

#[tokio::test]
async fn a_wrong_token_is_told_where_somebody_must_sign_in_whatever_session_there_is() {
    let server = TestServer::start().await;
    let person = server.person(Role::Viewer).await;
    for authorization in ["Bearer of_wrong", "Bearer other", "Basic b2Y6b2Y=", "of_wrong", ""] {
        let send = async |path| {
            let request = person.request(&Method::GET, path).header("authorization", authorization);
            server.send(request.body(Body::empty()).unwrap()).await
        };
        let answer = send("/api/v1/me").await;
        assert_eq!(answer.problem()["code"], "sign_in_required", "{authorization}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert_eq!(send("/api/v1/sign-in").await.status(), 200, "{authorization}");
    }
}

#[tokio::test]
async fn other_sites_pages_change_nothing() {
    let server = TestServer::start().await;
    let person = server.person(Role::Viewer).await;
    let cookie = person.cookie.clone().unwrap();
    let send = async |headers: &[(&str, &str)]| {
        let mut request = http::Request::patch("/api/v1/me").header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        server.send(request.body(Body::from(r#"{"name": "Ada"}"#)).unwrap()).await
    };
    let session = ("cookie", cookie.as_str());
    let csrf = ("x-outflow-csrf", "1");
    for refused in [
        &[session][..],
        &[session, ("origin", "http://outflow.test")],
        &[session, csrf, ("origin", "http://evil.test")],
        &[session, csrf, ("origin", "null")],
        &[session, csrf, ("origin", "https://outflow.test")],
        &[session, csrf, ("origin", "http://outflow.test:8080")],
        &[session, csrf, ("sec-fetch-site", "cross-site")],
        &[session, csrf, ("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(send(refused).await.problem()["code"], "other_site", "{refused:?}");
    }
    for taken in
        [&[session, csrf][..], &[session, csrf, ("origin", "http://outflow.test"), ("sec-fetch-site", "same-origin")]]
    {
        assert_eq!(send(taken).await.status(), 200, "{taken:?}");
    }
    // A page of another site cannot sign somebody in under a name of its choice, either.
    let request = http::Request::post("/api/v1/sign-in")
        .header("content-type", "application/json")
        .header("origin", "http://evil.test");
    let body = json!({ "email": "a@example.com", "password": "some password" }).to_string();
    assert_eq!(server.send(request.body(Body::from(body)).unwrap()).await.problem()["code"], "other_site");
}

#[tokio::test]
async fn a_program_with_a_token_needs_no_more() {
    let server = TestServer::start().await;
    let person = server.person(Role::Viewer).await;
    let made = person.post("/api/v1/tokens", json!({ "name": "t", "role": "viewer" })).await.json();
    let request = http::Request::post("/api/v1/links/look")
        .header("authorization", format!("bearer {}", made["secret"].as_str().unwrap()))
        .header("content-type", "application/json");
    let answer = server.send(request.body(Body::from(r#"{"token": "none"}"#)).unwrap()).await;
    assert_eq!(answer.problem()["code"], "link_ended");
}

#[tokio::test]
async fn over_https_only_a_cookie_that_no_other_host_set_counts() {
    let server = TestServer::with(Settings::new("https://outflow.test".parse().unwrap())).await;
    let mut person = server.person(Role::Viewer).await;
    assert_eq!(person.get("/api/v1/me").await.status(), 401);
    person.cookie = person.cookie.map(|cookie| format!("__Host-{cookie}"));
    assert_eq!(person.get("/api/v1/me").await.status(), 200);
}
