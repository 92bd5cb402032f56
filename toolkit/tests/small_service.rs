//! A small service that uses every part of the typed API compiles, and its graph says what it does.

#[allow(unreachable_pub, reason = "the compile-fail cases share it")]
#[path = "../compile-fail/tests/ui/parts/mod.rs"]
mod parts;

use parts::*;
use quadrille::{choreography::ServiceDescription, handler::Role};

#[derive(Clone, Serialize, Deserialize, JsonSchema, DomainEvent)]
#[event(type = "PAYMENT_REFUNDED", key = order, source = "payment")]
struct PaymentRefunded {
    order: String,
}

/// A command that cannot be refused.
#[derive(Clone)]
struct Open;

impl Command for Open {
    type Aggregate = Account;
    type Emits = (Captured,);
    type Refusal = NoRefusal;
    fn decide(self, facts: &mut Facts<'_, Self>) -> Result<(), NoRefusal> {
        if facts.captured == 0 {
            facts.record(Captured { amount: 0 });
        }
        Ok(())
    }
}

struct Payment;

impl Service for Payment {
    const NAME: &'static str = "payment";
    type Commands = (Open, Capture);
    type Handles = (OrderCreated,);
    type Steps = (Compensatable<BilledOrder>,);
}

#[handler]
impl EventHandler<OrderCreated> for Payment {
    type Emits = (BilledOrder, PaymentDeclined);
    async fn handle(
        &self,
        created: &Incoming<OrderCreated>,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        let order = &created.order;
        // Nobody can refuse it, so nobody has to look.
        turn.execute("42", Open).await?;
        let balance = turn.load::<Account>("42").await?.captured;
        if balance > 1_000 {
            turn.record(PaymentDeclined { order: order.clone() });
            return Ok(());
        }
        match turn.execute("42", Capture { order: order.clone() }).await? {
            Ok(()) => {}
            Err(NotEnoughFunds) => turn.record(PaymentDeclined { order: order.clone() }),
        }
        let both =
            [("1", Capture { order: order.clone() }), ("2", Capture { order: order.clone() })];
        if let Err((index, NotEnoughFunds)) = turn.execute_all(both).await? {
            return Err(format!("the command {index} refused")).terminal();
        }
        Ok(())
    }
}

#[handler]
impl Undo<BilledOrder> for Payment {
    type Because = (PaymentDeclined,);
    type Emits = (PaymentRefunded,);
    async fn undo(
        &self,
        done: &BilledOrder,
        _: &Cause,
        turn: &mut Turn<'_, Self::Emits>,
    ) -> Result<(), HandlerError> {
        turn.record(PaymentRefunded { order: done.order.clone() });
        Ok(())
    }
}

/// An instance runs handlers on any thread of a pool.
fn is_send<T: Send>(_: T) {}

#[test]
fn a_small_service_describes_itself() {
    let payment = ServiceDescription::of::<Payment>();
    assert_eq!(payment.name, "payment");
    assert_eq!((payment.commands[0].name, payment.commands[0].aggregate), ("Open", "account"));
    let handler = &payment.handlers[0];
    assert_eq!((handler.consumes.event_type, handler.role), ("ORDER_CREATED", Role::Action));
    assert_eq!(format!("{:?}", handler.emits), "[BILLED_ORDER, PAYMENT_DECLINED]");
    assert_eq!(payment.undos[0].step.event_type, "BILLED_ORDER");
    is_send(payment);
}
