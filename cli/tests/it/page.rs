//! The page about the program says what the program says.

use std::collections::BTreeSet;

use crate::program::{orch, project};

/// The long options that a help text lists, those in `[alias: --name]` too.
fn options(help: &str) -> BTreeSet<String> {
    let lists = |line: &&str| line.starts_with('-') || line.starts_with("[alias");
    help.lines().map(str::trim_start).filter(lists).flat_map(long_options).collect()
}

/// Every `--name` of a line.
fn long_options(line: &str) -> Vec<String> {
    let name =
        |word: &str| -> String { word.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect() };
    let words = line.split([' ', '`', ',', ']']).filter_map(|word| word.strip_prefix("--"));
    words.map(name).filter(|name| !name.is_empty()).collect()
}

/// The commands that `orch --help` lists, but for `help` itself.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_page_names_every_command_and_option_and_no_other() {
    let page = std::fs::read_to_string(project().join("docs/cli.md")).unwrap();
    let common =
        page.split("\n## ").find(|section| section.starts_with("Options that several commands have"));
    let help = orch(&["--help"]).out;
    let commands = commands(&help);
    assert!(commands.len() > 6, "{help}");
    let shared: BTreeSet<String> = common.unwrap().lines().flat_map(long_options).collect();
    let mut wrong: Vec<String> = options(&help).difference(&shared).map(|name| format!("--{name}")).collect();
    for command in &commands {
        let section =
            page.split("\n## ").find(|section| section.lines().next() == Some(&format!("orch {command}")));
        let Some(section) = section else {
            wrong.push(format!("{command}: no section"));
            continue;
        };
        if !section.contains(&format!("\norch {command} ")) {
            wrong.push(format!("{command}: no example"));
        }
        let known = options(&orch(&[command, "--help"]).out);
        let named: BTreeSet<String> = section.lines().flat_map(long_options).collect();
        let missing = known.iter().filter(|name| !named.contains(*name) && !shared.contains(*name));
        wrong.extend(missing.map(|name| format!("{command} --{name}: not on the page")));
        let unknown = named.difference(&known);
        wrong.extend(unknown.map(|name| format!("{command} --{name}: the program does not know it")));
    }
    assert!(wrong.is_empty(), "docs/cli.md:\n{}", wrong.join("\n"));
}
