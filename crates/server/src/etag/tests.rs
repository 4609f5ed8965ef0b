//! Versions that are demanded, right, wrong or missing.

use axum::body::Body;
use http::Request;

use super::*;

async fn if_match(value: Option<&str>) -> Result<IfMatch, ApiError> {
    let mut request = Request::put("/");
    if let Some(value) = value {
        request = request.header("if-match", value);
    }
    let (mut parts, _) = request.body(Body::empty()).unwrap().into_parts();
    IfMatch::from_request_parts(&mut parts, &()).await
}

#[tokio::test]
async fn a_tag_comes_back_as_the_version_it_was_made_of() {
    let response = Versioned(7, "thing").into_response();
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, "\"v7\"");
    assert_eq!(if_match(Some(&tag)).await.unwrap(), IfMatch::Version(7));
    assert_eq!(if_match(Some(&format!("W/{tag}"))).await.unwrap(), IfMatch::Version(7));
    assert_eq!(if_match(Some("*")).await.unwrap(), IfMatch::Any);
}

#[tokio::test]
async fn a_change_without_a_version_or_of_an_older_one_is_refused() {
    assert_eq!(if_match(None).await.unwrap_err().code(), Code::VersionRequired);
    for wrong in ["v7", "\"7\"", "\"v\"", "\"v-1\"", "\"v7\", \"v8\""] {
        assert_eq!(if_match(Some(wrong)).await.unwrap_err().code(), Code::Invalid, "{wrong}");
    }
    assert_eq!(IfMatch::Version(7).check(8).unwrap_err().code(), Code::VersionMismatch);
    IfMatch::Version(8).check(8).unwrap();
    IfMatch::Any.check(8).unwrap();
}
