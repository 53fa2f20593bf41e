//! Precedence, defaults, named files and other implementations of launch data.

use super::*;
use crate::names::property;
use tempfile::TempDir;

/// Defaults without properties files, so that files of the machine do not matter.
fn bare(mut defaults: Defaults) -> Defaults {
    defaults.property_files.clear();
    defaults
}

fn load(argv: &[&str], environment: &[(&str, &str)]) -> Result<DefaultLaunchData, LaunchDataError> {
    let environment = Environment::from_pairs(environment.iter().copied());
    DefaultLaunchData::load(argv.iter().copied(), environment, &bare(Defaults::handler()))
}

fn with_properties(argv: &[&str], environment: &[(&str, &str)], properties: &str) -> DefaultLaunchData {
    DefaultLaunchData::from_parts(
        Arguments::parse(argv.iter().copied(), &[]).unwrap(),
        Environment::from_pairs(environment.iter().copied()),
        Properties::parse(Path::new("p.properties"), properties.as_bytes()).unwrap(),
        &bare(Defaults::handler()),
    )
    .unwrap()
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn argument(name: &str) -> Origin {
    Origin::Argument { name: name.into() }
}

fn variable(name: &str) -> Origin {
    Origin::Environment { name: name.into() }
}

#[test]
fn launch_type_has_any_letter_case_and_a_default() {
    for (text, launch_type) in [
        ("Kubernetes", LaunchType::Kubernetes),
        ("Local", LaunchType::Local),
        ("Docker", LaunchType::Docker),
        ("kubernetes", LaunchType::Kubernetes),
        ("LOCAL", LaunchType::Local),
        ("dOCKER", LaunchType::Docker),
    ] {
        let data = load(&["-launchType", text], &[]).unwrap();
        assert_eq!(data.launch_type(), Found::new(launch_type, argument("launchType")));
    }
    assert_eq!(load(&[], &[]).unwrap().launch_type(), Found::defaulted(LaunchType::Kubernetes));
    let executor = bare(Defaults::executor());
    let data = DefaultLaunchData::load([""; 0], Environment::default(), &executor).unwrap();
    assert_eq!(data.launch_type(), Found::defaulted(LaunchType::Local));
    assert_eq!(data.external_launch_type(), Found::defaulted(LaunchType::Local));
}

#[test]
fn an_unknown_launch_type_is_an_error_with_its_origin() {
    let error = load(&["--launchType", "mesos"], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`mesos` of argument `launchType` is not one of `local`, `docker`, `kubernetes`"
    );
    let error = load(&[], &[("POP_EXTERNAL_LAUNCH_TYPE", "k8s")]).unwrap_err();
    assert!(error.to_string().starts_with("`k8s` of environment variable `POP_EXTERNAL_LAUNCH_TYPE`"));
    assert!(error.hint().unwrap().contains("unset it"));
}

#[test]
fn launch_types_combine_freely() {
    for launch_type in LaunchType::ALL {
        for external in LaunchType::ALL {
            let (own, other) = (launch_type.as_str(), external.as_str());
            let properties = format!("launchType={own}\nexternalLaunchType={other}");
            for data in [
                load(&["--launchType", own, "--externalLaunchType", other], &[]).unwrap(),
                load(&[], &[("POP_LAUNCH_TYPE", own), ("POP_EXTERNAL_LAUNCH_TYPE", other)]).unwrap(),
                with_properties(&[], &[], &properties),
            ] {
                assert_eq!(data.launch_type().value, launch_type);
                assert_eq!(data.external_launch_type().value, external);
            }
        }
        let data = load(&["--launchType", launch_type.as_str()], &[]).unwrap();
        assert_eq!(data.external_launch_type(), Found::defaulted(LaunchType::Kubernetes));
    }
}

#[test]
fn the_first_existing_default_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let mut defaults = Defaults::handler();
    assert_eq!(
        defaults.property_files,
        ["./config/external.properties", "./config/external-properties", "/app/config/external.properties"]
            .map(PathBuf::from)
    );
    defaults.property_files = vec![place("first"), place("second/inner"), place("third")];
    let data = |defaults: &Defaults| DefaultLaunchData::load([""; 0], Environment::default(), defaults);
    let size = FieldName::of_property(property::CONDUCTOR_THREAD_POOL_SIZE);

    let none = data(&defaults).unwrap();
    assert_eq!(none.find_or(&size, 50_u64).unwrap(), Found::defaulted(50));
    let error = none.require::<u64>(&size).unwrap_err();
    assert_eq!(error.to_string(), "no value for property `operation.conductor.threadpool.size`");

    write(&folder, "third", "operation.conductor.threadpool.size=3");
    write(&folder, "second", "a file where a folder is looked for");
    assert_eq!(data(&defaults).unwrap().find_or(&size, 50_u64).unwrap().value, 3);
    write(&folder, "first", "\noperation.conductor.threadpool.size : 1");
    let found = data(&defaults).unwrap().require::<u64>(&size).unwrap();
    assert_eq!(found.value, 1);
    assert_eq!(
        found.origin,
        Origin::Property { file: place("first"), line: 2, key: size.property.unwrap().into_owned() }
    );

    write(&folder, "first", "a=\\u12");
    let error = data(&defaults).unwrap_err();
    assert_eq!(error.to_string(), "properties file named by the default is not usable");
    assert!(error.source().unwrap().to_string().ends_with("first:1: `\\u12` is not a character"));

    std::fs::remove_file(place("first")).unwrap();
    std::fs::create_dir(place("first")).unwrap();
    let error = data(&defaults).unwrap_err();
    assert!(error.source().unwrap().to_string().starts_with("cannot read "), "a folder exists, so it counts");
}

