//! `irsa schema`, `completions` and `man`: files for editors, shells and packagers.

use super::arguments::{Cli, Completions, Man, Schema, SchemaOf};
use super::files::{Destination, SHARED};
use super::{Run, output};
use crate::config::json_schema;
use crate::error::{Error, ExitStatus};
use crate::render;
use clap::CommandFactory;
use std::io::Write;

pub(super) fn schema(run: Run<'_>, arguments: &Schema) -> Result<ExitStatus, Error> {
    output::no_json(run.global, "schema")?;
    let schema = match arguments.of {
        SchemaOf::Config => json_schema::json_schema(),
        SchemaOf::Plan => render::schema::plan_schema(),
        SchemaOf::Report => render::schema::report_schema(),
        SchemaOf::Validation => render::schema::validation_schema(),
        SchemaOf::Verification => render::schema::verification_schema(),
    };
    writeln!(run.ui.stdout(), "{schema:#}")?;
    Ok(ExitStatus::Success)
}

pub(super) fn completions(run: Run<'_>, arguments: &Completions) -> Result<ExitStatus, Error> {
    output::no_json(run.global, "completions")?;
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "irsa", &mut script);
    run.ui.stdout().write_all(&script)?;
    Ok(ExitStatus::Success)
}

pub(super) fn man(run: Run<'_>, arguments: &Man) -> Result<ExitStatus, Error> {
    output::no_json(run.global, "man")?;
    let page = |command: clap::Command| -> Result<Vec<u8>, Error> {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        Ok(page)
    };
    let Some(folder) = arguments.out.as_ref().filter(|folder| folder.as_os_str() != "-") else {
        run.ui.stdout().write_all(&page(Cli::command())?)?;
        return Ok(ExitStatus::Success);
    };
    let mut top = Cli::command();
    top.build();
    let subcommands = top.get_subcommands().filter(|command| command.get_name() != "help");
    let mut pages = vec![("irsa".to_owned(), page(Cli::command())?)];
    for command in subcommands {
        let name = format!("irsa-{}", command.get_name());
        pages.push((name.clone(), page(command.clone().name(name))?));
    }
    for (name, page) in pages {
        let text = String::from_utf8_lossy(&page);
        Destination::of(&folder.join(format!("{name}.1")))?.write_now(run.ui, &text, SHARED)?;
    }
    Ok(ExitStatus::Success)
}
