//! Tests of the run folder.

use super::*;
use crate::frozen_inputs::{ConfDSettings, Settings};
use pop_contract::Description;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

fn inputs() -> Inputs {
    let settings = Settings {
        agenda: "a.json".into(),
        registry: None,
        on: "local".into(),
        folder: "/".into(),
        home: None,
        inputs: serde_json::Map::new(),
        params: Vec::new(),
        cid: "c".into(),
        mark: None,
        replay_of: None,
        rerun_of: None,
        conf_d: None,
        trace: None,
    };
    let registry = Some(b"{}".to_vec());
    Inputs {
        files: BTreeMap::new(),
        settings,
        agenda: b"{}".to_vec(),
        registry,
        descriptors: BTreeMap::new(),
        descriptions: BTreeMap::new(),
        parent: None,
    }
}

#[test]
fn fr_h17_umask_that_removes_owner_permissions_is_refused() {
    for (status, refused) in [
        ("Name:\tpop\nUmask:\t0777\nState:\tR\n", Some("umask 0777")),
        ("Umask:\t0200\n", Some("umask 0200")),
        ("Umask:\t0077\n", None),
        ("Umask:\t0022\n", None),
        ("", None),
    ] {
        let message = check_umask(status).err().map(|error| error.to_string());
        assert_eq!(message.is_some(), refused.is_some(), "{status}");
        assert!(message.unwrap_or_default().contains(refused.unwrap_or_default()));
    }
}

#[test]
fn changed_byte_of_frozen_inputs_changes_the_digest() {
    let runs = tempfile::tempdir().unwrap();
    let (folder, _lock) = RunFolder::create(runs.path(), "r1", &inputs()).unwrap();
    assert_eq!(RunFolder::find(runs.path(), "r1").unwrap().inputs().unwrap(), inputs());
    assert_eq!(RunFolder::find(runs.path(), "last").unwrap().run(), "r1");
    // a field that only replays have must not change the digest of other runs
    assert!(!fs::read_to_string(folder.settings_path()).unwrap().contains("replayOf"));
    let digest = inputs().digest().unwrap();
    fs::write(folder.path().join("inputs/agenda"), b"{ }").unwrap();
    assert_ne!(folder.inputs().unwrap().digest().unwrap(), digest);
}

#[test]
fn u9_descriptors_are_frozen_and_change_the_digest() {
    let runs = tempfile::tempdir().unwrap();
    let mut with = inputs();
    assert_eq!(with.digest().unwrap(), "7e1c873742226d5b4169f041d14f3994222bda8642df7dba7749495a7be1736d");
    with.settings.conf_d =
        Some(ConfDSettings { folder: "conf.d".into(), handlers: vec!["/usr/lib/pop/handlers".into()] });
    with.descriptors = [("a.conf".to_owned(), b"\xff".to_vec()), ("b.conf".to_owned(), Vec::new())].into();
    let (folder, _lock) = RunFolder::create(runs.path(), "r1", &with).unwrap();
    assert_eq!(folder.inputs().unwrap(), with);
    let digest = with.digest().unwrap();
    for (file, bytes) in [("a.conf", b"x".as_slice()), ("b.conf", b"x"), ("c.conf", b"")] {
        let path = folder.path().join("inputs/conf.d").join(file);
        let before = fs::read(&path).ok();
        fs::write(&path, bytes).unwrap();
        assert_ne!(folder.inputs().unwrap().digest().unwrap(), digest, "{file}");
        before.map_or_else(|| fs::remove_file(&path), |before| fs::write(&path, before)).unwrap();
    }
    assert_eq!(folder.inputs().unwrap().digest().unwrap(), digest);
}

#[test]
fn f48_run_folders_are_private_to_the_caller() {
    let runs = tempfile::tempdir().unwrap();
    let (folder, _lock) = RunFolder::create(&runs.path().join("runs"), "r1", &inputs()).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in [folder.path().to_owned(), folder.logs(), folder.path().join(INPUTS)] {
        assert_eq!(mode(dir), 0o700);
    }
    for file in ["lock", "inputs/agenda", "inputs/settings.json"] {
        assert_eq!(mode(folder.path().join(file)), 0o600);
    }
}

