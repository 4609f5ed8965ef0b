//! `outflow preview`: the first rows of a model.

use clap::Args;
use kit::Query;
use project::Problems;
use serde_json::json;
use tokio::sync::mpsc;

use super::Context;
use crate::{
    failure::{Exit, Failure},
    render::{self, Rows},
    wiring::wiring,
};

/// Show the first rows of a model, as its source gives them now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  outflow preview customers
  outflow preview customers --rows 3 --output json")]
pub(crate) struct Preview {
    /// The model's name.
    #[arg(value_name = "MODEL")]
    model: String,
    /// How many rows.
    #[arg(long, short = 'n', default_value_t = 10, value_name = "N")]
    rows: u64,
}

impl Preview {
    pub(crate) async fn run(self, context: &Context<'_>) -> Result<Exit, Failure> {
        let project = context.project()?;
        let names: Vec<&str> = project.models.iter().map(|model| model.origin.name.as_str()).collect();
        super::known("model", &self.model, &names)?;
        let model = wiring(&project).model(&self.model)?;
        let part = project.model(&self.model);
        let located = |error: kit::SourceError| match (error.place(), part) {
            (Some(place), Some(part)) => {
                Failure::from(Problems::from(part.query_problem(Some(place), error.to_string())))
            }
            _ => Failure::new(format!("the model `{}` cannot be read", self.model)).because(error),
        };
        let query = Query { text: model.query.clone(), rows_max: Some(self.rows) };
        let schema = model.source.describe(&query).await.map_err(located)?;
        let (sender, mut receiver) = mpsc::channel(4);
        let extract = model.source.extract(&query, sender, context.cancel.clone());
        let collect = async {
            let mut batches = Vec::new();
            while let Some(batch) = receiver.recv().await {
                batches.push(batch);
            }
            batches
        };
        let (extracted, batches) = tokio::join!(extract, collect);
        extracted.map_err(located)?;
        let rows = Rows::of(&schema, &batches, self.rows);
        let columns: Vec<_> =
            schema.columns().iter().map(|column| json!({ "name": column.name, "kind": column.kind })).collect();
        let result = json!({ "model": self.model, "columns": columns, "rows": rows.to_json(&schema) });
        context.output.result(&result, |paint| render::rows(&self.model, &schema, &model.key, &rows, paint));
        Ok(Exit::Done)
    }
}
