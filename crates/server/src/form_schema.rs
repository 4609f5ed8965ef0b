//! Forms whose schema stands in their own crate, made by `schemars`, told to the OpenAPI document as they are.

use std::borrow::Cow;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, RefOr, schema::Schema},
};

macro_rules! form {
    ($(#[$doc:meta])* $name:ident, $form:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) $form);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema_of::<$form>()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

form!(
    /// An alert rule, as requests and answers have it.
    AlertRuleForm,
    alerts::RuleForm
);
form!(
    /// A channel, as requests and answers have it.
    ChannelForm,
    alerts::ChannelForm
);

fn schema_of<T: JsonSchema>() -> RefOr<Schema> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    let mut json: Value = schema.into();
    say_constants(&mut json);
    // What the document's types do not know of is left out by them.
    serde_json::from_value(json).unwrap_or_else(|_| Object::new().into())
}

/// The document's types know of no constants: a choice of one is the same.
fn say_constants(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            if let Some(constant) = entries.remove("const") {
                entries.insert("enum".to_owned(), Value::Array(vec![constant]));
            }
            entries.values_mut().for_each(say_constants);
        }
        Value::Array(items) => items.iter_mut().for_each(say_constants),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_told_with_its_fields_and_comments() {
        let schema = serde_json::to_value(AlertRuleForm::schema()).unwrap();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], serde_json::json!(["when"]));
        let failed = &schema["properties"]["when"]["properties"]["failed"];
        assert!(failed.to_string().contains("in_a_row"), "{failed}");
        assert!(schema["properties"]["channels"]["description"].is_string(), "{schema}");
        let channel = serde_json::to_value(ChannelForm::schema()).unwrap();
        for word in [r#""enum":["email"]"#, r#""enum":["slack"]"#, r#""enum":["starttls"]"#, "ca_certificate"] {
            assert!(channel.to_string().contains(word), "{channel}");
        }
    }
}