#[test]
fn a_missing_named_properties_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let there = write(&folder, "there", "launchType=docker");
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (argv, environment, name) in [
        (vec!["--propFile", missing], vec![("POP_PROP_FILE", there.as_str())], "argument `propFile`"),
        (vec![], vec![("POP_PROP_FILE", missing)], "environment variable `POP_PROP_FILE`"),
    ] {
        let error = load(&argv, &environment).unwrap_err();
        assert_eq!(error.to_string(), format!("properties file named by {name} is not usable"));
        assert_eq!(error.source().unwrap().to_string(), format!("cannot read {missing}"));
    }
    let data = load(&["--propFile", &there], &[("POP_PROP_FILE", missing)]).unwrap();
    assert_eq!(data.launch_type().value, LaunchType::Docker);
    assert_eq!(data.properties().file(), Path::new(&there));
}

#[test]
fn a_payload_file_precedes_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "payload.json", "{\"from\":\"file\"}\n");
    let data = load(&["--payloadFile", &file], &[("PAYLOAD", "{}")]).unwrap();
    let found = data.payload().unwrap();
    assert_eq!(&*found.value, "{\"from\":\"file\"}\n");
    assert_eq!(found.origin, argument("payloadFile"));

    std::fs::remove_file(&file).unwrap();
    assert_eq!(data.payload().unwrap(), found, "the payload is read once");
}

#[test]
fn the_payload_variable_precedes_a_property() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "payload.json", "[]");
    let properties = format!("payloadFile={file}");
    let data = with_properties(&[], &[("PAYLOAD", "{}")], &properties);
    assert_eq!(data.payload().unwrap(), Found::new(Arc::from("{}"), variable("PAYLOAD")));
    let data = with_properties(&[], &[("PAYLOAD", "")], &properties);
    assert_eq!(&*data.payload().unwrap().value, "[]");
}

#[test]
fn an_unreadable_payload_file_has_no_fallback() {
    let data = load(&["--payloadFile", "/nowhere/payload.json"], &[("PAYLOAD", "{}")]).unwrap();
    let error = data.payload().unwrap_err();
    assert_eq!(error.to_string(), "file named by argument `payloadFile` is not usable");
    assert_eq!(error.source().unwrap().to_string(), "cannot read /nowhere/payload.json");
}

#[test]
fn no_payload_is_an_error_with_a_fix() {
    let error = load(&[], &[]).unwrap().payload().unwrap_err();
    assert_eq!(
        error.to_string(),
        "no payload; give `--payloadFile FILE` or set the environment variable `PAYLOAD`"
    );
}

