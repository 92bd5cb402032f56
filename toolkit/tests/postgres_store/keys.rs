//! Keys of commands over two instances on one server.

use super::place::Database;
use quadrille::testing::store_conformance::StorePlace as _;

#[path = "../keys/twins.rs"]
mod twins;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p17_two_clients_with_one_key_place_one_order_on_a_server() {
    let database = Database::fresh().await;
    let stores = [database.open().await, database.open().await];
    twins::two_clients_with_one_key_place_one_order(stores).await;
}
