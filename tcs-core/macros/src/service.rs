//! `#[service]`: puts into the `impl` what was left out, gives `Context` its service, and registers
//! the type.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{
    Error, FnArg, GenericArgument, Ident, ImplItem, ImplItemFn, ImplItemType, ItemImpl, LitStr,
    PathArguments, Result, ReturnType, Signature, Type, parse_quote, parse2,
};

/// The three kinds, and the method that gives the state.
const KINDS: [(&str, Option<&str>); 3] = [
    ("BlockingService", Some("on_start")),
    ("OneShotService", None),
    ("PermanentService", Some("start")),
];

/// Methods of the Python framework, and what they are called here.
const PYTHON: [(&str, &str); 4] = [
    ("run_service", "run"),
    ("start_service", "start"),
    ("stop_service", "stop"),
    ("__init__", "new"),
];

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let name = name(arguments)?;
    let mut service: ItemImpl = parse2(item).map_err(|error| {
        let hint = "write `#[service]` before `impl BlockingService for ...`";
        Error::new(error.span(), format!("{error}\n{hint}"))
    })?;
    let (kind, starter) = kind(&service)?;
    refuse_python(&service)?;
    let config = take_config(&mut service);
    if let Some(starter) = starter {
        complete_state(&mut service, starter)?;
    }
    for item in &mut service.items {
        if let ImplItem::Fn(method) = item {
            complete(method);
        }
    }
    if !has(&service, "new") {
        let this = &service.self_ty;
        let made = quote_spanned!(this.span()=> ::tcs_core::__private::made_by_default::<Self>());
        service.items.push(parse_quote! {
            fn new(_: &::tcs_core::service::Context<Self>) -> ::tcs_core::__private::Result<Self> {
                ::core::result::Result::Ok(#made)
            }
        });
    }
    let registration = register(&service, &kind, name.as_ref(), &config);
    Ok(quote! { #service #registration })
}

/// `#[service("a.name")]`
fn name(arguments: TokenStream) -> Result<Option<LitStr>> {
    if arguments.is_empty() {
        return Ok(None);
    }
    let name: LitStr = parse2(arguments).map_err(|error| {
        Error::new(error.span(), "write `#[service]` or `#[service(\"its.name\")]`")
    })?;
    let text = name.value();
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
    if text.split('.').any(str::is_empty) || text.contains(refused) {
        let rule = "a service type is names joined by single dots, without blanks, `*` and `>`";
        return Err(Error::new(name.span(), rule));
    }
    Ok(Some(name))
}

fn kind(service: &ItemImpl) -> Result<(Ident, Option<&'static str>)> {
    let hint = "`#[service]` is for `impl BlockingService for ...`, `OneShotService` or \
                `PermanentService`";
    let Some((path, _)) = &service.trait_ else {
        return Err(Error::new(service.self_ty.span(), hint));
    };
    let last = path.segments.last().map(|segment| &segment.ident);
    let found =
        last.and_then(|last| KINDS.iter().find(|(kind, _)| last == kind).map(|it| (last, it.1)));
    let (kind, starter) = found.ok_or_else(|| Error::new(path.span(), hint))?;
    if let Some(parameter) = service.generics.params.first() {
        return Err(Error::new(parameter.span(), "a service cannot have type parameters"));
    }
    Ok((kind.clone(), starter))
}

fn refuse_python(service: &ItemImpl) -> Result<()> {
    for method in methods(service) {
        let (name, span) = (&method.sig.ident, method.sig.ident.span());
        if let Some((_, ours)) = PYTHON.iter().find(|(python, _)| name == python) {
            return Err(Error::new(span, format!("in Rust this method is named `{ours}`")));
        }
    }
    Ok(())
}

fn methods(service: &ItemImpl) -> impl Iterator<Item = &ImplItemFn> {
    service.items.iter().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    })
}

fn has(service: &ItemImpl, name: &str) -> bool {
    methods(service).any(|method| method.sig.ident == name)
}

fn associated<'a>(service: &'a ItemImpl, name: &str) -> Option<&'a ImplItemType> {
    service.items.iter().find_map(|item| match item {
        ImplItem::Type(it) if it.ident == name => Some(it),
        _ => None,
    })
}