#[test]
fn f1_incomplete_folder_is_replaced_and_a_complete_one_is_not() {
    let runs = tempfile::tempdir().unwrap();
    let incomplete = runs.path().join("r1").join(INPUTS);
    fs::create_dir_all(&incomplete).unwrap();
    fs::write(incomplete.join("agenda"), "longer than the new agenda").unwrap();
    fs::write(incomplete.join("settings.new"), "{\"agen").unwrap();
    fs::create_dir(incomplete.join("conf.d")).unwrap();
    fs::write(incomplete.join("conf.d").join("old.conf"), "").unwrap();
    let mut inputs = inputs();
    inputs.settings.conf_d = Some(ConfDSettings { folder: "conf.d".into(), handlers: Vec::new() });
    inputs.descriptors = [("new.conf".to_owned(), Vec::new())].into();
    assert!(matches!(RunFolder::find(runs.path(), "r1"), Err(FolderError::NoRun { .. })));
    assert!(matches!(RunFolder::create(runs.path(), "r1", &inputs), Err(FolderError::Io { .. })));
    let (folder, lock) = RunFolder::create_or_replace(runs.path(), "r1", &inputs).unwrap();
    assert_eq!(folder.inputs().unwrap(), inputs);
    assert!(matches!(
        RunFolder::create_or_replace(runs.path(), "r1", &inputs),
        Err(FolderError::Held { .. })
    ));
    drop(lock);
    assert!(matches!(RunFolder::create_or_replace(runs.path(), "r1", &inputs), Err(FolderError::Io { .. })));
}

#[test]
fn f3_run_without_settings_after_power_loss_never_began() {
    let runs = tempfile::tempdir().unwrap();
    let (folder, lock) = RunFolder::create(runs.path(), "r1", &inputs()).unwrap();
    folder.sync().unwrap();
    assert!(RunFolder::of_journal(&folder.journal()).is_some());
    drop(lock);
    // a file system may keep the name of an unsynced file without its bytes
    fs::write(folder.settings_path(), "").unwrap();
    fs::write(folder.journal(), "").unwrap();
    fs::write(folder.logs().join("a.1.log"), "of the lost run").unwrap();
    assert!(RunFolder::of_journal(&folder.journal()).is_none());
    assert!(matches!(RunFolder::find(runs.path(), "r1"), Err(FolderError::NoRun { .. })));
    assert!(RunFolder::list(runs.path()).unwrap().is_empty());
    let (folder, _lock) = RunFolder::create_or_replace(runs.path(), "r1", &inputs()).unwrap();
    assert_eq!(folder.inputs().unwrap(), inputs());
    assert!(!folder.journal().exists());
    assert_eq!(fs::read_dir(folder.logs()).unwrap().count(), 0);
}

#[test]
fn paths_and_hidden_names_are_not_runs() {
    let runs = tempfile::tempdir().unwrap();
    for name in ["", "..", "../x", ".hidden", "none"] {
        assert!(matches!(RunFolder::find(runs.path(), name), Err(FolderError::NoRun { .. })), "{name}");
    }
    assert!(matches!(RunFolder::find(runs.path(), "last"), Err(FolderError::NoRuns { .. })));
}

#[test]
fn only_an_unlocked_run_is_deleted() {
    let runs = tempfile::tempdir().unwrap();
    let (folder, lock) = RunFolder::create(runs.path(), "r1", &inputs()).unwrap();
    assert!(matches!(folder.clone().delete(), Err(FolderError::Held { .. })));
    assert!(folder.inputs().is_ok());
    drop(lock);
    folder.clone().delete().unwrap();
    assert!(!folder.path().exists() && RunFolder::list(runs.path()).unwrap().is_empty());
}

