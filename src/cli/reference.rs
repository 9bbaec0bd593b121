//! What is generated from the definition of the command line: docs/cli.md, the manual page, completions.

use clap_complete::Shell;

use super::command;

/// docs/cli.md: every command with its help, as it prints in 80 columns.
pub fn cli_reference() -> String {
    let mut command = command();
    command.build();
    let mut text = String::from(
        "# Command line\n\nGenerated from the source; do not edit by hand. `whyd COMMAND --help`\n\
         prints the same, and the options that every command has.\n",
    );
    text.push_str(&section("whyd", command.clone()));
    for (title, subcommand) in all_commands(&command) {
        text.push_str(&section(&title, subcommand));
    }
    text
}

/// Every command with its title, and the commands that it has itself right behind it.
fn all_commands(command: &clap::Command) -> Vec<(String, clap::Command)> {
    let mut all = Vec::new();
    for outer in own_commands(command) {
        let title = format!("whyd {}", outer.get_name());
        let inner: Vec<_> = own_commands(&outer)
            .map(|inner| (format!("{title} {}", inner.get_name()), inner))
            .collect();
        all.push((title, outer));
        all.extend(inner);
    }
    all
}

/// The commands, without the options that all of them have.
fn own_commands(command: &clap::Command) -> impl Iterator<Item = clap::Command> {
    let commands = command
        .get_subcommands()
        .filter(|subcommand| subcommand.get_name() != "help");
    commands.map(|subcommand| {
        subcommand.clone().mut_args(|arg| {
            let is_common = arg.is_global_set() || arg.get_id() == "help";
            arg.hide(is_common)
        })
    })
}

fn section(title: &str, mut command: clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
    format!("\n## {title}\n\n```text\n{}\n```\n", lines.join("\n"))
}

/// The manual page in roff: the program, then a section for each command.
pub fn man_page() -> String {
    let mut command = command();
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    let mut page = roff(|page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_options_section(page)
    });
    for (title, subcommand) in all_commands(&command) {
        let man = clap_mangen::Man::new(subcommand);
        let part = roff(|page| {
            man.render_description_section(page)?;
            man.render_synopsis_section(page)?;
            man.render_options_section(page)
        });
        let part = format!("\n{part}").replace("\n.SH ", "\n.SS ");
        page.push_str(&format!(".SH \"{}\"{part}", title.to_uppercase()));
    }
    page.push_str(&roff(|page| man.render_extra_section(page)));
    page
}

/// What a renderer writes. Writing to memory does not fail; what is not text would be a bug of the generator's.
fn roff(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut page = Vec::new();
    match render(&mut page) {
        Ok(()) => String::from_utf8_lossy(&page).into_owned(),
        Err(_) => String::new(),
    }
}

/// The completion script of a shell.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "whyd", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// A JSON Schema as text.
pub fn schema(schema: &serde_json::Value) -> String {
    format!("{schema:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::golden::assert_current;

    #[test]
    fn the_reference_in_docs_is_current() {
        assert_current("docs/cli.md", &cli_reference());
    }

    #[test]
    fn nothing_generated_is_wider_than_80_columns() {
        for line in cli_reference().lines() {
            assert!(crate::report::wrap::width(line) <= 80, "{line}");
        }
    }

    #[test]
    fn the_manual_page_has_every_command_and_its_options() {
        let page = man_page();
        for part in [
            ".SH \"WHYD CHECK\"",
            ".SH \"WHYD RUN\"",
            ".SH \"WHYD SILENCE ADD\"",
            "first\\-byte\\-timeout",
            "state\\-dir",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert_eq!(page.matches(".TH").count(), 1);
    }
}
