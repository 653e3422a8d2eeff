//! Texts of a peer, made fit for a terminal or a log.

/// Returns what Nix says in colour as plain text: without escape sequences and control characters,
/// which could do to a terminal what they like; lines and tabs stay.
///
/// ```
/// let said = b"path '\x1b[35;1m/nix/store/x\x1b[0m' is not valid\r\n";
/// assert_eq!(hoist_nix::wire::plain_text(said), "path '/nix/store/x' is not valid\n");
/// ```
#[must_use]
pub fn plain_text(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let mut plain = String::with_capacity(said.len());
    let mut rest = said.chars();
    while let Some(found) = rest.next() {
        match found {
            '\x1b' => skip_escape(&mut rest),
            '\n' | '\t' => plain.push(found),
            _ if found.is_control() => {}
            _ => plain.push(found),
        }
    }
    plain
}

/// Skips what belongs to an escape character.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.next() {
        // Parameters, then one letter or another sign from `@` to `~`.
        Some('[') => {
            let _ = rest.find(|found| matches!(found, '@'..='~'));
        }
        // An operating system command, such as a link, ends with a bell or another escape.
        Some(']') => {
            let end = rest.find(|found| matches!(found, '\x07' | '\x1b'));
            if end == Some('\x1b') {
                let _ = rest.next();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_of_all_kinds_are_left_out() {
        assert_eq!(plain_text(b"\x1b[31;1merror:\x1b[0m no"), "error: no");
        assert_eq!(plain_text(b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x07 \x1bcend"), "link end");
        assert_eq!(plain_text(b"cut \x1b[31"), "cut ");
        assert_eq!(plain_text(b"a\xffb\x00\x08\r\n"), "a\u{fffd}b\n");
    }

    proptest! {
        #[test]
        fn nothing_a_terminal_obeys_is_left(said in prop::collection::vec(any::<u8>(), 0..80)) {
            let plain = plain_text(&said);
            prop_assert!(plain.chars().all(|found| !found.is_control() || "\n\t".contains(found)));
        }
    }
}
