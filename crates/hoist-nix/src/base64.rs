//! Base64 with the standard alphabet, as SRI hashes use it.
//!
//! Source: RFC 4648, section 4.

use crate::HashError;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the padded base64 text of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let digit = (group >> (18 - 6 * position)) & 0x3f;
            let within = position <= chunk.len();
            text.push(if within { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    text
}

/// Reads `text` into `bytes`, which it must fill exactly; the padding may be left out, as Nix
/// accepts it.
pub(crate) fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), HashError> {
    decode(text, bytes).ok_or_else(|| HashError::Base64 { text: text.to_owned() })
}

/// As [`decode_into`], for texts that no error may hold.
pub(crate) fn decode(text: &str, bytes: &mut [u8]) -> Option<()> {
    let padded_len = bytes.len().div_ceil(3) * 4;
    let digits_len = (bytes.len() * 8).div_ceil(6);
    let (digits, padding) = text.as_bytes().split_at_checked(digits_len)?;
    let is_padded = text.len() == padded_len && padding.iter().all(|&byte| byte == b'=');
    if !padding.is_empty() && !is_padded {
        return None;
    }
    for (chunk, out) in digits.chunks(4).zip(bytes.chunks_mut(3)) {
        let mut group = 0_u32;
        for position in 0..4 {
            let value = match chunk.get(position) {
                Some(byte) => DIGITS.iter().position(|digit| digit == byte)?,
                None => 0,
            };
            group = group << 6 | u32::try_from(value).expect("a digit is below 64");
        }
        let [_, group @ ..] = group.to_be_bytes();
        if group[out.len()..].iter().any(|&rest| rest != 0) {
            return None;
        }
        out.copy_from_slice(&group[..out.len()]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_the_examples_of_the_rfc() {
        let examples = [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in examples {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn refuses_bits_beyond_the_last_byte() {
        assert_eq!(decode_into("Zh==", &mut [0]), Err(HashError::Base64 { text: "Zh==".into() }));
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            let mut decoded = vec![0; bytes.len()];
            decode_into(&encode(&bytes), &mut decoded)?;
            prop_assert_eq!(&decoded, &bytes);
            decode_into(encode(&bytes).trim_end_matches('='), &mut decoded)?;
            prop_assert_eq!(decoded, bytes);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,50}") {
            let _ = decode_into(&text, &mut [0; 32]);
        }
    }
}