#[test]
fn changed_agenda_in_a_file_changes_the_digest() {
    let runs = tempfile::tempdir().unwrap();
    let files = [("lib/b.yaml".to_owned(), "operations: []\n".to_owned())];
    let with = Inputs { files: files.into(), ..inputs() };
    assert_ne!(with.digest().unwrap(), inputs().digest().unwrap());
    let (folder, _lock) = RunFolder::create(runs.path(), "r1", &with).unwrap();
    let read = folder.inputs().unwrap();
    assert_eq!((read.digest().unwrap(), &read), (with.digest().unwrap(), &with));
    let file = folder.path().join(INPUTS).join("agendas.json");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("[]", "[ ]")).unwrap();
    assert_ne!(folder.inputs().unwrap().digest().unwrap(), with.digest().unwrap());
}

#[test]
fn changed_frozen_description_changes_the_digest() {
    let runs = tempfile::tempdir().unwrap();
    let about = Description::parse(br#"{"name": "size", "input": {"maximum": 0.1}}"#).unwrap();
    let with = Inputs { descriptions: [("size".to_owned(), about)].into(), ..inputs() };
    assert_ne!(with.digest().unwrap(), inputs().digest().unwrap());
    let (folder, _lock) = RunFolder::create(runs.path(), "r1", &with).unwrap();
    let read = folder.inputs().unwrap();
    assert_eq!((read.digest().unwrap(), &read), (with.digest().unwrap(), &with));
    let file = folder.path().join(INPUTS).join("descriptions.json");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("0.1", "0.2")).unwrap();
    assert_ne!(folder.inputs().unwrap().digest().unwrap(), with.digest().unwrap());
}

#[test]
fn fr_h2_non_utf8_paths_are_refused_before_any_write() {
    let runs = tempfile::tempdir().unwrap();
    let odd = PathBuf::from(OsStr::from_bytes(b"/odd\xff"));
    let confd = |folder: &Path, handlers: &Path| {
        Some(ConfDSettings { folder: folder.to_owned(), handlers: vec![handlers.to_owned()] })
    };
    let plain = Path::new("/plain");
    for settings in [
        Settings { folder: odd.clone(), ..inputs().settings },
        Settings { home: Some(odd.clone()), ..inputs().settings },
        Settings { conf_d: confd(&odd, plain), ..inputs().settings },
        Settings { conf_d: confd(plain, &odd), ..inputs().settings },
    ] {
        let inputs = Inputs { settings, ..inputs() };
        let error = RunFolder::create_or_replace(runs.path(), "r1", &inputs).unwrap_err();
        assert!(matches!(error, FolderError::NotUtf8 { path } if path == odd));
        assert!(matches!(RunFolder::find(runs.path(), "r1"), Err(FolderError::NoRun { .. })));
    }
    let odd = runs.path().join(OsStr::from_bytes(b"\xff"));
    assert!(matches!(RunFolder::create(&odd, "r1", &inputs()), Err(FolderError::NotUtf8 { .. })));
    // pop cannot have created this folder, so it is not a run
    fs::create_dir_all(odd.join(INPUTS)).unwrap();
    fs::write(odd.join(INPUTS).join("settings.json"), "{}").unwrap();
    assert!(RunFolder::list(runs.path()).unwrap().is_empty());
}

#[test]
fn fr_h9_only_regular_files_of_a_run_are_read() {
    let runs = tempfile::tempdir().unwrap();
    let conf_d = Some(ConfDSettings { folder: "conf.d".into(), handlers: Vec::new() });
    let inputs = Inputs {
        settings: Settings { conf_d, ..inputs().settings },
        descriptors: [("a.conf".to_owned(), Vec::new())].into(),
        descriptions: [("a".to_owned(), Description::default())].into(),
        ..inputs()
    };
    for file in ["settings.json", "agenda", "registry", "conf.d/a.conf", "descriptions.json"] {
        let (folder, lock) = RunFolder::create(runs.path(), "r1", &inputs).unwrap();
        let path = folder.path().join(INPUTS).join(file);
        fs::remove_file(&path).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let Err(FolderError::Io { path: refused, source }) = folder.inputs() else { unreachable!() };
        assert_eq!((refused, source.kind()), (path, io::ErrorKind::InvalidInput));
        drop(lock);
        // the holder of the lock is read from a file, too
        fs::remove_file(folder.path().join(LOCK)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join(LOCK), kind, mode, 0).unwrap();
        assert!(!folder.is_held());
        fs::remove_dir_all(folder.path()).unwrap();
    }
}
