//! Charges and refunds as the gateway's requests and answers.

use quadrille::{
    effect::{Asked, Call, EffectError, EffectPolicy},
    prelude::Performer,
};
use schemas::{DeclineReason, Money};
use serde::Deserialize;
use serde_json::json;

use super::Gateway;
use crate::charging::{
    AccountCharged, AccountRefunded, ChargeAccount, ChargeAnswer, RefundAccount,
};

const CHARGES: &str = "/charges";
const REFUNDS: &str = "/refunds";

impl Performer<ChargeAccount> for Gateway {
    fn policy(&self) -> EffectPolicy {
        self.policy.clone()
    }

    async fn perform(
        &self,
        charge: &ChargeAccount,
        call: &Call,
    ) -> Result<AccountCharged, EffectError> {
        let ChargeAccount { order, account, amount, .. } = charge;
        let body = json!({ "account": account, "amount": amount, "reference": order });
        let answer = self.line.post(CHARGES, call, body.to_string().into_bytes()).await?;
        charged(charge, answer, call)
    }

    /// A charge that the gateway does not know may still be on its way: that is no proof that it was not
    /// sent.
    async fn ask(
        &self,
        charge: &ChargeAccount,
        call: &Call,
    ) -> Result<Asked<AccountCharged>, EffectError> {
        match self.line.get(CHARGES, call).await? {
            Some(answer) => charged(charge, answer, call).map(Asked::Done),
            None => Ok(Asked::CannotTell),
        }
    }
}

impl Performer<RefundAccount> for Gateway {
    fn policy(&self) -> EffectPolicy {
        self.policy.clone()
    }

    async fn perform(
        &self,
        refund: &RefundAccount,
        call: &Call,
    ) -> Result<AccountRefunded, EffectError> {
        let body = json!({ "charge": refund.charge, "amount": refund.amount });
        let answer = self.line.post(REFUNDS, call, body.to_string().into_bytes()).await?;
        refunded(refund, answer)
    }

    async fn ask(
        &self,
        refund: &RefundAccount,
        call: &Call,
    ) -> Result<Asked<AccountRefunded>, EffectError> {
        match self.line.get(REFUNDS, call).await? {
            Some(answer) => refunded(refund, answer).map(Asked::Done),
            None => Ok(Asked::CannotTell),
        }
    }
}

/// For effects that were requested while there was a gateway: they wait until there is one again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoGateway;

const NO_GATEWAY: &str = "no payment gateway is configured";

impl Performer<ChargeAccount> for NoGateway {
    async fn perform(&self, _: &ChargeAccount, _: &Call) -> Result<AccountCharged, EffectError> {
        Err(EffectError::not_sent(NO_GATEWAY))
    }

    async fn ask(&self, _: &ChargeAccount, _: &Call) -> Result<Asked<AccountCharged>, EffectError> {
        Err(EffectError::not_sent(NO_GATEWAY))
    }
}

impl Performer<RefundAccount> for NoGateway {
    async fn perform(&self, _: &RefundAccount, _: &Call) -> Result<AccountRefunded, EffectError> {
        Err(EffectError::not_sent(NO_GATEWAY))
    }

    async fn ask(
        &self,
        _: &RefundAccount,
        _: &Call,
    ) -> Result<Asked<AccountRefunded>, EffectError> {
        Err(EffectError::not_sent(NO_GATEWAY))
    }
}

/// The gateway's own words.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum ChargeStatus {
    Approved,
    Declined { reason: Reason },
    Voided,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    UnknownAccount,
    OtherCurrency,
    NotEnoughFunds { missing: u64 },
    AccountFull,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum RefundStatus {
    Refunded,
    Refused { reason: String },
}

fn charged(
    asked: &ChargeAccount,
    status: ChargeStatus,
    call: &Call,
) -> Result<AccountCharged, EffectError> {
    let answer = match status {
        ChargeStatus::Approved => ChargeAnswer::Approved { charge: call.key.to_string() },
        ChargeStatus::Declined { reason } => ChargeAnswer::Declined { why: why(reason, asked)? },
        ChargeStatus::Voided => ChargeAnswer::Declined { why: DeclineReason::Voided },
    };
    Ok(AccountCharged { asked: asked.clone(), answer })
}

fn why(reason: Reason, asked: &ChargeAccount) -> Result<DeclineReason, EffectError> {
    Ok(match reason {
        Reason::UnknownAccount => DeclineReason::UnknownAccount,
        Reason::OtherCurrency => DeclineReason::OtherCurrency,
        Reason::AccountFull => DeclineReason::AccountFull,
        Reason::NotEnoughFunds { missing } => {
            let missing = Money::new(missing, asked.amount.currency());
            DeclineReason::NotEnoughFunds { missing: missing.map_err(EffectError::unknown)? }
        }
    })
}

/// Only a person can say what has become of money that the gateway says it never took.
fn refunded(asked: &RefundAccount, status: RefundStatus) -> Result<AccountRefunded, EffectError> {
    match status {
        RefundStatus::Refunded => Ok(AccountRefunded { asked: asked.clone() }),
        RefundStatus::Refused { reason } => {
            Err(EffectError::hopeless(format!("the gateway refuses the refund: {reason}")))
        }
    }
}
