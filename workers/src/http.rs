//! The processor `http`: sends the ready record of each object to a server with POST. The status of its answer decides.

use std::collections::BTreeMap;
use std::sync::{Once, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use jiff::fmt::rfc2822;
use orch_core::duration;
use orch_core::id::Millis;
use orch_wire::{Headers, MAX_OUTPUTS_BYTES};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use crate::{Outputs, Processor, Progress, Work, WorkFailure};

/// How much of a failed answer's body goes into the error text.
const ERROR_BODY_BYTES: usize = 1_024;
/// Longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The provider of cryptography is chosen once for the whole process.
static PROVIDER: Once = Once::new();

/// Settings of `http`.
///
/// 2xx: the object is loaded, and the body is its outputs if it is a JSON object. Any other status, and a server that
/// does not answer, is a failure. Another attempt may help after 408, 425, 429, 5xx and a broken connection, not before
/// the time that `Retry-After` names. Redirects are not followed: a POST would arrive as a GET.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// Where to send the record.
    pub url: String,
    /// Headers in addition to `content-type` and the `CloudEvents` ones.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long to wait for the whole answer; default: until the attempt's time is up.
    #[serde(default)]
    pub timeout: Option<String>,
}

impl Http {
    /// The processor, if the settings make sense.
    pub fn checked(self) -> Result<HttpProcessor, String> {
        let url = Url::parse(&self.url).map_err(|error| format!("url `{}`: {error}", self.url))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("url `{url}` begins with neither http:// nor https://"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value));
            let (Ok(name), Ok(mut value)) = parsed else {
                return Err(format!(
                    "header `{name}` or its value has a character that is not allowed there"
                ));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let timeout = self.timeout.as_deref().map(duration::parse).transpose();
        let timeout = timeout.map_err(|error| error.to_string())?;
        let timeout = timeout.map(|ms| Duration::from_millis(ms.max(0) as u64));
        Ok(HttpProcessor { url, headers, timeout, client: OnceLock::new() })
    }
}

/// The processor `http`; made by [`Http::checked`].
pub struct HttpProcessor {
    url: Url,
    headers: HeaderMap,
    timeout: Option<Duration>,
    /// Made with the first object, because it reads the system's certificates.
    client: OnceLock<Client>,
}

impl HttpProcessor {
    fn client(&self) -> Result<&Client, WorkFailure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // It fails when the program around us has chosen one already, which is as good.
        PROVIDER.call_once(|| _ = rustls::crypto::ring::default_provider().install_default());
        let builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("orch-worker/", env!("CARGO_PKG_VERSION")));
        let client = builder.build().map_err(|error| WorkFailure::new("HttpError", chain(&error)))?;
        Ok(self.client.get_or_init(|| client))
    }

    /// `content-type`, the record's `CloudEvents` attributes, and what the settings add or replace.
    fn headers(&self, work: &Work) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let event =
            Headers::event("ObjectReady", work.run_name(), Some(work.run_uid()), work.attempt(), now_ms());
        event.each(work.object().as_str(), |name, value| {
            // `ce_id` in Kafka is `ce-id` in HTTP. An id with characters that no header takes stays in the body alone.
            let parsed = (HeaderName::try_from(name.replace('_', "-")), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = parsed {
                headers.insert(name, value);
            }
        });
        headers.extend(self.headers.clone());
        headers
    }

    fn transport_failure(&self, error: &reqwest::Error) -> WorkFailure {
        if error.is_timeout() && !error.is_connect() {
            let waited = self.timeout.map_or(0, |timeout| timeout.as_millis() as Millis);
            return WorkFailure::new(
                "HttpTimeout",
                format!("no answer from {} within {}", self.place(), duration::display(waited)),
            );
        }
        WorkFailure::new("HttpError", format!("POST {}: {}", self.place(), chain(error)))
    }

    /// The URL without what may be secret: user, password and query.
    fn place(&self) -> String {
        let port = self.url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{}://{}{port}{}", self.url.scheme(), self.url.host_str().unwrap_or(""), self.url.path())
    }

    async fn failed(&self, mut response: Response) -> WorkFailure {
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now_ms()));
        // The status is what counts: of a body that breaks off the beginning is good enough.
        let body = read_up_to(&mut response, ERROR_BODY_BYTES).await.unwrap_or_else(|broken| broken.read);
        let body = String::from_utf8_lossy(&body[..body.len().min(ERROR_BODY_BYTES)]).trim().to_owned();
        let separator = if body.is_empty() { "" } else { ": " };
        let failure = WorkFailure {
            retryable: is_retryable(status),
            ..WorkFailure::new(
                "HttpStatus",
                format!("POST {} gave status {status}{separator}{body}", self.place()),
            )
        };
        match retry_after {
            Some(wait) => failure.with_retry_after(wait),
            None => failure,
        }
    }
}

#[async_trait]
impl Processor for HttpProcessor {
    async fn process(&self, work: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
        let mut request =
            self.client()?.post(self.url.clone()).headers(self.headers(work)).body(work.record().clone());
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        let mut response = request.send().await.map_err(|error| self.transport_failure(&error))?;
        if !response.status().is_success() {
            return Err(self.failed(response).await);
        }
        let body = read_up_to(&mut response, MAX_OUTPUTS_BYTES + 1).await;
        let body = body.map_err(|broken| self.transport_failure(&broken.error))?;
        if body.len() > MAX_OUTPUTS_BYTES && body.trim_ascii_start().starts_with(b"{") {
            return Err(Outputs::too_large(body.len()));
        }
        let outputs = std::str::from_utf8(&body).ok().and_then(Outputs::parse);
        outputs.unwrap_or_else(|| Ok(Outputs::none()))
    }
}

fn is_retryable(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// A body that broke off.
struct Broken {
    read: Vec<u8>,
    error: reqwest::Error,
}

/// Reads until the body ends or there are at least `enough` bytes.
async fn read_up_to(response: &mut Response, enough: usize) -> Result<Vec<u8>, Broken> {
    let mut read = Vec::new();
    while read.len() < enough {
        match response.chunk().await {
            Ok(Some(piece)) => read.extend_from_slice(&piece),
            Ok(None) => break,
            Err(error) => return Err(Broken { read, error }),
        }
    }
    Ok(read)
}

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds or a date.
fn retry_after(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    let wait = text.parse().map(Duration::from_secs).ok().or_else(|| {
        let date = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
        Some(Duration::from_millis(u64::try_from(date - now).unwrap_or(0)))
    })?;
    Some(wait.min(MAX_RETRY_AFTER))
}

fn now_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as Millis
}

/// An error with all its causes; the URL is left out, because it may hold secrets.
fn chain(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_connect() { "cannot connect".to_owned() } else { "the connection broke".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        let cases = [
            ("120", Some(120)),
            ("0", Some(0)),
            ("99999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, expected) in [
            (302, false),
            (400, false),
            (404, false),
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(is_retryable(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }
}
