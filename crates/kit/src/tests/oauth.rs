//! OAuth 2 against a tool that grants, rotates and withdraws access.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::simulator::{Received, Refusals, Reply, Simulator, SimulatorServer, SimulatorSettings};
use crate::testing::{TestClock, TestRandom};
use crate::{
    Auth, Authorization, Declined, DeliveryError, Facts, Grant, OAuth, Redirects, Request, TokenStore, Tokens, Wire,
    WireSettings,
};

const SECRET: &str = "app-s3cret";

/// A tool with an authorization server. A refresh token is good for one use.
#[derive(Default)]
struct Tool {
    tokens_made: u32,
    /// Code, its challenge and where it leads back to.
    granted: Option<(String, String, String)>,
    access: String,
    refresh: String,
    lifetime: Option<u64>,
    requests: u32,
}

impl Tool {
    fn tokens(&mut self) -> Reply {
        self.tokens_made += 1;
        self.access = format!("access-{}", self.tokens_made);
        self.refresh = format!("refresh-{}", self.tokens_made);
        let mut answer = json!({ "access_token": self.access, "refresh_token": self.refresh, "token_type": "bearer" });
        if let Some(seconds) = self.lifetime {
            answer["expires_in"] = seconds.into();
        }
        Reply::json(200, &answer)
    }
}

impl Simulator for Tool {
    fn answer(&mut self, request: &Received, _: &Refusals) -> Reply {
        let refused = |error: &str| Reply::json(400, &json!({ "error": error }));
        match request.path() {
            "/authorize" => {
                let of = |name: &str| request.parameter(name).unwrap_or_default();
                assert_eq!((of("response_type").as_str(), of("client_id").as_str()), ("code", "app"));
                assert_eq!((of("scope").as_str(), of("prompt").as_str()), ("read write", "consent"));
                assert_eq!(of("code_challenge_method"), "S256");
                self.granted = Some(("the-code".into(), of("code_challenge"), of("redirect_uri")));
                let back = format!("{}?code=the-code&state={}", of("redirect_uri"), of("state"));
                Reply::status(302).with_header("location", &back)
            }
            "/token" => {
                let of = |name: &str| request.form_value(name).unwrap_or_default();
                if request.basic() != Some(("app".into(), SECRET.into())) {
                    return Reply::json(401, &json!({ "error": "invalid_client" }));
                }
                match of("grant_type").as_str() {
                    "client_credentials" => self.tokens(),
                    "refresh_token" if of("refresh_token") == self.refresh => self.tokens(),
                    "authorization_code" => {
                        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier").as_bytes()));
                        // A code is good for one use.
                        match self.granted.take() {
                            Some(granted) if granted == (of("code"), challenge, of("redirect_uri")) => self.tokens(),
                            _ => refused("invalid_grant"),
                        }
                    }
                    _ => refused("invalid_grant"),
                }
            }
            "/withdraw" => {
                self.access.clear();
                Reply::status(204)
            }
            "/revoke" => {
                self.access.clear();
                self.refresh.clear();
                Reply::status(204)
            }
            _ if !self.access.is_empty() && request.bearer() == Some(&self.access) => {
                self.requests += 1;
                Reply::status(204)
            }
            _ => Reply::status(401),
        }
    }

    fn held(&self) -> Value {
        json!({ "tokens_made": self.tokens_made, "requests": self.requests })
    }
}

#[derive(Debug, Default)]
struct Memory {
    tokens: Mutex<Option<Tokens>>,
    locked: Arc<AtomicBool>,
    full: AtomicBool,
}

/// Ends the lock with itself.
struct Locked(Arc<AtomicBool>);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl TokenStore for Memory {
    async fn load(&self) -> std::io::Result<Option<Tokens>> {
        Ok(self.tokens.lock().unwrap().clone())
    }

    async fn save(&self, tokens: &Tokens) -> std::io::Result<()> {
        assert!(self.locked.load(Ordering::SeqCst), "whoever saves holds the lock");
        if self.full.load(Ordering::SeqCst) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        *self.tokens.lock().unwrap() = Some(tokens.clone());
        Ok(())
    }

