//! Rules of descriptors, each with its own text.

use super::*;
use crate::{Catalog, NoRoute, Resident, RouteRequest, Target, route};
use pop_contract::LaunchType;
use pop_policy::{OnFail, Policies, Scope};

const SEED: &str = include_str!("pulp.conf");

fn descriptor(name: &str, text: &str) -> Descriptor {
    Descriptor::read(Source::ini(format!("/etc/conf.d/{name}.conf"), text.as_bytes()).unwrap())
}

/// A descriptor with a valid `[main]`.
fn enabled(text: &str) -> Descriptor {
    descriptor("x", &format!("[main]\nenabled=1\n{text}"))
}

fn ids(descriptor: &Descriptor) -> Vec<&str> {
    descriptor.entries.iter().map(|entry| entry.id.as_str()).collect()
}

/// Line, code, whether it is an error, and message of each fault.
fn faults_of(descriptor: &Descriptor) -> Vec<(usize, &str, bool, &str)> {
    let line =
        |fault: &Fault| descriptor.source().places(&[&fault.site])[0].as_ref().map_or(0, |place| place.line);
    let described = |fault| (line(fault), fault.code, fault.is_error(), fault.message.as_str());
    descriptor.faults().iter().map(described).collect()
}

fn target<'c>(catalog: &'c Catalog, name: &str, on: LaunchType) -> Result<Target<'c>, NoRoute> {
    route(catalog, &RouteRequest::of_type(name, on)).map(|routed| routed.target)
}

