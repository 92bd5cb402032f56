//! `#[handler]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Error, GenericArgument, ImplItem, ItemImpl, PathArguments, Result, Type, parse_quote,
    punctuated::Punctuated, spanned::Spanned,
};

use crate::commands;

const USAGE: &str = "`#[handler]` goes above `impl EventHandler<Event> for Service` or `impl Undo<Event> for Service`";

pub(crate) fn expand(mut item: ItemImpl) -> Result<TokenStream> {
    let (kind, event) = which(&item)?;
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "a handler's impl has no generic parameters: the graph knows every service and event by name",
        ));
    }
    let repeated = strike_repeated(&mut item);
    item.items.push(parse_quote! {
        #[doc(hidden)]
        const THE_HANDLER_ATTRIBUTE_IS_MISSING_ABOVE_THIS_IMPL: () = ();
    });
    let checks = match kind {
        Kind::Handler => handler_checks(&item, &event),
        Kind::Undo => undo_checks(&item, &event),
    };
    Ok(quote! { #item #checks #repeated })
}

enum Kind {
    Handler,
    Undo,
}

fn which(item: &ItemImpl) -> Result<(Kind, Type)> {
    let Some((_, path, _)) = &item.trait_ else {
        return Err(Error::new_spanned(&item.self_ty, USAGE));
    };
    let usage = || Error::new_spanned(path, USAGE);
    let last = path.segments.last().ok_or_else(usage)?;
    let kind = match last.ident.to_string().as_str() {
        "EventHandler" => Kind::Handler,
        "Undo" => Kind::Undo,
        _ => return Err(usage()),
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Err(usage()) };
    match arguments.args.first() {
        Some(GenericArgument::Type(event)) => Ok((kind, event.clone())),
        _ => Err(usage()),
    }
}

fn handler_checks(item: &ItemImpl, event: &Type) -> TokenStream {
    let service = &item.self_ty;
    let (event_text, service_text) = (text(event), text(service));
    let unlisted = format!(
        "this handler would never run: add `{event_text}` to `type Handles` of `{service_text}`"
    );
    let twice = format!(
        "`{event_text}` is listed twice in `type Handles` of `{service_text}`; list it once"
    );
    let private = format!(
        "this handler would never run: `{event_text}` is private and stays in its store; make it public with `key = field`"
    );
    let checks = quote_spanned! {event.span()=>
        const _: () = match ::quadrille::__private::handled::<#service, #event>() {
            0 => ::core::panic!(#unlisted),
            1 if !::quadrille::__private::reaches_handlers::<#event>() => ::core::panic!(#private),
            1 => {}
            _ => ::core::panic!(#twice),
        };
    };
    let commands = commands::each_once(service, event);
    let once = emits(item).map(|span| {
        quote_spanned! {span=>
            const _: () = ::quadrille::__private::assert_handler_lists::<#service, #event>();
        }
    });
    quote! { #checks #commands #once }
}

fn undo_checks(item: &ItemImpl, event: &Type) -> TokenStream {
    let service = &item.self_ty;
    let unlisted = format!(
        "this compensation would never run: add `Compensatable<{}>` to `type Steps` of `{}`",
        text(event),
        text(service)
    );
    let listed = quote_spanned! {event.span()=>
        const _: () = if !::quadrille::__private::undoable::<#service, #event>() {
            ::core::panic!(#unlisted)
        };
    };
    let once = emits(item).map(|span| {
        quote_spanned! {span=>
            const _: () = ::quadrille::__private::assert_undo_lists::<#service, #event>();
        }
    });
    quote! { #listed #once }
}

/// Where the list in `type Emits = …` is.
fn emits(item: &ItemImpl) -> Option<Span> {
    item.items.iter().find_map(|entry| match entry {
        ImplItem::Type(alias) if alias.ident == "Emits" => Some(alias.ty.span()),
        _ => None,
    })
}

/// Takes what a tuple repeats out of it, so that the one error about it brings no others along.
fn strike_repeated(item: &mut ItemImpl) -> TokenStream {
    let mut errors = TokenStream::new();
    for entry in &mut item.items {
        let ImplItem::Type(alias) = entry else { continue };
        let Type::Tuple(tuple) = &mut alias.ty else { continue };
        let mut kept: Punctuated<Type, syn::Token![,]> = Punctuated::new();
        for ty in &tuple.elems {
            if kept.iter().any(|k| text(k) == text(ty)) {
                let message = format!(
                    "`{}` is listed twice in `type {}`; list it once",
                    text(ty),
                    alias.ident
                );
                errors.extend(Error::new_spanned(ty, message).into_compile_error());
            } else {
                kept.push(ty.clone());
                kept.push_punct(<syn::Token![,]>::default());
            }
        }
        tuple.elems = kept;
    }
    errors
}

/// A type as its author wrote it, as nearly as tokens allow.
fn text(ty: &Type) -> String {
    ty.to_token_stream().to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(item: ItemImpl) -> String {
        match expand(item) {
            Ok(tokens) => panic!("no error: {tokens}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn says_where_it_belongs() {
        assert_eq!(error(parse_quote!(impl Payment {})), USAGE);
        assert_eq!(error(parse_quote!(impl Clone for Payment {})), USAGE);
        assert_eq!(error(parse_quote!(impl Undo for Payment {})), USAGE);
        assert_eq!(error(parse_quote!(impl EventHandler<'a> for Payment {})), USAGE);
    }

    #[test]
    fn refuses_generic_impls() {
        let error = error(parse_quote!(
            impl<E> EventHandler<E> for Payment {}
        ));
        assert!(error.contains("no generic parameters"), "{error}");
    }

    #[test]
    fn takes_a_trait_by_its_path() {
        let item = parse_quote!(impl quadrille::Undo<BilledOrder> for Payment {});
        assert!(expand(item).is_ok());
    }

    #[test]
    fn a_repeated_type_is_reported_once_and_struck() {
        let mut item: ItemImpl = parse_quote! {
            impl EventHandler<OrderCreated> for Payment { type Emits = (A, B, A, a::B,); }
        };
        let errors = strike_repeated(&mut item).to_string();
        assert_eq!(errors.matches("compile_error").count(), 1);
        assert!(errors.contains("`A` is listed twice in `type Emits`; list it once"), "{errors}");
        let ImplItem::Type(alias) = &item.items[0] else { panic!("the alias is gone") };
        assert_eq!(text(&alias.ty), "(A,B,a::B,)");
    }
}
