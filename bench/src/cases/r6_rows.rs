//! R6: what an event costs when the table is large.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};

use super::r1_append::{Ground, Toolkit};
use crate::{case::Case, context::Context, duel::Duel, figure::Target, stage::LANES};

pub(crate) const CASE: Case = Case {
    name: "r6.rows",
    what: "cost of an appended event at 10⁶ rows ÷ at 10⁵",
    run: |context| Box::pin(run(context)),
};

const BATCH: usize = 100;

/// Rows like those of the story, in lanes and in streams of their own.
const FILL: &str = "
INSERT INTO events (version, time, lane_seq, lane, id, saga, stream, event_type, causation, key, payload)
SELECT 1, 1700000000000000 + n, n / $2 + 1, n % $2, gen_random_uuid(), gen_random_uuid(), 'old/o-' || n, 'BILLED_ORDER',
       gen_random_uuid()::text, 'o-' || n, decode(repeat('7b', 180), 'hex')
  FROM generate_series(0, $1 - 1) n";

async fn run(context: &Context) -> Result<()> {
    let (small, large) = context.size((1_000, 10_000), (100_000, 1_000_000));
    let (few, many) = (filled(context, small).await?, filled(context, large).await?);
    let (mut at_many, mut at_few) = (Toolkit::new(&many), Toolkit::new(&few));
    let time = context.turn();
    let duel = Duel::fight(
        context.rounds(),
        async |_| at_many.appends(context, BATCH, time).await,
        async |_| at_few.appends(context, BATCH, time).await,
    )
    .await?;
    drop((at_many, at_few));
    few.remove(context).await?;
    many.remove(context).await?;
    let what = format!("cost of an event at {large} rows ÷ at {small}");
    context.figure(duel.cost("r6.rows", &what, Target::AtMost(1.1))?);
    Ok(())
}

async fn filled(context: &Context, rows: i64) -> Result<Ground> {
    context.say(format_args!("filling a table with {rows} rows"));
    let ground = Ground::new(context).await?;
    let mut connection = PgConnection::connect(&ground.database.url).await?;
    sqlx::query(FILL).bind(rows).bind(i64::from(LANES)).execute(&mut connection).await?;
    sqlx::query(
        "UPDATE lanes SET head = (SELECT max(e.lane_seq) FROM events e WHERE e.lane = lanes.lane)",
    )
    .execute(&mut connection)
    .await?;
    sqlx::query("VACUUM ANALYZE events").execute(&mut connection).await?;
    sqlx::query("CHECKPOINT").execute(&mut connection).await?;
    Ok(ground)
}
