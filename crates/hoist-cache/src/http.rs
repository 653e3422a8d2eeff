//! Caches behind a web server.

use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::CONTENT_ENCODING;
use ureq::tls::{RootCerts, TlsConfig};

use crate::place::Found;
use crate::{CacheError, CacheOptions};

/// Most redirects to one file: object stores and mirrors need one or two.
const REDIRECTS_MAX: u32 = 5;

/// Largest header of an answer, in bytes.
const HEADER_MAX_LEN: usize = 64 * 1024;

/// Slowest transfer that is waited for, in bytes a second, over the whole of a file.
const RATE_MIN: u64 = 4 * 1024;

/// A web server, by the address of its cache.
#[derive(Debug)]
pub(crate) struct Server {
    /// Without a slash at its end.
    base: String,
    agent: Agent,
    stall_timeout: Duration,
}

impl Server {
    pub(crate) fn new(url: &str, options: &CacheOptions) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(url.starts_with("https:"))
            .http_status_as_error(false)
            .max_redirects(REDIRECTS_MAX)
            .max_response_header_size(HEADER_MAX_LEN)
            .timeout_resolve(Some(options.connect_timeout))
            .timeout_connect(Some(options.connect_timeout))
            .timeout_send_request(Some(options.stall_timeout))
            .timeout_recv_response(Some(options.stall_timeout))
            .timeout_per_read(Some(options.stall_timeout))
            .user_agent(concat!("hoist/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .build();
        let base = url.trim_end_matches('/').to_owned();
        Self { base, agent: config.into(), stall_timeout: options.stall_timeout }
    }

    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// Asks for a file of at most `limit` bytes.
    pub(crate) fn find(&self, name: &str, limit: u64) -> Result<Option<Found>, CacheError> {
        let url = self.url_of(name);
        let transfer = self.stall_timeout + Duration::from_secs(limit / RATE_MIN);
        let request = self.agent.get(&url).config().timeout_recv_body(Some(transfer)).build();
        let response = match request.call() {
            Ok(response) => response,
            Err(source) => return Err(CacheError::Http { url, source: Box::new(source) }),
        };
        match response.status() {
            StatusCode::OK => {}
            // S3 says 403 for what is absent in a bucket that may not be listed.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => return Ok(None),
            status => return Err(CacheError::Status { url, status: status.as_u16() }),
        }
        let encodings = response.headers().get_all(CONTENT_ENCODING).iter();
        if let Some(other) = encodings.into_iter().find(|found| found.as_bytes() != b"identity") {
            let found = String::from_utf8_lossy(other.as_bytes()).escape_debug().to_string();
            return Err(CacheError::Encoding { url, found });
        }
        let body = response.into_body();
        let size = body.content_length();
        if size.is_some_and(|size| size > limit) {
            return Err(CacheError::TooLong { url, limit });
        }
        Ok(Some(Found { body: Box::new(body.into_reader()), size }))
    }
}