/// `type Config` belongs to another trait, which the context knows.
fn take_config(service: &mut ItemImpl) -> Type {
    let config = associated(service, "Config").map(|it| it.ty.clone());
    service.items.retain(|item| !matches!(item, ImplItem::Type(it) if it.ident == "Config"));
    config.unwrap_or_else(|| parse_quote!(()))
}

/// The state is what the method returns that starts the service.
fn complete_state(service: &mut ItemImpl, starter: &str) -> Result<()> {
    let given = methods(service).find(|method| method.sig.ident == starter);
    let returned = given.and_then(|method| returned(&method.sig));
    match (associated(service, "State"), given) {
        (Some(state), None) => {
            let kind = &state.ty;
            let kind = quote!(#kind).to_string();
            Err(Error::new(
                state.span(),
                format!(
                    "`State` is what `{starter}` returns, and there is none\n\
                     help: add `async fn {starter}(&self, ctx: &Context) -> Result<{kind}>`, or leave \
                     `type State` out"
                ),
            ))
        }
        (Some(_), Some(_)) => Ok(()),
        (None, _) => {
            let state = returned.unwrap_or_else(|| parse_quote!(()));
            service.items.push(parse_quote!(type State = #state;));
            Ok(())
        }
    }
}

/// The `T` of `-> Result<T>`.
fn returned(signature: &Signature) -> Option<Type> {
    let ReturnType::Type(_, output) = &signature.output else { return None };
    let Type::Path(path) = &**output else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(kind) => Some(kind.clone()),
        _ => None,
    }
}

/// Adds the parameters that were left out, and ties `Context` to this service.
fn complete(method: &mut ImplItemFn) {
    let name = method.sig.ident.to_string();
    let inputs = &mut method.sig.inputs;
    let mut has_context = false;
    let mut has_state = false;
    for input in inputs.iter_mut() {
        let FnArg::Typed(input) = input else { continue };
        if own(&mut input.ty) {
            has_context = true;
        } else {
            has_state = true;
        }
    }
    let state: Option<FnArg> = match &*name {
        "run" => Some(parse_quote!(_: &mut Self::State)),
        "on_stop" | "stop" => Some(parse_quote!(_: Self::State)),
        _ => None,
    };
    if let Some(state) = state.filter(|_| !has_state) {
        inputs.insert(1.min(inputs.len()), state);
    }
    let takes_context =
        ["new", "on_start", "run", "on_stop", "start", "stop", "execute", "healthcheck"];
    if !has_context && takes_context.contains(&&*name) {
        inputs.push(parse_quote!(_: &::tcs_core::service::Context<Self>));
    }
}

/// Turns a bare `Context` into this service's. Returns whether the type is a context.
fn own(kind: &mut Type) -> bool {
    match kind {
        Type::Reference(reference) => own(&mut reference.elem),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last_mut() else { return false };
            if last.ident != "Context" {
                return false;
            }
            if last.arguments.is_empty() {
                last.arguments = PathArguments::AngleBracketed(parse_quote!(<Self>));
            }
            true
        }
        _ => false,
    }
}

fn register(service: &ItemImpl, kind: &Ident, name: Option<&LitStr>, config: &Type) -> TokenStream {
    let this = &service.self_ty;
    let mark = Ident::new(kind.to_string().trim_end_matches("Service"), Span::call_site());
    let (check, name) = match name {
        Some(name) => (None, quote!(::core::option::Option::Some(#name))),
        None => (
            Some(quote! {
                const _: () = ::core::assert!(
                    !::tcs_core::__private::is_nameless(::core::module_path!(), ::core::file!()),
                    "a service in main.rs or lib.rs needs a name: #[service(\"its_name\")]",
                );
            }),
            quote!(::core::option::Option::None),
        ),
    };
    quote! {
        const _: () = {
            #check
            static REGISTRATION: ::tcs_core::service::Registration =
                ::tcs_core::service::Registration::new::<::tcs_core::__private::#mark, #this>(
                    #name,
                    ::core::module_path!(),
                    ::core::concat!(::core::file!(), ":", ::core::line!()),
                );
            ::tcs_core::__private::submit!(::tcs_core::__private::Submitted(&REGISTRATION));
            #[automatically_derived]
            impl ::tcs_core::service::Service for #this {
                type Config = #config;
                fn registration() -> &'static ::tcs_core::service::Registration {
                    &REGISTRATION
                }
            }
        };
    }
}
