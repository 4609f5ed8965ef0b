//! The table of all codes that answers of the API carry: code, status, title. Each has a section in `docs/errors.md`,
//! and stays what it is once it was released.

use http::StatusCode;

macro_rules! codes {
    ($($variant:ident, $code:literal, $status:ident, $title:literal;)+) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($variant,)+
        }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// The word in answers and in the address of its documentation.
            pub fn word(self) -> &'static str {
                match self {
                    $(Code::$variant => $code,)+
                }
            }

            pub fn status(self) -> StatusCode {
                match self {
                    $(Code::$variant => StatusCode::$status,)+
                }
            }

            /// The same for every occurrence.
            pub fn title(self) -> &'static str {
                match self {
                    $(Code::$variant => $title,)+
                }
            }
        }
    };
}

codes! {
    MalformedRequest, "malformed_request", BAD_REQUEST, "The request cannot be read";
    SignInRequired, "sign_in_required", UNAUTHORIZED, "Sign in first";
    WrongCredentials, "wrong_credentials", UNAUTHORIZED, "E-mail address or password is wrong";
    NotAllowed, "not_allowed", FORBIDDEN, "You may not do this";
    WrongSignature, "wrong_signature", FORBIDDEN, "The signature is not the hook's";
    OtherSite, "other_site", FORBIDDEN, "The request comes from another site's page";
    NotFound, "not_found", NOT_FOUND, "There is no such thing";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "This address does not take this method";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    AlreadyRunning, "already_running", CONFLICT, "A sync of the mapping waits or runs already";
    SwitchedOff, "switched_off", CONFLICT, "It is switched off";
    Conflict, "conflict", CONFLICT, "It does not go with what is there";
    InUse, "in_use", CONFLICT, "Something else needs it";
    ManagedByFile, "managed_by_file", CONFLICT, "A project file owns it";
    LastOwner, "last_owner", CONFLICT, "Somebody must be an owner";
    LinkEnded, "link_ended", GONE, "The link does not work any more";
    VersionMismatch, "version_mismatch", PRECONDITION_FAILED, "It was changed in the meantime";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "The request's body is too large";
    WrongMediaType, "wrong_media_type", UNSUPPORTED_MEDIA_TYPE, "The body is not JSON";
    Invalid, "invalid", UNPROCESSABLE_ENTITY, "The request is not valid";
    VersionRequired, "version_required", PRECONDITION_REQUIRED, "Say which version you change";
    TooManyAttempts, "too_many_attempts", TOO_MANY_REQUESTS, "There were too many attempts";
    Internal, "internal", INTERNAL_SERVER_ERROR, "Outflow failed";
    UpstreamFailed, "upstream_failed", BAD_GATEWAY, "The source or destination did not do it";
    ShuttingDown, "shutting_down", SERVICE_UNAVAILABLE, "The server is ending";
    StoreUnavailable, "store_unavailable", SERVICE_UNAVAILABLE, "The control store cannot be reached";
}