    async fn lock(&self) -> std::io::Result<Box<dyn Send + Sync>> {
        self.locked.store(true, Ordering::SeqCst);
        Ok(Box::new(Locked(Arc::clone(&self.locked))))
    }
}

async fn tool(lifetime: Option<u64>) -> SimulatorServer {
    let make = move || -> Box<dyn Simulator> { Box::new(Tool { lifetime, ..Tool::default() }) };
    SimulatorServer::start(0, SimulatorSettings::default(), make).await.unwrap()
}

fn oauth(tool: &SimulatorServer, grant: Grant, store: Option<Arc<Memory>>) -> OAuth {
    OAuth {
        token_url: format!("{}/token", tool.url()),
        client_id: "app".into(),
        client_secret: Some(SECRET.into()),
        client_in_body: false,
        scopes: vec!["read".into(), "write".into()],
        parameters: Vec::new(),
        grant,
        store: store.map(|store| store as Arc<dyn TokenStore>),
    }
}

fn by_person(tool: &SimulatorServer) -> Grant {
    let parameters = vec![("prompt".to_owned(), "consent".to_owned())];
    Grant::AuthorizationCode { authorize_url: format!("{}/authorize", tool.url()), parameters }
}

fn wire(oauth: OAuth) -> Wire {
    let settings = WireSettings {
        auth: Auth::OAuth(Box::new(oauth)),
        total_timeout: Duration::from_secs(5),
        ..WireSettings::default()
    };
    Wire::open(settings, TestClock::new()).unwrap()
}

async fn status(wire: &Wire, tool: &SimulatorServer) -> Result<u16, DeliveryError> {
    wire.send(Request::get(format!("{}/records", tool.url()))).await.map(|answer| answer.status)
}

async fn tell(tool: &SimulatorServer, path: &str) {
    let plain = Wire::open(WireSettings::default(), TestClock::new()).unwrap();
    plain.send(Request::post(format!("{}{path}", tool.url()))).await.unwrap();
}

fn refused(result: Result<u16, DeliveryError>, expected: &str) {
    let Err(DeliveryError::CredentialsRefused { message }) = result else { panic!("{result:?}") };
    assert!(message.contains(expected), "{message}");
}

#[tokio::test]
async fn access_is_granted_kept_renewed_with_rotation_and_lost_when_it_is_revoked() {
    let tool = tool(None).await;
    let store = Arc::new(Memory::default());
    let oauth = oauth(&tool, by_person(&tool), Some(Arc::clone(&store)));
    assert!(oauth.is_unconnected().await.unwrap());
    refused(status(&wire(oauth.clone()), &tool).await, "not connected yet");

    let mut redirects = Redirects::listen(0).await.unwrap();
    let authorization = Authorization::new(&oauth, &redirects.url(), TestRandom::new(1).as_ref()).unwrap();
    // The browser: it asks for the page, and follows it back.
    let browser = async {
        let plain = Wire::open(WireSettings::default(), TestClock::new()).unwrap();
        let stray = redirects_url_with(&authorization, "code=stolen&state=guessed");
        let stray = plain.send(Request::get(stray)).await.unwrap();
        let granted = plain.send(Request::get(authorization.url().to_owned())).await.unwrap();
        let back = granted.header("location").unwrap().replace("localhost", "127.0.0.1");
        (stray, plain.send(Request::get(back)).await.unwrap())
    };
    let waiting = async {
        let stray = redirects.next().await.unwrap();
        let declined = authorization.code(&stray.target).unwrap_err();
        assert!(matches!(declined, Declined::Foreign(_)), "{declined}");
        stray.failed("<b>no</b>");
        let came = redirects.next().await.unwrap();
        let code = authorization.code(&came.target).unwrap();
        let tokens = authorization.exchange(&code, &wire(oauth.clone())).await.unwrap();
        came.granted("All is well.");
        tokens
    };
    let ((stray, page), tokens) = tokio::join!(browser, waiting);
    assert_eq!((stray.status, page.status), (400, 200));
    let text = |answer: &crate::Answer| String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text(&stray).contains("&lt;b&gt;no"), "{}", text(&stray));
    assert!(text(&page).contains("Connected") && text(&page).contains("All is well."), "{}", text(&page));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(tokens.access_token, "access-1");
    assert!(!format!("{tokens:?} {oauth:?} {authorization:?}").contains("-1"));

    // Another run of the program signs in with what is kept.
    assert!(!oauth.is_unconnected().await.unwrap());
    let own = wire(oauth.clone());
    assert_eq!(status(&own, &tool).await, Ok(204));
    tell(&tool, "/withdraw").await;
    let many = (0..5).map(|_| status(&own, &tool));
    assert!(futures_util::future::join_all(many).await.into_iter().all(|status| status == Ok(204)));
    assert_eq!(tool.held()["tokens_made"], 2, "renewed once for all");
    assert_eq!(
        store.load().await.unwrap().unwrap().refresh_token.as_deref(),
        Some("refresh-2"),
        "the next one is kept"
    );
    // A second program does not renew what the first has renewed.
    assert_eq!(status(&wire(oauth.clone()), &tool).await, Ok(204));
    assert_eq!(tool.held()["tokens_made"], 2);
    tell(&tool, "/revoke").await;
    refused(status(&own, &tool).await, "invalid_grant");
    let recorded: String =
        own.exchanges().iter().map(|exchange| serde_json::to_string(exchange.as_ref()).unwrap()).collect();
    for secret in [SECRET, "access-1", "access-2", "refresh-1", "refresh-2"] {
        assert!(!recorded.contains(secret), "{secret}: {recorded}");
    }
}

