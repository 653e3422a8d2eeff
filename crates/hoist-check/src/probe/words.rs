//! What the probe's program wrote on its slate; `probe/probe.h` has the form.
//!
//! A library that is being loaded may have scribbled on it, so nothing here is taken for granted.

/// Bytes of the nonce, the slate's beginning.
pub(super) const NONCE_BYTES: usize = 32;

/// Bytes of the slate.
pub(super) const SLATE_BYTES: usize = 16384;

/// Where the supervisor's lines begin, behind those of the process that loads the library.
const SUPERVISOR_AT: usize = 12288;

/// Most lines of either that are read.
const MOST_LINES: usize = 4096;

/// What the program told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What stands where the nonce goes.
    pub(super) nonce: [u8; NONCE_BYTES],
    /// What the process that loaded the library said, in order.
    pub(super) subject: Vec<Line>,
    /// What the process that watched it said.
    pub(super) supervisor: Vec<Line>,
}

/// One line: a key and its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: String,
    pub(super) values: Vec<String>,
}

impl Line {
    /// Value number `index`, empty when there is none.
    pub(super) fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }
}

impl Told {
    /// Reads a slate; what is no line is left out.
    pub(super) fn parse(slate: &[u8]) -> Self {
        let mut nonce = [0; NONCE_BYTES];
        let part = |from: usize, to: usize| slate.get(from..to).unwrap_or_default();
        if let Some(found) = slate.first_chunk() {
            nonce = *found;
        }
        Self {
            nonce,
            subject: lines(part(NONCE_BYTES, SUPERVISOR_AT)),
            supervisor: lines(part(SUPERVISOR_AT, SLATE_BYTES)),
        }
    }

    /// The values of each line of the subject with this key.
    pub(super) fn each<'t>(&'t self, key: &'t str) -> impl Iterator<Item = &'t Line> {
        self.subject.iter().filter(move |line| line.key == key)
    }

    /// The first line of either with this key.
    pub(super) fn first(&self, key: &str) -> Option<&Line> {
        self.subject.iter().chain(&self.supervisor).find(|line| line.key == key)
    }

    /// The number of the first line with this key.
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.first(key)?.value(0).parse().ok()
    }

    /// What the subject did last.
    pub(super) fn phase(&self) -> &str {
        self.each("phase").last().map_or("", |line| line.value(0))
    }
}

/// Lines up to the first NUL; what has no end was cut off.
fn lines(text: &[u8]) -> Vec<Line> {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let mut lines: Vec<&[u8]> = text[..end].split(|&byte| byte == b'\n').collect();
    lines.pop();
    let line = |line: &[u8]| {
        let mut words = line.split(|&byte| byte == b' ').map(unescape);
        Line { key: words.next().unwrap_or_default(), values: words.collect() }
    };
    lines.into_iter().take(MOST_LINES).map(line).collect()
}

/// Undoes `\xHH`; a backslash before anything else stays.
fn unescape(word: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some((byte, behind)) = escaped(rest) {
            bytes.push(byte);
            rest = behind;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = text.strip_prefix(b"\\x")?.split_at_checked(2)?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    Some((u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slate(subject: &[u8], supervisor: &[u8]) -> Vec<u8> {
        let mut slate = vec![0; SLATE_BYTES];
        slate[..NONCE_BYTES].copy_from_slice(&[7; NONCE_BYTES]);
        slate[NONCE_BYTES..][..subject.len()].copy_from_slice(subject);
        slate[SUPERVISOR_AT..][..supervisor.len()].copy_from_slice(supervisor);
        slate
    }

    #[test]
    fn lines_of_both_processes_are_read() {
        let told = Told::parse(&slate(
            b"phase load\nphase look-up\nmissing f a\\x20b\\x0ac\n",
            b"end signal 11\n",
        ));
        assert_eq!(told.nonce, [7; NONCE_BYTES]);
        assert_eq!(told.phase(), "look-up");
        assert_eq!(told.first("missing").unwrap().values, ["f", "a b\nc"]);
        assert_eq!(told.first("end").unwrap().values, ["signal", "11"]);
        assert_eq!(told.first("end").unwrap().value(2), "");
    }

    #[test]
    fn a_line_without_its_end_is_left_out() {
        let told = Told::parse(&slate(b"umask 022\numask 0", b""));
        assert_eq!(told.subject.len(), 1);
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescape(b"\\x4"), "\\x4");
        assert_eq!(unescape(b"\\x+1\\"), "\\x+1\\");
        assert_eq!(unescape(b"\\x41\\\\x42"), "A\\B");
    }

    #[test]
    fn no_slate_tells_nothing() {
        assert_eq!(Told::parse(&[]), Told::default());
    }

    /// As `say` of `probe/main.c` writes a value.
    fn escape(value: &[u8]) -> String {
        let escape = |&byte: &u8| match byte {
            b'!'..=b'~' if byte != b'\\' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        value.iter().map(escape).collect()
    }

    proptest! {
        /// A value in any bytes arrives as it was said, but for what is no UTF-8.
        #[test]
        fn reading_undoes_saying(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6)) {
            let mut text = "key".to_owned();
            for value in &values {
                text = format!("{text} {}", escape(value));
            }
            let told = Told::parse(&slate(format!("{text}\n").as_bytes(), b""));
            let wanted: Vec<String> =
                values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
            prop_assert_eq!(&told.subject[0].values, &wanted);
        }

        /// What a library scribbled on the slate is read as something, in bounds.
        #[test]
        fn any_bytes_are_read(
            bytes in prop::collection::vec(prop::sample::select(&b"\\x4a \nphase\xff\0"[..]), 0..SLATE_BYTES + 9)
        ) {
            let told = Told::parse(&bytes);
            prop_assert!(told.subject.len() <= MOST_LINES && told.supervisor.len() <= MOST_LINES);
            prop_assert!(told.subject.iter().all(|line| !line.key.contains('\n')));
        }
    }
}
