#!/usr/bin/env bash
# ffmpeg counts time in an MPEG-TS input from the first stream that is mapped, in MP4 from the beginning of the file.
#
# Version: ffmpeg 9.0.2 (imageio-ffmpeg 0.8.1); 5.1.9 and 8.0 do the same.
# The input has sound from 0 s and a picture from 3 s on. One reads the video alone and asks for what comes before 1 s.
# Seen: MP4 gives 0 pictures, as one expects. The same streams in MPEG-TS give 26, with exit status 0: ffmpeg moves time
# zero to the first picture ("Correcting start time"). With -copyts, and ffprobe's start_time added, MPEG-TS gives 0 too.
# So a picture taken at a time, or a trim, is off by the lead of the sound, and only in transport streams.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: imageio-ffmpeg==0.8.1
ffmpeg=$("$folder/venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

run() { "$ffmpeg" -nostdin -y -v error "$@"; }

# pictures FILE TIME [OPTION...]: how many pictures of the video come before this time
pictures() {
    local file=$1 time=$2
    shift 2
    run -progress pipe:1 "$@" -i "$file" -map 0:v -vf "trim=end=$time" -fps_mode passthrough -f null - |
        sed -n 's/^frame=//p' | tail -n 1
}

cd "$folder"
run -itsoffset 3 -f lavfi -i testsrc2=size=160x90:rate=25:duration=4 -f lavfi -i sine=duration=7 \
    -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac late.mp4
run -i late.mp4 -c copy late.ts

mp4=$(pictures late.mp4 1.001)
ts=$(pictures late.ts 1.001)
# the muxer begins at 1.4 s
kept=$(pictures late.ts 2.401 -copyts)
"$ffmpeg" -version | sed -n 1p
echo "pictures before 1 s: MP4 $mp4, MPEG-TS $ts, MPEG-TS with -copyts $kept"
[ "$mp4" = 0 ] && [ "$ts" = 26 ] && [ "$kept" = 0 ]
