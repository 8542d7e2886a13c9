//! The file itself: tar in zstd, in age when it is encrypted. Files come one after another, each hashed as it goes by, and
//! at the end a list of all.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use age::{Decryptor, Encryptor, stream::StreamWriter};
use serde::{Deserialize, Serialize};

use super::{
    error::{BackupError, Summary, at},
    keys::{Identity, Recipient},
};

/// The last entry.
pub(super) const LIST: &str = "rivulet-backup.json";
/// The layout that this program writes and reads.
const LAYOUT: u32 = 1;
/// What an encrypted file begins with.
const AGE: &[u8] = b"age-encryption.org/";
/// The least effort: conversations and texts are made half as large, vectors are not made smaller by more.
const LEVEL: i32 = 1;
/// The most bytes of the list.
pub(super) const LIST_BYTES: u64 = 256 << 20;

/// What the last entry says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct List {
    pub(super) layout: u32,
    /// The version of the program that wrote it; for people.
    version: String,
    pub(super) files: BTreeMap<String, Listed>,
}

/// A file, as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

impl List {
    /// Whether this program can read it.
    pub(super) fn is_ours(&self) -> bool {
        self.layout == LAYOUT
    }
}

/// A backup that is being written, beside its place.
pub(super) struct Writing {
    file: PathBuf,
    part: Part,
    tar: tar::Builder<zstd::Encoder<'static, Sink>>,
    files: BTreeMap<String, Listed>,
}

/// What is not whole yet; removed when it is dropped.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _was_it_put_in_its_place = fs::remove_file(&self.0);
    }
}

impl Writing {
    pub(super) fn begin(file: &Path, recipients: &[Recipient]) -> Result<Self, BackupError> {
        if file.exists() {
            return Err(BackupError::Exists(file.to_owned()));
        }
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}.part", uuid::Uuid::new_v4().simple()));
        let path = PathBuf::from(name);
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(at(&path))?;
        let part = Part(path);
        let sink = Sink::new(BufWriter::new(out), recipients).map_err(at(file))?;
        let tar = tar::Builder::new(zstd::Encoder::new(sink, LEVEL).map_err(at(file))?);
        Ok(Self { file: file.to_owned(), part, tar, files: BTreeMap::new() })
    }

    /// Adds a file, as long as it is now.
    pub(super) fn add(&mut self, name: &str, path: &Path) -> Result<(), BackupError> {
        let source = File::open(path).map_err(at(path))?;
        let bytes = source.metadata().map_err(at(path))?.len();
        let mut hashing = Hashing { reader: source.take(bytes), hasher: blake3::Hasher::new() };
        self.tar.append_data(&mut header(bytes), name, &mut hashing).map_err(at(path))?;
        let blake3 = hashing.hasher.finalize().to_string();
        self.files.insert(name.to_owned(), Listed { bytes, blake3 });
        Ok(())
    }

    /// Adds the list, and puts the file in its place.
    pub(super) fn finish(self) -> Result<Summary, BackupError> {
        let Self { file, part, mut tar, files } = self;
        let summary = Summary { files: files.len() as u64, bytes: files.values().map(|file| file.bytes).sum() };
        let list = List { layout: LAYOUT, version: env!("CARGO_PKG_VERSION").to_owned(), files };
        let list = serde_json::to_vec(&list).map_err(io::Error::from).map_err(at(&file))?;
        let mut finish = || {
            tar.append_data(&mut header(list.len() as u64), LIST, &list[..])?;
            Ok(())
        };
        finish().map_err(at(&file))?;
        let finish = || {
            let out = tar.into_inner()?.finish()?.finish()?;
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            match fs::hard_link(&part.0, &file) {
                // Not over one that has come in the meantime.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) => {}
                // A file system without links.
                Err(_) => fs::rename(&part.0, &file)?,
            }
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        finish().map_err(at(&file))?;
        Ok(summary)
    }
}

/// Nothing of who wrote it, so that the same files are the same archive.
fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header
}

struct Hashing<R> {
    reader: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buf)?;
        self.hasher.update(&buf[..count]);
        Ok(count)
    }
}

/// Where it goes, encrypted or not.
enum Sink {
    Plain(BufWriter<File>),
    Encrypted(Box<StreamWriter<BufWriter<File>>>),
}

impl Sink {
    fn new(out: BufWriter<File>, recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Ok(Self::Plain(out));
        }
        let recipients = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        encryptor.wrap_output(out).map(|writer| Self::Encrypted(Box::new(writer)))
    }

    fn finish(self) -> io::Result<BufWriter<File>> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Encrypted(writer) => writer.finish(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(buf),
            Self::Encrypted(writer) => writer.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Encrypted(writer) => writer.flush(),
        }
    }
}

/// Opens a backup for reading.
pub(super) fn open(file: &Path, identity: Option<&Identity>) -> Result<tar::Archive<impl Read + use<>>, BackupError> {
    let mut input = BufReader::new(File::open(file).map_err(at(file))?);
    let is_encrypted = io::BufRead::fill_buf(&mut input).map_err(at(file))?.starts_with(AGE);
    let input: Box<dyn Read> = match (is_encrypted, identity) {
        (false, _) => Box::new(input),
        (true, None) => return Err(BackupError::Encrypted),
        (true, Some(Identity(identity))) => {
            let decryptor = Decryptor::new(input).map_err(|error| BackupError::Damaged(error.to_string()))?;
            let opened = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity));
            Box::new(opened.map_err(|error| match error {
                age::DecryptError::NoMatchingKeys => BackupError::WrongKey,
                other => BackupError::Damaged(other.to_string()),
            })?)
        }
    };
    let input = zstd::Decoder::new(input).map_err(|error| BackupError::Damaged(error.to_string()))?;
    Ok(tar::Archive::new(input))
}
