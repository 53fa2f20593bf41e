//! Runs assembled from bytes, frozen, read back and resumed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_assembly::{
    Assembly, AssemblyError, DescriptionSource, ResumableRun, ResumeOptions, RunRequest, RunStart, RunTexts,
    SavedRun, Surroundings, TextFaults, check_same_request,
};
use pop_executor::{FolderError, RunFolder, Sync};
use pop_field_retriever::LaunchType;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const REGISTRY: &str = r#"{"size": {"command": ["./size"], "describe": true, "policies": {"timeoutMs": 7}}}"#;
const AGENDA: &str = r#"{
    "params": {"timeoutMs": 9},
    "operations": [
        {"name": "a", "type": "size", "payload": {"file": "x"}},
        {"name": "b", "type": "sample", "payload": {"width": "@<a.out::/width>"}}
    ]
}"#;
const SIZE: &str = r#"#!/bin/sh
echo asked >> asked
echo '{"input": {"properties": {"file": {"type": "string"}}}, "result": {"required": ["width"]}}'
"#;

/// A folder with the program `size` and a cache folder of its own.
struct Bench {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("size");
        fs::write(&program, SIZE).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let variables = [("HOME", folder.path().as_os_str()), ("PATH", "/usr/bin:/bin".as_ref())];
        let variables = variables.map(|(name, value)| (name.into(), value.to_owned())).into();
        let surroundings = Surroundings { variables, folder: folder.path().to_owned() };
        Self { folder, surroundings }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn request(&self, agenda: &str, faults: &mut TextFaults) -> RunRequest {
        let registry = Some(("registry.json", REGISTRY.as_bytes()));
        let texts = RunTexts::from_bytes(("a.json", agenda.as_bytes()), registry, self.path(), faults);
        RunRequest {
            descriptions: DescriptionSource::Programs,
            params: vec![("noOutputTimeoutMs".to_owned(), "2".to_owned())],
            ..RunRequest::new(texts, LaunchType::Local)
        }
    }

    /// The assembly of a request without faults.
    fn assemble(&self, source: DescriptionSource) -> Assembly {
        let mut faults = TextFaults::default();
        let request = RunRequest { descriptions: source, ..self.request(AGENDA, &mut faults) };
        let assembly = request.assemble(&self.surroundings, &mut faults);
        assembly.unwrap_or_else(|| unreachable!("{faults:?}"))
    }

    /// Number of times that the program was queried.
    fn queries(&self) -> usize {
        fs::read_to_string(self.path().join("asked")).unwrap_or_default().lines().count()
    }

    /// A run that has begun and whose executor has ended.
    fn begun(&self, id: Option<&str>) -> RunFolder {
        let assembly = self.assemble(DescriptionSource::Programs);
        let runs = self.path().join("runs");
        let start = RunStart { id, ..RunStart::new(&runs, "cid-1".to_owned()) };
        let prepared = assembly.begin(start).unwrap();
        RunFolder::find(&runs, &prepared.identity.run).unwrap()
    }
}

#[test]
fn saved_run_gives_the_plan_of_the_live_run() {
    let bench = Bench::new();
    let assembly = bench.assemble(DescriptionSource::Programs);
    let live = format!("{:?}", assembly.plan);
    let folder = bench.begun(None);
    // the saved run does not need the program
    fs::remove_file(bench.path().join("size")).unwrap();
    let saved = SavedRun::read(folder, &bench.surroundings).unwrap();
    assert_eq!(format!("{:?}", saved.plan), live);
    assert_eq!(saved.inputs, assembly.freeze("cid-1".to_owned(), None));
    let entry = saved.inputs.descriptions.get("size").unwrap();
    assert!(entry.input.is_some() && live.contains("timeout"));
}

#[test]
fn faults_of_agenda_and_text_have_codes_and_places() {
    let bench = Bench::new();
    let mut faults = TextFaults::default();
    let agenda = r#"{"operations": [{"name": "a", "type": "size", "payload": {"file": 7}}, {"name": "b", "type": "x"}]}"#;
    let request = bench.request(agenda, &mut faults);
    assert!(request.assemble(&bench.surroundings, &mut faults).is_none());
    let found: Vec<_> = faults.agenda.iter().map(|fault| (fault.code, fault.pointer())).collect();
    let wanted = [("wrong-payload", "/operations/0/payload/file"), ("unknown-type", "/operations/1/type")];
    assert!(wanted.iter().all(|fault| found.contains(fault)), "{found:?}");
    // a text that cannot be read at all
    let mut faults = TextFaults::default();
    let texts = RunTexts::from_bytes(("a.json", b"\xff"), None, bench.path(), &mut faults);
    let request = RunRequest::new(texts, LaunchType::Local);
    assert!(request.assemble(&bench.surroundings, &mut faults).is_none());
    assert_eq!(faults.agenda[0].code, "not-text");
}

