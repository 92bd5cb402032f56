//! R6: what an append that sets and clears deadlines costs when many others are pending.

use anyhow::Result;
use quadrille::{
    id::{AgendaId, EventId},
    runtime::{Runtime, Timestamp},
    store::{AgendaChange, AgendaItem, AgendaKind, AgendaState, Append, NewEvent},
};
use sqlx::{Connection as _, PgConnection};

use super::r1_append::{Ground, Toolkit};
use crate::{case::Case, context::Context, duel::Duel, figure::Target};

pub(crate) const CASE: Case = Case {
    name: "r6.deadlines",
    what: "cost of an append with deadlines while 10⁵ are pending ÷ while none is",
    run: |context| Box::pin(run(context)),
};

const BATCH: usize = 100;
const NAME: &str = "order.time_is_up";
/// An hour, in microseconds.
const HOUR: i64 = 3_600_000_000;

/// Deadlines as the story sets them, due over the next hour and a half.
const FILL: &str = "
INSERT INTO agenda (set_at, due, attempts, id, token, saga, begun, kind, state, name, key, causation, reason, payload)
SELECT $2, $2 + 1800000000 + n * 36000, 0, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), false, 'deadline',
       'pending', $3, 'old-' || n, gen_random_uuid()::text, '', decode(repeat('7b', 24), 'hex')
  FROM generate_series(0, $1 - 1) n";

async fn run(context: &Context) -> Result<()> {
    let pending = context.size(10_000, 100_000);
    let (none, many) = (filled(context, 0).await?, filled(context, pending).await?);
    let mut at_many = Toolkit::new(&many).and(deadlines());
    let mut at_none = Toolkit::new(&none).and(deadlines());
    let time = context.turn();
    let duel = Duel::fight(
        context.rounds(),
        async |_| at_many.appends(context, BATCH, time).await,
        async |_| at_none.appends(context, BATCH, time).await,
    )
    .await?;
    drop((at_many, at_none));
    none.remove(context).await?;
    many.remove(context).await?;
    let what = format!("cost of an event with {pending} pending deadlines ÷ with none");
    context.figure(duel.cost("r6.deadlines", &what, Target::AtMost(1.1))?);
    Ok(())
}

async fn filled(context: &Context, pending: i64) -> Result<Ground> {
    context.say(format_args!("setting {pending} deadlines"));
    let ground = Ground::new(context).await?;
    let now = Runtime::tokio().clock.now();
    let mut connection = PgConnection::connect(&ground.database.url).await?;
    sqlx::query(FILL).bind(pending).bind(now.0).bind(NAME).execute(&mut connection).await?;
    sqlx::query("VACUUM ANALYZE agenda").execute(&mut connection).await?;
    sqlx::query("CHECKPOINT").execute(&mut connection).await?;
    Ok(ground)
}

/// Sets a deadline for each event, and clears those of the append before.
fn deadlines() -> impl FnMut(&mut Append) + Send {
    let mut before: Vec<AgendaId> = vec![];
    move |append| {
        let at = append.at;
        let set: Vec<AgendaItem> = append.events.iter().map(|event| deadline(event, at)).collect();
        let ids = set.iter().map(|item| item.id).collect();
        let cleared = std::mem::replace(&mut before, ids);
        append.agenda = cleared.into_iter().map(AgendaChange::Clear).collect();
        append.agenda.extend(set.into_iter().map(|item| AgendaChange::Put(Box::new(item))));
    }
}

fn deadline(event: &NewEvent, at: Timestamp) -> AgendaItem {
    let EventId(id) = event.id;
    AgendaItem {
        id: AgendaId(id),
        kind: AgendaKind::Deadline,
        name: NAME.into(),
        key: event.route.as_ref().map_or_else(|| "".into(), |route| route.key.clone()),
        saga: event.saga,
        causation: event.causation.clone(),
        trace: None,
        payload: bytes::Bytes::from_static(br#"{"order":"o-0000000000"}"#),
        set_at: at,
        due: Timestamp(at.0 + HOUR),
        state: AgendaState::Pending,
        attempts: 0,
        begun: false,
        outcome: None,
        reason: String::new(),
        token: id,
    }
}
