//! The JSON Schemas of all public types.

use agentgate::types;
use schemars::{JsonSchema, SchemaGenerator};

macro_rules! schemas {
    ($generator:ident: $($name:ident),* $(,)?) => {
        $(add::<types::$name>(&mut $generator);)*
    };
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

#[test]
fn the_json_schemas_of_public_types_match_the_snapshot() {
    let mut generator = SchemaGenerator::default();
    schemas!(
        generator: CancelledRun, NewTemplate, NewWebhook, NewWorkOrder, CreditBalance, CreditTransactionPage,
        ErrorCode, EventData, EventId, Run, RunEventData, RunPage, Template, TemplateUpdate, WebhookUpdate,
        VerificationEventData, Webhook, WebhookCreated, WorkOrder, WorkOrderCreated,
    );
    insta::assert_json_snapshot!(generator.take_definitions(true));
}
