//! Nix's base32: the bytes as one little-endian number, written with its highest digit first.
//!
//! Source: `printHash32` of Nix, as described under “Nix32” in the Nix manual's glossary.

use crate::HashError;

/// The digits by value; e, o, t and u are left out so that hashes spell fewer words.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The value of each byte as a digit; 0xff for what is no digit.
const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 32 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Whether each byte is a digit.
pub(crate) const IS_DIGIT: [bool; 256] = {
    let mut is_digit = [false; 256];
    let mut value = 0;
    while value < 32 {
        is_digit[DIGITS[value] as usize] = true;
        value += 1;
    }
    is_digit
};

/// Returns how many digits `bytes` bytes take.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Returns the base32 text of `bytes`; empty for none.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digit = |position: usize| {
        let (index, shift) = (position * 5 / 8, position * 5 % 8);
        let pair = [bytes[index], bytes.get(index + 1).copied().unwrap_or(0)];
        char::from(DIGITS[usize::from(u16::from_le_bytes(pair) >> shift & 0x1f)])
    };
    (0..encoded_len(bytes.len())).rev().map(digit).collect()
}

/// Reads `text` as `N` bytes.
///
/// # Errors
///
/// [`HashError`] when the length is not that of `N` bytes, a character is no digit, or the first
/// digit has bits beyond the last byte.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], HashError> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Reads `text` into `bytes`, which it must fill exactly.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), HashError> {
    let wanted = encoded_len(bytes.len());
    if text.len() != wanted {
        return Err(HashError::Length {
            text: text.to_owned(),
            found: text.chars().count(),
            wanted: wanted.to_string(),
        });
    }
    if let Some((index, found)) = text.char_indices().find(|&(_, found)| !is_digit(found)) {
        return Err(HashError::Base32Digit { text: text.to_owned(), index, found });
    }
    bytes.fill(0);
    for (position, digit) in text.bytes().rev().enumerate() {
        let value = u16::from(VALUES[usize::from(digit)]) << (position * 5 % 8);
        let [low, high] = value.to_le_bytes();
        let index = position * 5 / 8;
        bytes[index] |= low;
        match bytes.get_mut(index + 1) {
            Some(next) => *next |= high,
            None if high == 0 => {}
            None => {
                let (text, bytes) = (text.to_owned(), bytes.len());
                return Err(HashError::Base32Overflow { text, bytes });
            }
        }
    }
    Ok(())
}

/// Whether `character` is a digit.
pub(crate) fn is_digit(character: char) -> bool {
    u8::try_from(character).is_ok_and(|byte| VALUES[usize::from(byte)] != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_highest_digit_comes_first() {
        assert_eq!(encode(&[0x1f]), "0z");
        assert_eq!(encode(&[0, 0x01]), "0080");
    }

    #[test]
    fn refuses_bits_beyond_the_last_byte() {
        let refusal = decode::<1>("80").unwrap_err();
        assert_eq!(refusal.to_string(), "`80` has bits beyond its 1 bytes");
        assert_eq!(decode::<1>("7z").unwrap(), [0xff]);
    }

    #[test]
    fn names_the_character_that_is_no_digit() {
        let refusal = decode::<2>("0e0z").unwrap_err();
        let wanted = "`0e0z` has `e` at 1, which is not a digit of Nix base32";
        assert_eq!(refusal.to_string(), wanted);
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut decoded = vec![0; bytes.len()];
            decode_into(&encode(&bytes), &mut decoded)?;
            prop_assert_eq!(decoded, bytes);
        }

        /// Two texts are never the same bytes.
        #[test]
        fn what_is_decoded_is_written_the_same_again(text in "[0-9a-z]{52}") {
            if let Ok(bytes) = decode::<32>(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let _ = decode::<20>(&text);
        }
    }
}
