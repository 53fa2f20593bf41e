//! Packages in real folders: installed, replaced, removed, refused, and stopped at every file.

use super::*;
use crate::script::{codes, messages};
use pop_handler_base::{Capabilities, InMemory, InMemoryRun};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

/// A repository and a root, in a folder that holds something else besides.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (file, text) in [
            ("repository/hello/1.0/bin/hello", "hello 1"),
            ("repository/hello/1.0/share/hello/old.txt", "old"),
            ("repository/hello/1.10/bin/hello", "hello 1.10"),
            ("repository/hello/1.10/share/hello/new.txt", "new"),
            ("repository/hello/1.9/bin/hello", "hello 1.9"),
            ("repository/world/2/bin/world", "world"),
            ("outside/mine", "mine"),
        ] {
            place.write(file, text);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Calls a method with units written as `NAME` or `NAME VERSION`.
    async fn call(&self, method: &str, units: &[&str], place: InMemory) -> InMemoryRun {
        let units: Vec<Value> = units
            .iter()
            .map(|unit| match unit.split_once(' ') {
                Some((name, version)) => json!({"name": name, "version": version}),
                None => json!({"name": unit}),
            })
            .collect();
        let call = json!({"capability": "content", "method": method, "type": "software", "units": units});
        let place = place.property("root", self.path("root").to_str().unwrap());
        let place = place.property("repository", self.path("repository").to_str().unwrap());
        place.run(&Capabilities::new().content(Software), &call).await
    }

    /// The report of a call that succeeds.
    async fn report(&self, method: &str, units: &[&str]) -> Value {
        let run = self.call(method, units, InMemory::default()).await;
        run.report.result.unwrap_or_else(|| panic!("{:?}", run.report.progress))
    }

    /// The number of changes of a call that succeeds, and what became of its units.
    async fn changes(&self, method: &str, units: &[&str]) -> (u64, String) {
        let report = self.report(method, units).await;
        let mut told = Vec::new();
        for list in ["changed", "unchanged", "repaired"] {
            for unit in report["details"][list].as_array().unwrap() {
                let [name, version] = ["name", "version"].map(|key| unit[key].as_str().unwrap_or_default());
                told.push(format!("{list} {name} {version}"));
            }
        }
        (report["num_changes"].as_u64().unwrap(), told.join(", "))
    }

    /// What stands in the diagnostic of a call that fails.
    async fn refusal(&self, method: &str, units: &[&str]) -> Value {
        let before = self.files("");
        let run = self.call(method, units, InMemory::default()).await;
        assert_eq!(codes(&run.report), ["report"]);
        assert_eq!(self.files(""), before, "a call that is refused changed something");
        run.report.progress.diagnostic_events[0].payload.clone().unwrap()["details"].clone()
    }

    /// Every file below a folder with its text, but for the notes, and every empty folder.
    fn files(&self, below: &str) -> Vec<String> {
        fn walk(folder: &Path, name: &str, all: &mut Vec<String>) {
            let Ok(entries) = fs::read_dir(folder) else { return };
            let mut entries: Vec<_> = entries.map(Result::unwrap).collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            if entries.is_empty() {
                all.push(format!("{name}/"));
            }
            for entry in entries {
                let own = entry.file_name().into_string().unwrap();
                let name = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
                if entry.file_type().unwrap().is_dir() {
                    if own != ".software" {
                        walk(&entry.path(), &name, all);
                    }
                } else {
                    all.push(format!("{name}: {}", fs::read_to_string(entry.path()).unwrap_or_default()));
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.path(below), "", &mut all);
        all
    }

    /// The names of the notes, and of whatever else stands beside them.
    fn notes(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("root/.software")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn u13_packages_are_installed_replaced_and_removed_and_only_changes_count() {
    let place = Place::new();
    let told = |count: u64, text: &str| (count, text.to_owned());
    assert_eq!(place.changes("install", &["hello 1.0"]).await, told(1, "changed hello 1.0"));
    let first = ["bin/hello: hello 1", "share/hello/old.txt: old"];
    assert_eq!(place.files("root"), first);
    // what is there is no change, whichever version it is if none is asked for
    assert_eq!(place.changes("install", &["hello 1.0"]).await, told(0, "unchanged hello 1.0"));
    assert_eq!(place.changes("install", &["hello"]).await, told(0, "unchanged hello 1.0"));
    assert_eq!(
        place.changes("install", &["hello", "world"]).await,
        told(1, "changed world 2, unchanged hello 1.0")
    );
    assert_eq!(
        place.changes("update", &["hello", "world"]).await,
        told(1, "changed hello 1.10, unchanged world 2")
    );
    let second = ["bin/hello: hello 1.10", "bin/world: world", "share/hello/new.txt: new"];
    assert_eq!(place.files("root"), second);
    assert_eq!(place.changes("update", &["hello"]).await, told(0, "unchanged hello 1.10"));
    assert_eq!(place.changes("install", &["hello 1.9"]).await, told(1, "changed hello 1.9"));
    assert_eq!(place.files("root"), ["bin/hello: hello 1.9", "bin/world: world"]);
    // another version than the one that is there is not there
    assert_eq!(place.changes("uninstall", &["hello 1.0"]).await, told(0, "unchanged hello 1.0"));
    assert_eq!(
        place.changes("uninstall", &["hello", "nobody"]).await,
        told(1, "changed hello 1.9, unchanged nobody ")
    );
    assert_eq!(place.changes("uninstall", &["hello"]).await, told(0, "unchanged hello "));
    assert_eq!(place.changes("uninstall", &["world 2"]).await, told(1, "changed world 2"));
    assert_eq!(place.files("root"), [""; 0]);
    assert_eq!(place.notes(), ["lock"]);
}

#[tokio::test]
async fn what_is_damaged_is_installed_again() {
    let place = Place::new();
    place.changes("install", &["hello 1.0"]).await;
    place.write("root/bin/hello", "hullo 1");
    assert_eq!(place.changes("install", &["hello 1.0"]).await.0, 1);
    fs::remove_file(place.path("root/share/hello/old.txt")).unwrap();
    let profile = place.report("profile", &[]).await;
    assert_eq!(profile["details"]["units"][0]["missing"], json!(["share/hello/old.txt"]));
    assert_eq!(place.changes("install", &["hello 1.0"]).await.0, 1);
    assert_eq!(place.files("root"), ["bin/hello: hello 1", "share/hello/old.txt: old"]);
}

#[tokio::test]
async fn u13_a_profile_lists_units_with_their_files_and_changes_nothing() {
    let place = Place::new();
    let nothing = json!({"units": [], "unfinished": []});
    assert_eq!(place.report("profile", &[]).await["details"], nothing);
    assert!(!place.path("root").exists());
    place.changes("install", &["world", "hello 1.0"]).await;
    let profile = place.report("profile", &[]).await;
    assert_eq!(
        profile["details"]["units"],
        json!([
            {"name": "hello", "version": "1.0", "files": ["bin/hello", "share/hello/old.txt"], "missing": []},
            {"name": "world", "version": "2", "files": ["bin/world"], "missing": []},
        ])
    );
    assert_eq!(profile["num_changes"], 0);
}

#[tokio::test]
async fn a_unit_that_does_not_exist_fails_the_report_by_its_name_and_nothing_is_begun() {
    let place = Place::new();
    let details = place.refusal("install", &["world", "nobody", "hello 9"]).await;
    assert_eq!(
        details,
        json!({
            "message": "`nobody` is no package of the repository; `hello 9` is no version of the package",
            "units": [
                {"name": "nobody", "version": null, "why": "is no package of the repository"},
                {"name": "hello", "version": "9", "why": "is no version of the package"},
            ],
        })
    );
    let details = place.refusal("update", &["hello"]).await;
    assert_eq!(details["message"], "`hello` is not installed");
    let details = place.refusal("install", &["hello 1.0", "hello 1.9"]).await;
    assert_eq!(details["message"], "`hello 1.9` is named twice");
    let run = place.call("install", &["nobody"], InMemory::default()).await;
    assert_eq!(messages(&run.report), ["`content.install` failed: `nobody` is no package of the repository"]);
}

#[tokio::test]
async fn names_lead_nowhere() {
    let place = Place::new();
    for unit in ["../outside", "/etc", ".", "", "hello ../../outside", "hello /etc", "hello .", "a/b"] {
        let details = place.refusal("install", &[unit]).await;
        assert!(details["message"].as_str().unwrap().contains("is no name: "), "{unit}: {details}");
    }
    for unit in ["../outside", "/etc", ".."] {
        place.refusal("uninstall", &[unit]).await;
    }
}

#[tokio::test]
async fn files_of_others_and_links_are_refused() {
    let place = Place::new();
    // somebody's own file, a file of another package, of another in the same call, and the notes themselves
    place.write("root/bin/world", "mine");
    let details = place.refusal("install", &["world"]).await;
    assert_eq!(details["message"], "`world` has `bin/world`, which is there and of no package");
    place.write("repository/twin/1/bin/hello", "twin");
    let details = place.refusal("install", &["hello", "twin"]).await;
    assert_eq!(details["message"], "`twin` has `bin/hello`, which is a file of `hello`");
    place.changes("install", &["hello"]).await;
    let details = place.refusal("install", &["twin"]).await;
    assert_eq!(details["message"], "`twin` has `bin/hello`, which is a file of `hello`");
    place.write("repository/sly/1/.software/hello.json", "{}");
    assert!(
        place.refusal("install", &["sly"]).await["message"].as_str().unwrap().contains("not for the root")
    );
    // links in a package, to a package, and to a version
    fs::create_dir_all(place.path("repository/link/1")).unwrap();
    symlink("/etc/hostname", place.path("repository/link/1/file")).unwrap();
    let details = place.refusal("install", &["link"]).await;
    assert_eq!(details["message"], "`link` has `file`, which is neither file nor folder");
    symlink(place.path("repository/world"), place.path("repository/other")).unwrap();
    place.refusal("install", &["other"]).await;
    symlink("2", place.path("repository/world/3")).unwrap();
    place.refusal("install", &["world 3"]).await;
}

#[tokio::test]
async fn nothing_outside_of_the_root_is_touched_by_way_of_links() {
    let place = Place::new();
    let outside = place.files("outside");
    // a link where a folder of the package is to be
    fs::create_dir_all(place.path("root")).unwrap();
    symlink(place.path("outside"), place.path("root/bin")).unwrap();
    let details = place.refusal("install", &["world"]).await;
    assert!(
        details["message"].as_str().unwrap().ends_with("/root/bin` is a link or a file, not a folder"),
        "{details}"
    );
    fs::remove_file(place.path("root/bin")).unwrap();
    place.changes("install", &["world"]).await;
    // and where it was, when the package goes
    place.write("outside/world", "mine");
    let outside_now = place.files("outside");
    fs::remove_dir_all(place.path("root/bin")).unwrap();
    symlink(place.path("outside"), place.path("root/bin")).unwrap();
    for method in ["uninstall", "install", "update"] {
        place.refusal(method, &["world 2"]).await;
    }
    assert_eq!(place.files("outside"), outside_now);
    assert_ne!(outside, outside_now);
    // a note that somebody wrote
    fs::remove_file(place.path("root/bin")).unwrap();
    place.write(
        "root/.software/evil.json",
        r#"{"name":"evil","version":"1","files":["../outside/mine"],"state":"going"}"#,
    );
    let details = place.refusal("uninstall", &["evil"]).await;
    assert!(
        details["message"].as_str().unwrap().ends_with("it names what is not below the root"),
        "{details}"
    );
    // the folder of the notes itself
    fs::remove_dir_all(place.path("root/.software")).unwrap();
    symlink(place.path("outside"), place.path("root/.software")).unwrap();
    place.refusal("install", &["world"]).await;
    assert_eq!(place.files("outside"), outside_now);
}

/// A package of ten files in two versions that share five of them.
fn large(place: &Place) {
    for number in 0..10 {
        place.write(&format!("repository/large/1/share/{number}"), &format!("one {number}"));
        place.write(&format!("repository/large/2/share/{}", number + 5), &format!("two {number}"));
    }
}

#[tokio::test]
async fn what_was_stopped_at_any_file_is_repaired_by_the_next_call() {
    for (from, to) in [(None, "1"), (Some("1"), "2"), (Some("2"), "1")] {
        for percent in 0..=9 {
            let place = Place::new();
            large(&place);
            if let Some(version) = from {
                place.changes("install", &[&format!("large {version}")]).await;
            }
            let unit = format!("large {to}");
            let stop = InMemory::default().stopped_at(f64::from(percent) * 10.0);
            let stopped = place.call("install", &[&unit], stop).await;
            assert_eq!(codes(&stopped.report), ["report"], "{percent}");
            if percent % 2 == 0 {
                // the same again
                assert_eq!(place.changes("install", &[&unit]).await, (1, format!("changed {unit}")));
            } else {
                // something else
                let profile = place.report("profile", &[]).await;
                assert_eq!(profile["details"]["unfinished"], json!([unit_json("large", to)]));
                let wanted = (2, format!("changed world 2, repaired {unit}"));
                assert_eq!(place.changes("install", &["world"]).await, wanted, "{percent}");
                place.changes("uninstall", &["world"]).await;
            }
            assert_eq!(place.changes("install", &[&unit]).await.0, 0);
            let files: Vec<String> = place.files(&format!("repository/large/{to}"));
            assert_eq!(place.files("root"), files, "{from:?} {to} {percent}");
            assert_eq!(place.notes(), ["large.json", "lock"]);
        }
    }
}

#[tokio::test]
async fn what_is_half_done_is_removed_whole_also_when_its_package_is_gone() {
    for is_asked in [true, false] {
        let place = Place::new();
        large(&place);
        place.call("install", &["large 1"], InMemory::default().stopped_at(50.0)).await;
        fs::remove_dir_all(place.path("repository/large")).unwrap();
        if is_asked {
            assert_eq!(place.changes("uninstall", &["large"]).await, (1, "changed large 1".to_owned()));
        } else {
            let wanted = (1, "unchanged world , repaired large 1".to_owned());
            assert_eq!(place.changes("uninstall", &["world"]).await, wanted);
        }
        assert_eq!(place.files("root"), [""; 0]);
        assert_eq!(place.notes(), ["lock"]);
    }
}

#[tokio::test]
async fn a_call_about_another_version_repairs_what_is_half_done() {
    let place = Place::new();
    large(&place);
    place.call("install", &["large 2"], InMemory::default().stopped_at(50.0)).await;
    let wanted = (1, "unchanged large 1, repaired large 2".to_owned());
    assert_eq!(place.changes("uninstall", &["large 1"]).await, wanted);
    assert_eq!(place.files("root"), place.files("repository/large/2"));
}

#[tokio::test]
async fn a_repair_takes_no_files_of_others() {
    let place = Place::new();
    large(&place);
    place.call("install", &["large 1"], InMemory::default().stopped_at(50.0)).await;
    // the package has another file now, and so has somebody else
    place.write("repository/large/1/bin/mine", "theirs");
    place.write("root/bin/mine", "mine");
    let wanted = (2, "changed world 2, repaired large 1".to_owned());
    assert_eq!(place.changes("install", &["world"]).await, wanted);
    assert_eq!(place.files("root"), ["bin/mine: mine", "bin/world: world"]);
}
