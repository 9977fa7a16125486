//! Cabinets: the compressed form of a file in a symbol store, one file in each.
//!
//! No other module uses the crate `cab`. Layout: Microsoft, "Microsoft Cabinet Format", CFHEADER and
//! CFFILE.

use std::io::{Cursor, Read};

use super::outcome::Miss;

/// `CFHEADER.coffFiles`: where the first CFFILE is.
const COFF_FILES: usize = 0x10;
/// `CFFILE.uoffFolderStart`: where in the expanded folder the file begins.
const UOFF_FOLDER_START: usize = 4;
/// `CFFILE.iFolder`: which folder the file is in.
const I_FOLDER: usize = 8;

/// Expands the first file of a cabinet, to at most `limit` bytes.
pub(super) fn expand(cabinet: &[u8], limit: u64) -> Result<Vec<u8>, Miss> {
    let damaged = |error: std::io::Error| Miss::Damaged(error.to_string());
    // The crate goes to an offset without a check of the folder's length, and panics if the folder is
    // shorter. A store's cabinet holds one file, which begins where its folder begins.
    let folder = match first_file(cabinet) {
        Some((folder, 0)) => folder,
        _ => {
            let why = "the first file does not begin its folder";
            return Err(Miss::Damaged(why.to_owned()));
        }
    };
    let mut cabinet = cab::Cabinet::new(Cursor::new(cabinet)).map_err(damaged)?;
    // The first file of the header is the first of its folder, and the one that the crate finds by name.
    let first = cabinet
        .folder_entries()
        .nth(folder.into())
        .and_then(|folder| folder.file_entries().next())
        .map(|file| (file.name().to_owned(), u64::from(file.uncompressed_size())));
    let Some((name, size)) = first else {
        return Err(Miss::Damaged("the cabinet is empty".to_owned()));
    };
    if size > limit {
        return Err(Miss::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    // The size may be wrong: no memory is allocated by it, and the reader stops at it.
    let file = cabinet.read_file(&name).map_err(damaged)?;
    file.take(size).read_to_end(&mut bytes).map_err(damaged)?;
    let got = bytes.len() as u64;
    if got != size {
        let why = format!("the cabinet ends {got} bytes into a file of {size}");
        return Err(Miss::Damaged(why));
    }
    Ok(bytes)
}

/// The folder of the header's first file, and where in it the file begins.
fn first_file(cabinet: &[u8]) -> Option<(u16, u32)> {
    let word = |at: usize| {
        let four = cabinet.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*four))
    };
    let file = usize::try_from(word(COFF_FILES)?).ok()?;
    let folder = cabinet.get(file.checked_add(I_FOLDER)?..)?.first_chunk()?;
    Some((u16::from_le_bytes(*folder), word(file.checked_add(UOFF_FOLDER_START)?)?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn cabinet(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = cab::CabinetBuilder::new();
        let folder = builder.add_folder(cab::CompressionType::MsZip);
        for (name, _) in files {
            folder.add_file(*name);
        }
        let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
        for (_, bytes) in files {
            let mut file = writer.next_file().unwrap().unwrap();
            file.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn the_first_file_within_the_limit() {
        let long: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
        let packed = cabinet(&[("a.pdb", &long), ("b.pdb", b"second")]);
        assert_eq!(expand(&packed, 100_000), Ok(long));
        let limit = 99_999;
        assert_eq!(expand(&packed, limit), Err(Miss::TooLarge { limit }));
    }

    #[test]
    fn an_offset_beyond_the_folder_does_not_panic() {
        let mut packed = cabinet(&[("a.pdb", b"first")]);
        let file = packed[COFF_FILES] as usize;
        packed[file + UOFF_FOLDER_START + 2] = 1;
        let why = "the first file does not begin its folder".to_owned();
        assert_eq!(expand(&packed, 100), Err(Miss::Damaged(why)));
    }

    /// The header's first file is in the second folder, and its second file is past the end of the first.
    #[test]
    fn of_two_folders_the_first_file_of_the_header_counts() {
        let mut builder = cab::CabinetBuilder::new();
        for name in ["a.pdb", "b.pdb"] {
            builder.add_folder(cab::CompressionType::None).add_file(name);
        }
        let mut writer = builder.build(Cursor::new(Vec::new())).unwrap();
        while let Some(mut file) = writer.next_file().unwrap() {
            let text = file.file_name().to_owned();
            file.write_all(text.as_bytes()).unwrap();
        }
        let mut packed = writer.finish().unwrap().into_inner();
        let first = packed[COFF_FILES] as usize;
        let second = first + 16 + "a.pdb\0".len();
        packed[first + I_FOLDER] = 1;
        packed[second + I_FOLDER] = 0;
        packed[second + UOFF_FOLDER_START + 1] = 0x10;
        assert_eq!(expand(&packed, 100), Ok(b"b.pdb".to_vec()));
    }

    #[test]
    fn a_size_beyond_the_folder_is_told() {
        let mut packed = cabinet(&[("a.pdb", b"first")]);
        let file = packed[COFF_FILES] as usize;
        packed[file] = 99;
        let why = "the cabinet ends 5 bytes into a file of 99".to_owned();
        assert_eq!(expand(&packed, 100), Err(Miss::Damaged(why)));
    }

    /// Every byte changed, every length cut: an answer or an error, but always an end.
    #[test]
    fn no_single_fault_panics() {
        let long: Vec<u8> = (0..40_000u32).map(|n| (n * n / 7) as u8 & 15).collect();
        let packed = cabinet(&[("a.pdb", &long)]);
        for at in 0..packed.len().min(600) {
            for bits in [1, 0x80, 0xff] {
                let mut bad = packed.clone();
                bad[at] ^= bits;
                let _ = expand(&bad, 1 << 20);
            }
            let _ = expand(&packed[..at], 1 << 20);
        }
    }
}
