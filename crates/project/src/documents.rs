//! Definitions that do not come from files: JSON documents, each of the form of its part's file, a model with its
//! `query`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    assembly::{Assembly, Piece, Written, wrong_name},
    checking::Checker,
    located::Node,
    parts::{Origin, Project, Settings},
    problem::{Problem, Problems},
    references::{Reach, has_references},
    referring::{self, Known},
    schema::{Forms, Part},
};

/// One definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub part: Part,
    pub name: String,
    pub json: Value,
}

impl Document {
    /// Where it stands, in messages: `mappings/customers`.
    pub fn place(&self) -> String {
        format!("{}/{}", self.part.section(), self.name)
    }

    /// What its sealed texts are bound to: `mapping/customers`.
    pub fn about(&self) -> String {
        self.part.about(&self.name)
    }

    fn origin(&self) -> Origin {
        Origin {
            part: self.part,
            name: self.name.clone(),
            file: self.place().into(),
            prefix: String::new(),
            node: Node::of_json(&self.json),
            from_outside: Vec::new(),
        }
    }
}

impl Project {
    /// The project of these documents, which are all that is needed to wire its mappings: with a mapping come its
    /// model, the model's source, and its destination. The mappings it waits for need not come.
    ///
    /// # Errors
    /// Everything that is wrong in the documents; the file of a problem is `mappings/NAME`, its line 0.
    pub fn from_documents(
        settings: Settings,
        documents: &[Document],
        reach: Reach<'_>,
        forms: &Forms,
    ) -> Result<Self, Problems> {
        let piece = |document: &Document| Piece { origin: document.origin(), written: Written::Document };
        Assembly::new(forms, reach).project(settings, documents.iter().map(piece).collect(), false)
    }
}

impl Forms {
    /// Looks at one document, while it is being written: at its form, and at what it refers to. References to
    /// secrets and to what is outside stay as they are, and nothing is connected to.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn check_document(&self, document: &Document, known: &dyn Known) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let mut origin = document.origin();
        if !is_name(&document.name) {
            problems.push(Problem::of_document(document, "", wrong_name(&document.name)));
        }
        let file = origin.file.clone();
        let schema = &self.schema()["$defs"][document.part.noun()];
        Checker::new(&file, self.schema(), &mut problems).with_references().check(&mut origin.node, schema, "");
        match document.part {
            Part::Model => self.check_query(&origin, &mut problems),
            Part::Mapping => check_schedule(&origin, &mut problems),
            Part::Source | Part::Destination => {}
        }
        referring::check(std::iter::once(&origin), known, &mut problems);
        referring::check_waiting(std::iter::once(&origin), known, &mut problems);
        problems.into_result(())
    }

    fn check_query(&self, origin: &Origin, problems: &mut Problems) {
        if origin.node.get("file").is_some() {
            problems.push(origin.problem("file", "a file cannot be named here; give the SQL as `query`"));
        } else if origin.node.get("query").is_none() {
            problems.push(origin.problem("query", "it is missing; give the SQL"));
        }
    }
}

fn check_schedule(origin: &Origin, problems: &mut Problems) {
    let Some(node) = origin.node.get("schedule") else { return };
    // What is not of the form was told already.
    let Ok(form) = serde_json::from_value::<schedule::ScheduleForm>(node.to_json()) else { return };
    if let Err(found) = form.check() {
        // A text that is filled in later may be right then.
        let is_open =
            |problem: &schedule::Problem| node.at(&problem.field).and_then(Node::text).is_some_and(has_references);
        let found = found.iter().filter(|problem| !is_open(problem));
        found.for_each(|problem| problems.push(referring::schedule_problem(origin, problem)));
    }
}

/// A name that may stand in an address too.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
}
