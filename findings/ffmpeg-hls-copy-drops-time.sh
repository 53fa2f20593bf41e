#!/usr/bin/env bash
# ffmpeg's HLS muxer loses the time in which there is sound and no picture, and succeeds.
#
# Version: ffmpeg 9.0.2 (imageio-ffmpeg 0.8.1); 5.1.9 and 8.0 do the same.
# The input has 2 s of picture and 10 s of sound. `-c copy -f hls` gives one segment with all the sound, and a playlist
# whose EXTINF sum is the picture's 2 s: a player stops or skips there. The exit status is 0 and nothing is printed.
# The playlist of a picture that begins 3 s late is 3 s too short in the same way.
# So compare the sum of the EXTINF lines with the duration of the input.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

run() { "$ffmpeg" -nostdin -y -v error "$@"; }

# package FILE: the sum of the EXTINF lines, and what ffmpeg printed
package() {
    run -i "$1" -map 0 -c copy -f hls -hls_time 2 -hls_playlist_type vod "$1.m3u8" 2>"$1.log"
    awk -F '[:,]' '/^#EXTINF/ { sum += $2 } END { printf "%.1f", sum }' "$1.m3u8"
}

cd "$folder"
codecs=(-fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac)
picture() { echo "testsrc2=size=160x90:rate=25:duration=$1"; }
run -f lavfi -i "$(picture 2)" -f lavfi -i sine=duration=10 "${codecs[@]}" held.mp4
run -itsoffset 3 -f lavfi -i "$(picture 4)" -f lavfi -i sine=duration=7 "${codecs[@]}" late.mp4

held=$(package held.mp4)
late=$(package late.mp4)
"$ffmpeg" -version | sed -n 1p
echo "EXTINF sum: $held s of 10 s, $late s of 7 s"
[ "$held" = 2.0 ] && [ "$late" = 4.0 ] && [ ! -s held.mp4.log ] && [ ! -s late.mp4.log ]
