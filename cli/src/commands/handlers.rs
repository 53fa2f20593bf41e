//! `pop handlers`: lists the catalog, or shows the handlers of one type with the origin of each field.

use super::operation_words::quoted;
use super::reload::reload;
use crate::args::{HandlersArgs, HandlersCommand, RegistryArgs, StrictArg};
use crate::error::{CommandError, Kind};
use crate::faults::{exit_code, print_handler_faults};
use crate::launch_data::{launch_data, surroundings, text_files};
use crate::ui;
use pop_assembly::{KnownHandlers, Surroundings, TextFaults};
use pop_contract::{Description, Term};
use pop_document::{Fault, Pointer, Site, Source, nearest};
use pop_field_retriever::DefaultLaunchData;
use pop_registry::{Catalog, DescriptorFields, Entry, Layer};
use std::collections::HashSet;
use std::path::Path;

pub(crate) fn handlers(args: &HandlersArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch, StrictArg::default())?;
    let surroundings = surroundings()?;
    let files = text_files(&args.registry, &launch, &surroundings);
    if let Some(HandlersCommand::Reload { run, runs }) = &args.command {
        return reload(run, &runs.runs, &files);
    }
    let mut faults = TextFaults::default();
    let known = KnownHandlers::read(&files, Path::new(""), &mut faults)?;
    match &args.command {
        Some(HandlersCommand::Show { handler_type, describe }) => {
            let types = HashSet::from([handler_type.as_str()]);
            let known = known.describe(&types, &describe.source(), &surroundings, &mut faults);
            print_handler_faults(&faults, known.registry.as_ref());
            refuse_faulty_registry(&faults)?;
            show(&known.catalog, known.registry.as_ref(), handler_type, &faults)?;
        }
        _ => {
            print_handler_faults(&faults, known.registry.as_ref());
            refuse_faulty_registry(&faults)?;
            ui::print(&list(&known.catalog, known.registry.as_ref()));
        }
    }
    Ok(exit_code(&faults))
}

fn refuse_faulty_registry(faults: &TextFaults) -> Result<(), CommandError> {
    if faults.registry.iter().any(Fault::is_error) {
        return Err(CommandError::printed(Kind::Registry));
    }
    Ok(())
}

/// The handlers of a registry and of descriptors. Prints their faults; an error of the registry is refused.
pub(super) fn checked_handlers(
    registry: &RegistryArgs,
    launch: &DefaultLaunchData,
    surroundings: &Surroundings,
) -> Result<KnownHandlers, CommandError> {
    let files = text_files(registry, launch, surroundings);
    let mut faults = TextFaults::default();
    let known = KnownHandlers::read(&files, Path::new(""), &mut faults)?;
    print_handler_faults(&faults, known.registry.as_ref());
    refuse_faulty_registry(&faults)?;
    Ok(known)
}

/// File that declares a handler.
fn source_of<'s>(entry: &Entry, catalog: &'s Catalog, registry: Option<&'s Source>) -> Option<&'s Source> {
    let Some(DescriptorFields { descriptor, .. }) = &entry.descriptor else { return registry };
    catalog.descriptors().iter().find(|one| one.name() == descriptor).map(pop_registry::Descriptor::source)
}

fn list(catalog: &Catalog, registry: Option<&Source>) -> String {
    let head = ["TYPE", "HANDLER", "VERSION", "COMMAND", "IMAGE", "FROM", "ACTIONS"];
    let mut rows: Vec<[String; 7]> = vec![head.map(str::to_owned)];
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    for entry in catalog.entries() {
        rows.push([
            entry.name.clone(),
            entry.id.clone(),
            or_dash(entry.version.as_deref()),
            or_dash(entry.command.as_deref().map(quoted).as_deref()),
            or_dash(entry.image()),
            or_dash(source_of(entry, catalog, registry).map(Source::name)),
            entry.actions.as_ref().map_or_else(|| "all".to_owned(), |actions| actions.join(", ")),
        ]);
    }
    for name in Catalog::built_in().filter(|name| catalog.entry(name).is_none()) {
        rows.push([name, name, "-", "-", "-", "built in", "all"].map(str::to_owned));
    }
    ui::table(&rows)
}

/// Shows every handler of a type.
fn show(
    catalog: &Catalog,
    registry: Option<&Source>,
    handler_type: &str,
    faults: &TextFaults,
) -> Result<(), CommandError> {
    let mut is_known = false;
    for entry in catalog.of_type(handler_type) {
        let Some(source) = source_of(entry, catalog, registry) else { continue };
        let of_text = faults.descriptors.iter().find(|(descriptor, _)| descriptor.name() == source.name());
        let of_text = of_text.map_or(&faults.registry, |(_, faults)| faults);
        let shown =
            if entry.descriptor.is_some() { declared(entry, source) } else { registered(entry, source) };
        let gap = if is_known { "\n" } else { "" };
        ui::print(&format!("{gap}{}", ui::mask_of(of_text).text(&shown)));
        if let Some(description) = &entry.description {
            ui::print(&described(description));
        }
        is_known = true;
    }
    if is_known {
        return Ok(());
    }
    if Catalog::built_in().any(|name| name == handler_type) {
        ui::print(&format!("{handler_type}: built in, needs no registry entry\n"));
        return Ok(());
    }
    Err(unknown_type(handler_type, catalog))
}

/// The error for a type that no handler serves.
pub(super) fn unknown_type(handler_type: &str, catalog: &Catalog) -> CommandError {
    let error = CommandError::new(Kind::Usage, format!("no handler serves type `{handler_type}`"));
    match nearest(handler_type, catalog.types()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`pop handlers` lists the types"),
    }
}

