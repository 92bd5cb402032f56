//! `#[derive(DomainEvent)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Data, DeriveInput, Error, Ident, LitStr, Path, Result, meta::ParseNestedMeta, spanned::Spanned,
};

const KNOWN: &str = "unknown: an event has `type = \"…\"`, then `key = field`, `private`, `deadline`, `effect = Outcome` or `outcome`, and `source = \"service\"`";

#[derive(Default)]
struct Attributes {
    event_type: Option<LitStr>,
    key: Option<Ident>,
    source: Option<LitStr>,
    private: Option<Span>,
    deadline: Option<Span>,
    /// The event that brings the effect's outcome.
    effect: Option<Path>,
    outcome: Option<Span>,
}

/// What an event's visibility decides.
struct Visibility {
    marker: TokenStream,
    key: TokenStream,
    schema: TokenStream,
}

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    let attributes = parse(&input)?;
    let name = &input.ident;
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "an event type has no generic parameters: one type name, one schema",
        ));
    }
    let event_type = type_name(name, attributes.event_type.as_ref())?;
    let Visibility { marker, key, schema } = visibility(&input, &attributes)?;
    let source = match &attributes.source {
        Some(source) => quote!(::core::option::Option::Some(#source)),
        None => quote!(::core::option::Option::None),
    };
    let (kind, extra) = kind(name, &attributes)?;
    Ok(quote! {
        #extra
        impl ::quadrille::event::DomainEvent for #name {
            type Visibility = #marker;
            const KIND: ::quadrille::event::EventKind = #kind;
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

fn type_name<'a>(name: &Ident, found: Option<&'a LitStr>) -> Result<&'a LitStr> {
    let Some(event_type) = found else {
        return Err(Error::new(
            name.span(),
            "an event needs a type name: `#[event(type = \"ORDER_CREATED\", …)]`",
        ));
    };
    let text = event_type.value();
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Error::new(
            event_type.span(),
            "the type name of an event is one word, such as `ORDER_CREATED`",
        ));
    }
    Ok(event_type)
}

