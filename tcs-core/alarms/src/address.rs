//! Where records of alarms are stored: subjects below `<prefix>.alarm`
//! (`docs/spec/alarms.md#stream-and-subjects`). The verb stands before the id, so that rights
//! separate sentinels and operators.

use tcs_wire::Subjects;

use crate::id::{AlarmId, check_token};

/// A subject below `<prefix>.alarm`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `state.<rule>.<id>`
    State(AlarmId),
    /// `ack.<rule>.<id>`
    Ack(AlarmId),
    /// `note.<rule>.<id>`
    Note(AlarmId),
    /// `shelf.<uuid>`
    Shelf(String),
    /// `sent.<channel>.<rule>.<id>`
    Sent {
        /// By which it was sent.
        channel: String,
        /// About what.
        alarm: AlarmId,
    },
    /// `rules`
    Rules,
}

impl Address {
    /// The whole subject.
    pub fn subject(&self, subjects: &Subjects) -> String {
        let of = |verb: &str, alarm: &AlarmId| {
            subjects.alarm(&format!("{verb}.{}.{}", alarm.rule(), alarm.object()))
        };
        match self {
            Self::State(alarm) => of("state", alarm),
            Self::Ack(alarm) => of("ack", alarm),
            Self::Note(alarm) => of("note", alarm),
            Self::Shelf(id) => subjects.alarm(&format!("shelf.{id}")),
            Self::Sent { channel, alarm } => of(&format!("sent.{channel}"), alarm),
            Self::Rules => subjects.alarm("rules"),
        }
    }

    /// Splits a received subject; `None` if it is not one of these.
    pub fn parse(subjects: &Subjects, subject: &str) -> Option<Self> {
        let rest = subjects.alarm_part(subject)?;
        let alarm = |rest: &str| {
            let (rule, object) = rest.split_once('.')?;
            AlarmId::new(rule, object).ok()
        };
        match rest.split_once('.') {
            None => (rest == "rules").then_some(Self::Rules),
            Some(("state", rest)) => alarm(rest).map(Self::State),
            Some(("ack", rest)) => alarm(rest).map(Self::Ack),
            Some(("note", rest)) => alarm(rest).map(Self::Note),
            Some(("shelf", id)) => {
                check_token("shelf", id).ok()?;
                Some(Self::Shelf(id.to_owned()))
            }
            Some(("sent", rest)) => {
                let (channel, rest) = rest.split_once('.')?;
                check_token("channel", channel).ok()?;
                Some(Self::Sent { channel: channel.to_owned(), alarm: alarm(rest)? })
            }
            Some(_) => None,
        }
    }

    /// The alarm that it is about.
    pub fn alarm(&self) -> Option<&AlarmId> {
        match self {
            Self::State(alarm)
            | Self::Ack(alarm)
            | Self::Note(alarm)
            | Self::Sent { alarm, .. } => Some(alarm),
            Self::Shelf(_) | Self::Rules => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split_again_also_under_a_dotted_prefix() {
        let alarm: AlarmId = "failed/examples.minimal.tutorial".parse().unwrap();
        for prefix in ["svc", "ocm.svc"] {
            let subjects = Subjects::new(prefix).unwrap();
            for (address, rest) in [
                (Address::State(alarm.clone()), "state.failed.examples.minimal.tutorial"),
                (Address::Ack(alarm.clone()), "ack.failed.examples.minimal.tutorial"),
                (Address::Note(alarm.clone()), "note.failed.examples.minimal.tutorial"),
                (Address::Shelf("0d9f".to_owned()), "shelf.0d9f"),
                (
                    Address::Sent { channel: "chat".to_owned(), alarm: alarm.clone() },
                    "sent.chat.failed.examples.minimal.tutorial",
                ),
                (Address::Rules, "rules"),
            ] {
                let subject = format!("{prefix}.alarm.{rest}");
                assert_eq!(address.subject(&subjects), subject);
                assert_eq!(Address::parse(&subjects, &subject), Some(address));
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_not_split() {
        for other in [
            "svc.alarm",
            "svc.alarm.",
            "svc.alarm.rule",
            "svc.alarm.state",
            "svc.alarm.state.failed",
            "svc.alarm.state.failed.",
            "svc.alarm.state.a@b.c",
            "svc.alarm.odd.failed.a.b",
            "svc.alarm.shelf.a.b",
            "svc.alarm.sent.chat.failed",
            "svc.status.a",
        ] {
            assert_eq!(Address::parse(&Subjects::default(), other), None, "{other}");
        }
    }
}
