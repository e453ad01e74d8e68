//! Other people's clients and servers around the real binary.

#[path = "../common/mod.rs"]
mod common;

mod build_script;
mod chromium;
mod dashboard;
mod dnsmasq;
mod haproxy_certificates;
mod haproxy_clients;
mod haproxy_ours;
mod haproxy_rules;
mod haproxy_tools;
mod http_suites;
mod http_tools;
mod image;
mod prometheus;
mod proxy_fronts;
mod proxy_peers;
mod real_servers;
mod service;
mod shells;
