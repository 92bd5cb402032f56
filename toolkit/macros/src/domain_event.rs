//! `#[derive(DomainEvent)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{DeriveInput, Error, Ident, LitStr, Result, spanned::Spanned};

#[derive(Default)]
struct Attributes {
    event_type: Option<LitStr>,
    key: Option<Ident>,
    source: Option<LitStr>,
    private: Option<Span>,
}

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    let attributes = parse(&input)?;
    let name = &input.ident;
    let Some(event_type) = &attributes.event_type else {
        return Err(Error::new(
            name.span(),
            "an event needs a type name: `#[event(type = \"ORDER_CREATED\", …)]`",
        ));
    };
    if event_type.value().is_empty() {
        return Err(Error::new(event_type.span(), "the type name of an event must not be empty"));
    }
    let (visibility, key, schema) = match (&attributes.key, attributes.private) {
        (Some(key), Some(_)) => {
            return Err(Error::new(
                key.span(),
                "a private event has no key: it never leaves the store; remove `key` or `private`",
            ));
        }
        (None, None) => {
            return Err(Error::new(
                name.span(),
                format!(
                    "the public event `{name}` needs a key, which keeps one saga's events in order: `#[event(type = {:?}, key = field)]`; or say `private` if it stays in the store",
                    event_type.value()
                ),
            ));
        }
        (Some(key), None) => {
            require_field(&input, key)?;
            (
                quote!(::quadrille::event::Public),
                quote!(::core::option::Option::Some(::std::string::ToString::to_string(&self.#key))),
                quote!(::core::option::Option::Some(
                    ::quadrille::__private::schemars::schema_for!(#name)
                )),
            )
        }
        (None, Some(_)) => (
            quote!(::quadrille::event::Private),
            quote!(::core::option::Option::None),
            quote!(::core::option::Option::None),
        ),
    };
    let source = match &attributes.source {
        Some(source) => quote!(::core::option::Option::Some(#source)),
        None => quote!(::core::option::Option::None),
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "an event type has no generic parameters: one type name, one schema",
        ));
    }
    Ok(quote! {
        impl ::quadrille::event::DomainEvent for #name {
            type Visibility = #visibility;
            const TYPE: &'static str = #event_type;
            const SOURCE: ::core::option::Option<&'static str> = #source;
            fn key(&self) -> ::core::option::Option<::std::string::String> {
                #key
            }
            fn schema() -> ::core::option::Option<::quadrille::__private::schemars::Schema> {
                #schema
            }
        }
    })
}

fn parse(input: &DeriveInput) -> Result<Attributes> {
    let mut found = Attributes::default();
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("event")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("type") {
                found.event_type = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("key") {
                found.key = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("source") {
                found.source = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("private") {
                found.private = Some(meta.path.span());
            } else {
                return Err(meta.error("unknown: an event has `type = \"…\"`, `key = field` or `private`, and `source = \"service\"`"));
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn require_field(input: &DeriveInput, key: &Ident) -> Result<()> {
    let syn::Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "an event is a struct: one type name, one schema",
        ));
    };
    if data.fields.iter().any(|field| field.ident.as_ref() == Some(key)) {
        return Ok(());
    }
    Err(Error::new(key.span(), format!("`{}` has no field `{key}` to be its key", input.ident)))
}
