//! Decompressing a NAR in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use hoist_nix::Compression;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::brotli::BrotliDecoder;
use crate::meter::Meter;

/// Most memory that XZ, lzip and LZMA may take, in bytes: `xz -9` needs 65 MiB.
const LZMA_MEMORY_LIMIT: u64 = 80 << 20;

/// Largest window of Zstandard, as a power of 2: `zstd --ultra -22` needs 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

type Input = BufReader<Meter>;

/// A decoder over a metered file.
///
/// Files of several streams are read to their end, as parallel compressors write them. Brotli and
/// LZMA have one stream only.
pub(crate) enum Decoder {
    None(Input),
    /// XZ, lzip and LZMA.
    Lzma(XzDecoder<Input>),
    Bzip2(MultiBzDecoder<Input>),
    Gzip(Box<MultiGzDecoder<Input>>),
    Zstd(zstd::Decoder<'static, Input>),
    Brotli(BrotliDecoder<Input>),
}

impl Decoder {
    pub(crate) fn new(compression: Compression, file: Meter) -> io::Result<Self> {
        let input = BufReader::with_capacity(64 * 1024, file);
        Ok(match compression {
            Compression::None => Self::None(input),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(LZMA_MEMORY_LIMIT, CONCATENATED)?;
                Self::Lzma(XzDecoder::new_stream(input, stream))
            }
            Compression::Lzip => {
                let stream = Stream::new_lzip_decoder(LZMA_MEMORY_LIMIT, CONCATENATED)?;
                Self::Lzma(XzDecoder::new_stream(input, stream))
            }
            Compression::Lzma => {
                let stream = Stream::new_lzma_decoder(LZMA_MEMORY_LIMIT)?;
                Self::Lzma(XzDecoder::new_stream(input, stream))
            }
            Compression::Bzip2 => Self::Bzip2(MultiBzDecoder::new(input)),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(decoder)
            }
            Compression::Brotli => Self::Brotli(BrotliDecoder::new(input)),
        })
    }

    /// Whether the file ends where its contents end.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.input().fill_buf()?.is_empty())
    }

    /// The file below.
    pub(crate) fn file(&mut self) -> &mut Meter {
        self.input().get_mut()
    }

    fn input(&mut self) -> &mut Input {
        match self {
            Self::None(input) => input,
            Self::Lzma(decoder) => decoder.get_mut(),
            Self::Bzip2(decoder) => decoder.get_mut(),
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(input) => input.read(buffer),
            Self::Lzma(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Brotli(decoder) => decoder.read(buffer),
        }
    }
}
