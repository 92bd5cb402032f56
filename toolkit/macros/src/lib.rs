//! Derive and attribute macros of the quadrille toolkit. Use them through `quadrille`.

mod commands;
mod domain_event;
mod handler;

use proc_macro::TokenStream;

/// Makes a struct a domain event.
///
/// `#[event(type = "ORDER_CREATED", key = order, source = "order")]` for a public one, whose key is the
/// field `order` as text; `#[event(type = "account.captured", private)]` for a private one. A public
/// event also derives `schemars::JsonSchema`. `source` names the service that states it, so that its
/// consumers know the topic.
#[proc_macro_derive(DomainEvent, attributes(event))]
pub fn domain_event(input: TokenStream) -> TokenStream {
    domain_event::expand(syn::parse_macro_input!(input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Goes above `impl EventHandler<E> for S` and `impl Undo<E> for S`: checks that the service lists the
/// event, and that no event is declared twice.
#[proc_macro_attribute]
pub fn handler(_: TokenStream, input: TokenStream) -> TokenStream {
    handler::expand(syn::parse_macro_input!(input))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
