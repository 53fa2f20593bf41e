//! POP's spellings of long options: camel case, and a single dash.

use std::ffi::OsString;

/// Adds a camel-case alias to every long option.
pub(super) fn with_camel_case(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let camel = arg.get_long().filter(|long| long.contains('-')).map(camel_case);
        match camel {
            Some(camel) => arg.alias(camel),
            None => arg,
        }
    });
    command.mut_subcommands(with_camel_case)
}

fn camel_case(kebab: &str) -> String {
    let mut words = kebab.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}

/// Lists the long options of a command and its subcommands, aliases included.
pub(super) fn long_names(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().flat_map(|arg| {
        let long = arg.get_long().map(str::to_owned);
        let aliases = arg.get_all_aliases().unwrap_or_default().into_iter().map(str::to_owned);
        long.into_iter().chain(aliases)
    });
    own.chain(command.get_subcommands().flat_map(long_names)).collect()
}

/// Rewrites POP's `-launchType x` to `--launchType x` for every known long option.
pub(super) fn with_two_dashes(argv: impl IntoIterator<Item = OsString>, known: &[String]) -> Vec<OsString> {
    let mut is_over = false;
    let spell = |argument: OsString| {
        is_over = is_over || argument == "--";
        let Some(text) = argument.to_str().filter(|text| !is_over && !text.starts_with("--")) else {
            return argument;
        };
        let Some(rest) = text.strip_prefix('-') else { return argument };
        let name = rest.split('=').next().unwrap_or(rest);
        let is_known = name.len() > 1 && known.iter().any(|known| known == name);
        if is_known { OsString::from(format!("-{text}")) } else { argument }
    };
    argv.into_iter().map(spell).collect()
}
