//! Whether a service lists a command twice. `quadrille::list::slots` says how it is found.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote_spanned};
use syn::{Type, spanned::Spanned};

/// The places of a list of commands, as `CommandSlots` names them.
const PLACES: [&str; 12] = [
    "First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth",
    "Eleventh", "Twelfth",
];

/// Compares all pairs, at the handler of the first event that the service handles: one error, not one a
/// handler.
pub(crate) fn each_once(service: &Type, event: &Type) -> TokenStream {
    let span = service.span();
    let slots = quote_spanned! {span=>
        <#service as ::quadrille::Service>::Commands as ::quadrille::__private::CommandSlots
    };
    let pairs = PLACES
        .iter()
        .enumerate()
        .flat_map(|(at, one)| PLACES[at + 1..].iter().map(move |other| (*one, *other)));
    let checks = pairs.map(|(one, other)| {
        let message = format!(
            "the {} and the {} command in `type Commands` of `{}` are the same; list it once",
            one.to_lowercase(),
            other.to_lowercase(),
            service.to_token_stream()
        );
        let (one, other) = (format_ident!("{one}"), format_ident!("{other}"));
        quote_spanned! {span=>
            if ::quadrille::__private::Pair::<<#slots>::#one, <#slots>::#other>::SAME {
                ::core::panic!(#message)
            }
        }
    });
    quote_spanned! {span=>
        const _: () = if ::quadrille::__private::handled_first::<#service, #event>() {
            #[allow(unused_imports)]
            use ::quadrille::__private::Differs as _;
            #(#checks)*
        };
    }
}
