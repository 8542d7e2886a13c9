//! `/version`: which build this is, and what changed.

use std::sync::LazyLock;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

const CHANGELOG: &str = include_str!("../../CHANGELOG.md");

#[derive(Serialize, Clone, ToSchema)]
pub(super) struct Version {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
    /// The newest releases.
    changelog: &'static [Release],
}

#[derive(Serialize, Debug, PartialEq, ToSchema)]
struct Release {
    version: String,
    changes: Vec<String>,
}

static RELEASES: LazyLock<Vec<Release>> = LazyLock::new(|| releases(CHANGELOG));

/// Which build this is, and what changed.
#[utoipa::path(
    get, path = "/version", tag = "Health", operation_id = "get_version",
    responses((status = 200, description = "This one", body = Version)),
)]
pub(super) async fn show() -> Json<Version> {
    Json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("RIVULET_COMMIT"),
        changelog: &RELEASES,
    })
}

/// The newest releases of a changelog in the form of keepachangelog.com: `## [version]` above, `- change` below.
fn releases(changelog: &str) -> Vec<Release> {
    let mut releases: Vec<Release> = Vec::new();
    for line in changelog.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let version = heading.split(" - ").next().unwrap_or(heading).trim_matches(['[', ']', ' ']);
            releases.push(Release { version: version.to_owned(), changes: Vec::new() });
        } else if let (Some(release), Some(change)) = (releases.last_mut(), line.strip_prefix("- ")) {
            release.changes.push(change.to_owned());
        } else if let (Some(change), Some(more)) =
            (releases.last_mut().and_then(|r| r.changes.last_mut()), line.strip_prefix("  "))
        {
            change.push(' ');
            change.push_str(more.trim());
        }
    }
    releases.truncate(10);
    releases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_with_their_changes() {
        let text = "# Changelog\n\n## [0.2.0] - 2026-01-01\n### Added\n- One\n  and more\n- Two\n## [0.1.0]\n";
        let expected = [
            Release { version: "0.2.0".to_owned(), changes: vec!["One and more".to_owned(), "Two".to_owned()] },
            Release { version: "0.1.0".to_owned(), changes: vec![] },
        ];
        assert_eq!(releases(text), expected);
    }

    #[test]
    fn our_own_changelog_names_this_version() {
        assert!(RELEASES.iter().any(|r| r.version == env!("CARGO_PKG_VERSION") && !r.changes.is_empty()));
    }
}
