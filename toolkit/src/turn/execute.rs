//! The futures of a turn. Each asks for the streams that it lacks and is pending until they are there.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use crate::{
    aggregate::{Aggregate, AggregateType, AnyState, Command, Facts, Recorded, stream_of},
    error::HandlerError,
    id::{InvalidId, StreamId},
    turn::{TurnCell, TurnState},
};

/// The future of [`Turn::execute`](crate::Turn::execute).
#[derive(Debug)]
#[must_use = "a command does nothing until it is awaited"]
pub struct Execute<'t, C: Command> {
    cell: &'t TurnCell,
    stream: Result<StreamId, InvalidId>,
    command: Option<C>,
}

// Nothing in it is pinned in place.
impl<C: Command> Unpin for Execute<'_, C> {}

impl<'t, C: Command> Execute<'t, C> {
    pub(crate) fn new(
        cell: &'t TurnCell,
        id: &<C::Aggregate as Aggregate>::Id,
        command: C,
    ) -> Self {
        Self { cell, stream: stream_of::<C::Aggregate>(id), command: Some(command) }
    }
}

impl<C: Command> Future for Execute<'_, C> {
    type Output = Result<Result<(), C::Refusal>, HandlerError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let stream = match &self.stream {
            Ok(stream) => stream.clone(),
            Err(error) => return Poll::Ready(Err(HandlerError::terminal(error.clone()))),
        };
        let mut turn = self.cell.lock();
        if turn.find(&stream).is_none() {
            turn.want(&stream, AggregateType::of::<C::Aggregate>());
            return Poll::Pending;
        }
        drop(turn);
        let Some(command) = self.command.take() else {
            return Poll::Ready(Err(HandlerError::bug(
                "a command was polled after it had been decided",
            )));
        };
        Poll::Ready(decide(&mut self.cell.lock(), &stream, command))
    }
}

/// The future of [`Turn::execute_all`](crate::Turn::execute_all).
#[derive(Debug)]
#[must_use = "commands do nothing until they are awaited"]
pub struct ExecuteAll<'t, C: Command> {
    cell: &'t TurnCell,
    commands: Vec<(Result<StreamId, InvalidId>, C)>,
}

impl<C: Command> Unpin for ExecuteAll<'_, C> {}

impl<'t, C: Command> ExecuteAll<'t, C> {
    pub(crate) fn new<'i>(
        cell: &'t TurnCell,
        commands: impl IntoIterator<Item = (&'i <C::Aggregate as Aggregate>::Id, C)>,
    ) -> Self
    where
        <C::Aggregate as Aggregate>::Id: 'i,
    {
        let commands =
            commands.into_iter().map(|(id, c)| (stream_of::<C::Aggregate>(id), c)).collect();
        Self { cell, commands }
    }
}

impl<C: Command> Future for ExecuteAll<'_, C> {
    type Output = Result<Result<(), (usize, C::Refusal)>, HandlerError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut missing = false;
        for (stream, _) in &self.commands {
            match stream {
                Err(error) => return Poll::Ready(Err(HandlerError::terminal(error.clone()))),
                Ok(stream) => {
                    let mut turn = self.cell.lock();
                    if turn.find(stream).is_none() {
                        turn.want(stream, AggregateType::of::<C::Aggregate>());
                        missing = true;
                    }
                }
            }
        }
        if missing {
            return Poll::Pending;
        }
        let commands = std::mem::take(&mut self.commands);
        Poll::Ready(decide_all(&mut self.cell.lock(), commands))
    }
}

