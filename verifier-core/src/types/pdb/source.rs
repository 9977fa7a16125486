//! The bytes of a PDB in the form that the crate reads, and streams that outlive their reader.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dump::{FileError, ReadAt};
use crate::error::Error;
use crate::symbols;

/// The bytes of a file, owned: a vector, a mapping.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The pieces of a stream in the file: offset and size.
pub(super) type Pieces = Vec<(u64, usize)>;

/// Where the bytes of a PDB are.
#[derive(Clone)]
pub(super) enum Content {
    Memory(Bytes),
    Disk(Arc<Disk>),
}

/// A file of which only the streams that are used are read, each once.
pub(super) struct Disk {
    file: Arc<dyn ReadAt>,
    streams: Mutex<Streams>,
}

/// The streams that were read.
#[derive(Default)]
struct Streams {
    by_pieces: HashMap<Pieces, Piece>,
    /// The bytes of all of them. They are kept as long as the file has room for them: it can claim that many
    /// streams have the same pieces.
    size: usize,
    last: Option<Piece>,
}

impl Content {
    pub(super) fn of_file(file: Arc<dyn ReadAt>) -> Self {
        Self::Disk(Arc::new(Disk { file, streams: Mutex::default() }))
    }

    /// The length of the file.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => (**bytes).as_ref().len(),
            Self::Disk(disk) => usize::try_from(disk.file.len()).unwrap_or(usize::MAX),
        }
    }

    /// The bytes of pieces that are not longer than the file.
    fn read(&self, pieces: &Pieces) -> Result<Piece, io::Error> {
        match self {
            Self::Memory(bytes) => in_memory(bytes, pieces),
            Self::Disk(disk) => disk.read(pieces),
        }
    }
}

impl Disk {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, pieces: &Pieces) -> Result<Piece, io::Error> {
        let known = self.streams().by_pieces.get(pieces).cloned();
        let piece = match known {
            Some(piece) => piece,
            None => {
                let mut bytes = vec![0; pieces.iter().map(|(_, size)| size).sum()];
                let mut rest = &mut *bytes;
                for &(offset, size) in pieces {
                    let (piece, after) =
                        rest.split_at_mut_checked(size).ok_or(io::ErrorKind::UnexpectedEof)?;
                    self.file.read_at(offset, piece).map_err(io_error)?;
                    rest = after;
                }
                Piece::whole(bytes)
            }
        };
        let mut streams = self.streams();
        streams.last = Some(piece.clone());
        let size = streams.size.saturating_add(piece.as_slice().len());
        if size as u64 <= self.file.len() && !streams.by_pieces.contains_key(pieces) {
            streams.by_pieces.insert(pieces.clone(), piece.clone());
            streams.size = size;
        }
        Ok(piece)
    }
}

fn io_error(error: FileError) -> io::Error {
    match error {
        FileError::PastEnd => io::ErrorKind::UnexpectedEof.into(),
        FileError::Io(text) => io::Error::other(&*text),
    }
}

fn in_memory(bytes: &Bytes, pieces: &Pieces) -> Result<Piece, io::Error> {
    let file = (**bytes).as_ref();
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let range = |&(offset, size): &(u64, usize)| {
        let start = usize::try_from(offset).map_err(|_| short())?;
        let end = start.checked_add(size).filter(|&end| end <= file.len());
        Ok::<_, io::Error>(start..end.ok_or_else(short)?)
    };
    if let [piece] = &**pieces {
        return Ok(Piece { bytes: Arc::clone(bytes), range: range(piece)? });
    }
    let mut copy = Vec::with_capacity(pieces.iter().map(|(_, size)| size).sum());
    for piece in pieces {
        copy.extend_from_slice(file.get(range(piece)?).ok_or_else(short)?);
    }
    Ok(Piece::whole(copy))
}

/// A file in which one stream may be replaced.
pub(super) struct File {
    pub(super) content: Content,
    /// The pieces of a stream, and the bytes to return in their place.
    pub(super) replaced: Option<(Pieces, Bytes)>,
    /// The pieces of the last view that was requested.
    pub(super) last: Arc<Mutex<Pieces>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("File")
    }
}

/// A stream: borrowed from the file if its pages follow each other, as they mostly do, otherwise a copy.
#[derive(Clone)]
pub(super) struct Piece {
    bytes: Bytes,
    range: Range<usize>,
}

impl Piece {
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), bytes: Arc::new(bytes) }
    }

    /// The bytes of a stream that the crate returned: those of the file, or those that were read last, or a
    /// copy if the stream is not in one piece in the file.
    pub(super) fn of(content: &Content, stream: &[u8]) -> Self {
        let file = match content {
            Content::Memory(bytes) => bytes,
            Content::Disk(disk) => match disk.streams().last.clone() {
                Some(last) if std::ptr::eq(last.as_slice(), stream) => return last,
                _ => return Self::whole(stream.to_vec()),
            },
        };
        let whole = (**file).as_ref();
        let start = (stream.as_ptr() as usize).checked_sub(whole.as_ptr() as usize);
        let range = start.and_then(|start| Some(start..start.checked_add(stream.len())?));
        match range.filter(|range| range.end <= whole.len()) {
            Some(range) => Self { bytes: Arc::clone(file), range },
            None => Self::whole(stream.to_vec()),
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        (*self.bytes).as_ref().get(self.range.clone()).unwrap_or_default()
    }

    /// A part of it; a range past the end is cut.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let at = |offset: usize| self.range.start.saturating_add(offset).min(self.range.end);
        Self { bytes: Arc::clone(&self.bytes), range: at(range.start)..at(range.end) }
    }

    /// The bytes that contain it, and its offset in them.
    pub(super) fn into_bytes(self) -> (Bytes, usize) {
        (self.bytes, self.range.start)
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Piece").field(&self.range).finish()
    }
}

impl pdb::SourceView<'static> for Piece {
    fn as_slice(&self) -> &[u8] {
        self.as_slice()
    }
}

impl pdb::Source<'static> for File {
    fn view(
        &mut self,
        slices: &[pdb::SourceSlice],
    ) -> Result<Box<dyn pdb::SourceView<'static>>, io::Error> {
        let total = slices.iter().try_fold(0usize, |sum, slice| sum.checked_add(slice.size));
        if total.is_none_or(|total| total > self.content.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let pieces: Pieces = slices.iter().map(|slice| (slice.offset, slice.size)).collect();
        if let Some((replaced, by)) = &self.replaced
            && *replaced == pieces
        {
            let range = 0..(**by).as_ref().len();
            return Ok(Box::new(Piece { bytes: Arc::clone(by), range }));
        }
        let piece = self.content.read(&pieces)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = pieces;
        Ok(Box::new(piece))
    }
}

pub(super) fn open(content: &Content) -> pdb::Result<pdb::PDB<'static, File>> {
    pdb::PDB::open(File { content: content.clone(), replaced: None, last: Arc::default() })
}

/// Runs `work` and turns the crate's errors and panics into this library's errors.
pub(super) fn guard<T>(work: impl FnOnce() -> pdb::Result<T>) -> Result<T, Error> {
    let refuse = |error: pdb::Error| Error::Symbols { kind: "PDB", why: error.to_string() };
    symbols::guard("PDB", work)?.map_err(refuse)
}
