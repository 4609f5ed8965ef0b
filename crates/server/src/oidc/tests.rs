//! Signing in at a provider, and everything that could go wrong on the way.

use std::collections::HashMap;

use http::{Request, StatusCode};
use serde_json::{Value, json};
use store::UserChange;

use super::*;
use crate::{
    PublicUrl, Settings,
    testing::{
        Answer, Person as Caller, TestServer,
        provider::{CLIENT, Provider},
    },
};

/// A server with a provider and an owner.
async fn server(provider: &Provider, change: impl FnOnce(&mut OidcSettings)) -> TestServer {
    let mut oidc = OidcSettings::new(provider.url.parse().unwrap(), CLIENT.0, Some(CLIENT.1.to_owned()));
    change(&mut oidc);
    let url: PublicUrl = "http://outflow.test".parse().unwrap();
    let server = TestServer::with(Settings { oidc: Some(oidc), ..Settings::new(url) }).await;
    server.person(Role::Owner).await;
    server
}

/// A browser that was sent to the provider.
struct Journey<'a> {
    server: &'a TestServer,
    cookie: String,
    sent: HashMap<String, String>,
}

impl<'a> Journey<'a> {
    async fn begin(server: &'a TestServer, query: &str) -> Self {
        let answer = server.get(&format!("/api/v1/sign-in/oidc{query}")).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&answer.body));
        let (_, query) = answer.header("location").split_once("/authorize?").unwrap();
        let sent = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(answer.header("set-cookie").contains("HttpOnly; SameSite=Lax; Max-Age=600"));
        Self { server, cookie, sent }
    }

    /// What an honest provider says of Ada.
    fn claims(&self, provider: &Provider, more: &Value) -> Value {
        let now = self.server.clock.now().as_second();
        let mut claims = json!({
            "iss": provider.url,
            "sub": "ada-7",
            "aud": CLIENT.0,
            "exp": now + 300,
            "iat": now,
            "nonce": self.sent["nonce"],
            "email": "Ada@example.com",
            "email_verified": true,
            "name": "Ada Lovelace",
        });
        for (key, value) in more.as_object().unwrap() {
            claims[key] = value.clone();
        }
        claims
    }

    async fn back(&self, query: &str) -> Answer {
        let path = format!("/api/v1/sign-in/oidc/callback?{query}");
        let request = Request::get(path).header("cookie", &self.cookie);
        self.server.send(request.body(axum::body::Body::empty()).unwrap()).await
    }

    async fn finish(&self, provider: &Provider, more: Value) -> Answer {
        let code = provider.grant(&self.sent["code_challenge"], self.claims(provider, &more));
        self.back(&format!("code={code}&state={}", self.sent["state"])).await
    }
}

/// Where the browser is sent, and the session that it got.
fn outcome(answer: &Answer) -> (String, Option<String>) {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&answer.body));
    let cookies = answer.head.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
    let mut pairs = cookies.filter_map(|cookie| cookie.split(';').next().map(ToOwned::to_owned));
    let session = pairs.rfind(|pair| pair.starts_with("outflow_session="));
    (answer.header("location").to_owned(), session)
}

async fn me(server: &TestServer, session: Option<String>) -> Value {
    let caller = Caller { server, cookie: Some(session.unwrap()), token: None };
    caller.get("/api/v1/me").await.json()
}

#[tokio::test]
async fn somebody_new_comes_in_with_the_default_role_and_is_known_the_next_time() {
    let provider = Provider::start().await;
    let server = server(&provider, |_| {}).await;
    let journey = Journey::begin(&server, "?return_to=/mappings%3Fstate%3Dheld").await;
    assert_eq!(journey.sent["scope"], "openid email profile");
    assert_eq!(journey.sent["code_challenge_method"], "S256");
    let (location, session) = outcome(&journey.finish(&provider, json!({})).await);
    assert_eq!(location, "/mappings?state=held");
    let first = me(&server, session).await;
    assert_eq!(first["user"]["email"], "ada@example.com");
    assert_eq!((&first["user"]["role"], &first["user"]["name"]), (&json!("viewer"), &json!("Ada Lovelace")));

    // The address may change at the provider; the person stays.
    let journey = Journey::begin(&server, "").await;
    let (location, session) = outcome(&journey.finish(&provider, json!({ "email": "other@example.com" })).await);
    assert_eq!(location, "/");
    assert_eq!(me(&server, session).await["user"]["id"], first["user"]["id"]);
    assert_eq!(provider.shared().descriptions_read, 1);
}

