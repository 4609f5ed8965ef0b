//! `outflow destinations show`: what one destination needs and does.

use clap::Args;
use serde_json::{Value, json};

use super::{action_of, facts_of};
use crate::{
    commands::Context,
    failure::{Exit, Failure},
    render,
};

/// Show a destination: its settings, its limits, its actions; with `--action`, all of an action's fields.
///
/// With `--output json`, everything is there at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow destinations show klaviyo
  outflow destinations show klaviyo --action upsertProfile
  outflow destinations show klaviyo --output json")]
pub(crate) struct Show {
    /// The destination's `type` in project files, as `outflow destinations list` has it.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// Only this action, with all of its fields.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Print its page of `docs/destinations`.
    #[arg(long, conflicts_with = "action")]
    markdown: bool,
}

impl Show {
    pub(crate) fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let facts = facts_of(&self.slug)?;
        if self.markdown {
            let texts = destinations::texts(&facts.slug).ok_or_else(|| {
                Failure::new(format!("the page of `{}` is written by hand", facts.slug))
                    .hint(format!("read `docs/destinations/{}.md`", facts.slug))
            })?;
            context.output.line(render::reference(&facts, &texts).trim_end_matches('\n'));
            return Ok(Exit::Done);
        }
        match &self.action {
            Some(slug) => {
                let action = action_of(&facts, slug)?;
                let result = json!({ "destination": facts.slug, "action": action });
                context.output.result(&result, |paint| render::action(&facts, action, paint));
            }
            None => {
                // What agrees with no recording is a matter of `outflow destinations test`.
                let mut result = json!({ "destination": facts });
                if let Some(shown) = result["destination"].as_object_mut() {
                    shown.remove("differences");
                    shown.insert("sign_in".to_owned(), Value::from(render::sign_in(&facts)));
                }
                context.output.result(&result, |paint| render::destination(&facts, paint));
            }
        }
        Ok(Exit::Done)
    }
}
