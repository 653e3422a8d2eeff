//! Brotli as a reader that takes not a byte too many and no window above 16 MiB.
//!
//! The crate's own reader allows windows of 1 GiB and does not say what follows the stream.

use std::io::{self, BufRead, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(crate) struct BrotliDecoder<R> {
    input: R,
    state: Box<State>,
    is_done: bool,
}

impl<R: BufRead> BrotliDecoder<R> {
    pub(crate) fn new(input: R) -> Self {
        let allocator = StandardAlloc::default;
        let state = State::new_strict(allocator(), allocator(), allocator());
        Self { input, state: Box::new(state), is_done: false }
    }

    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.input
    }
}

impl<R: BufRead> Read for BrotliDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while !self.is_done && written == 0 && !buffer.is_empty() {
            let input = self.input.fill_buf()?;
            let is_end = input.is_empty();
            let (mut left, mut taken, mut room) = (input.len(), 0, buffer.len());
            let result = BrotliDecompressStream(
                &mut left,
                &mut taken,
                input,
                &mut room,
                &mut written,
                buffer,
                &mut 0,
                &mut self.state,
            );
            self.input.consume(taken);
            match result {
                BrotliResult::ResultSuccess => self.is_done = true,
                BrotliResult::NeedsMoreInput if is_end && written == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(written)
    }
}