#[tokio::test]
async fn somebody_who_was_invited_is_tied_by_the_verified_address() {
    let provider = Provider::start().await;
    let server = server(&provider, |oidc| oidc.default_role = None).await;
    let journey = Journey::begin(&server, "").await;
    let (location, session) = outcome(&journey.finish(&provider, json!({})).await);
    assert_eq!((location.as_str(), session), ("/sign-in?error=not_invited", None));
    let invited = server.new_user("ada@example.com", Role::Editor);
    server.state.store.create_user(&invited, &server.system()).await.unwrap();
    let unverified = Journey::begin(&server, "").await;
    let (location, _) = outcome(&unverified.finish(&provider, json!({ "email_verified": false })).await);
    assert_eq!(location, "/sign-in?error=email_not_verified");
    let journey = Journey::begin(&server, "").await;
    let (_, session) = outcome(&journey.finish(&provider, json!({})).await);
    let me = me(&server, session).await;
    assert_eq!((&me["user"]["role"], &me["user"]["has_identity"]), (&json!("editor"), &json!(true)));
    // Another person of the provider, to whom the address was given later, is not her.
    let journey = Journey::begin(&server, "").await;
    let (location, session) = outcome(&journey.finish(&provider, json!({ "sub": "eve-8" })).await);
    assert_eq!((location.as_str(), session), ("/sign-in?error=other_identity", None));
}

