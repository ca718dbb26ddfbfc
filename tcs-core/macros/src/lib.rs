//! The macros of `tcs-core`. Authors get them through `tcs_core::prelude`.

mod data;
mod service;

use proc_macro::TokenStream;

/// Registers a service, and completes its `impl` of `BlockingService`, `OneShotService` or
/// `PermanentService`: what may be left out is put in. `#[service("a.name")]` gives the
/// service a name other than that of its module.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(arguments.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Reads settings: as `Deserialize`, and a field may have `#[default(VALUE)]`, or `#[default]`
/// for the default of its type. If every field has one, `Default` is implemented too.
#[proc_macro_derive(Config, attributes(default, serde))]
pub fn config(item: TokenStream) -> TokenStream {
    data::config(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Serde's `Deserialize`, without serde among the crate's own dependencies.
#[proc_macro_derive(Deserialize, attributes(serde))]
pub fn deserialize(item: TokenStream) -> TokenStream {
    data::deserialize(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Serde's `Serialize`, without serde among the crate's own dependencies.
#[proc_macro_derive(Serialize, attributes(serde))]
pub fn serialize(item: TokenStream) -> TokenStream {
    data::serialize(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