fn redirects_url_with(authorization: &Authorization, query: &str) -> String {
    let page = reqwest::Url::parse(authorization.url()).unwrap();
    let back = page.query_pairs().find(|(key, _)| key == "redirect_uri").unwrap().1.into_owned();
    format!("{}?{query}", back.replace("localhost", "127.0.0.1"))
}

#[tokio::test]
async fn a_code_is_of_no_use_to_another_and_a_refusal_is_told() {
    let tool = tool(None).await;
    let oauth = oauth(&tool, by_person(&tool), None);
    let begin =
        |seed| Authorization::new(&oauth, "http://localhost:1/callback", TestRandom::new(seed).as_ref()).unwrap();
    let (own, other) = (begin(1), begin(2));
    let plain = Wire::open(WireSettings::default(), TestClock::new()).unwrap();
    let back = plain.send(Request::get(own.url().to_owned())).await.unwrap().header("location").unwrap().to_owned();
    assert!(matches!(other.code(&back), Err(Declined::Foreign(_))), "the state is another's");
    // Pasted with spaces around it, as path and query, or whole.
    let code = own.code(&format!("  {back}\n")).unwrap();
    assert_eq!(own.code(&back.replace("http://localhost:1", "")), Ok(code.clone()));
    refused(other.exchange(&code, &wire(oauth.clone())).await.map(|_| 0), "invalid_grant");
    let state = own.url().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let told = own.code(&format!("/callback?error=access_denied&error_description=no+thanks&state={state}"));
    assert_eq!(told, Err(Declined::Refused("access_denied: no thanks".into())));
    for foreign in ["/elsewhere?code=a", "/callback?code=a", &format!("/callback?state={state}"), "http://["] {
        assert!(matches!(own.code(foreign), Err(Declined::Foreign(_))), "{foreign}");
    }
    let settings = OAuth { grant: Grant::ClientCredentials, ..oauth };
    assert!(Authorization::new(&settings, "http://localhost:1/callback", TestRandom::new(1).as_ref()).is_err());
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let tool = tool(Some(2)).await;
    let own = wire(oauth(&tool, Grant::ClientCredentials, None));
    assert_eq!(status(&own, &tool).await, Ok(204));
    assert_eq!(status(&own, &tool).await, Ok(204));
    assert_eq!(tool.held()["tokens_made"], 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(1600)).await;
    tokio::time::resume();
    assert_eq!(status(&own, &tool).await, Ok(204));
    assert_eq!(tool.held()["tokens_made"], 2, "a quarter of a short life is left over");
}

