//! When things go wrong, and when time passes: the four services with a real payment gateway, over real
//! HTTP, that is slow, fails and loses its answers; with customers who change their minds, orders whose
//! time runs out, and a payment service that is killed in the middle.

mod anomalies;
mod crash;
mod expiry;
mod instance;
mod shop;
mod thousand;
mod upstream;