#[test]
fn last_progress_comes_from_file_then_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "progress.json", "not JSON");
    let environment = [("LAST_PROGRESS", "{\"a\":1}")];
    let progress = |data: &DefaultLaunchData| data.last_progress().unwrap();
    let data = load(&["--lastProgressFile", &file], &environment).unwrap();
    assert_eq!(progress(&data), Some(Found::new("not JSON".into(), argument("lastProgressFile"))));
    let data = load(&[], &environment).unwrap();
    assert_eq!(progress(&data), Some(Found::new("{\"a\":1}".into(), variable("LAST_PROGRESS"))));
    assert_eq!(progress(&load(&[], &[]).unwrap()), None);
    let data = load(&["--lastProgressFile", "/nowhere"], &environment).unwrap();
    assert!(matches!(data.last_progress(), Err(LaunchDataError::File { .. })));
}

#[test]
fn the_environment_of_a_handler_is_read() {
    let names = [
        "CID",
        "AGENDA_ID",
        "CUSTOMER_ID",
        "OPERATION_NAME",
        "OPERATION_ID",
        "PROGRESS_ID",
        "LOG_LEVEL",
        "POP_RUN_ID",
        "MY_POD_NAME",
    ];
    let read = |data: &DefaultLaunchData| {
        [
            data.cid(),
            data.agenda_id(),
            data.customer_id(),
            data.operation_name(),
            data.operation_id(),
            data.progress_id(),
            data.log_level(),
            data.run_id(),
            data.pod_name(),
        ]
    };
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, *name)).collect();
    let expected = names.map(|name| Some(Found::new(name.to_owned(), variable(name))));
    assert_eq!(read(&load(&[], &environment).unwrap()), expected);
    assert_eq!(read(&load(&[], &[]).unwrap()), names.map(|_| None));

    assert_eq!(load(&[], &[("POP_ATTEMPT", "2")]).unwrap().attempt().unwrap().unwrap().value, 2);
    assert_eq!(load(&[], &[]).unwrap().attempt().unwrap(), None);
    assert!(load(&[], &[("POP_ATTEMPT", "two")]).unwrap().attempt().is_err());
}

#[test]
fn a_compressed_payload_equals_a_plain_one() {
    let text = "{\"a\":\"".to_owned() + &"x".repeat(200_000) + "\"}";
    let pairs = payload::encode(&text, payload::PayloadRule::Compressed).unwrap();
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let data = load(&[], &pairs).unwrap();
    assert_eq!(*data.payload().unwrap().value, *text);
    assert_eq!(data.payload().unwrap().origin, variable("POP_COMPRESSED_PAYLOAD_0"));
}

#[test]
fn f37_the_payload_limit_applies_to_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let text = " ".repeat(5000);
    let file = write(&folder, "payload", &text);
    let pairs = payload::encode(&text, payload::PayloadRule::Compressed).unwrap();
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for data in [load(&["--payloadFile", &file], &[]).unwrap(), load(&[], &pairs).unwrap()] {
        let data = data.with_payload_limit(4999);
        assert!(data.payload().is_err());
        assert_eq!(data.with_payload_limit(5000).payload().unwrap().value.len(), 5000);
    }
}

#[test]
fn argument_environment_property_default_in_this_order() {
    let properties = "launchType=docker\nexternalLaunchType=docker";
    let own = |argv: &[&str], environment: &[(&str, &str)], properties: &str| {
        let found = with_properties(argv, environment, properties).launch_type();
        (found.value.as_str(), found.origin.to_string())
    };
    let argv = ["--launchType", "local"];
    let environment = [("POP_LAUNCH_TYPE", "kubernetes")];
    assert_eq!(own(&argv, &environment, properties), ("local", "argument `launchType`".into()));
    assert_eq!(
        own(&[], &environment, properties),
        ("kubernetes", "environment variable `POP_LAUNCH_TYPE`".into())
    );
    assert_eq!(
        own(&[], &[("POP_LAUNCH_TYPE", "")], properties),
        ("docker", "property `launchType` (p.properties:1)".into())
    );
    assert_eq!(own(&[], &[], ""), ("kubernetes", "the default".into()));
}