#[tokio::test]
async fn a_refresh_token_of_the_settings_is_followed_by_those_that_take_its_place() {
    let tool = tool(None).await;
    tell(&tool, "/revoke").await;
    let store = Arc::new(Memory::default());
    let by = |token: &str| oauth(&tool, Grant::RefreshToken(token.into()), Some(Arc::clone(&store)));
    // The tool's first refresh token is empty until it has made one.
    let client = wire(oauth(&tool, Grant::ClientCredentials, None));
    assert_eq!(status(&client, &tool).await, Ok(204));
    assert_eq!(status(&wire(by("refresh-1")), &tool).await, Ok(204));
    tell(&tool, "/withdraw").await;
    assert_eq!(status(&wire(by("refresh-1")), &tool).await, Ok(204), "the kept one is used, not that of the settings");
    assert_eq!(tool.held()["tokens_made"], 3);
    refused(status(&wire(by("another")), &tool).await, "invalid_grant");
}

#[tokio::test]
async fn renewed_tokens_that_could_not_be_kept_are_kept_later() {
    let tool = tool(None).await;
    let store = Arc::new(Memory::default());
    let client = wire(oauth(&tool, Grant::ClientCredentials, None));
    assert_eq!(status(&client, &tool).await, Ok(204));
    let own = wire(oauth(&tool, Grant::RefreshToken("refresh-1".into()), Some(Arc::clone(&store))));
    assert_eq!(status(&own, &tool).await, Ok(204));
    let kept = async || store.load().await.unwrap().unwrap().access_token;
    let is_not_kept = |result: Result<u16, DeliveryError>| {
        let Err(DeliveryError::Settings { message }) = result else { panic!("{result:?}") };
        assert!(message.contains("cannot be kept"), "{message}");
    };

    store.full.store(true, Ordering::SeqCst);
    tell(&tool, "/withdraw").await;
    is_not_kept(status(&own, &tool).await);
    assert_eq!(status(&own, &tool).await, Ok(204), "what is under way goes on");
    tell(&tool, "/withdraw").await;
    is_not_kept(status(&own, &tool).await);
    assert_eq!(
        (tool.held()["tokens_made"].clone(), kept().await),
        (json!(3), "access-2".into()),
        "no other is used up"
    );
    store.full.store(false, Ordering::SeqCst);
    assert_eq!(status(&own, &tool).await, Ok(204), "renewed by the one that was not kept");
    assert_eq!(kept().await, "access-4");

    // Access that was granted anew meanwhile is not overwritten.
    store.full.store(true, Ordering::SeqCst);
    tell(&tool, "/withdraw").await;
    is_not_kept(status(&own, &tool).await);
    store.full.store(false, Ordering::SeqCst);
    let granted = Tokens { access_token: "granted".into(), ..store.load().await.unwrap().unwrap() };
    *store.tokens.lock().unwrap() = Some(granted);
    assert_eq!(status(&own, &tool).await, Ok(204));
    assert_eq!(kept().await, "granted");
}

#[test]
fn settings_say_how_to_sign_in() {
    let facts = |auth: &str| {
        let yaml = format!(
            "slug: x\nname: X\nsettings: []\nactions: [{{slug: a, name: A, fields: [], modes: [add]}}]\nauth: {auth}\n"
        );
        Facts::parse(&yaml).unwrap()
    };
    let whole =
        facts("{scheme: oauth2, authorize_url: 'https://x.example/a', token_url: 'https://x.example/t', scopes: [s]}");
    let auth = |facts: &Facts, oauth: Value| match crate::wire_settings(facts, &json!({ "oauth": oauth })) {
        Ok(settings) => format!("{:?}", settings.auth),
        Err(error) => error.to_string(),
    };
    assert_eq!(auth(&whole, json!({ "access_token": "t" })), "Bearer");
    assert_eq!(auth(&whole, json!({ "access_token": "t", "client_id": "c" })), "Bearer");
    assert_eq!(auth(&whole, json!({ "access_token": "t", "client_id": "c", "refresh_token": "r" })), "OAuth");
    assert_eq!(auth(&whole, json!({ "client_id": "c", "client_secret": "s" })), "OAuth");
    assert!(auth(&whole, json!({})).starts_with("`oauth.access_token`: is required"));
    assert!(auth(&whole, json!({ "refresh_token": "r" })).starts_with("`oauth.client_id`: is required with"));
    assert!(auth(&facts("{scheme: oauth2}"), json!({ "client_id": "c" })).contains("no other way to sign in"));
}
