#![allow(unused)]
#[path = "parts/mod.rs"]
mod parts;
use parts::*;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Stock {
    reserved: u64,
}

impl Aggregate for Stock {
    const NAME: &'static str = "stock";
    type Id = str;
    type Events = (Captured,);
}

#[derive(Clone)]
struct Reserve;

impl Command for Reserve {
    type Aggregate = Stock;
    type Emits = (Captured,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        facts.record(Captured { amount: 1 });
        Ok(())
    }
}

fn main() {}
