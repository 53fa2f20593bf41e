//! Each sample handler run for real: a process with arguments, environment, report lines and an exit status.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const PROBE: &str = env!("CARGO_BIN_EXE_pop-probe");
const TRANSCODE: &str = env!("CARGO_BIN_EXE_pop-transcode");
const THUMBNAIL: &str = env!("CARGO_BIN_EXE_pop-thumbnail");
const FILMSTRIP: &str = env!("CARGO_BIN_EXE_pop-filmstrip");
const PACKAGE: &str = env!("CARGO_BIN_EXE_pop-package");
const SAMPLE: &str = env!("CARGO_BIN_EXE_pop-sample");

const LOCAL: [&str; 4] = ["--launchType", "local", "--externalLaunchType", "local"];

/// A folder with a generated video of 320 by 180 in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with_video(seconds: u32) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let picture = format!("testsrc2=size=320x180:rate=30:duration={seconds}");
        let sound = format!("sine=frequency=440:duration={seconds}");
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"])
            .arg(folder.path("in.mp4"))
            .output();
        match made {
            Ok(made) if made.status.success() => folder,
            Ok(made) => panic!("ffmpeg could not make a video: {}", String::from_utf8_lossy(&made.stderr)),
            Err(error) => panic!("these tests need ffmpeg and ffprobe on the PATH: {error}"),
        }
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A handler that is given nothing by the environment of the test.
fn handler(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a handler said and how it ended.
struct Ran {
    code: Option<i32>,
    progress: Vec<Value>,
    result: Option<Value>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let progress = stdout.lines().filter_map(|line| line.strip_prefix("pop.report.progress ")).map(json);
        let mut results =
            stdout.lines().filter_map(|line| line.strip_prefix("pop.report.payload ")).map(json);
        let (progress, result) = (progress.collect(), results.next_back());
        Self { code: output.status.code(), progress, result, stdout, stderr }
    }

    fn succeeded(self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let last = self.progress.last().unwrap();
        assert_eq!(
            (&last["processingState"], &last["processingStateMessage"]),
            (&json!("COMPLETE"), &json!("succeeded"))
        );
        assert_eq!(last["percentComplete"], 100.0);
        self.is_marked_complete();
        self.result.unwrap()
    }

    /// The codes of the diagnostics.
    fn failed(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        assert_eq!(self.result, None);
        let last = self.progress.last().unwrap();
        assert_eq!(
            (&last["processingState"], &last["processingStateMessage"]),
            (&json!("COMPLETE"), &json!("failed"))
        );
        self.is_marked_complete();
        let events = last["diagnosticEvents"].as_array().unwrap();
        events.iter().filter_map(|event| event["statusCode"].as_str()).collect()
    }

    fn is_marked_complete(&self) {
        assert!(self.stderr.lines().last().unwrap().ends_with("HandlerComplete"), "{}", self.stderr);
    }

    /// Whether percentages were told on the way, and none went back.
    fn percents_grow(&self) -> bool {
        let percents: Vec<f64> =
            self.progress.iter().filter_map(|progress| progress["percentComplete"].as_f64()).collect();
        percents.len() > 1 && percents.is_sorted()
    }
}

fn run(program: &str, payload: &Value) -> Ran {
    run_as(handler(program), payload)
}

fn run_as(mut command: Command, payload: &Value) -> Ran {
    Ran::of(&command.args(LOCAL).env("PAYLOAD", payload.to_string()).output().unwrap())
}

/// What ffprobe says of the first video stream of a file: codec, width, height, and the duration of the file.
fn looked_at(path: &str) -> (String, u64, u64, f64) {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_streams", "-show_format", "-select_streams", "v:0", path])
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stream = &answer["streams"][0];
    let duration = answer["format"]["duration"].as_str().and_then(|text| text.parse().ok());
    (
        stream["codec_name"].as_str().unwrap_or_default().to_owned(),
        stream["width"].as_u64().unwrap_or_default(),
        stream["height"].as_u64().unwrap_or_default(),
        duration.unwrap_or_default(),
    )
}