#[test]
fn u6_u7_the_documented_example_is_parsed() {
    let pulp = descriptor("pulp", SEED);
    assert_eq!(faults_of(&pulp), []);
    assert_eq!(
        ids(&pulp),
        ["pulp/content.rpm", "pulp/content.puppet", "pulp/content.tar", "pulp/bind.yum", "pulp/system.Linux"]
    );
    let catalog = Catalog::assemble(None, vec![pulp], &mut Vec::new());
    let properties = |name| {
        let entry = catalog.entry(name).unwrap();
        entry.properties.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    for (name, wanted) in [
        ("rpm", "class=pulp_rpm.agent.handler.PackageHandler import_key=1 permit_reboot=1"),
        ("puppet", "class=pulp_puppet.agent.handler.PuppetHandler"),
        ("tar", "class=pulp_tar.agent.handler.TarHandler preserve_permissions=1"),
        ("yum", "class=pulp_rpm.agent.handler.YumBindHandler ssl_verify=0"),
        ("Linux", "class=pulp.agent.handler.LinuxHandler reboot_delay=10"),
    ] {
        assert_eq!(properties(name), wanted);
    }
    let Ok(Target::Program(yum)) = target(&catalog, "yum", LaunchType::Local) else { unreachable!() };
    assert_eq!(yum.command.as_ref().unwrap(), &["pulp_rpm.agent.handler.YumBindHandler"]);
    assert_eq!(yum.actions.as_ref().unwrap(), &["bind.bind", "bind.unbind", "bind.clean"]);
    assert_eq!(yum.capability(), Some(Capability::Bind));
}

#[test]
fn u2_a_descriptor_with_an_invalid_main_is_rejected() {
    let rest = "[types]\ncontent=tar\n[tar]\nclass=x\n";
    for (main, line, code, words) in [
        ("", 1, "missing-field", "the descriptor has no section `[main]`"),
        ("\n[main]\n", 2, "missing-field", "`[main]` has no `enabled`"),
        (
            "[main]\n\nenabled=maybe\n",
            3,
            "wrong-value",
            "`enabled` must be 1, true, yes or on, or 0, false, no or off, not `maybe`",
        ),
        (
            "[main]\nenabled=\n",
            2,
            "wrong-value",
            "`enabled` must be 1, true, yes or on, or 0, false, no or off, not ``",
        ),
        (
            "[main]\nenabled=1\noverride=2\n",
            3,
            "wrong-value",
            "`override` must be 1, true, yes or on, or 0, false, no or off, not `2`",
        ),
        ("[main]\nenabled=1\nenabled=1\n", 3, "duplicate-key", "duplicate key `enabled`"),
        ("[main]\nenabled\n", 2, "syntax", "this is neither a section nor a key with a value"),
    ] {
        let bad = descriptor("bad", &format!("{main}{rest}"));
        assert_eq!(faults_of(&bad), [(line, code, true, words)], "{main}");
        let good = descriptor("good", &format!("[main]\nenabled=on\n{rest}"));
        let mut faults = Vec::new();
        let catalog = Catalog::assemble(None, vec![bad, good], &mut faults);
        let loaded: Vec<_> = catalog.entries().map(|entry| entry.id.as_str()).collect();
        assert_eq!((loaded, faults.len()), (vec!["good/content.tar"], 0));
        let all: Vec<_> = catalog.descriptors().iter().map(|one| (one.name(), one.is_enabled())).collect();
        assert_eq!(all, [("bad", false), ("good", true)]);
        assert_eq!(catalog.descriptors()[0].faults().len(), 1);
    }
    let no_types = enabled("");
    assert_eq!(faults_of(&no_types), [(1, "missing-field", true, "the descriptor has no section `[types]`")]);
}

#[test]
fn u3_a_disabled_descriptor_is_not_checked() {
    for word in ["0", "false", "no", "off", "OFF", "False"] {
        let off = descriptor("x", &format!("[main]\nenabled={word}\n[types]\ncontent=a\n[b]\n"));
        assert_eq!((off.is_enabled(), ids(&off), faults_of(&off)), (false, vec![], vec![]), "{word}");
    }
    for word in ["1", "true", "yes", "on", "YES"] {
        let on = descriptor("x", &format!("[main]\nenabled: {word}\n[types]\nsystem=a\n[a]\nclass=c\n"));
        assert_eq!((on.is_enabled(), ids(&on), faults_of(&on)), (true, vec!["x/system.a"], vec![]), "{word}");
    }
}

#[test]
fn u4_a_type_without_section_or_class_is_rejected_alone() {
    let one = enabled("[types]\ncontent=a,b,c\nbind=c\n[b]\nclass=\n[c]\nclass=x\n[d]\nclass=x\n");
    assert_eq!(
        faults_of(&one),
        [
            (4, "missing-field", true, "type `a` is listed, but section `[a]` is missing"),
            (6, "missing-field", true, "section `[b]` has no `class`"),
            (10, "unknown-field", false, "no list in `[types]` names `d`; the section is ignored"),
        ]
    );
    assert_eq!(ids(&one), ["x/content.c", "x/bind.c"]);
    let about: Vec<_> = one.faults().iter().map(Descriptor::type_of).collect();
    assert_eq!(about, [Some("a".to_owned()), Some("b".to_owned()), Some("d".to_owned())]);
}

#[test]
fn u5_list_items_are_trimmed_and_empty_ones_ignored() {
    let one = enabled("[types]\ncontent = a ,, b,a,\nbind=\nsystem= ,\n[a]\nclass=x\n[b]\nclass=x\n");
    assert_eq!((ids(&one), faults_of(&one)), (vec!["x/content.a", "x/content.b"], vec![]));
}

#[test]
fn u6_parameters_are_properties_and_unique() {
    let one = enabled("[types]\nbind=a\n[a]\nclass=x\nparameter.query.state=query\nrole.name=admin\n");
    let properties = &one.entries[0].properties;
    let of = |name: &str| properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!((of("query.state"), of("role.name"), faults_of(&one)), (Some("query"), Some("admin"), vec![]));
    let twice = enabled("[types]\nbind=a\n[a]\nclass=x\nq=1\nparameter.q=2\n");
    assert_eq!(
        faults_of(&twice),
        [(7, "duplicate-key", true, "`q` and `parameter.q` are the same property")]
    );
}

#[test]
fn u10_one_type_may_have_two_capabilities() {
    let one = enabled("[types]\ncontent=a\nbind=a\n[a]\nclass=x\nrole.onFail=NO\n");
    assert_eq!(ids(&one), ["x/content.a", "x/bind.a"]);
    // faults of the shared section are reported once
    assert_eq!(faults_of(&one).len(), 1);
    let catalog = Catalog::assemble(None, vec![one], &mut Vec::new());
    assert_eq!(catalog.of_type("a").count(), 2);
}

#[test]
fn u11_a_second_handler_of_a_type_needs_override() {
    let types = "[types]\ncontent=tar,zip\n[tar]\nclass=x\n[zip]\nclass=x\n";
    let first = descriptor(
        "a",
        "[main]\nenabled=1\n[types]\ncontent=tar\nbind=zip\n[tar]\nclass=x\n[zip]\nclass=x\n",
    );
    let second = descriptor("b", &format!("[main]\nenabled=1\n{types}"));
    let third = descriptor("c", &format!("[main]\nenabled=1\noverride=1\n{types}"));
    let loaded =
        |catalog: &Catalog| -> Vec<String> { catalog.entries().map(|entry| entry.id.clone()).collect() };

    let catalog = Catalog::assemble(None, vec![first.clone(), second], &mut Vec::new());
    assert_eq!(loaded(&catalog), ["a/content.tar", "a/bind.zip", "b/content.zip"]);
    let [a, b] = catalog.descriptors() else { unreachable!() };
    assert_eq!(faults_of(a), []);
    assert_eq!(faults_of(b), [(5, "duplicate-type", true, "`a/content.tar` already serves type `tar`")]);

    let catalog = Catalog::assemble(None, vec![first, third], &mut Vec::new());
    assert_eq!(loaded(&catalog), ["c/content.tar", "a/bind.zip", "c/content.zip"]);
    assert!(catalog.descriptors().iter().all(|one| one.faults().is_empty()));
}

#[test]
fn u11_registry_entry_and_descriptor_are_two_handlers() {
    let registry = Source::new("r.json", br#"{"tar": {"command": ["tar"]}}"#).unwrap();
    let one = enabled("[types]\ncontent=tar\n[tar]\nclass=x\n");
    let mut faults = Vec::new();
    let catalog = Catalog::assemble(Some(&registry), vec![one], &mut faults);
    let all: Vec<_> = catalog.of_type("tar").map(|entry| entry.id.as_str()).collect();
    assert_eq!((all, faults.len()), (vec!["tar", "x/content.tar"], 0));
    assert!(catalog.descriptors()[0].faults().is_empty());
}

#[test]
fn u12_bind_is_read_and_distributor_is_a_warning() {
    let one = enabled("[types]\ndistributor=yum\nsytem=a\n");
    assert_eq!(
        faults_of(&one),
        [
            (4, "unknown-field", false, "section `[types]` has no list `distributor`; it is ignored"),
            (5, "unknown-field", false, "section `[types]` has no field `sytem`; it is ignored"),
        ]
    );
    let labels: Vec<_> = one.faults().iter().map(|fault| fault.label.as_deref()).collect();
    assert_eq!(labels, [Some("did you mean `bind`?"), Some("did you mean `system`?")]);
}

#[test]
fn r1_policies_of_a_section_have_layers_and_places() {
    let one = enabled(
        "[types]\nbind=a\n[a]\nclass=x\nrole.onFail=SKIP\nrole.local.onFail=FATAL\naction.bind.bind.onFail=REPLY\n\
         logDetail=always\ntimeoutMs=5\n",
    );
    assert_eq!(faults_of(&one), []);
    let entry = &one.entries[0];
    let of = |role, action| Policies::resolve(&entry.policies.layers(role, action));
    assert_eq!(
        (of("agenda", None).on_fail.value, of("agenda", None).on_fail.scope),
        (OnFail::Skip, Scope::Role)
    );
    assert_eq!(of("local", None).on_fail.value, OnFail::Fatal);
    assert_eq!(of("local", Some("bind.bind")).on_fail.value, OnFail::Reply);
    assert!(of("agenda", None).log_detail.value);
    let properties: Vec<_> = entry.properties.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(properties, ["class", "timeoutMs"]);
    let wrong = enabled("[types]\nbind=a\n[a]\nclass=x\nlogDetail=yes\naction.onFail=RPLY\n");
    assert_eq!(
        faults_of(&wrong),
        [(8, "wrong-value", true, "`onFail` must be one of REPLY, SKIP, DLQ, FATAL, not `RPLY`")]
    );
    assert!(Policies::resolve(&wrong.entries[0].policies.layers("agenda", None)).log_detail.value);
}

#[test]
fn r10_a_class_may_be_a_built_in_type() {
    let one = enabled("[types]\ncontent=a,b\n[a]\nclass=sample\n[b]\nclass=exec\n");
    let catalog = Catalog::assemble(None, vec![one], &mut Vec::new());
    for on in [LaunchType::Local, LaunchType::Docker, LaunchType::Kubernetes] {
        assert_eq!(target(&catalog, "a", on), Ok(Target::Resident(Resident::Sample)));
        assert_eq!(target(&catalog, "b", on), Ok(Target::Exec));
    }
}

#[test]
fn f46_a_secret_in_a_descriptor_is_a_warning() {
    let one = enabled("[types]\nbind=a\n[a]\nclass=x\ndb.password=hunter2\n");
    assert_eq!(
        faults_of(&one),
        [(7, pop_document::SECRET_LITERAL, false, "`db.password` is a secret in plain text")]
    );
}

#[test]
fn fr_l12_a_default_section_is_a_fault_with_the_reason() {
    let text = "[DEFAULT]\nreboot=1\n[main]\nenabled=1\n[types]\ncontent=rpm\n[rpm]\n    class=x\n    a=1\n";
    let read = descriptor("x", text);
    let reason = "section `[DEFAULT]` is not supported: other parsers apply its keys to every section";
    assert_eq!(faults_of(&read), [(1, "unsupported", true, reason)]);
    assert_eq!(faults_of(&descriptor("x", &text.replace("[DEFAULT]\nreboot=1\n", ""))), []);
}
