//! What goes between the gateway and a parser: frames of a length and so many bytes. A document is three, what is to be done
//! with it, its name and its bytes; an answer is two, JSON and text. Pure but for the streams it is given.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::task::Read as Done;
use crate::knowledge::extract::{ExtractError, Extracted, Grid, MAX_TABLE_BYTES, MAX_TEXT_BYTES};

/// The largest JSON of an answer, in bytes. Together with the longest text it is what a document may come to.
const MAX_JSON_BYTES: usize = 4 << 20;
/// The largest name, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 4096;

/// What is said of a document, its text apart.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Read(Extracted),
    Table(Grid),
    Refused(ExtractError),
}

/// A frame.
pub(super) fn write(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

/// The next frame; `None` at the end of the stream.
pub(super) fn read(from: &mut impl Read, max: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = checked(length, max)?;
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(bytes)) }
}

async fn read_async(from: &mut (impl AsyncRead + Unpin), max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let length = checked(length, max)?;
    let mut bytes = Vec::new();
    // Memory is taken as bytes come, not as somebody says.
    from.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn checked(length: [u8; 4], max: usize) -> io::Result<usize> {
    let length = u32::from_be_bytes(length) as usize;
    if length > max { Err(io::Error::other("a frame is too long")) } else { Ok(length) }
}

/// Writes what was read of a document. What would be too long is refused instead.
pub(super) fn answer(out: &mut impl Write, read: Result<Done, ExtractError>) -> io::Result<()> {
    let most = if matches!(read, Ok(Done::Table(_))) { MAX_TABLE_BYTES } else { MAX_TEXT_BYTES };
    let (mut json, mut text) = encode(read)?;
    if json.len() > MAX_JSON_BYTES || text.len() > most {
        (json, text) = encode(Err(ExtractError::TooLargeUnpacked))?;
    }
    write(out, &json)?;
    write(out, text.as_bytes())?;
    out.flush()
}

fn encode(read: Result<Done, ExtractError>) -> io::Result<(Vec<u8>, String)> {
    let (answer, text) = match read {
        Ok(Done::Text(mut extracted)) => {
            let text = std::mem::take(&mut extracted.text);
            (Answer::Read(extracted), text)
        }
        Ok(Done::Table(mut grid)) => {
            let text = std::mem::take(&mut grid.text);
            (Answer::Table(grid), text)
        }
        Err(error) => (Answer::Refused(error), String::new()),
    };
    Ok((serde_json::to_vec(&answer)?, text))
}

/// Reads what was read of a document.
pub(super) async fn answered(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Done, ExtractError>> {
    let json = read_async(from, MAX_JSON_BYTES).await?;
    let answer = serde_json::from_slice(&json)?;
    let most = if matches!(answer, Answer::Table(_)) { MAX_TABLE_BYTES } else { MAX_TEXT_BYTES };
    let text = read_async(from, most).await?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    match answer {
        Answer::Refused(error) => Ok(Err(error)),
        Answer::Table(grid) => Ok(Ok(Done::Table(Grid { text, ..grid }))),
        Answer::Read(extracted) => {
            // Whoever cuts the text at these must not fail.
            let mut last = 0;
            let is_sound = extracted.places.iter().all(|mark| {
                let is_next = mark.start >= last && text.is_char_boundary(mark.start);
                last = mark.start;
                is_next
            });
            let extracted = Extracted { text, ..extracted };
            if is_sound { Ok(Ok(Done::Text(extracted))) } else { Err(io::Error::other("a mark is out of place")) }
        }
    }
}