#[test]
fn probe_says_what_a_file_is() {
    let folder = Folder::with_video(2);
    let input = folder.path("in.mp4");
    let result = run(PROBE, &json!({"input": input})).succeeded();
    let size = fs::metadata(&input).unwrap().len();
    for (field, value) in [
        ("path", json!(input)),
        ("durationSeconds", json!(2.0)),
        ("width", json!(320)),
        ("height", json!(180)),
        ("videoCodec", json!("h264")),
        ("audioCodec", json!("aac")),
        ("frameRate", json!(30.0)),
        ("sizeBytes", json!(size)),
    ] {
        assert_eq!(result[field], value, "{field}");
    }
    assert!(result["bitRate"].as_u64().unwrap() > 0);
}

#[test]
fn probe_says_why_it_cannot() {
    let folder = Folder::with_video(1);
    let text = folder.path("text.mp4");
    fs::write(&text, "this is no film").unwrap();
    let sound = folder.path("sound.m4a");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", &sound])
        .status();
    assert!(made.unwrap().success());
    assert_eq!(run(PROBE, &json!({"input": text})).failed(), ["not-media"]);
    assert_eq!(run(PROBE, &json!({"input": sound})).failed(), ["no-video"]);
    assert_eq!(run(PROBE, &json!({"input": folder.path("gone.mp4")})).failed(), ["no-input"]);
    assert_eq!(run(PROBE, &json!({"input": ""})).failed(), ["payload"]);
    assert_eq!(run(PROBE, &json!({"inptu": "in.mp4"})).failed(), ["payload"]);
}

#[test]
fn transcode_makes_a_rendition_twice_the_same() {
    let folder = Folder::with_video(2);
    let output = folder.path("a/b/90.mp4");
    let payload = json!({"input": folder.path("in.mp4"), "output": output, "durationSeconds": "2.0", "height": 90,
        "videoBitrate": "200k", "audioBitrate": "64k", "preset": "ultrafast", "segmentSeconds": 1});
    let ran = run(TRANSCODE, &payload);
    assert!(ran.percents_grow(), "{}", ran.stdout);
    let result = ran.succeeded();
    assert_eq!(
        (&result["path"], &result["width"], &result["height"]),
        (&json!(output), &json!(160), &json!(90))
    );
    assert_eq!(result["videoCodec"], "h264");
    assert_eq!(result["sizeBytes"], fs::metadata(&output).unwrap().len());
    let (codec, width, height, seconds) = looked_at(&output);
    assert_eq!((codec.as_str(), width, height), ("h264", 160, 90));
    assert!((1.9..2.2).contains(&seconds), "{seconds}");
    assert_eq!(folder.names("a/b"), ["90.mp4"]);
    assert_eq!(run(TRANSCODE, &payload).succeeded(), result);
}

/// The number of a processor that this process may use.
fn processor() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    allowed.trim().chars().take_while(char::is_ascii_digit).collect()
}

#[test]
fn a_rendition_is_the_same_film_on_one_processor_as_on_all() {
    let folder = Folder::with_video(3);
    let made_by = |command: Command, name: &str| {
        let output = folder.path(name);
        let payload = json!({"input": folder.path("in.mp4"), "output": output, "durationSeconds": 3, "height": 90,
            "videoBitrate": "100k", "preset": "veryfast"});
        run_as(command, &payload).succeeded();
        fs::read(output).unwrap()
    };
    let mut on_one = handler("taskset");
    on_one.args(["-c", &processor(), TRANSCODE]);
    assert!(made_by(on_one, "one.mp4") == made_by(handler(TRANSCODE), "all.mp4"));
}

