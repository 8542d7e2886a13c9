//! What is said of documents beside their bytes: names, keys, titles, metadata, conditions of a search; and ids.

use rivulet::{
    auth::{Principal, api_keys::id_of, check_tenant},
    chat::{MAX_ID_CHARS, MessageId},
    dialect::json,
    knowledge::{
        Filter,
        extract::promised,
        fields::{file_name, key, metadata, title, uri},
    },
};

use super::parts::first_line;

/// The longest name of a file, in bytes.
const NAME: usize = 200;

/// What is taken has no way to lead elsewhere, is within its bounds, and is taken again as it is.
pub fn names(bytes: &[u8]) {
    let (name, rest) = first_line(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = file_name(&text) {
        assert!(!name.is_empty() && name.len() <= NAME && !name.trim_matches('.').is_empty(), "{name:?}");
        assert!(!name.contains(['/', '\\']) && !name.contains(char::is_control), "{name:?}");
        assert_eq!(file_name(&name).as_deref(), Ok(&*name));
    }
    for taken in [key(&text), uri(&text), title(&text)].into_iter().flatten() {
        assert!((1..=1024).contains(&taken.chars().count()) && !taken.contains(char::is_control), "{taken:?}");
    }
    if let Ok(taken) = title(&text) {
        assert_eq!(title(&taken).as_deref(), Ok(&*taken));
    }
    if let Ok(kind) = promised(&String::from_utf8_lossy(name), rest) {
        assert!(kind.media_type().contains('/'));
    }
    values(bytes);
    people(&text, &String::from_utf8_lossy(name), &String::from_utf8_lossy(rest));
}

fn values(bytes: &[u8]) {
    if let Some(Ok(value)) = json::parse(bytes).ok().map(metadata) {
        assert_eq!(metadata(value.clone()).as_ref(), Ok(&value));
    }
    if let Ok(filter) = json::parse::<Filter>(bytes)
        && filter.check().is_ok()
    {
        let written = serde_json::to_vec(&filter).expect("a filter is JSON");
        assert_eq!(json::parse::<Filter>(&written).ok().as_ref(), Some(&filter));
    }
}

fn people(text: &str, tenant: &str, user: &str) {
    if let Ok(id) = MessageId::parse(text) {
        assert!((1..=MAX_ID_CHARS).contains(&id.as_str().chars().count()));
    }
    if let Ok(principal) = Principal::new(tenant, user, Vec::new()) {
        assert_eq!((principal.tenant(), principal.user(), check_tenant(tenant).is_ok()), (tenant, user, true));
    }
    if let Some(id) = id_of(text) {
        assert!(text.starts_with(&format!("rk_{id}_")));
    }
}
