//! Takes progenitor's functions out of what it writes.

use quote::ToTokens;
use syn::{File, ImplItem, Item, Pat, Stmt, parse_quote};

use super::error::{SpecError, fail};

/// Returns progenitor's file without its types, which are this crate's, and with its functions cut to the part that
/// builds the request.
pub fn functions(mut file: File) -> Result<File, SpecError> {
    // Constants are assertions about its hooks.
    file.items.retain(|item| !matches!(item, Item::Mod(_) | Item::Const(_)));
    for item in &mut file.items {
        let Item::Impl(block) = item else { continue };
        if block.trait_.is_none() {
            // `Client::new` creates another HTTP client, and panics if that fails.
            block.items.retain(|item| !matches!(item, ImplItem::Fn(function) if function.sig.ident == "new"));
            block.items.iter_mut().try_for_each(cut)?;
        }
    }
    Ok(file)
}

/// Ends a function of progenitor's after the request is built.
fn cut(item: &mut ImplItem) -> Result<(), SpecError> {
    let ImplItem::Fn(function) = item else { return Ok(()) };
    if function.sig.asyncness.take().is_none() {
        return Ok(());
    }
    let built = |statement: &Stmt| match statement {
        Stmt::Local(local) => match (&local.pat, &local.init) {
            (Pat::Ident(name), Some(init)) if init.expr.to_token_stream().to_string().ends_with(". build () ?") => {
                Some(name.ident.clone())
            }
            _ => None,
        },
        _ => None,
    };
    let statements = &mut function.block.stmts;
    let found = statements.iter().enumerate().find_map(|(index, statement)| Some((index, built(statement)?)));
    let Some((end, request)) = found else {
        let name = &function.sig.ident;
        return fail("", format!("progenitor wrote `{name}` in another form: no request is built in it"));
    };
    statements.truncate(end + 1);
    statements.push(Stmt::Expr(parse_quote!(Ok(#request)), None));
    function.sig.output = parse_quote!(-> Result<::reqwest::Request, Error<()>>);
    Ok(())
}

pub fn render(file: &File) -> String {
    prettyplease::unparse(file)
}