#[test]
fn transcode_checks_its_payload_and_keeps_the_earlier_output() {
    let folder = Folder::with_video(1);
    let output = folder.path("out.mp4");
    let wrong = json!({"input": "", "output": "", "durationSeconds": -1, "height": 3});
    assert_eq!(run(TRANSCODE, &wrong).failed(), ["payload"; 4]);
    fs::write(&output, "earlier").unwrap();
    let payload =
        json!({"input": folder.path("gone.mp4"), "output": output, "durationSeconds": 1, "height": 90});
    let ran = run(TRANSCODE, &payload);
    assert_eq!(ran.failed(), ["no-input"]);
    let message = ran.progress.last().unwrap()["diagnosticEvents"][0]["message"].to_string();
    assert!(message.contains("No such file or directory"), "{message}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "earlier");
    assert_eq!(folder.names("."), ["in.mp4", "out.mp4"]);
}

/// The processes whose parent this is.
fn children_of(parent: u32) -> Vec<PathBuf> {
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        // the name in brackets may hold anything
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()).filter(is_child).collect()
}

/// A handler that a failing test does not leave behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_transcode_that_is_asked_to_stop_takes_ffmpeg_with_it() {
    let folder = Folder::with_video(60);
    let payload = json!({"input": folder.path("in.mp4"), "output": folder.path("out/big.mp4"), "durationSeconds": 60,
        "height": 1080, "preset": "medium"});
    let child = handler(TRANSCODE).args(LOCAL).env("PAYLOAD", payload.to_string()).spawn().unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let percent = |line: &String| {
        let json = line.strip_prefix("pop.report.progress ")?;
        serde_json::from_str::<Value>(json).unwrap()["percentComplete"].as_f64()
    };
    let is_encoding = lines.find(|line| percent(line).is_some_and(|percent| percent > 0.0));
    assert!(is_encoding.is_some(), "the transcode ended before it told of progress");
    let id = running.0.id();
    let ffmpegs = children_of(id);
    assert_eq!(ffmpegs.len(), 1, "ffmpeg must be running now");
    let asked = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status();
    assert!(asked.unwrap().success());
    let last = lines.last().unwrap();
    let stderr = std::io::read_to_string(running.0.stderr.take().unwrap()).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(1), "{stderr}");
    assert!(last.contains(r#""statusCode":"cancelled""#), "{last}");
    assert!(stderr.lines().last().unwrap().ends_with("HandlerComplete"), "{stderr}");
    assert!(!ffmpegs[0].exists(), "ffmpeg must be gone");
    assert_eq!(folder.names("out"), [""; 0]);
}

#[test]
fn thumbnail_takes_one_picture() {
    let folder = Folder::with_video(2);
    let output = folder.path("pictures/50%d off.jpg");
    let payload = json!({"input": folder.path("in.mp4"), "output": output, "atSeconds": 1.5, "width": 160});
    let result = run(THUMBNAIL, &payload).succeeded();
    assert_eq!(result, json!({"path": output, "width": 160, "height": 90}));
    assert_eq!(folder.names("pictures"), ["50%d off.jpg"]);
    assert_eq!(run(THUMBNAIL, &payload).succeeded(), result);
    let late = json!({"input": folder.path("in.mp4"), "output": output, "atSeconds": 99, "width": 160});
    assert_eq!(run(THUMBNAIL, &late).failed(), ["no-picture"]);
    // ffprobe itself takes such a name for a pattern
    fs::rename(&output, folder.path("one.jpg")).unwrap();
    let (codec, width, height, _) = looked_at(&folder.path("one.jpg"));
    assert_eq!((codec.as_str(), width, height), ("mjpeg", 160, 90));
}

#[test]
fn filmstrip_lays_pictures_side_by_side() {
    let folder = Folder::with_video(2);
    let output = folder.path("strip.jpg");
    let payload = json!({"input": folder.path("in.mp4"), "output": output, "durationSeconds": 2.0, "count": 5, "width": 80});
    let result = run(FILMSTRIP, &payload).succeeded();
    let wanted = json!({"path": output, "width": 400, "height": 46, "count": 5, "intervalSeconds": 0.4});
    assert_eq!(result, wanted);
    let (codec, width, height, _) = looked_at(&output);
    assert_eq!((codec.as_str(), width, height), ("mjpeg", 400, 46));
    let short = json!({"input": folder.path("in.mp4"), "output": output, "durationSeconds": 4.0, "count": 5, "width": 80});
    assert_eq!(run(FILMSTRIP, &short).succeeded()["width"], 400);
}

#[test]
fn package_cuts_renditions_and_writes_the_master_playlist_last() {
    let folder = Folder::with_video(2);
    let mut renditions = Vec::new();
    for height in [90, 180] {
        let payload = json!({"input": folder.path("in.mp4"), "output": folder.path(&format!("{height}.mp4")),
            "durationSeconds": 2, "height": height, "preset": "ultrafast", "segmentSeconds": 1});
        renditions.push(run(TRANSCODE, &payload).succeeded());
    }
    let output = folder.path("hls");
    let payload = json!({"renditions": renditions, "outputFolder": output, "segmentSeconds": 1});
    let ran = run(PACKAGE, &payload);
    assert!(ran.percents_grow(), "{}", ran.stdout);
    let result = ran.succeeded();
    assert_eq!(
        result,
        json!({"masterPlaylist": format!("{output}/master.m3u8"), "renditions": [
            {"playlist": format!("{output}/90p/playlist.m3u8"), "segments": 2},
            {"playlist": format!("{output}/180p/playlist.m3u8"), "segments": 2}]})
    );
    assert_eq!(folder.names("hls"), ["180p", "90p", "master.m3u8"]);
    assert_eq!(folder.names("hls/90p"), ["playlist.m3u8", "segment_00000.ts", "segment_00001.ts"]);
    let master = fs::read_to_string(folder.path("hls/master.m3u8")).unwrap();
    assert_eq!(master.matches("RESOLUTION=160x90,FRAME-RATE=30.000,CODECS=\"avc1.").count(), 1, "{master}");
    let (codec, .., seconds) = looked_at(&folder.path("hls/master.m3u8"));
    assert_eq!(codec, "h264");
    assert!((1.9..2.2).contains(&seconds), "{seconds}");
    assert_eq!(run(PACKAGE, &payload).succeeded(), result);

    // a rendition that is gone: nothing names files that are no longer there
    fs::remove_file(folder.path("180.mp4")).unwrap();
    assert_eq!(run(PACKAGE, &payload).failed(), ["no-input"]);
    assert!(!Path::new(&folder.path("hls/master.m3u8")).exists());
}

#[test]
fn a_payload_comes_by_file_or_by_environment_and_arguments_are_spelled_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file = write("payload.json", r#"{"resultPayload": {"from": "file"}}"#);
    let properties = write("p.properties", "externalLaunchType = local\n");
    let from_environment = json!({"resultPayload": {"from": "environment"}}).to_string();
    for (arguments, from) in [
        (vec!["-launchType", "local", "-externalLaunchType", "Local"], "environment"),
        (vec!["--launch-type=local", "--external-launch-type=local"], "environment"),
        (vec!["--launchType=LOCAL", "--external-launch-type", "local", "-payloadFile", &file], "file"),
        (vec!["--launchType", "local", "--propFile", &properties, "--payloadFile", &file], "file"),
    ] {
        let ran =
            Ran::of(&handler(SAMPLE).args(&arguments).env("PAYLOAD", &from_environment).output().unwrap());
        assert_eq!(ran.succeeded(), json!({"from": from}), "{arguments:?}");
    }
}

#[test]
fn launch_data_that_cannot_be_used_is_exit_status_2() {
    let good = json!({"resultPayload": {}}).to_string();
    for (arguments, payload, said) in [
        (vec!["--launchType", "local"], None, "no payload"),
        (vec!["--launchType", "moon"], Some(&good), "moon"),
        (vec!["--lunchType", "local"], Some(&good), "lunchType"),
        (
            vec!["--launchType", "local", "--payloadFile", "/nowhere/payload.json"],
            Some(&good),
            "/nowhere/payload.json",
        ),
        (
            vec!["--launchType", "local", "--propFile", "/nowhere/p.properties"],
            Some(&good),
            "/nowhere/p.properties",
        ),
    ] {
        let mut command = handler(SAMPLE);
        if let Some(payload) = payload {
            command.env("PAYLOAD", payload);
        }
        let ran = Ran::of(&command.args(&arguments).output().unwrap());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "nothing was begun, so nothing is reported");
    }
}

