//! Books (.epub): the chapters in reading order, each as the page that it is. Pure.

use std::collections::HashMap;

use super::{
    error::ExtractError,
    out::Out,
    package::{Package, resolve},
    place::Place,
    web,
    xml::{Step, Xml},
};

/// How books that are locked to a device are encrypted; fonts in books that are not, are encrypted in other ways.
const LOCKED: &str = "http://www.w3.org/2001/04/xmlenc#";

pub(super) fn read(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes)?;
    if package.text("META-INF/encryption.xml")?.is_some_and(|text| text.contains(&format!("\"{LOCKED}aes"))) {
        return Err(ExtractError::Encrypted);
    }
    let container = package.needed("META-INF/container.xml")?;
    let root =
        first(&container, "rootfile", "full-path")?.ok_or_else(|| ExtractError::damaged("it has no contents"))?;
    let contents = package.needed(&root)?;
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut xml = Xml::new(&contents);
    let (mut parts, mut order) = (HashMap::new(), Vec::new());
    while let Some(step) = xml.step()? {
        let Step::Start(element) = step else { continue };
        match element.name.as_str() {
            "title" if out.title.is_none() => {
                out.title = Some(xml.text()?).filter(|title| !title.trim().is_empty());
            }
            "item" => {
                if let (Some(id), Some(target)) = (element.attribute("id"), element.attribute("href")) {
                    parts.insert(id, resolve(folder, &unescaped(&target)));
                }
            }
            "itemref" if element.attribute("linear").is_none_or(|linear| linear != "no") => {
                order.extend(element.attribute("idref"));
            }
            _ => {}
        }
    }
    for part in order.iter().filter_map(|id| parts.get(id)) {
        let Some(text) = package.text(part)? else { continue };
        let page = web::Page::parse(&text)?;
        let name = page.title().unwrap_or_else(|| part.rsplit('/').next().unwrap_or_default().to_owned());
        out.begin(Place::Chapter(name))?;
        page.write(out)?;
        out.hide(&text);
    }
    Ok(())
}

/// An attribute of the first element of this name.
fn first(text: &str, name: &str, attribute: &str) -> Result<Option<String>, ExtractError> {
    let mut xml = Xml::new(text);
    while let Some(step) = xml.step()? {
        if let Step::Start(element) = step
            && element.name == name
        {
            return Ok(element.attribute(attribute));
        }
    }
    Ok(None)
}

/// `chapter%201.xhtml` → `chapter 1.xhtml`.
fn unescaped(target: &str) -> String {
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| *byte == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
