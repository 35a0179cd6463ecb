//! `slapledger project`: worlds of their own in one ledger.

use clap::Subcommand;
use serde_json::json;

use super::options::{QueryOptions, ReadOptions};
use super::print::say;
use super::table::table;
use crate::invoices::{print_json, text_of};

#[derive(Subcommand)]
pub enum ProjectCommand {
    /// Open a project, and print its id
    Open {
        /// Title; unique
        title: String,
        /// Time zone of its first party
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        time_zone: String,
        #[command(flatten)]
        shown: QueryOptions,
    },
    /// List projects, in the order they were opened
    List(ReadOptions),
}

pub fn run(asked: &ProjectCommand) -> anyhow::Result<()> {
    match asked {
        ProjectCommand::Open { title, time_zone, shown } => {
            let wanted = json!({"title": title, "time_zone": time_zone});
            let project = shown.client.server()?.post_json("/v1/projects", &wanted)?;
            if shown.json {
                return print_json(&project);
            }
            say!("{}", text_of(&project["id"]));
            Ok(())
        }
        ProjectCommand::List(shown) => {
            let items = shown.client.server()?.list("/v1/projects", &[])?;
            if shown.json {
                return print_json(&items.into());
            }
            let mut rows = table(&["project", "title"], &[]);
            for project in &items {
                rows.add_row([text_of(&project["id"]), text_of(&project["title"])]);
            }
            rows.print();
            Ok(())
        }
    }
}
