//! Credentials inside the file.
//!
//! Only what has a form of its own is looked for: private keys with their body, tokens whose
//! issuers gave them a prefix and a length, and passwords in URLs. Whether one still works is not
//! asked.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;

use crate::report::Judge;
use crate::rule::LEAK_SECRET;

/// How much of a secret a message shows, in bytes.
const MOST_SHOWN: usize = 8;

/// Most findings about one file.
const MOST_FOUND: usize = 10;

/// Least distinct bytes of a secret's body; placeholders such as `xxxxxxxx` have fewer.
const LEAST_DISTINCT: usize = 8;

/// Least bytes of a private key's body: its first line.
const LEAST_KEY_BYTES: usize = 64;

/// A kind of token.
struct Token {
    what: &'static str,
    start: &'static str,
    /// Bytes behind the start.
    length: std::ops::RangeInclusive<usize>,
    is_of_body: fn(u8) -> bool,
}

const fn token(what: &'static str, start: &'static str, least: usize, most: usize) -> Token {
    Token { what, start, length: least..=most, is_of_body: is_word }
}

/// Prefixes and lengths as the issuers document them.
static TOKENS: [Token; 15] = [
    Token {
        what: "an AWS access key",
        start: "AKIA",
        length: 16..=16,
        is_of_body: is_capital_or_digit,
    },
    Token {
        what: "an AWS session key",
        start: "ASIA",
        length: 16..=16,
        is_of_body: is_capital_or_digit,
    },
    token("a GitHub token", "ghp_", 36, 36),
    token("a GitHub token", "gho_", 36, 36),
    token("a GitHub token", "ghu_", 36, 36),
    token("a GitHub token", "ghs_", 36, 36),
    token("a GitHub token", "github_pat_", 60, 120),
    token("a GitLab token", "glpat-", 20, 60),
    token("a Slack token", "xoxb-", 24, 120),
    token("a Slack token", "xoxp-", 24, 120),
    token("a Stripe key", "sk_live_", 24, 120),
    token("a PyPI token", "pypi-AgE", 50, 400),
    token("an npm token", "npm_", 36, 36),
    token("a Google API key", "AIza", 35, 35),
    token("a Hugging Face token", "hf_", 34, 40),
];

const KEY_END: &str = "PRIVATE KEY-----";
const URL: &str = "://";

/// Passwords that stand in examples.
const PLACEHOLDERS: [&str; 6] = ["password", "passwd", "secret", "example", "changeme", "hunter2"];

/// Looks at 16 or 32 bytes at a time; an automaton would look at each.
static SEARCH: LazyLock<Searcher> = LazyLock::new(|| {
    let starts = TOKENS.iter().map(|token| token.start).chain([KEY_END, URL]);
    Searcher::new(starts).expect("the patterns are few and short")
});

pub(crate) fn check(judge: &mut Judge<'_>, bytes: &[u8]) {
    let found = SEARCH.find_iter(bytes).filter_map(|found| {
        let (start, end) = (found.start(), found.end());
        match TOKENS.get(found.pattern().as_usize()) {
            Some(token) => find_token(bytes, start, end, token),
            None if &bytes[start..end] == URL.as_bytes() => find_password(bytes, end),
            None => find_key(bytes, start, end),
        }
    });
    for (what, at, shown) in found.take(MOST_FOUND) {
        judge.report(
            &LEAK_SECRET,
            format_args!("{what} is in the file at offset {at:#x}: `{shown}…`"),
            "revoke it, and give it to the program when it runs: an environment variable, a file",
        );
    }
}

/// What was found, where, and its start for the message.
type Secret = (&'static str, usize, String);

fn find_token(bytes: &[u8], start: usize, end: usize, token: &Token) -> Option<Secret> {
    let is_inside = start > 0 && is_word(bytes[start - 1]);
    let most = token.length.end() + 1;
    let body = run(&bytes[end..], most, token.is_of_body);
    let is_example = body.ends_with(b"EXAMPLE");
    let holds = token.length.contains(&body.len()) && is_random(body) && !is_example;
    (holds && !is_inside).then(|| (token.what, start, shown(bytes, start)))
}

/// A key in PEM, whose end of the first line is at `end`; line ends may be written as `\n`.
fn find_key(bytes: &[u8], start: usize, end: usize) -> Option<Secret> {
    const LONGEST_KIND: usize = 24;
    const BEGIN: &[u8] = b"-----BEGIN ";
    let before = &bytes[start.saturating_sub(BEGIN.len() + LONGEST_KIND)..start];
    before.windows(BEGIN.len()).position(|window| window == BEGIN)?;
    let body = &bytes[end..bytes.len().min(end + 2 * LEAST_KEY_BYTES)];
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n\\".contains(&byte);
    let body = run(body, 2 * LEAST_KEY_BYTES, is_base64);
    (body.len() >= LEAST_KEY_BYTES && is_random(body))
        .then(|| ("a private key", start, "-----BEGIN".to_owned()))
}

/// `USER:PASSWORD@HOST` behind `://`.
fn find_password(bytes: &[u8], end: usize) -> Option<Secret> {
    const MOST: usize = 128;
    let user = run(&bytes[end..], MOST, |byte| is_word(byte) || byte == b'.');
    let rest = bytes[end + user.len()..].strip_prefix(b":")?;
    // Formats such as `%s:%s@` and templates such as `${USER}:${PASSWORD}@` are no passwords.
    let is_of_password = |byte: u8| byte.is_ascii_graphic() && !b"/@:%{}<>$\"'\\".contains(&byte);
    let password = run(rest, MOST, is_of_password);
    let host = rest[password.len()..].strip_prefix(b"@")?;
    let text = String::from_utf8_lossy(password).to_ascii_lowercase();
    let is_placeholder = PLACEHOLDERS.iter().any(|placeholder| text.contains(placeholder));
    let is_mixed = password.iter().any(u8::is_ascii_digit)
        && password.iter().any(u8::is_ascii_alphabetic)
        && password.len() >= 6;
    let holds = !user.is_empty() && is_mixed && !is_placeholder;
    (holds && host.first().is_some_and(u8::is_ascii_alphanumeric))
        .then(|| ("a password in a URL", end, String::from_utf8_lossy(user).into_owned()))
}

/// The first bytes of `bytes`, up to `most`, that are of a kind.
fn run(bytes: &[u8], most: usize, is_of_kind: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take(most).take_while(|byte| is_of_kind(**byte)).count();
    &bytes[..length]
}

fn shown(bytes: &[u8], at: usize) -> String {
    String::from_utf8_lossy(&bytes[at..bytes.len().min(at + MOST_SHOWN)]).into_owned()
}

/// Whether it has letters, digits and variety: a name has no digits, a placeholder no variety.
fn is_random(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    for &byte in body {
        seen[usize::from(byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count() >= LEAST_DISTINCT
        && body.iter().any(u8::is_ascii_digit)
        && body.iter().any(u8::is_ascii_alphabetic)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
}

fn is_capital_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}
