//! Archives of arbitrary trees, with faults that real ones do not have.
//!
//! Bytes are read as decisions, so that a small change of the input is a small change of the tree:
//! what a fuzzer keeps of one find it can build the next on.

/// Most directories inside each other; deeper ones are for unit tests.
const DEPTH_MAX: u8 = 6;

/// Most nodes of one tree.
const NODES_MAX: usize = 40;

/// Names that have been trouble somewhere.
const NAMES: [&[u8]; 14] = [
    b"a",
    b"A",
    b"b",
    b"lib",
    b"a~nix~case~hack~1",
    b"a\xff",
    b" ",
    b"a\n",
    b"\\",
    b".hidden",
    b"-rf",
    b"nix-archive-1",
    b"(",
    b"entry",
];

/// Names that no file has.
const BAD_NAMES: [&[u8]; 7] = [b"", b".", b"..", b"a/b", b"/", b"a\0b", b"\0"];

/// Decisions, one byte each; zeros behind the end, which are the dull choice everywhere.
#[derive(Debug)]
struct Choices<'a> {
    left: &'a [u8],
}

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Rarely true: one decision in twenty.
    fn fault(&mut self) -> bool {
        self.byte() > 242
    }
}

/// Returns the archive that follows from `decisions`.
#[must_use]
pub fn archive(decisions: &[u8]) -> Vec<u8> {
    let mut maker = Maker { choices: Choices { left: decisions }, nar: Vec::new(), nodes: 0 };
    maker.word(b"nix-archive-1");
    maker.node(0);
    if maker.choices.fault() {
        let trailing = [&b""[..], b"\0", b"\0\0\0\0\0\0\0\0", b"\x01\0\0\0\0\0\0\0)\0\0\0\0\0\0\0"];
        let index = maker.choices.below(trailing.len());
        maker.nar.extend_from_slice(trailing[index]);
    }
    if maker.choices.fault() {
        let len = maker.choices.below(maker.nar.len().max(1));
        maker.nar.truncate(len);
    }
    maker.nar
}

struct Maker<'a> {
    choices: Choices<'a>,
    nar: Vec<u8>,
    nodes: usize,
}

impl Maker<'_> {
    fn word(&mut self, word: &[u8]) {
        self.nar.extend_from_slice(&(word.len() as u64).to_le_bytes());
        self.nar.extend_from_slice(word);
        self.nar.resize(self.nar.len().next_multiple_of(8), 0);
    }

    /// A word of the grammar, rarely another, none, twice, or with a wrong length or padding.
    fn grammar(&mut self, word: &[u8]) {
        if !self.choices.fault() {
            return self.word(word);
        }
        match self.choices.byte() % 6 {
            0 => {}
            1 => {
                self.word(word);
                self.word(word);
            }
            2 => {
                let others =
                    [&b"("[..], b")", b"type", b"contents", b"executable", b"entry", b"name", b"x"];
                let index = self.choices.below(others.len());
                self.word(others[index]);
            }
            3 => {
                let start = self.nar.len();
                self.word(word);
                let len = u64::from(self.choices.byte()).wrapping_sub(128);
                self.nar[start..start + 8].copy_from_slice(&len.to_le_bytes());
            }
            4 => {
                self.word(word);
                if let Some(last) = self.nar.last_mut() {
                    *last ^= 1;
                }
            }
            _ => {
                self.word(word);
                let extra = [&b"executable"[..], b"contents", b"target", b""];
                let index = self.choices.below(extra.len());
                self.word(extra[index]);
                self.word(b"");
            }
        }
    }

    fn node(&mut self, depth: u8) {
        self.nodes += 1;
        self.grammar(b"(");
        self.grammar(b"type");
        match self.choices.byte() % 4 {
            0 | 1 => self.file(),
            2 => self.symlink(),
            _ if depth < DEPTH_MAX => self.directory(depth),
            _ => self.symlink(),
        }
        self.grammar(b")");
    }

    fn file(&mut self) {
        self.grammar(b"regular");
        if self.choices.byte().is_multiple_of(3) {
            self.grammar(b"executable");
            self.grammar(b"");
        }
        self.grammar(b"contents");
        let len = self.choices.below(40);
        let contents: Vec<u8> = (0..len).map(|_| self.choices.byte()).collect();
        self.grammar(&contents);
    }

    fn symlink(&mut self) {
        self.grammar(b"symlink");
        self.grammar(b"target");
        let target: Vec<u8> = match self.choices.byte() % 16 {
            0 => Vec::new(),
            1 => b"a\0b".to_vec(),
            2 => vec![b'x'; 4094 + self.choices.below(3)],
            3 => b"/nix/store/..".to_vec(),
            _ => (0..=self.choices.below(12)).map(|_| self.choices.byte().max(1)).collect(),
        };
        self.grammar(&target);
    }

    fn directory(&mut self, depth: u8) {
        self.grammar(b"directory");
        let count = self.choices.below(6);
        let mut names: Vec<Vec<u8>> = (0..count).map(|_| self.name()).collect();
        if !self.choices.fault() {
            names.sort();
            names.dedup();
        }
        for name in names {
            if self.nodes >= NODES_MAX {
                break;
            }
            self.grammar(b"entry");
            self.grammar(b"(");
            self.grammar(b"name");
            self.grammar(&name);
            self.grammar(b"node");
            self.node(depth + 1);
            self.grammar(b")");
        }
    }

    fn name(&mut self) -> Vec<u8> {
        if self.choices.fault() {
            let index = self.choices.below(BAD_NAMES.len());
            return BAD_NAMES[index].to_vec();
        }
        match self.choices.byte() % 4 {
            0 => (0..=self.choices.below(8)).map(|_| self.choices.byte()).collect(),
            1 => vec![b'n'; 254 + self.choices.below(3)],
            _ => NAMES[self.choices.below(NAMES.len())].to_vec(),
        }
    }
}
