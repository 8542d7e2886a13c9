#!/usr/bin/env bash
# Puts promtool, which tests the alerts, into DEST/promtool, unless the machine has one.
#
#     scripts/fetch-promtool.sh DEST
#
# It is taken out of Debian's package, which is not installed: that would start a Prometheus on this machine.
set -euo pipefail

fail() {
    printf 'fetch-promtool: %s\n' "$1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: fetch-promtool.sh DEST"
dest="$(realpath -m "$1")"
if command -v promtool >/dev/null || [ -x "$dest/promtool/promtool" ]; then
    exit 0
fi
command -v apt-get >/dev/null || fail "promtool is missing: please install it, it comes with Prometheus"

mkdir -p "$dest"
# Where apt's own user may write, or it complains.
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
[ "$(id -u)" -ne 0 ] || chown _apt "$work" 2>/dev/null || true
echo "fetch-promtool: downloading Debian's package of Prometheus (about 20 MB)"
cd "$work"
if ! apt-get download -qq prometheus 2>/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    apt-get download -qq prometheus || fail "apt-get could not download it (see above)"
fi
dpkg-deb --extract ./prometheus_*.deb unpacked
mkdir unpacked/promtool
mv unpacked/usr/bin/promtool unpacked/promtool/
rm -rf "$dest/promtool"
mv unpacked/promtool "$dest/promtool"
