//! The statistics as HAProxy has them over HTTP, for tools that paste `;csv` to an address.

use crate::config::Needs;
use crate::http::Method;

use super::super::access::basic;
use super::super::answer::Answer;
use super::super::haproxy::{acting, info};
use super::super::problem::{Kind, Problem};
use super::super::request::Request;
use super::super::view::View;

/// The answer, if one of these is asked for: `/;csv`, `/haproxy?stats;csv`, `/stats`.
pub fn answer(request: &Request, view: &View<'_>) -> Option<Result<Answer, Problem>> {
    let query = request.query.iter().map(|(name, value)| format!("{name}={value}"));
    let asked = format!("{}?{}", request.path, query.collect::<Vec<_>>().join("&"));
    if !matches!(request.method, Method::Get | Method::Head)
        || !basic::is_statistics(request.path.as_bytes())
    {
        return None;
    }
    if !request.who.role.may(Needs::Read) {
        let detail = format!("{} may not: it takes {}", request.who.name, Needs::Read);
        return Some(Err(Problem::new(Kind::FORBIDDEN, detail)));
    }
    if let Some((media, pieces)) = acting::web(&asked, view) {
        return Some(Ok(Answer::pieces(media, pieces)));
    }
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>Statistics Report for HAProxy</title></head>\n\
         <body>\n<h1>HAProxy version {}, by pointsman</h1>\n\
         <p><b>pid = </b> {}<br>\n<b>uptime = </b> {}</p>\n\
         <p>The numbers: add <code>;csv</code> or <code>;json</code> to the address.</p>\n\
         </body></html>\n",
        info::VERSION,
        std::process::id(),
        info::uptime(view)
    );
    Some(Ok(Answer::whole(200, "text/html; charset=utf-8", page.into_bytes())))
}
