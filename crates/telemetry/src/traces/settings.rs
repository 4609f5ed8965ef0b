//! Where traces go: the settings that OpenTelemetry's specification gives names in the environment.

/// Where and as what traces are sent.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportSettings {
    /// The whole URL: `https://collector:4318/v1/traces`.
    pub url: String,
    /// Headers of each request, credentials among them.
    pub headers: Vec<(String, String)>,
    /// What is sent as the resource: `service.name` and the like.
    pub resource: Vec<(String, String)>,
}

/// Values of headers are credentials.
impl std::fmt::Debug for ExportSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ExportSettings")
            .field("url", &self.url)
            .field("headers", &names)
            .field("resource", &self.resource)
            .finish()
    }
}

/// A setting that cannot be used. It does not show the value where that may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportSettingsError {
    #[error("`{name}`: `{value}` is no address of a collector; write it as `http://collector:4318`")]
    Address { name: &'static str, value: String },
    #[error("`{name}`: `{value}` is not a protocol that is spoken here; set it to `http/protobuf`, or leave it out")]
    Protocol { name: &'static str, value: String },
    #[error("`{name}` is not a list of pairs; write it as `key=value,key=value`, with `%2C` for a comma in a value")]
    Pairs { name: &'static str },
}

const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

const SERVICE_NAME_KEY: &str = "service.name";

impl ExportSettings {
    /// What the variables say, read as OpenTelemetry's specification has them. `None` if they name no collector:
    /// traces are off.
    ///
    /// # Errors
    /// A variable is set to what cannot be used.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ExportSettingsError> {
        // An empty variable counts as one that is not set.
        let given = |name: &'static str| variable(name).filter(|value| !value.trim().is_empty());
        let first =
            |names: [&'static str; 2]| names.into_iter().find_map(|name| given(name).map(|value| (name, value)));
        let is_off = given(DISABLED).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
            || given(EXPORTER).is_some_and(|value| value.trim() == "none");
        if is_off {
            return Ok(None);
        }
        let Some((name, address)) = first([TRACES_ENDPOINT, ENDPOINT]) else { return Ok(None) };
        let address = address.trim().to_owned();
        let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            return Err(ExportSettingsError::Address { name, value: address });
        }
        if let Some((name, value)) = first([TRACES_PROTOCOL, PROTOCOL]).filter(|(_, value)| value != "http/protobuf") {
            return Err(ExportSettingsError::Protocol { name, value });
        }
        // The general address is that of a collector for all kinds; the one for traces is taken as it stands.
        let url = if name == ENDPOINT { format!("{}/v1/traces", address.trim_end_matches('/')) } else { address };
        let headers = match first([TRACES_HEADERS, HEADERS]) {
            Some((name, text)) => pairs(&text).ok_or(ExportSettingsError::Pairs { name })?,
            None => Vec::new(),
        };
        let mut resource = match given(RESOURCE_ATTRIBUTES) {
            Some(text) => pairs(&text).ok_or(ExportSettingsError::Pairs { name: RESOURCE_ATTRIBUTES })?,
            None => Vec::new(),
        };
        if let Some(service) = given(SERVICE_NAME) {
            resource.retain(|(key, _)| key != SERVICE_NAME_KEY);
            resource.insert(0, (SERVICE_NAME_KEY.to_owned(), service));
        }
        if !resource.iter().any(|(key, _)| key == SERVICE_NAME_KEY) {
            resource.insert(0, (SERVICE_NAME_KEY.to_owned(), "outflow".to_owned()));
        }
        Ok(Some(Self { url, headers, resource }))
    }

    /// Adds to the resource what the variables do not say: `service.version`, `service.instance.id`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        if !self.resource.iter().any(|(known, _)| known == key) {
            self.resource.push((key.to_owned(), value.to_owned()));
        }
        self
    }
}

/// `key=value,key=value`, with `%20` and the like in values.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then_some(())?;
        Some((key.to_owned(), decoded(value.trim())?))
    };
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(pair).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(high)? << 4 | digit(low)?);
                rest = after;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