#[tokio::test]
async fn what_is_not_right_lets_nobody_in() {
    let provider = Provider::start().await;
    let server = server(&provider, |_| {}).await;
    let now = server.clock.now().as_second();
    for (more, error) in [
        (json!({ "nonce": "another" }), "provider_unavailable"),
        (json!({ "aud": "another" }), "provider_unavailable"),
        (json!({ "iss": "https://another.example" }), "provider_unavailable"),
        (json!({ "exp": now }), "provider_unavailable"),
        (json!({ "email": null }), "provider_unavailable"),
    ] {
        let journey = Journey::begin(&server, "").await;
        let (location, session) = outcome(&journey.finish(&provider, more.clone()).await);
        assert_eq!((location, session), (format!("/sign-in?error={error}"), None), "{more}");
    }

    // A signature by a key that is not the provider's.
    provider.shared().forges = true;
    provider.shared().signs = 1;
    let journey = Journey::begin(&server, "").await;
    let (location, session) = outcome(&journey.finish(&provider, json!({})).await);
    assert_eq!((location.as_str(), session), ("/sign-in?error=provider_unavailable", None));
    assert_eq!(server.state.store.users(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_attempt_belongs_to_one_browser_for_a_while_and_a_code_works_once() {
    let provider = Provider::start().await;
    let server = server(&provider, |_| {}).await;
    let (one, two) = (Journey::begin(&server, "").await, Journey::begin(&server, "").await);
    let other_attempt = "/sign-in?error=other_attempt";
    let code = provider.grant(&one.sent["code_challenge"], one.claims(&provider, &json!({})));
    assert_eq!(outcome(&two.back(&format!("code={code}&state={}", one.sent["state"])).await).0, other_attempt);
    let without = Journey { cookie: "a=b".to_owned(), sent: one.sent.clone(), server: &server };
    assert_eq!(outcome(&without.back(&format!("code={code}&state={}", one.sent["state"])).await).0, other_attempt);
    assert_eq!(outcome(&one.back(&format!("code={code}")).await).0, other_attempt);
    // The code of one with the verifier of another.
    let query = format!("code={code}&state={}", two.sent["state"]);
    assert_eq!(outcome(&two.back(&query).await).0, "/sign-in?error=provider_unavailable");
    let declined = one.back(&format!("error=access_denied&state={}", one.sent["state"])).await;
    assert_eq!(outcome(&declined).0, "/sign-in?error=declined");
    server.clock.forward(600);
    assert_eq!(outcome(&one.finish(&provider, json!({})).await).0, other_attempt);
}

#[tokio::test]
async fn the_provider_may_change_its_keys() {
    let provider = Provider::start().await;
    let server = server(&provider, |_| {}).await;
    outcome(&Journey::begin(&server, "").await.finish(&provider, json!({})).await).1.unwrap();
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    tokio::time::resume();
    provider.shared().signs = 1;
    provider.shared().told = vec![1];
    let (location, session) = outcome(&Journey::begin(&server, "").await.finish(&provider, json!({})).await);
    assert!(location == "/" && session.is_some(), "{location}");
    assert_eq!(provider.shared().descriptions_read, 2);
}

#[tokio::test]
async fn the_role_claim_decides_at_each_sign_in_but_for_the_last_owner() {
    let provider = Provider::start().await;
    let server = server(&provider, |oidc| oidc.role_claim = Some("groups".to_owned())).await;
    let role = async |groups: Value| {
        let (_, session) =
            outcome(&Journey::begin(&server, "").await.finish(&provider, json!({ "groups": groups })).await);
        me(&server, session).await["user"]["role"].clone()
    };
    assert_eq!(role(json!(["staff", "operator", "editor"])).await, "editor");
    assert_eq!(role(json!("operator")).await, "operator");
    assert_eq!(role(json!(["staff"])).await, "operator");
    assert_eq!(role(json!("owner")).await, "owner");
    let first = server.state.store.user_of_email("owner@example.com").await.unwrap().unwrap();
    let down = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    server.state.store.update_user(first.id, None, &down, &server.system()).await.unwrap();
    assert_eq!(role(json!("viewer")).await, "owner");
}

#[tokio::test]
async fn only_addresses_of_allowed_domains_come_in() {
    let provider = Provider::start().await;
    let server = server(&provider, |oidc| oidc.allowed_domains = BTreeSet::from(["Example.com".to_owned()])).await;
    for (email, location) in [
        ("ada@example.com", "/"),
        ("ada@evil.com", "/sign-in?error=not_invited"),
        ("ada@sub.example.com", "/sign-in?error=not_invited"),
        ("ada@example.com@evil.com", "/sign-in?error=not_invited"),
    ] {
        let more = json!({ "email": email, "sub": email });
        assert_eq!(outcome(&Journey::begin(&server, "").await.finish(&provider, more).await).0, location, "{email}");
    }
}

#[tokio::test]
async fn an_address_that_the_token_leaves_out_is_asked_for() {
    let provider = Provider::start().await;
    let server = server(&provider, |_| {}).await;
    let finish = async || outcome(&Journey::begin(&server, "").await.finish(&provider, json!({ "email": null })).await);
    provider.tell_user_info(json!({ "sub": "eve-8", "email": "owner@example.com", "email_verified": true }));
    assert_eq!(finish().await.0, "/sign-in?error=provider_unavailable");
    provider.tell_user_info(json!({ "sub": "ada-7", "email": "ada@example.com", "email_verified": true }));
    let (location, session) = finish().await;
    assert_eq!(location, "/");
    assert_eq!(me(&server, session).await["user"]["email"], "ada@example.com");
}

#[tokio::test]
async fn before_the_first_owner_nobody_comes_in_and_a_provider_that_is_away_is_told() {
    let provider = Provider::start().await;
    let oidc = OidcSettings::new(provider.url.parse().unwrap(), CLIENT.0, Some(CLIENT.1.to_owned()));
    let url: PublicUrl = "http://outflow.test".parse().unwrap();
    let server = TestServer::with(Settings { oidc: Some(oidc), ..Settings::new(url) }).await;
    let journey = Journey::begin(&server, "").await;
    assert_eq!(outcome(&journey.finish(&provider, json!({})).await).0, "/sign-in?error=setup_needed");
    assert!(server.state.store.needs_setup().await.unwrap());

    let nowhere = OidcSettings::new("http://127.0.0.1:1".parse().unwrap(), "outflow", None);
    let url: PublicUrl = "http://outflow.test".parse().unwrap();
    let server = TestServer::with(Settings { oidc: Some(nowhere), ..Settings::new(url) }).await;
    assert_eq!(outcome(&server.get("/api/v1/sign-in/oidc").await).0, "/sign-in?error=provider_unavailable");
}

#[test]
fn nobody_is_sent_to_another_site() {
    for there in ["/", "/mappings/people?tab=syncs", "/a#b"] {
        assert_eq!(local_path(there), there);
    }
    let long = format!("/{}", "a".repeat(512));
    for elsewhere in [
        "",
        "mappings",
        "//evil.com",
        "https://evil.com",
        "/\\evil.com",
        "/a\r\nset-cookie: a=b",
        "/ä",
        "/api/v1/me",
        &long,
    ] {
        assert_eq!(local_path(elsewhere), "/", "{elsewhere}");
    }
}

#[test]
fn an_issuer_is_reached_over_tls_or_on_this_machine() {
    for fine in ["https://id.example.com/realms/x", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"] {
        fine.parse::<Issuer>().unwrap();
    }
    for wrong in ["", "id.example.com", "http://id.example.com", "http://localhost.evil.com", "ftp://localhost"] {
        wrong.parse::<Issuer>().unwrap_err();
    }
    let settings = OidcSettings::new("https://id.example.com".parse().unwrap(), "outflow", Some("hunter2".to_owned()));
    assert!(!format!("{settings:?}").contains("hunter2"));
}
