//! Whether a shared library is whole. To load one that is cut off ends the process: its pages are mapped and not there.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The length of an ELF header of 64 bits.
const HEADER: usize = 64;

/// Whether all of it is there, as far as it tells.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let read = || {
        let mut file = File::open(path)?;
        let mut header = Vec::with_capacity(HEADER);
        file.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        Ok::<_, io::Error>((header, file.metadata()?.len()))
    };
    let (header, length) = read().map_err(|error| error.to_string())?;
    check_length(&header, length)
}

/// The table of its sections is the last thing in a library. What is no ELF file of 64 bits is left to the loader.
fn check_length(header: &[u8], length: u64) -> Result<(), String> {
    if header.is_empty() {
        return Err("it is empty".to_owned());
    }
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(());
    }
    let offset = header.get(0x28..).and_then(|rest| rest.first_chunk()).map(|bytes| u64::from_le_bytes(*bytes));
    let number = |at: usize| header.get(at..)?.first_chunk().map(|bytes| u64::from(u16::from_le_bytes(*bytes)));
    let (Some(offset), Some(size), Some(count)) = (offset, number(0x3a), number(0x3c)) else {
        return Err("it is too short".to_owned());
    };
    let needed = offset.saturating_add(size * count);
    if length < needed {
        return Err(format!("{} bytes are missing at its end", needed - length));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_cut_off_is_noticed() {
        let whole = std::fs::read(std::env::current_exe().expect("path")).expect("a program");
        let whole = &whole[..HEADER];
        let length = std::fs::metadata(std::env::current_exe().expect("path")).expect("a program").len();
        assert_eq!(check_length(whole, length), Ok(()));
        for length in [0, 63, 64, 100_000, length - 1] {
            assert!(check_length(whole, length).is_err(), "{length}");
        }
        assert!(check_length(&whole[..40], length).is_err());
        assert!(check_length(b"", 0).is_err());
        assert_eq!(check_length(b"MZ", 2), Ok(()), "not ours to judge");
    }
}
