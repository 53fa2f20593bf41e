//! `pop handlers`: the catalogue, and one type with the origin of each field.

use super::explain::quoted;
use super::runs::table;
use crate::args::{HandlersArgs, HandlersCommand};
use crate::descriptions;
use crate::error::{CommandError, Kind};
use crate::inputs::{catalog, launch_data, registry};
use crate::ui;
use pop_document::{Fault, Pointer, Site, Source, nearest};
use pop_registry::contract::{Description, Word};
use pop_registry::{Catalog, Entry, Layer};
use std::collections::HashSet;
use std::path::Path;

pub(crate) fn handlers(args: &HandlersArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch)?;
    let mut faults = Vec::new();
    let (registry, home) = registry(Path::new(""), &args.registry, &launch, &mut faults);
    let mut catalog = catalog(registry.as_ref(), &mut faults);
    if let Some(HandlersCommand::Show { handler_type }) = &args.command {
        descriptions::learn(
            &mut catalog,
            &HashSet::from([handler_type.as_str()]),
            home.as_deref(),
            &mut faults,
        );
    }
    if let Some(registry) = &registry {
        ui::tell_faults(registry, &faults);
        if faults.iter().any(Fault::is_error) {
            return Err(CommandError::told(Kind::Registry));
        }
    }
    match &args.command {
        None => ui::print(&list(&catalog, registry.as_ref())),
        Some(HandlersCommand::Show { handler_type }) => {
            let entry = catalog.entry(handler_type);
            match (entry, registry.as_ref()) {
                (Some(entry), Some(registry)) => {
                    ui::print(&ui::mask_of(&faults).text(&show(entry, registry)));
                    if let Some(description) = &entry.description {
                        ui::print(&described(description));
                    }
                }
                _ if Catalog::built_in().any(|name| name == handler_type) => {
                    ui::print(&format!("{handler_type}: built in, needs no entry\n"));
                }
                _ => {
                    let known = catalog.entries().map(|entry| entry.name.as_str());
                    let known = known.chain(Catalog::built_in().map(|name| -> &str { name }));
                    let error =
                        CommandError::new(Kind::Usage, format!("no handler serves type `{handler_type}`"));
                    return Err(match nearest(handler_type, known) {
                        Some(near) => error.hint(format!("did you mean `{near}`?")),
                        None => error.hint("`pop handlers` lists the types"),
                    });
                }
            }
        }
    }
    Ok(0)
}

fn list(catalog: &Catalog, registry: Option<&Source>) -> String {
    let file = registry.map_or("", Source::name);
    let mut rows: Vec<[String; 4]> = vec![["TYPE", "COMMAND", "IMAGE", "FROM"].map(str::to_owned)];
    for entry in catalog.entries() {
        let command = entry.command.as_deref().map_or_else(|| "-".to_owned(), quoted);
        let image = entry.image().unwrap_or("-").to_owned();
        rows.push([entry.name.clone(), command, image, file.to_owned()]);
    }
    for name in Catalog::built_in().filter(|name| catalog.entry(name).is_none()) {
        rows.push([name.to_owned(), "-".to_owned(), "-".to_owned(), "built in".to_owned()]);
    }
    table(&rows)
}

fn show(entry: &Entry, registry: &Source) -> String {
    let at = Pointer::root().join(&entry.id);
    let own = |field: &str| Site::Value(at.join(field));
    let mut fields: Vec<(String, String, Option<Site>, Layer)> = Vec::new();
    if let Some(command) = &entry.command {
        fields.push(("command".into(), quoted(command), Some(own("command")), Layer::Entry));
    }
    if let Some(folder) = &entry.working_directory {
        fields.push(("workingDirectory".into(), folder.clone(), Some(own("workingDirectory")), Layer::Entry));
    }
    if let Some(name) = &entry.config_map_name {
        fields.push(("configMapName".into(), name.clone(), Some(own("configMapName")), Layer::Entry));
    }
    for (key, value) in &entry.env_vars {
        let site = Site::Value(at.join("envVars").join(key));
        fields.push((format!("envVars.{key}"), value.clone(), Some(site), Layer::Entry));
    }
    for (key, value) in &entry.properties {
        let site = Site::Value(at.join("properties").join(key));
        fields.push((format!("properties.{key}"), value.clone(), Some(site), Layer::Entry));
    }
    for secret in &entry.secrets {
        let site = Site::Value(at.join("secrets").join(&secret.variable));
        let name = format!("secrets.{}", secret.variable);
        fields.push((name, secret.source.to_string(), Some(site), Layer::Entry));
    }
    for (name, sourced) in &entry.pod_config {
        let site = (!sourced.pointer.is_empty()).then(|| Site::Value(sourced.pointer.clone()));
        fields.push((format!("podConfig.{name}"), sourced.value.to_string(), site, sourced.layer));
    }
    let sites: Vec<Site> = fields.iter().map(|(_, _, site, _)| site.clone().unwrap_or(Site::Whole)).collect();
    let places = registry.places(&sites.iter().collect::<Vec<_>>());
    let rows: Vec<[String; 3]> = fields
        .into_iter()
        .zip(places)
        .map(|((name, value, _, layer), place)| {
            let origin = match place {
                Some(place) => format!("{layer}, {}:{}:{}", registry.name(), place.line, place.column),
                None => layer.to_string(),
            };
            [name, value, origin]
        })
        .collect();
    format!("{}\n{}", entry.name, table(&rows))
}

/// What a handler says about itself.
fn described(description: &Description) -> String {
    let Description { name, version, about, actions, errors, defaults, input, result } = description;
    let words = [name, version].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    let about = about.as_ref().map(|about| format!(": {about}")).unwrap_or_default();
    let words = if words.is_empty() { "the handler" } else { &words };
    let mut lines = vec![String::new(), format!("{words}{about}")];
    for (what, words) in [("action", actions), ("failure", errors)] {
        lines.extend(words.iter().map(|Word { name, about }| format!("{what} {name}: {about}")));
    }
    for (what, value) in [("defaults", defaults), ("input", input), ("result", result)] {
        lines.extend(value.iter().map(|value| format!("{what} {value:#}")));
    }
    lines.join("\n") + "\n"
}
