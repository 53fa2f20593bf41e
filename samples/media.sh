#!/usr/bin/env bash
# Runs the media agenda on a generated video; needs only a Debian machine with Rust.
#
#   samples/media.sh [--warm] [arguments for `pop run`]
#
# With --warm each handler starts once and serves all its operations (samples/warm.json); the outputs are the same.
# Writes to samples/work/ and samples/bin/.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

registry=samples/registry.json
if [ "${1:-}" = --warm ]; then
    registry=samples/warm.json
    shift
fi
target=${CARGO_TARGET_DIR:-target}
work=samples/work
out=$work/out
input=$work/in.mp4
handlers=(pop-probe pop-transcode pop-thumbnail pop-filmstrip pop-package pop-sample)

build() {
    # the profile `try` builds much faster than `release`
    cargo build --profile try -p pop-cli -p pop-samples
    mkdir -p samples/bin
    local folder name
    folder=$(cd -- "$target/try" && pwd)
    for name in "${handlers[@]}"; do
        ln -sfn -- "$folder/$name" "samples/bin/$name"
    done
}

make_input() {
    if [ -e "$input" ]; then
        return
    fi
    mkdir -p "$work"
    echo "making $input"
    ffmpeg -hide_banner -nostdin -v error -y \
        -f lavfi -i testsrc2=size=1280x720:rate=30:duration=20 \
        -f lavfi -i sine=frequency=440:duration=20 \
        -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -b:a 128k -f mp4 "$input.part"
    mv -- "$input.part" "$input"
}

failed=0

# check FILE CODEC WIDTH HEIGHT SECONDS: prints a line of the table; `-` is not checked
check() {
    local file=$1 verdict=ok codec=- width=- height=- seconds=- size=-
    shift
    if [ -s "$file" ]; then
        # shellcheck disable=SC2034  # the last name takes what may follow
        IFS=, read -r codec width height _ < <(
            ffprobe -v error -select_streams v:0 -show_entries stream=codec_name,width,height -of csv=p=0 "$file"
        ) || true
        seconds=$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$file" || echo -)
        size=$(stat -c %s -- "$file")
        local found=("$codec" "$width" "$height") wanted=("$1" "$2" "$3") index
        for index in 0 1 2; do
            if [ "${wanted[index]}" != - ] && [ "${found[index]}" != "${wanted[index]}" ]; then
                verdict="wrong: not ${wanted[index]}"
            fi
        done
        # the duration may differ from the input by the last frames
        if [ "$4" != - ] && ! awk -v found="$seconds" -v wanted="$4" \
            'BEGIN { exit !(found - wanted < 0.5 && wanted - found < 0.5) }'; then
            verdict="wrong: not $4 s long"
        fi
        if [ "$4" = - ]; then
            seconds=-
        fi
    else
        verdict=missing
    fi
    if [ "$verdict" != ok ]; then
        failed=1
    fi
    printf '%-42s %-6s %-10s %9s %10s  %s\n' "$file" "$codec" "${width}x${height}" "$seconds" "$size" "$verdict"
}

deploy/need ffmpeg=ffmpeg ffprobe=ffmpeg
build
make_input
# remove the outputs of an earlier run
rm -rf -- "$out"
"$target/try/pop" run samples/agendas/media.json --registry "$registry" "$@"

duration=$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$input")
printf '\n%-42s %-6s %-10s %9s %10s\n' output codec size seconds bytes
check "$out/720.mp4" h264 - 720 "$duration"
check "$out/360.mp4" h264 - 360 "$duration"
check "$out/thumbnail.jpg" mjpeg 320 - -
check "$out/filmstrip.jpg" mjpeg 1600 - -
check "$out/hls/720p/playlist.m3u8" h264 - 720 "$duration"
check "$out/hls/360p/playlist.m3u8" h264 - 360 "$duration"
check "$out/hls/master.m3u8" h264 - 720 "$duration"
for segment in "$out"/hls/*/*.ts; do
    check "$segment" h264 - - -
done

if [ "$failed" -ne 0 ]; then
    echo "some outputs are missing or wrong" >&2
    exit 1
fi
echo "all outputs exist and are correct"
