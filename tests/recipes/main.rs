//! The recipes of `docs/recipes/`: each page's file is checked and run, and real clients find what
//! the page promises.
//!
//! Addresses are rewritten to free ports and to servers of the test, paths to files that it made.
//! A page that no test is for fails the run, and so does one that the README does not list.

#[path = "../common/mod.rs"]
mod common;

mod asker;
mod changes;
mod discovery;
mod dns;
mod guarded;
mod page;
mod secure;
mod streams;
mod web;
mod websocket;

use std::collections::BTreeSet;

use common::authority;

/// A test for each page, by the page's name.
macro_rules! recipes {
    ($($page:literal: $name:ident => $test:path;)*) => {
        $(
            #[test]
            fn $name() {
                $test(page::Trial::of($page));
            }
        )*

        /// The pages that have a test.
        const TESTED: &[&str] = &[$($page),*];
    };
}

recipes! {
    "web-site": a_web_site_is_served_by_https_alone => web::web_site;
    "several-sites": the_name_decides_about_certificate_and_servers => web::several_sites;
    "api-by-path": the_path_tells_the_api_from_the_site => web::api_by_path;
    "canary": a_share_of_clients_meets_the_canary_and_stays => changes::canary;
    "blue-green": a_change_of_one_name_moves_clients_without_an_error => changes::blue_green;
    "maintenance": visitors_get_the_page_and_those_excepted_the_site => changes::maintenance;
    "certbot": a_renewed_certificate_is_shown_without_a_break => changes::certbot;
    "database": the_replica_serves_while_the_primary_is_down => streams::database;
    "redis": connections_go_to_the_master_alone => streams::redis;
    "grpc": server_names_lead_to_servers_that_end_tls => streams::grpc;
    "dns": questions_are_answered_by_udp_and_tcp => dns::dns;
    "rate-limits": a_client_has_its_share_and_others_theirs => guarded::rate_limits;
    "admin-path": the_office_alone_comes_in_however_the_path_is_written => guarded::admin_path;
    "queue": who_finds_no_room_waits_for_it => guarded::queue;
    "service-discovery": servers_are_those_that_the_registry_knows => discovery::consul;
    "proxy-protocol": the_client_is_whom_the_header_names => guarded::proxy_protocol;
    "websocket": a_websocket_goes_where_its_cookie_says => websocket::websocket;
}

#[test]
fn every_page_is_tested_and_listed() {
    let pages: BTreeSet<String> = page::names().into_iter().collect();
    let tested: BTreeSet<String> = TESTED.iter().map(|name| name.to_string()).collect();
    assert_eq!(pages, tested);
    let readme = page::text_of("README");
    for name in &pages {
        assert!(readme.contains(&format!("| [{name}.md]({name}.md) |")), "{name} is listed");
    }
}

#[test]
fn pages_are_narrow() {
    for name in page::names().iter().map(String::as_str).chain(["README"]) {
        for (index, line) in page::text_of(name).lines().enumerate() {
            assert!(line.chars().count() <= 130, "{name}.md:{}: over 130 columns", index + 1);
        }
    }
}
