//! The section `unauthenticated`.

use super::Problems;
use crate::config::names::{is_authority, is_request_target};
use crate::config::raw::RawSignIn;
use crate::credential::{Credentials, Kind};
use crate::request::{Field, RequestHead};
use crate::routes::{Auth, RouteTable};
use crate::sign_in::SignIn;

/// The page to sign in.
pub fn sign_in(raw: Option<RawSignIn>, problems: &mut Problems) -> Option<SignIn> {
    let RawSignIn { location, return_to_param } = raw?;
    let rest = location.strip_prefix("https://").or(location.strip_prefix("http://"));
    let (authority, path) = rest.map_or((None, location.as_str()), |rest| {
        let at = rest.find('/').unwrap_or(rest.len());
        (rest.get(..at), rest.get(at..).filter(|path| !path.is_empty()).unwrap_or("/"))
    });
    if !is_request_target(path) || path.starts_with("//") || !authority.is_none_or(is_authority) {
        let text = format!(
            "{location:?} is neither a path, as in \"/signin\", nor a URL, as in \"https://app.example.com/signin\""
        );
        problems.add("unauthenticated.sign_in.location", text);
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    if return_to_param.is_empty() || !return_to_param.bytes().all(is_plain) {
        let text = format!("{return_to_param:?} is not the name of a query parameter, as in \"return_to\"");
        problems.add("unauthenticated.sign_in.return_to_param", text);
    }
    Some(SignIn { location, return_to_param })
}

/// What is probably not meant: a page to sign in that cannot be seen without having signed in, or not with a token in
/// a cookie that has expired.
pub fn warning(sign_in: &SignIn, routes: &RouteTable, credentials: &Credentials) -> Option<String> {
    let fields: Vec<Field> = [(":method", "GET"), (":path", sign_in.location.as_str())]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .to_vec();
    let is_here = sign_in.location.starts_with('/');
    let head = RequestHead::new(&fields).ok().filter(|_| is_here)?;
    let problem = match routes.find(&head).auth {
        Auth::Required => "needs a session itself",
        Auth::Optional if credentials.order.contains(&Kind::TokenCookie) => "turns an expired token_cookie away itself",
        Auth::Optional | Auth::Off => return None,
    };
    let location = &sign_in.location;
    Some(format!("unauthenticated.sign_in.location: {location:?} {problem}; give it a route with auth \"off\""))
}
