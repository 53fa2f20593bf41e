//! Tests of finding files and comparing them with records.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

fn texts(patterns: &[&str]) -> Box<[Box<str>]> {
    patterns.iter().map(|text| Box::from(*text)).collect()
}

fn paths(folder: &Path, patterns: &[&str]) -> Result<Vec<String>, String> {
    let found = find(folder, &texts(patterns)).map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|file| file.path.into()).collect())
}

#[test]
fn patterns_find_files_as_a_shell_does() {
    let folder =
        tree(&["a.txt", "b.csv", "out/1.txt", "out/sub/2.txt", "out/.3.txt", ".git/4.txt", "x [1].txt"]);
    let at = folder.path();
    symlink("out", at.join("link")).unwrap();
    symlink("..", at.join("out/up")).unwrap();
    symlink("nowhere", at.join("dangling.txt")).unwrap();
    for (pattern, wanted) in [
        ("a.txt", &["a.txt"][..]),
        ("*.txt", &["a.txt", "x [1].txt"]),
        ("x [[]1].txt", &["x [1].txt"]),
        ("**/*.txt", &["a.txt", "out/1.txt", "out/sub/2.txt", "x [1].txt"]),
        ("out/**", &["out/1.txt", "out/sub/2.txt"]),
        ("out", &["out/.3.txt", "out/1.txt", "out/sub/2.txt"]),
        ("link/*.txt", &["link/1.txt"]),
        ("out/../a.txt", &["out/../a.txt"]),
        ("./out//1.txt", &["out/1.txt"]),
    ] {
        assert_eq!(paths(at, &[pattern]).unwrap(), wanted, "{pattern}");
    }
    assert_eq!(paths(at, &["*.csv", "b.csv"]).unwrap(), ["b.csv"]);
    for pattern in ["c.txt", "out/*.csv", "dangling.txt", "a.txt/b"] {
        let wanted = format!("no file matches `{pattern}` in `{}`", at.display());
        assert_eq!(paths(at, &["a.txt", pattern]).unwrap_err(), wanted);
    }
    let absolute = at.join("a.txt").display().to_string();
    assert_eq!(paths(Path::new("/"), &[&absolute]).unwrap(), [absolute]);
}

#[test]
fn too_many_files_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(250);
    fs::create_dir_all(folder.path().join(&long).join(&long).join(&long).join(&long)).unwrap();
    for index in 0..=MOST_PATH_BYTES / 1_000 {
        fs::write(folder.path().join(&long).join(&long).join(&long).join(&long).join(index.to_string()), "")
            .unwrap();
    }
    assert!(paths(folder.path(), &["**"]).unwrap_err().starts_with("its patterns match more than"));
}

#[test]
fn fr_d2_recorded_files_are_compared_by_content_not_time() {
    let folder = tree(&["in/a", "in/b", "out"]);
    let at = folder.path();
    let declared = DeclaredFiles { folder: "".into(), reads: texts(&["in/*"]), writes: texts(&["out"]) };
    let digests = Digests::default();
    let recorded = RecordedFiles {
        read: Some(record(&digests, at, &declared.reads).unwrap().into()),
        written: Some(record(&digests, at, &declared.writes).unwrap().into()),
        declared: Arc::new(declared),
    };
    fs::write(at.join("in/a"), "in/a").unwrap();
    assert_eq!(changed_reads(at, &recorded), []);
    assert_eq!(changed_writes(at, &recorded), []);
    fs::write(at.join("in/a"), "other").unwrap();
    fs::remove_file(at.join("in/b")).unwrap();
    fs::write(at.join("in/c"), "").unwrap();
    fs::remove_file(at.join("out")).unwrap();
    let words = |changes: Vec<FileChange>| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        words(changed_reads(at, &recorded)),
        ["`in/b` is missing", "`in/a` has changed", "`in/c` is new"]
    );
    assert_eq!(words(changed_writes(at, &recorded)), ["`out` is missing"]);
}
