//! Words of fixed sets, for the JSON Schemas of `tcsctl/schema/`, which are made from the types that
//! are printed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use tcs_alarms::{AlarmState, Severity};
use tcs_fleet::{Liveness, Phase, Verdict};
use tcs_wire::Status;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $words:expr;)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({"enum": $words})
                }
            }
        )*
    };
}

words! {
    StatusWord = Status::ALL.map(Status::as_str);
    VerdictWord = Verdict::ALL.map(Verdict::as_str);
    PhaseWord = [
        Phase::Declared, Phase::Waiting, Phase::Starting, Phase::Running, Phase::Stopping,
        Phase::Stopped, Phase::Completed, Phase::Backoff, Phase::Failed,
    ].map(Phase::as_str);
    LivenessWord = [Liveness::Live, Liveness::Late, Liveness::Lost, Liveness::None]
        .map(Liveness::as_str);
    IntervalWord = ["said", "learned", "assumed"];
    LevelWord = ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"];
    StreamWord = ["stdout", "stderr"];
    AlarmStateWord = [AlarmState::Active, AlarmState::Acked, AlarmState::Returned, AlarmState::Normal]
        .map(AlarmState::as_str);
    SeverityWord = Severity::ALL.map(Severity::as_str);
    /// A claim is being sent.
    DeliveryWord = ["claim", "done", "failed"];
}

/// How many services have each verdict.
pub(crate) struct VerdictCounts;

impl JsonSchema for VerdictCounts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "VerdictCounts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = Verdict::ALL.map(Verdict::as_str);
        let count = json_schema!({"type": "integer", "minimum": 0}).to_value();
        let properties = words.into_iter().map(|word| (word.to_owned(), count.clone()));
        let properties: serde_json::Map<String, Value> = properties.collect();
        json_schema!({"type": "object", "properties": properties, "required": words})
    }
}