#[test]
fn sample_calls_programs_and_fails_on_request() {
    let payload = |actions: Value| json!({"actions": actions, "resultPayload": {"k": "v"}});
    let call = |args: Value| json!({"action": "externalExecute", "paramsMap": {"externalArgs": args}});
    let ran = run(SAMPLE, &payload(json!([call(json!(["echo", "hello there"]))])));
    assert!(ran.stderr.contains("hello there"), "{}", ran.stderr);
    assert_eq!(ran.succeeded(), json!({"k": "v"}));
    assert_eq!(run(SAMPLE, &payload(json!([call(json!(["false"]))]))).failed(), ["external"]);
    let boom = json!([{"action": "exception", "paramsMap": {"exceptionMessage": "boom"}}]);
    let ran = run(SAMPLE, &payload(boom));
    assert_eq!(ran.failed(), ["exception"]);
    assert_eq!(ran.progress.last().unwrap()["diagnosticEvents"][0]["message"], "boom");
}

#[test]
fn a_success_that_nobody_hears_of_is_none() {
    let (reader, nobody) = std::io::pipe().unwrap();
    drop(reader);
    let output = handler(SAMPLE).args(LOCAL).env("PAYLOAD", "{}").stdout(nobody).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WARN cannot write the report: Broken pipe"), "{said}");
}