/// Name, value, place in the file, and description of the origin.
type Field = (String, String, Option<Site>, String);

/// Shows a handler of a descriptor: its section, and the program found for it.
fn declared(entry: &Entry, source: &Source) -> String {
    let at = Pointer::root().join(&entry.name);
    let section = source.read().ok().and_then(|root| root.get(&entry.name).cloned()).unwrap_or_default();
    let own = section.as_object().into_iter().flatten().map(|(key, value)| {
        let value = value.as_str().unwrap_or_default().to_owned();
        (key.clone(), value, Some(Site::Value(at.join(key))), "descriptor".to_owned())
    });
    let actions = entry.actions.as_deref().unwrap_or_default().join(", ");
    let listed = entry
        .capability()
        .map(|capability| Site::Within(Pointer::root().join("types").join(capability), entry.name.clone()));
    let fields = [("actions".to_owned(), actions, listed, "descriptor".to_owned())].into_iter().chain(own);
    let command = entry.command.as_deref().map(quoted);
    let is_class = |command: &String| section["class"] == command.as_str();
    let found = command.filter(|command| !is_class(command));
    let found = found.map(|program| ("command".to_owned(), program, None, "program found".to_owned()));
    fields_text(entry, source, fields.chain(found).collect())
}

/// Shows a handler of the registry.
fn registered(entry: &Entry, source: &Source) -> String {
    let at = Pointer::root().join(&entry.id);
    let mut fields: Vec<Field> = Vec::new();
    let mut own = |name: &str, value: Option<String>| {
        let site = Site::Value(name.split('.').fold(at.clone(), |at, step| at.join(step)));
        fields.extend(value.map(|value| (name.to_owned(), value, Some(site), Layer::Entry.to_string())));
    };
    own("type", (entry.name != entry.id).then(|| entry.name.clone()));
    own("version", entry.version.clone());
    own("actions", entry.actions.as_ref().map(|actions| actions.join(", ")));
    own("inputs", entry.inputs.as_ref().map(|inputs| inputs.join(", ")));
    own("command", entry.command.as_deref().map(quoted));
    own("workingDirectory", entry.working_directory.clone());
    own("payload", entry.payload.map(|delivery| delivery.to_string()));
    own(
        "warm",
        entry.warm.map(|warm| {
            format!("{} to {} instances, {} operations at once each", warm.instances, warm.max, warm.slots)
        }),
    );
    own("configMapName", entry.config_map_name.clone());
    let maps = [("envVars", &entry.env_vars), ("properties", &entry.properties)];
    for (map, values) in maps {
        fields.extend(values.iter().map(|(key, value)| {
            let site = Site::Value(at.join(map).join(key));
            (format!("{map}.{key}"), value.clone(), Some(site), Layer::Entry.to_string())
        }));
    }
    let root = source.read().unwrap_or_default();
    for (key, value) in root[&entry.id]["policies"].as_object().into_iter().flatten() {
        let site = Site::Value(at.join("policies").join(key));
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        fields.push((format!("policies.{key}"), value, Some(site), Layer::Entry.to_string()));
    }
    for secret in &entry.secrets {
        let site = Site::Value(at.join("secrets").join(&secret.variable));
        let name = format!("secrets.{}", secret.variable);
        fields.push((name, secret.source.to_string(), Some(site), Layer::Entry.to_string()));
    }
    for (name, sourced) in &entry.pod_config {
        let site = (!sourced.pointer.is_empty()).then(|| Site::Value(sourced.pointer.clone()));
        let layer = sourced.layer.to_string();
        fields.push((format!("podConfig.{name}"), sourced.value.to_string(), site, layer));
    }
    fields_text(entry, source, fields)
}

fn fields_text(entry: &Entry, source: &Source, fields: Vec<Field>) -> String {
    let sites: Vec<Site> = fields.iter().map(|(_, _, site, _)| site.clone().unwrap_or(Site::Whole)).collect();
    let places = source.places(&sites.iter().collect::<Vec<_>>());
    let rows: Vec<[String; 3]> = fields
        .into_iter()
        .zip(places)
        .map(|((name, value, _, origin), place)| {
            let origin = match place {
                Some(place) => format!("{origin}, {}:{}:{}", source.name(), place.line, place.column),
                None => origin,
            };
            [name, value, origin]
        })
        .collect();
    format!("{}\n{}", entry.id, ui::table(&rows))
}

/// Shows the description that a handler prints for `--describe`.
fn described(description: &Description) -> String {
    let Description { name, version, about, actions, errors, defaults, input, result, payload_forms } =
        description;
    let words = [name, version].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    let about = about.as_ref().map(|about| format!(": {about}")).unwrap_or_default();
    let words = if words.is_empty() { "the handler" } else { &words };
    let mut lines = vec![String::new(), format!("{words}{about}")];
    for (what, words) in [("action", actions), ("failure", errors)] {
        lines.extend(words.iter().map(|Term { name, about }| format!("{what} {name}: {about}")));
    }
    if let Some(forms) = payload_forms {
        let words: Vec<String> = forms
            .iter()
            .map(|form| serde_json::json!(form).as_str().unwrap_or_default().to_owned())
            .collect();
        lines.push(format!("payload forms: {}", words.join(", ")));
    }
    for (what, value) in [("defaults", defaults), ("input", input), ("result", result)] {
        lines.extend(value.iter().map(|value| format!("{what} {value:#}")));
    }
    lines.join("\n") + "\n"
}
