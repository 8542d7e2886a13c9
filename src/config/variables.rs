//! The environment's own names of settings: `RIVULET_SECTION_NAME`.

use std::collections::BTreeMap;

use super::{error::Origin, key::Key, layers::Layers};

/// Names of the house's scripts and tests.
const OF_OUR_TOOLS: &[&str] = &["RIVULET_URL", "RIVULET_CACHE", "RIVULET_COMMIT"];

/// The process environment. Bytes that are not UTF-8 are replaced, and what has such a replacement is refused where it is a
/// setting.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Reads every variable that begins like ours.
pub(super) fn apply(env: &BTreeMap<String, String>, layers: &mut Layers) {
    for (name, text) in env.iter().filter(|(name, _)| name.starts_with("RIVULET_") && !is_foreign(name)) {
        let origin = Origin::Variable(name.clone());
        let Some(key) = layers.keys().find(|key| key.variable() == *name) else {
            layers.refuse_unknown(name.clone(), Key::variable, origin);
            continue;
        };
        if !text.trim().is_empty() || key.kind.is_list() {
            layers.set(key, key.kind.parse(text), origin);
        }
    }
}

/// Whether a variable begins like ours and is not a setting. Kubernetes gives every container the addresses of
/// the services around it, and one that is called `rivulet` gets `RIVULET_SERVICE_HOST`, `RIVULET_PORT`,
/// `RIVULET_PORT_8080_TCP_ADDR` and more of the kind.
pub(super) fn is_foreign(name: &str) -> bool {
    OF_OUR_TOOLS.contains(&name)
        || name == "RIVULET_PORT"
        || ["RIVULET_PORT_", "RIVULET_SERVICE_"].iter().any(|prefix| name.starts_with(prefix))
}