/// What else the event is, and the marker trait that says so.
fn kind(name: &Ident, attributes: &Attributes) -> Result<(TokenStream, TokenStream)> {
    let event = quote!(::quadrille::event);
    if attributes.outcome.is_some() {
        return Ok((quote!(#event::EventKind::Outcome), quote!()));
    }
    match (attributes.deadline, &attributes.effect) {
        (Some(span), Some(_)) => Err(Error::new(
            span,
            "an event is a deadline or an effect, not both: the one comes back by itself, the other by its outcome",
        )),
        (Some(_), None) => {
            Ok((quote!(#event::EventKind::Deadline), quote!(impl #event::Deadline for #name {})))
        }
        (None, Some(outcome)) => Ok((
            quote!(#event::EventKind::Effect {
                outcome: <#outcome as #event::DomainEvent>::TYPE
            }),
            outcome_of(name, outcome),
        )),
        (None, None) => Ok((quote!(#event::EventKind::Fact), quote!())),
    }
}

fn outcome_of(name: &Ident, outcome: &Path) -> TokenStream {
    let text = outcome.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
    let wrong = format!(
        "`{text}` cannot be the outcome of `{name}`: declare it with `#[event(type = \"…\", outcome)]`"
    );
    quote! {
        impl ::quadrille::event::Effect for #name {
            type Outcome = #outcome;
        }
        const _: () = if !::quadrille::__private::is_outcome::<#outcome>() {
            ::core::panic!(#wrong)
        };
    }
}

/// Deadlines and requests of effects never leave the store, and have a key all the same: what they bring
/// about belongs to it.
fn timed(input: &DeriveInput, attributes: &Attributes, span: Span) -> Result<Visibility> {
    let Some(key) = &attributes.key else {
        return Err(Error::new(
            span,
            "a deadline or an effect needs `key = field`: the business key under which its outcome is handled",
        ));
    };
    require_field(input, key)?;
    Ok(Visibility {
        marker: quote!(::quadrille::event::Private),
        key: quote!(::core::option::Option::Some(::std::string::ToString::to_string(&self.#key))),
        schema: quote!(::core::option::Option::None),
    })
}

fn visibility(input: &DeriveInput, attributes: &Attributes) -> Result<Visibility> {
    let name = &input.ident;
    let effect = attributes.effect.as_ref().map(Spanned::span);
    if let Some(span) = attributes.deadline.or(effect) {
        return timed(input, attributes, span);
    }
    match (&attributes.key, attributes.private.or(attributes.outcome)) {
        (Some(key), Some(_)) => Err(Error::new(
            key.span(),
            "a private event has no key: it never leaves the store; remove `key` or `private`",
        )),
        (None, None) => Err(Error::new(
            name.span(),
            format!(
                "the public event `{name}` needs a key, which keeps one saga's events in order: add `key = field` to `#[event(…)]`, or `private` if it stays in the store"
            ),
        )),
        (Some(key), None) => {
            require_field(input, key)?;
            Ok(Visibility {
                marker: quote!(::quadrille::event::Public),
                key: quote!(::core::option::Option::Some(::std::string::ToString::to_string(&self.#key))),
                schema: quote!(::core::option::Option::Some(
                    ::quadrille::__private::schemars::schema_for!(#name)
                )),
            })
        }
        (None, Some(_)) => Ok(Visibility {
            marker: quote!(::quadrille::event::Private),
            key: quote!(::core::option::Option::None),
            schema: quote!(::core::option::Option::None),
        }),
    }
}

fn parse(input: &DeriveInput) -> Result<Attributes> {
    let mut found = Attributes::default();
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("event")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("type") {
                let value = meta.value()?.parse()?;
                once(&meta, &mut found.event_type, value)
            } else if meta.path.is_ident("key") {
                let value = meta.value()?.parse()?;
                once(&meta, &mut found.key, value)
            } else if meta.path.is_ident("source") {
                let value = meta.value()?.parse()?;
                once(&meta, &mut found.source, value)
            } else if meta.path.is_ident("private") {
                once(&meta, &mut found.private, meta.path.span())
            } else if meta.path.is_ident("deadline") {
                once(&meta, &mut found.deadline, meta.path.span())
            } else if meta.path.is_ident("outcome") {
                once(&meta, &mut found.outcome, meta.path.span())
            } else if meta.path.is_ident("effect") {
                let value = meta.value()?.parse()?;
                once(&meta, &mut found.effect, value)
            } else {
                Err(meta.error(KNOWN))
            }
        })?;
    }
    Ok(found)
}

fn once<T>(meta: &ParseNestedMeta<'_>, place: &mut Option<T>, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("said twice; say it once")),
    }
}

fn require_field(input: &DeriveInput, key: &Ident) -> Result<()> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.ident.span(),
            "an event with a key is a struct: one type name, one schema",
        ));
    };
    if data.fields.iter().any(|field| field.ident.as_ref() == Some(key)) {
        return Ok(());
    }
    Err(Error::new(key.span(), format!("`{}` has no field `{key}` to be its key", input.ident)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[track_caller]
    fn refused(input: DeriveInput, expected: &str) {
        match expand(input) {
            Ok(tokens) => panic!("no error: {tokens}"),
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
        }
    }

    #[test]
    fn needs_a_type_name() {
        refused(
            parse_quote!(
                struct A {}
            ),
            "an event needs a type name",
        );
        refused(
            parse_quote!(
                #[event(private)]
                struct A {}
            ),
            "an event needs a type name",
        );
        refused(
            parse_quote!(
                #[event(type = "", private)]
                struct A {}
            ),
            "is one word",
        );
        refused(
            parse_quote!(
                #[event(type = "A\nB", private)]
                struct A {}
            ),
            "is one word",
        );
    }

    #[test]
    fn a_public_event_needs_a_key() {
        refused(
            parse_quote!(
                #[event(type = "A")]
                struct A {
                    k: u8,
                }
            ),
            "`A` needs a key",
        );
        refused(
            parse_quote!(
                #[event(type = "A", key = other)]
                struct A {
                    k: u8,
                }
            ),
            "`A` has no field `other` to be its key",
        );
        refused(
            parse_quote!(
                #[event(type = "A", key = k)]
                enum A {
                    B,
                }
            ),
            "an event with a key is a struct",
        );
    }

    #[test]
    fn a_private_event_has_no_key() {
        refused(
            parse_quote!(
                #[event(type = "A", key = k, private)]
                struct A {
                    k: u8,
                }
            ),
            "a private event has no key",
        );
    }

    #[test]
    fn a_deadline_and_an_effect_have_a_key_and_are_not_both() {
        refused(
            parse_quote!(
                #[event(type = "A", deadline)]
                struct A {}
            ),
            "needs `key = field`",
        );
        refused(
            parse_quote!(
                #[event(type = "A", key = k, deadline, effect = Answered)]
                struct A {
                    k: u8,
                }
            ),
            "not both",
        );
        let effect = parse_quote!(
            #[event(type = "A", key = k, effect = Answered)]
            struct A {
                k: u8,
            }
        );
        let text = expand(effect).expect("an effect").to_string();
        assert!(text.contains("event :: Effect for A") && text.contains("Private"), "{text}");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        refused(
            parse_quote!(
                #[event(type = "A", topic = "x")]
                struct A {}
            ),
            "unknown: an event has",
        );
        refused(
            parse_quote!(
                #[event(type = "A", private)]
                struct A<T> {
                    t: T,
                }
            ),
            "an event type has no generic parameters",
        );
    }

    #[test]
    fn refuses_what_is_said_twice() {
        refused(
            parse_quote!(
                #[event(type = "A", type = "B", private)]
                struct A {}
            ),
            "said twice",
        );
        refused(
            parse_quote!(
                #[event(type = "A", key = a)]
                #[event(key = b)]
                struct A {
                    a: u8,
                    b: u8,
                }
            ),
            "said twice",
        );
    }

    #[test]
    fn takes_both_kinds() {
        let public = parse_quote!(
            #[event(type = "A", key = k, source = "s")]
            struct A {
                k: u8,
            }
        );
        let text = expand(public).expect("a public event").to_string();
        assert!(text.contains("event :: Public") && text.contains("Some (\"s\")"), "{text}");
        let private = parse_quote!(
            #[event(type = "a.b", private)]
            struct A {}
        );
        let text = expand(private).expect("a private event").to_string();
        assert!(text.contains("event :: Private") && !text.contains("schema_for"), "{text}");
    }
}