#[test]
fn settings_of_the_caller_are_found_in_every_source() {
    let name = FieldName {
        argument: Some("renditionCount"),
        environment: &["RENDITION_COUNT"],
        property: Some("rendition.count".into()),
    };
    let find = |argv: &[&str], environment: &[(&str, &str)]| {
        DefaultLaunchData::from_parts(
            Arguments::parse(argv.iter().copied(), &["renditionCount"]).unwrap(),
            Environment::from_pairs(environment.iter().copied()),
            Properties::parse(Path::new("p"), b"rendition.count=1").unwrap(),
            &Defaults::handler(),
        )
        .unwrap()
        .find::<i64>(&name)
    };
    let environment = [("RENDITION_COUNT", "2")];
    assert_eq!(find(&["--rendition-count=3"], &environment).unwrap().unwrap().value, 3);
    assert_eq!(find(&[], &environment).unwrap().unwrap().value, 2);
    assert_eq!(find(&[], &[]).unwrap().unwrap().value, 1);
    let error = find(&["--renditionCount", "many"], &environment).unwrap_err();
    assert_eq!(error.to_string(), "`many` of argument `renditionCount` is not a whole number");
}

#[test]
fn another_implementation_of_launch_data_works() {
    struct FixedLaunchData;
    impl LaunchDataWrapper for FixedLaunchData {
        fn field(&self, name: &FieldName) -> Option<Found<String>> {
            (name.property.as_deref() == Some("depth")).then(|| Found::defaulted("7".to_owned()))
        }
        fn launch_type(&self) -> Found<LaunchType> {
            Found::defaulted(LaunchType::Docker)
        }
        fn external_launch_type(&self) -> Found<LaunchType> {
            Found::defaulted(LaunchType::Local)
        }
        fn payload(&self) -> Result<Found<Arc<str>>, LaunchDataError> {
            Ok(Found::defaulted(Arc::from("{}")))
        }
        fn last_progress(&self) -> Result<Option<Found<String>>, LaunchDataError> {
            Ok(None)
        }
    }
    let wrappers: [Box<dyn LaunchDataWrapper>; 2] =
        [Box::new(FixedLaunchData), Box::new(load(&[], &[]).unwrap())];
    let depth = FieldName::of_property("depth");
    let found: Vec<u64> = wrappers.iter().map(|w| w.find_or(&depth, 0).unwrap().value).collect();
    assert_eq!(found, [7, 0]);
    let [fixed, _] = &wrappers;
    assert_eq!(&*fixed.payload().unwrap().value, "{}");
    assert_eq!(fixed.oauth().unwrap(), None);
    let word = fixed.find_word::<std::num::NonZeroU8>(&depth).unwrap().unwrap();
    assert_eq!(word.value.get(), 7);
}

#[test]
fn oauth_paths_and_data_are_distinguished() {
    let data = load(&["--oauthCertPath", "/c"], &[("OATH_TOKEN", "t")]).unwrap();
    assert_eq!(data.oauth_cert_path().unwrap().value, Path::new("/c"));
    assert_eq!(data.oauth_token_path(), None);
    assert_eq!(data.oauth_cert(), None);
    let token = data.oauth_token().unwrap();
    assert_eq!((token.value.expose(), token.origin), ("t", variable("OATH_TOKEN")));
}

#[test]
fn debug_output_hides_secrets() {
    let data = with_properties(&[], &[("OAUTH_TOKEN", "s3cret"), ("PAYLOAD", "s3cret")], "password=s3cret");
    assert_eq!(&*data.payload().unwrap().value, "s3cret");
    assert!(!format!("{data:?}").contains("s3cret"));
}

#[test]
fn a_command_line_error_is_returned() {
    let error = load(&["--lunchType", "local"], &[]).unwrap_err();
    assert_eq!(error.to_string(), "unknown argument `--lunchType`, did you mean `--launchType`?");
    assert_eq!(error.hint().as_deref(), Some("write `--launchType`"));
}

#[test]
fn u6_registry_properties_override_the_file() {
    let file = Properties::parse(Path::new("p.properties"), b"import_key = 0\nother = 1").unwrap();
    let load = |json: &str| {
        let environment = Environment::from_pairs([("POP_PROPERTIES", json)]);
        let none = Arguments::parse(Vec::<String>::new(), &[]).unwrap();
        DefaultLaunchData::from_parts(none, environment, file.clone(), &Defaults::handler())
    };
    let data = load(r#"{"import_key": "1"}"#).unwrap();
    let found = |key: &str| data.field(&FieldName::of_property(key.to_owned())).unwrap();
    assert_eq!((found("import_key").value.as_str(), found("other").value.as_str()), ("1", "1"));
    assert_eq!(found("import_key").origin.to_string(), "environment variable `POP_PROPERTIES/import_key`");
    assert!(matches!(load("[1]"), Err(LaunchDataError::HandlerProperties(_))));
}
