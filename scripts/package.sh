#!/usr/bin/env bash
# What a release is made of, as one archive: `scripts/package.sh RIVULET_BINARY DEPS VERSION FOLDER`. DEPS is where
# scripts/fetch-models.sh has put the model. Unpacked into /usr/local it is installed:
#
#     bin/rivulet
#     lib/rivulet/all-MiniLM-L6-v2, lib/rivulet/onnxruntime
#     share/rivulet/                   the licence, rivulet.toml with every key, deploy/
#
# The archive depends on what is in it alone: names in order, one owner, the time of the commit.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

[ $# -eq 4 ] || {
    printf 'package: usage: package.sh RIVULET_BINARY DEPS VERSION FOLDER\n' >&2
    exit 1
}
binary="$1" deps="$2" version="$3" folder="$4"
name="rivulet-$version-$(uname -m)-linux"
stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT

install -D -m 755 "$binary" "$stage/$name/bin/rivulet"
strip --strip-debug "$stage/$name/bin/rivulet"
mkdir -p "$stage/$name/lib/rivulet" "$stage/$name/share/rivulet" "$folder"
cp -rL "$deps/all-MiniLM-L6-v2" "$deps/onnxruntime" "$stage/$name/lib/rivulet/"
# What is committed: beside it somebody may keep secrets.
git -C "$root" archive HEAD deploy LICENSE CHANGELOG.md rivulet.toml | tar --extract --directory "$stage/$name/share/rivulet"
chmod -R u=rwX,go=rX "$stage"

time="$(git -C "$root" log -1 --format=%ct)"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" --directory "$stage" "$name" |
    gzip --no-name >"$folder/$name.tar.gz"
(cd "$folder" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
printf '%s\n' "$folder/$name.tar.gz"
