//! `#[handler]`.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, GenericArgument, ImplItem, ItemImpl, PathArguments, Result, Type, parse_quote};

pub(crate) fn expand(mut item: ItemImpl) -> Result<TokenStream> {
    let (trait_name, event) = which(&item)?;
    for entry in &item.items {
        if let ImplItem::Type(alias) = entry
            && let Type::Tuple(tuple) = &alias.ty
        {
            each_once(tuple.elems.iter(), &alias.ident.to_string())?;
        }
    }
    item.items.push(parse_quote! {
        #[doc(hidden)]
        const THE_HANDLER_ATTRIBUTE_IS_MISSING_ABOVE_THIS_IMPL: () = ();
    });
    let service = &item.self_ty;
    // A compensation is listed by its step: `Steps` demands the `Undo`, so nothing is left to check there
    // but that the step exists, which `Choreography`'s checks do.
    let check = if trait_name == "EventHandler" {
        quote! {
            const _: () = ::quadrille::__private::assert_handled::<#service, #event, _>();
        }
    } else {
        quote! {
            const _: () = ::quadrille::__private::assert_undoable::<#service, #event, _>();
        }
    };
    Ok(quote! { #item #check })
}

fn which(item: &ItemImpl) -> Result<(String, Type)> {
    let usage = "`#[handler]` goes above `impl EventHandler<Event> for Service` or `impl Undo<Event> for Service`";
    let Some((_, path, _)) = &item.trait_ else {
        return Err(Error::new_spanned(&item.self_ty, usage));
    };
    let Some(last) = path.segments.last() else { return Err(Error::new_spanned(path, usage)) };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return Err(Error::new_spanned(path, usage));
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(event))
            if last.ident == "EventHandler" || last.ident == "Undo" =>
        {
            Ok((last.ident.to_string(), event.clone()))
        }
        _ => Err(Error::new_spanned(path, usage)),
    }
}

fn each_once<'a>(types: impl Iterator<Item = &'a Type>, list: &str) -> Result<()> {
    let mut seen = HashSet::new();
    for ty in types {
        let text = ty.to_token_stream().to_string();
        if !seen.insert(text.clone()) {
            return Err(Error::new_spanned(
                ty,
                format!("`{text}` is declared twice in `type {list}`; list it once"),
            ));
        }
    }
    Ok(())
}