/// The tests in `annotations.rs` are for handlers that have the client.
#[cfg(not(any(feature = "docker", feature = "kubernetes")))]
#[test]
fn without_the_kubernetes_client_a_handler_warns_once_and_reports_by_lines() {
    let in_pod = |options: &[&str]| {
        let mut command = handler(SAMPLE);
        command.args(options).env("PAYLOAD", json!({"resultPayload": {"width": 720}}).to_string());
        Ran::of(&command.env("MY_POD_NAME", "handler-1").output().unwrap())
    };
    // kubernetes is also the default
    for options in [&["--launchType", "kubernetes"][..], &[]] {
        let ran = in_pod(options);
        let warnings = ran.stderr.matches("reports by lines instead of annotations").count();
        assert_eq!(warnings, 1, "{}", ran.stderr);
        assert_eq!(ran.succeeded(), json!({"width": 720}));
    }
    let ran = in_pod(&LOCAL);
    assert!(!ran.stderr.contains("annotations"), "{}", ran.stderr);
    // the client for external programs is missing, too
    let mut command = handler(SAMPLE);
    let call = json!({"action": "externalExecute", "paramsMap": {"externalArgs": ["true"]}});
    command.args(["--launchType", "local", "--externalLaunchType", "docker"]);
    command.env("PAYLOAD", json!({"actions": [call]}).to_string());
    let ran = Ran::of(&command.output().unwrap());
    assert!(ran.failed().contains(&"not-supported"), "{}", ran.stderr);
}

#[test]
fn the_marker_of_the_end_does_not_depend_on_the_level_of_the_log() {
    let mut command = handler(SAMPLE);
    let output = command.args(LOCAL).env("PAYLOAD", "{}").env("LOG_LEVEL", "ERROR").output().unwrap();
    Ran::of(&output).succeeded();
}
