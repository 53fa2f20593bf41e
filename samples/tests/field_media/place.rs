//! A folder of media made by ffmpeg, and the handlers run on it.

use serde_json::{Value, json};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs a test with the ffmpeg on the PATH, and with each one in the folders that `POP_TEST_FFMPEG` lists.
pub(crate) fn each_ffmpeg(test: impl Fn(Option<PathBuf>)) {
    test(None);
    let folders = env::var_os("POP_TEST_FFMPEG").unwrap_or_default();
    for folder in env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
        assert!(folder.join("ffmpeg").exists(), "{} has no ffmpeg", folder.display());
        test(Some(folder));
    }
}

/// Compares seconds, as far as frames allow.
pub(crate) fn approximately(seconds: f64, wanted: f64) {
    assert!((seconds - wanted).abs() < 0.1, "{seconds} instead of {wanted}");
}

/// ffmpeg's name for the format of files that end like this.
pub(crate) fn muxer(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("jpg") => "image2",
        Some("gif") => "gif",
        _ => "mp4",
    }
}

/// A folder to make media in, and the ffmpeg that the handlers are to use.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    path: OsString,
}

impl Place {
    pub(crate) fn new(ffmpeg: Option<PathBuf>) -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = ffmpeg.into_iter().chain(env::split_paths(&path));
        Self { folder: tempfile::tempdir().unwrap(), path: env::join_paths(folders).unwrap() }
    }

    /// The path of a file in the folder. An absolute one stays.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        Path::new(&self.path(name)).exists()
    }

    /// Runs a program of the PATH, which must succeed.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Output {
        let output = Command::new(program).args(arguments).current_dir(self.folder.path()).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
        output
    }

    /// Makes a file with the ffmpeg of the PATH.
    pub(crate) fn make(&self, name: &str, arguments: &[&[&str]]) {
        let output = format!("file:{}", self.path(name));
        let first = ["-nostdin", "-y", "-v", "error"];
        self.command("ffmpeg", &[&first[..], &arguments.concat(), &[&output]].concat());
    }

    /// Makes a film of 320 by 180 with sound, in these codecs.
    pub(crate) fn film_in(&self, name: &str, options: &[&str], codecs: &[&str]) {
        let inputs = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=30", "-f", "lavfi", "-i", "sine"];
        let mut colours = ["-pix_fmt", "yuv420p"];
        if codecs.contains(&"gif") {
            colours[1] = "rgb8";
        }
        let colours: &[&str] = if codecs.contains(&"-pix_fmt") || options.join(" ").contains("format=") {
            &[]
        } else {
            &colours
        };
        self.make(name, &[&inputs, options, colours, codecs]);
    }

    /// Makes a film of 320 by 180 in H.264 and AAC.
    pub(crate) fn film(&self, name: &str, options: &[&str]) {
        self.film_in(name, options, &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]);
    }

    /// Copies a film with the mark that it is to be displayed turned.
    pub(crate) fn rotate(&self, from: &str, to: &str, degrees: u32) {
        let (input, output, angle) = (self.path(from), self.path(to), degrees.to_string());
        // ffmpeg 6 and later have an option, earlier ones read metadata
        let rest = ["-i", &input, "-c", "copy", &output];
        let option = [&["-v", "error", "-y", "-display_rotation", &angle], &rest[..]].concat();
        if !Command::new("ffmpeg").args(option).output().unwrap().status.success() {
            let metadata = format!("rotate={degrees}");
            self.make(to, &[&["-i", &input, "-c", "copy", "-metadata:s:v", &metadata]]);
        }
    }

    /// A payload of `transcode` from a file of the folder to `out.mp4`.
    pub(crate) fn rendition(&self, name: &str, fields: &Value) -> Value {
        let mut payload =
            json!({"input": self.path(name), "output": self.path("out.mp4"), "preset": "ultrafast"});
        payload.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        if payload.get("height").is_none() {
            payload["height"] = json!(180);
        }
        payload
    }

    fn run(&self, handler: &str, payload: &Value) -> Output {
        let program = match handler {
            "probe" => env!("CARGO_BIN_EXE_pop-probe"),
            "transcode" => env!("CARGO_BIN_EXE_pop-transcode"),
            "thumbnail" => env!("CARGO_BIN_EXE_pop-thumbnail"),
            "filmstrip" => env!("CARGO_BIN_EXE_pop-filmstrip"),
            _ => env!("CARGO_BIN_EXE_pop-package"),
        };
        let mut command = Command::new(program);
        command.args(["--launchType", "local", "--externalLaunchType", "local"]);
        command.env_clear().env("PATH", &self.path).env("PAYLOAD", payload.to_string());
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// The result of a handler that succeeds.
    pub(crate) fn succeeds(&self, handler: &str, payload: &Value) -> Value {
        let output = self.run(handler, payload);
        let results = reports(&output, "pop.report.payload ");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{handler} {payload}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        results.last().unwrap().clone()
    }

    /// The code of a handler that fails and gives no result.
    pub(crate) fn fails(&self, handler: &str, payload: &Value) -> String {
        let output = self.run(handler, payload);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{handler} {payload}: {said}");
        assert_eq!(reports(&output, "pop.report.payload "), [Value::Null; 0]);
        let progress = reports(&output, "pop.report.progress ");
        progress.last().unwrap()["diagnosticEvents"][0]["statusCode"].as_str().unwrap_or_default().to_owned()
    }

    /// The percentages that a handler reports.
    pub(crate) fn percents(&self, handler: &str, payload: &Value) -> Vec<f64> {
        let output = self.run(handler, payload);
        let progress = reports(&output, "pop.report.progress ");
        progress.iter().filter_map(|progress| progress["percentComplete"].as_f64()).collect()
    }

    /// ffprobe's answer about the video of a file.
    pub(crate) fn looked_at(&self, path: &str) -> Value {
        let arguments = ["-v", "error", "-of", "json", "-show_streams", "-select_streams", "v:0", path];
        serde_json::from_slice(&self.command("ffprobe", &arguments).stdout).unwrap()
    }

    /// The bytes that a filter gives of the middle picture of a file.
    fn grays(&self, name: &str, filter: &str) -> Vec<u8> {
        let path = self.path(name);
        let filter = format!("{filter},format=gray");
        let arguments = ["-v", "error", "-i", &path, "-vf", &filter, "-frames:v", "1", "-f", "rawvideo", "-"];
        self.command("ffmpeg", &arguments).stdout
    }

    /// The mean lightness of a picture, in the limited range of video.
    pub(crate) fn lightness(&self, name: &str) -> f64 {
        let bytes = self.grays(name, "scale=in_range=full:out_range=limited");
        bytes.iter().map(|byte| f64::from(*byte)).sum::<f64>() / bytes.len() as f64
    }

    /// How much neighbouring lines differ in the middle of a film of 160 by 96.
    pub(crate) fn combing(&self, name: &str) -> f64 {
        let is_film = Path::new(name).extension().is_some_and(|ending| ending == "mp4");
        let bytes = self.grays(name, if is_film { r"select=gte(n\,12)" } else { "null" });
        let lines: Vec<&[u8]> = bytes.chunks(160).collect();
        let differences = lines.windows(2).flat_map(|two| two[0].iter().zip(two[1]));
        differences.map(|(one, other)| f64::from(one.abs_diff(*other))).sum()
    }

    /// The mean volume of the sound, in decibels.
    pub(crate) fn loudness(&self, path: &str) -> f64 {
        let arguments = ["-hide_banner", "-i", path, "-af", "volumedetect", "-f", "null", "-"];
        let said = String::from_utf8(self.command("ffmpeg", &arguments).stderr).unwrap();
        let after = said.split("mean_volume: ").nth(1).unwrap();
        after.split(' ').next().unwrap().parse().unwrap()
    }
}

/// The reports of a handler that begin so.
fn reports(output: &Output, prefix: &str) -> Vec<Value> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout
        .lines()
        .filter_map(|line| line.strip_prefix(prefix))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}
