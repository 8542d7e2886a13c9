//! Documents that are ZIP archives: parts by name, within a budget that counts what is unpacked. Pure.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
};

use zip::{ZipArchive, result::ZipError};

use super::{
    error::ExtractError,
    kind::Kind,
    xml::{Step, Xml, text_of},
};

/// What all parts that are read of one document may come to, unpacked.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;
/// No document has more parts.
const MAX_PARTS: usize = 20_000;

/// A document's archive.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
}

impl<'a> Package<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ExtractError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if archive.len() > MAX_PARTS {
            return Err(ExtractError::TooLargeUnpacked);
        }
        Ok(Self { archive, left: MAX_UNPACKED_BYTES })
    }

    /// Which kind of document the archive is; `None` when it is none. Of one that cannot be opened, the names that are to
    /// be seen in it tell.
    pub(super) fn kind(bytes: &[u8]) -> Option<Kind> {
        let mut package = Package::open(bytes).ok();
        let mimetype = package.as_mut().and_then(|package| package.bytes("mimetype").ok().flatten());
        let mimetype = mimetype.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let has = |beginning: &str| match &package {
            Some(package) => package.archive.file_names().flatten().any(|name| name.starts_with(beginning)),
            None => memchr::memmem::find(bytes, beginning.as_bytes()).is_some(),
        };
        match mimetype.trim() {
            "application/epub+zip" => Some(Kind::Epub),
            "application/vnd.oasis.opendocument.text" => Some(Kind::Odt),
            "application/vnd.oasis.opendocument.spreadsheet" => Some(Kind::Ods),
            _ if !has("[Content_Types].xml") => None,
            _ if has("word/") => Some(Kind::Docx),
            _ if has("ppt/") => Some(Kind::Pptx),
            _ => has("xl/").then_some(Kind::Xlsx),
        }
    }

    /// A part's bytes; `None` when there is no such part.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExtractError> {
        let Some(index) = self.archive.index_for_name(name) else { return Ok(None) };
        let mut bytes = Vec::new();
        self.unpack(index, |piece| bytes.extend_from_slice(piece))?;
        Ok(Some(bytes))
    }

    /// An XML part's text; `None` when there is no such part.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ExtractError> {
        self.bytes(name)?.map(|bytes| text_of(&bytes)).transpose()
    }

    /// The same of a part that has to be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<String, ExtractError> {
        self.text(name)?.ok_or_else(|| ExtractError::damaged(format!("it has no {name}")))
    }

    /// Unpacks everything for its size alone: for readers that have no bound of their own.
    pub(super) fn measure(&mut self) -> Result<(), ExtractError> {
        (0..self.archive.len()).try_for_each(|index| self.unpack(index, |_| ()))
    }

    /// Refuses an OpenDocument whose parts are encrypted.
    pub(super) fn refuse_encrypted(&mut self) -> Result<(), ExtractError> {
        let manifest = self.text("META-INF/manifest.xml")?.unwrap_or_default();
        if manifest.contains("encryption-data") { Err(ExtractError::Encrypted) } else { Ok(()) }
    }

    /// The parts that a part refers to: id → kind of reference and name of the part.
    pub(super) fn references(&mut self, part: &str) -> Result<HashMap<String, Reference>, ExtractError> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let Some(text) = self.text(format!("{folder}/_rels/{file}.rels").trim_start_matches('/'))? else {
            return Ok(HashMap::new());
        };
        let mut xml = Xml::new(&text);
        let mut references = HashMap::new();
        while let Some(step) = xml.step()? {
            let Step::Start(element) = step else { continue };
            let is_outside = element.attribute("TargetMode").is_some_and(|mode| mode == "External");
            if let (false, Some(id), Some(kind), Some(target)) =
                (is_outside, element.attribute("Id"), element.attribute("Type"), element.attribute("Target"))
            {
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                references.insert(id, Reference { kind, part: resolve(folder, &target) });
            }
        }
        Ok(references)
    }

    /// The part that the whole document is in.
    pub(super) fn main(&mut self) -> Result<String, ExtractError> {
        let references = self.references("")?;
        let main = references.into_values().find(|reference| reference.kind == "officeDocument");
        main.map(|reference| reference.part).ok_or_else(|| ExtractError::damaged("it does not say where its text is"))
    }

    fn unpack(&mut self, index: usize, mut take: impl FnMut(&[u8])) -> Result<(), ExtractError> {
        let mut part = self.archive.by_index(index).map_err(damaged)?;
        let mut piece = [0; 32 * 1024];
        loop {
            let read = part.read(&mut piece).map_err(ExtractError::damaged)?;
            if read == 0 {
                return Ok(());
            }
            self.left = self.left.checked_sub(read as u64).ok_or(ExtractError::TooLargeUnpacked)?;
            take(&piece[..read]);
        }
    }
}

/// What a part refers to.
#[derive(Debug)]
pub(super) struct Reference {
    /// The last word of its type: `slide`, `footnotes`.
    pub(super) kind: String,
    /// The name of the part.
    pub(super) part: String,
}

/// A target as seen from a folder: `../media/a.png` from `ppt/slides` is `ppt/media/a.png`.
pub(super) fn resolve(folder: &str, target: &str) -> String {
    let (folder, target) = target.strip_prefix('/').map_or((folder, target), |absolute| ("", absolute));
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn damaged(error: ZipError) -> ExtractError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ExtractError::Encrypted,
        error => ExtractError::damaged(error),
    }
}
