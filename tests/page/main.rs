//! The web page of an inbox: its pages and actions over HTTP, hostile deliveries, and in a browser.

mod actions;
mod browser;
mod guards;
mod hostile;
mod pages;
mod support;
