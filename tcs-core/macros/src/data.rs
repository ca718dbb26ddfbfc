//! `Config`, `Deserialize` and `Serialize`. Serde's own derive names the crate `serde`, which an
//! author's crate does not depend on. So the type is written once more inside a `const`, as serde's
//! `remote`, with the path to serde; serde's derive does all the work on that copy.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, Ident, Lit, Meta, Result,
    Token, parse_quote, parse2,
};

pub(crate) fn deserialize(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    let copy = copy(input.clone());
    Ok(reading(&input, copy, Vec::new()))
}

pub(crate) fn serialize(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    let (name, copy, remote) = (&input.ident, copy(input.clone()), remote(&input));
    let shadow = &copy.ident;
    let (impls, types, wheres) = input.generics.split_for_impl();
    Ok(quote! {
        const _: () = {
            #[derive(::tcs_core::__private::SerdeSerialize)]
            #[serde(crate = "::tcs_core::__private::serde", remote = #remote)]
            #[allow(dead_code)]
            #copy

            #[automatically_derived]
            impl #impls ::tcs_core::__private::serde::Serialize for #name #types #wheres {
                fn serialize<__S: ::tcs_core::__private::serde::Serializer>(
                    &self,
                    serializer: __S,
                ) -> ::core::result::Result<__S::Ok, __S::Error> {
                    #shadow::serialize(self, serializer)
                }
            }
        };
    })
}

pub(crate) fn config(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = parse2(item)?;
    let Data::Struct(data) = &input.data else {
        let hint = "`Config` is for structs; a type inside of one has `#[derive(Deserialize)]`";
        return Err(Error::new(input.ident.span(), hint));
    };
    let mut copy = input.clone();
    let mut makers = Vec::new();
    let mut values = Vec::new();
    if let Data::Struct(copied) = &mut copy.data {
        for (number, (field, copied)) in data.fields.iter().zip(&mut copied.fields).enumerate() {
            let Some(value) = default_of(field)? else { continue };
            let maker = format_ident!("__default_{number}");
            let (path, kind) = (maker.to_string(), &field.ty);
            copied.attrs.push(parse_quote!(#[serde(default = #path)]));
            makers.push(quote! { fn #maker() -> #kind { #value } });
            values.push((field.ident.clone(), maker));
        }
    }
    let copy = self::copy(copy);
    let all = values.len() == data.fields.len() && input.generics.params.is_empty();
    if all && let Fields::Named(_) = &data.fields {
        let name = &input.ident;
        let (fields, makers_of): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        makers.push(quote! {
            #[automatically_derived]
            impl ::core::default::Default for #name {
                fn default() -> Self {
                    Self { #(#fields: #makers_of()),* }
                }
            }
        });
    }
    Ok(reading(&input, copy, makers))
}

/// The default of a field, as an expression of its type.
fn default_of(field: &Field) -> Result<Option<TokenStream>> {
    let mut attributes = field.attrs.iter().filter(|it| it.path().is_ident("default"));
    let Some(attribute) = attributes.next() else { return Ok(None) };
    if let Some(second) = attributes.next() {
        return Err(Error::new(second.span(), "a field can have only one default"));
    }
    Ok(Some(match &attribute.meta {
        Meta::Path(_) => quote!(::core::default::Default::default()),
        Meta::List(_) => match attribute.parse_args::<Expr>()? {
            // a `String` from a literal
            text @ Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => {
                quote!(::core::convert::Into::into(#text))
            }
            value => value.into_token_stream(),
        },
        Meta::NameValue(_) => {
            return Err(Error::new(attribute.span(), "write `#[default(VALUE)]`"));
        }
    }))
}

fn reading(input: &DeriveInput, mut copy: DeriveInput, mut more: Vec<TokenStream>) -> TokenStream {
    more.extend(default_of_all(input, &mut copy));
    let (name, shadow, remote) = (&input.ident, &copy.ident, remote(input));
    let mut generics = input.generics.clone();
    generics.params.insert(0, parse_quote!('de));
    let (impls, _, _) = generics.split_for_impl();
    let (_, types, wheres) = input.generics.split_for_impl();
    quote! {
        const _: () = {
            #(#more)*

            #[derive(::tcs_core::__private::SerdeDeserialize)]
            #[serde(crate = "::tcs_core::__private::serde", remote = #remote)]
            #[allow(dead_code)]
            #copy

            #[automatically_derived]
            impl #impls ::tcs_core::__private::serde::Deserialize<'de> for #name #types #wheres {
                fn deserialize<__D: ::tcs_core::__private::serde::Deserializer<'de>>(
                    deserializer: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    #shadow::deserialize(deserializer)
                }
            }
        };
    }
}

/// `#[serde(default)]` of the whole type means the type's own `Default`, not the copy's.
fn default_of_all(input: &DeriveInput, copy: &mut DeriveInput) -> Option<TokenStream> {
    let mut found = false;
    for attribute in &mut copy.attrs {
        let metas = Punctuated::<Meta, Token![,]>::parse_terminated;
        let Ok(mut metas) = attribute.parse_args_with(metas) else { continue };
        for meta in &mut metas {
            if matches!(meta, Meta::Path(path) if path.is_ident("default")) {
                *meta = parse_quote!(default = "__default");
                found = true;
            }
        }
        *attribute = parse_quote!(#[serde(#metas)]);
    }
    let (name, (impls, types, wheres)) = (&input.ident, input.generics.split_for_impl());
    found.then(|| {
        quote! {
            fn __default #impls () -> #name #types #wheres {
                ::core::default::Default::default()
            }
        }
    })
}

/// The type as serde's `remote` names it.
fn remote(input: &DeriveInput) -> String {
    let (name, (_, types, _)) = (&input.ident, input.generics.split_for_impl());
    quote!(#name #types).to_string()
}

/// The same type under another name, with serde's attributes alone.
fn copy(mut input: DeriveInput) -> DeriveInput {
    input.ident = Ident::new(&format!("__Serde{}", input.ident), Span::call_site());
    input.vis = syn::Visibility::Inherited;
    keep(&mut input.attrs);
    match &mut input.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(|field| keep(&mut field.attrs)),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                keep(&mut variant.attrs);
                variant.discriminant = None;
                variant.fields.iter_mut().for_each(|field| keep(&mut field.attrs));
            }
        }
        Data::Union(_) => {}
    }
    input
}

fn keep(attributes: &mut Vec<Attribute>) {
    attributes.retain(|it| it.path().is_ident("serde") || it.path().is_ident("cfg"));
}