#[test]
fn fr_h8_only_source_programs_queries_programs_also_in_a_runtime() {
    let bench = Bench::new();
    let assemble = |source| bench.assemble(source);
    assert_eq!(assemble(DescriptionSource::Cached).undescribed_types(), ["size"]);
    assert_eq!(bench.queries(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let asked = runtime.block_on(async { assemble(DescriptionSource::Programs) });
    assert!(asked.undescribed_types().is_empty());
    assert_eq!(bench.queries(), 1);
    // the cached description is valid, because the program is unchanged
    assert!(assemble(DescriptionSource::Cached).undescribed_types().is_empty());
    assert_eq!(bench.queries(), 1);
    let frozen = asked.freeze("c".to_owned(), None).descriptions;
    fs::remove_dir_all(bench.path().join(".cache")).unwrap();
    assert_eq!(
        assemble(DescriptionSource::Frozen(frozen.clone())).freeze("c".to_owned(), None).descriptions,
        frozen
    );
    assert_eq!(bench.queries(), 1);
}

#[test]
fn resume_needs_unchanged_inputs_and_the_lock() {
    let bench = Bench::new();
    let folder = bench.begun(Some("chosen"));
    let resumable = ResumableRun::open(folder.clone(), &bench.surroundings).unwrap();
    assert_eq!((resumable.run(), resumable.outcome(), resumable.is_new()), ("chosen", None, true));
    let held = ResumableRun::open(folder.clone(), &bench.surroundings).err();
    assert!(matches!(held, Some(AssemblyError::Folder(FolderError::Held { .. }))));
    let resume = ResumeOptions {
        options: pop_agenda::RunOptions { parallel: 3, ..pop_agenda::RunOptions::default() },
        resources: pop_agenda::Resources::default(),
        parallel: None,
        is_limit_from_now: true,
        now: 1,
        sync: Sync::Behind,
        replayed: Vec::new(),
    };
    let prepared = resumable.resume(resume, pop_agenda::PriorOutcomes::default()).unwrap();
    assert_eq!(prepared.scheduler.options().parallel, 3);
    // the mark distinguishes its programs from those of another run with that id
    assert!(prepared.identity.mark.starts_with("chosen.") && prepared.identity.cid == "cid-1");
    drop(prepared);
    fs::write(folder.path().join("inputs/agenda"), AGENDA.replace('9', "8")).unwrap();
    let changed = ResumableRun::open(folder.clone(), &bench.surroundings).err();
    assert!(matches!(changed, Some(AssemblyError::Folder(FolderError::InputsChanged { .. }))));
}

#[test]
fn run_without_stored_descriptions_is_read() {
    let bench = Bench::new();
    let folder = bench.begun(None);
    fs::remove_file(folder.path().join("inputs/descriptions.json")).unwrap();
    let saved = SavedRun::read(folder, &bench.surroundings).unwrap();
    assert!(saved.inputs.descriptions.is_empty() && saved.plan.len() == 2);
}

#[test]
fn request_that_differs_from_its_run_is_refused() {
    let bench = Bench::new();
    let folder = bench.begun(Some("chosen"));
    let mut faults = TextFaults::default();
    let same = bench.request(AGENDA, &mut faults);
    check_same_request(&folder, &same, &bench.surroundings).unwrap();
    let params = RunRequest { params: Vec::new(), ..same.clone() };
    let launcher = RunRequest { launcher: LaunchType::Docker, ..same };
    let agenda = bench.request("{}", &mut faults);
    for (request, difference) in
        [(params, "other `--policy` values"), (launcher, "another launcher"), (agenda, "another agenda")]
    {
        let error = check_same_request(&folder, &request, &bench.surroundings).unwrap_err();
        assert_eq!(error.to_string(), format!("run `chosen` began with {difference}"));
    }
}
