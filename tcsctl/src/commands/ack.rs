//! `tcsctl ack`, `unack`, `note`: what an operator says about alarms. An acknowledgement is for the
//! episode, and for no higher severity, than those that were read just before.

use std::process::ExitCode;

use tcs_alarms::{AckOp, AckRecord, Address, AlarmState, AlarmView, NoteRecord, Record};

use super::alarms::{Book, operator};
use super::session::{Ended, Session};
use crate::cli::{AckArgs, NoteArgs, UnackArgs};
use crate::exit::Exit;
use crate::output::Word;

pub(super) async fn ack(session: &Session, args: &AckArgs) -> Result<ExitCode, Ended> {
    if args.note.trim().is_empty() {
        return Err(Ended::new(Exit::Usage, "`--message` is empty: say what you do about it"));
    }
    let mut book = Book::open(session, None).await?;
    let mut exit = Exit::Done;
    for view in book.named(&args.alarms)? {
        if view.state == AlarmState::Normal {
            exit = exit.max(refuse(session, &view, "it is over"));
            continue;
        }
        let expires = args.expires.map(|span| (book.fleet.now + span.delta()).into());
        let record =
            AckRecord { note: Some(args.note.clone()), expires, ..record(&view, AckOp::Ack) };
        exit = exit.max(said(session, &mut book, &view, record).await?);
    }
    Ok(exit.into())
}

pub(super) async fn unack(session: &Session, args: &UnackArgs) -> Result<ExitCode, Ended> {
    let mut book = Book::open(session, None).await?;
    let mut exit = Exit::Done;
    for view in book.named(&args.alarms)? {
        if view.state != AlarmState::Acked {
            exit = exit.max(refuse(session, &view, "it is not acknowledged"));
            continue;
        }
        exit = exit.max(said(session, &mut book, &view, record(&view, AckOp::Unack)).await?);
    }
    Ok(exit.into())
}

pub(super) async fn note(session: &Session, args: &NoteArgs) -> Result<ExitCode, Ended> {
    if args.note.trim().is_empty() {
        return Err(Ended::new(Exit::Usage, "`--message` is empty"));
    }
    let mut book = Book::open(session, None).await?;
    for view in book.named(&args.alarms)? {
        let (episode, note) = (view.record().episode.clone(), args.note.clone());
        let record = Record::Note(NoteRecord { episode, note, by: operator() });
        book.write(&Address::Note(view.id.clone()), &record, None).await?;
        tell(session, &view, "noted");
    }
    Ok(Exit::Done.into())
}

fn record(view: &AlarmView, op: AckOp) -> AckRecord {
    AckRecord {
        episode: view.record().episode.clone(),
        op,
        up_to: view.record().max_severity,
        note: None,
        expires: None,
        by: operator(),
        restored: false,
        original: None,
    }
}

/// Stores it, and looks whether it counts.
async fn said(
    session: &Session,
    book: &mut Book<'_>,
    view: &AlarmView,
    record: AckRecord,
) -> Result<Exit, Ended> {
    let op = record.op;
    book.write(&Address::Ack(view.id.clone()), &Record::Ack(record), None).await?;
    let now = book.views().into_iter().find(|other| other.id == view.id);
    let now = now.filter(|now| now.record().episode == view.record().episode);
    Ok(match (op, now.map(|now| now.state)) {
        (AckOp::Ack, Some(AlarmState::Acked)) => tell(session, view, "acknowledged"),
        (AckOp::Ack, Some(AlarmState::Normal)) => tell(session, view, "acknowledged: it is over"),
        (AckOp::Unack, Some(AlarmState::Active)) => tell(session, view, "active again"),
        (AckOp::Ack, Some(AlarmState::Active | AlarmState::Returned)) => {
            refuse(session, view, "it has become worse, or was raised again, in the meantime")
        }
        (AckOp::Unack, Some(_)) => refuse(session, view, "it has ended in the meantime"),
        (AckOp::Ack | AckOp::Unack, None) => {
            refuse(session, view, "it was raised again in the meantime")
        }
    })
}

fn tell(session: &Session, view: &AlarmView, what: &str) -> Exit {
    session.screen.tell(Word::Note, &format!("{}: {what}", view.id));
    Exit::Done
}

fn refuse(session: &Session, view: &AlarmView, why: &str) -> Exit {
    session.screen.tell(Word::Error, &format!("{}: {why}", view.id));
    Exit::No
}