fn decide_all<C: Command>(
    turn: &mut TurnState,
    commands: Vec<(Result<StreamId, InvalidId>, C)>,
) -> Result<Result<(), (usize, C::Refusal)>, HandlerError> {
    let before: Vec<(usize, AnyState)> =
        turn.streams.iter().map(|s| s.state.clone()).enumerate().collect();
    let (drafts_before, agenda_before) = (turn.drafts.len(), turn.agenda.len());
    for (index, (stream, command)) in commands.into_iter().enumerate() {
        let stream = stream.map_err(HandlerError::terminal)?;
        if let Err(refusal) = decide(turn, &stream, command)? {
            turn.drafts.truncate(drafts_before);
            turn.agenda.truncate(agenda_before);
            for (position, state) in before {
                turn.streams[position].state = state;
            }
            return Ok(Err((index, refusal)));
        }
    }
    Ok(Ok(()))
}

/// Decides one command on a stream that is in the turn. On a refusal the turn is as it was.
pub(crate) fn decide<C: Command>(
    turn: &mut TurnState,
    stream: &StreamId,
    command: C,
) -> Result<Result<(), C::Refusal>, HandlerError> {
    let Some(current) = turn.find(stream) else {
        return Err(HandlerError::bug(format!("{stream} was decided on before it was loaded")));
    };
    let mut state = typed::<C::Aggregate>(&current.state, stream)?.as_ref().clone();
    let mut recorded = Recorded::default();
    if let Err(refusal) = command.decide(&mut Facts::new(&mut state, &mut recorded, stream)) {
        return Ok(Err(refusal));
    }
    let Recorded { drafts, agenda, fault } = recorded;
    if let Some(fault) = fault {
        turn.fail(HandlerError::terminal(fault));
    }
    agenda.into_iter().for_each(|draft| turn.ask(Ok(draft)));
    if !drafts.is_empty() {
        if let Some(entry) = turn.find_mut(stream) {
            entry.state = Arc::new(state);
        }
        drafts.into_iter().for_each(|draft| turn.push(draft));
    }
    Ok(Ok(()))
}

fn typed<A: Aggregate>(state: &AnyState, stream: &StreamId) -> Result<Arc<A>, HandlerError> {
    state.clone().downcast::<A>().map_err(|_| {
        HandlerError::bug(format!(
            "{stream} was loaded as another type of aggregate: two types share the name {:?}",
            A::NAME
        ))
    })
}

/// The future of [`Turn::load`](crate::Turn::load).
#[derive(Debug)]
#[must_use = "nothing is loaded until it is awaited"]
pub struct Load<'t, A> {
    loaded: Loaded<'t>,
    _aggregate: PhantomData<fn() -> A>,
}

impl<A> Unpin for Load<'_, A> {}

impl<'t, A: Aggregate> Load<'t, A> {
    pub(crate) fn new(cell: &'t TurnCell, id: &A::Id) -> Self {
        let stream = stream_of::<A>(id);
        Self {
            loaded: Loaded { cell, stream, kind: AggregateType::of::<A>() },
            _aggregate: PhantomData,
        }
    }
}

impl<A: Aggregate> Future for Load<'_, A> {
    type Output = Result<Arc<A>, HandlerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Poll::Ready(state) = Pin::new(&mut self.loaded).poll(cx) else { return Poll::Pending };
        let (stream, state) = state?;
        Poll::Ready(typed::<A>(&state, &stream))
    }
}

/// A stream's state, of any type.
#[derive(Debug)]
pub(crate) struct Loaded<'t> {
    pub(crate) cell: &'t TurnCell,
    pub(crate) stream: Result<StreamId, InvalidId>,
    pub(crate) kind: AggregateType,
}

impl Future for Loaded<'_> {
    type Output = Result<(StreamId, AnyState), HandlerError>;

    fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let stream = match &self.stream {
            Ok(stream) => stream,
            Err(error) => return Poll::Ready(Err(HandlerError::terminal(error.clone()))),
        };
        let mut turn = self.cell.lock();
        match turn.find(stream) {
            Some(entry) => Poll::Ready(Ok((stream.clone(), entry.state.clone()))),
            None => {
                let kind = self.kind;
                turn.want(stream, kind);
                Poll::Pending
            }
        }
    }
}
