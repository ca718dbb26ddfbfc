use std::time::Duration;

use clap::CommandFactory as _;
use tcs_core::fleet::Verdict;

use super::*;

fn parse(line: &str) -> Result<Cli, String> {
    let words = std::iter::once("tcsctl").chain(line.split_whitespace());
    let mut cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    cli.settle()?;
    Ok(cli)
}

#[test]
fn absurd_numbers_are_refused_and_not_bounded() {
    for line in ["replay a.jsonl --speed", "watch --replay a.jsonl --speed"] {
        for absurd in ["1e-300", "1e300", "0", "nan", "inf", "-1"] {
            let told = parse(&format!("{line} {absurd}")).unwrap_err();
            assert!(told.contains("from 0.001 to 1000000") || absurd == "-1", "{told}");
        }
        assert!(parse(&format!("{line} 0.5")).is_ok());
    }
    let told = parse("list --timeout 99999999999d").unwrap_err();
    assert!(told.contains("is longer than 10 years"), "{told}");
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_list_needs_no_command() {
    for (line, service, all) in [
        ("", None, false),
        ("guider", Some("guider"), false),
        ("-a", None, true),
        ("--all guider", Some("guider"), true),
        ("guider --all --server nats://a", Some("guider"), true),
        ("--host a --port 4222 --prefix ocm.svc guider -a", Some("guider"), true),
    ] {
        let cli = parse(line).unwrap();
        assert!(cli.command.is_none(), "{line}");
        let given = cli.list.services.first().map(String::as_str);
        assert_eq!((given, cli.list.all), (service, all), "{line}");
    }
}

#[test]
fn a_service_named_like_a_command() {
    let cli = parse("list events -a").unwrap();
    let Some(Command::List(list)) = cli.command else { panic!() };
    assert_eq!((&list.services[..], list.all), (&["events".to_owned()][..], true));
}

#[test]
fn options_of_the_list_before_list_itself_count() {
    let cli = parse("--all --json list guider").unwrap();
    let Some(Command::List(list)) = cli.command else { panic!() };
    assert!(list.all && list.json);
    assert_eq!(list.services, ["guider"]);
}

#[test]
fn several_filters_are_one() {
    for line in ["host:srv01 !guider", "list host:srv01 !guider", "--all host:srv01 !guider"] {
        let mut cli = parse(line).unwrap();
        let list = match cli.command.take() {
            Some(Command::List(list)) => list,
            _ => cli.list,
        };
        assert_eq!(list.services, ["host:srv01", "!guider"], "{line}");
    }
}

#[test]
fn an_option_of_the_list_before_another_command_is_an_error() {
    for line in ["--all events", "--json events", "-d check", "--at 2h wait a", "guider events"] {
        let error = parse(line).unwrap_err();
        assert!(
            error.contains("is an option of `list`") && error.contains("\nhint: "),
            "{line}: {error}"
        );
    }
}

#[test]
fn connection_and_output_options_stand_before_and_after_a_command() {
    for line in ["--server nats://a -v events", "events --server nats://a -v"] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.connection.server.as_deref(), Some("nats://a"), "{line}");
        assert!(cli.output.verbose, "{line}");
    }
}

#[test]
fn what_the_python_tools_take_is_taken() {
    for line in [
        "-a -d -v -c config/services.yaml --legend --host h --port 4222 --prefix svc",
        "--timeout 30.0 --no-banner --no-color -l asyncio --terminate-delay 5",
        "--launcher process guider",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
    assert_eq!(parse("--timeout 30.0").unwrap().connection.timeout, Some(Duration::from_secs(30)));
}

#[test]
fn goals_are_verdicts_and_two_words_more() {
    let goal = |line: &str| match parse(line)?.command {
        Some(Command::Wait(args)) => Ok(args.goal),
        _ => Err("no wait".to_owned()),
    };
    assert_eq!(goal("wait a.b"), Ok(Goal::Verdict(Verdict::Ok)));
    assert_eq!(goal("wait a.b --for lost"), Ok(Goal::Verdict(Verdict::Lost)));
    assert_eq!(goal("wait a.b --for up"), Ok(Goal::Up));
    assert!(goal("wait a.b --for healthy").unwrap_err().contains("a verdict: failed, lost"));
}

/// The help of a command and of all below it, short and long; and its tables, which are not to be
/// wrapped, because that would break their columns.
fn rendered(command: &mut clap::Command) -> Vec<String> {
    let mut pages = vec![command.render_help().to_string(), command.render_long_help().to_string()];
    for text in [command.get_before_help(), command.get_after_help()].into_iter().flatten() {
        let text = text.to_string();
        pages.extend(text.lines().filter(|it| it.starts_with(' ')).map(|it| format!("\n{it}\n")));
    }
    pages.extend(command.get_subcommands_mut().flat_map(rendered));
    pages
}

#[test]
fn help_fits_into_80_columns() {
    let mut command = Cli::definition().term_width(80);
    command.build();
    let pages = rendered(&mut command).concat();
    let wide: Vec<&str> = pages.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn help_teaches_and_lists_what_there_is() {
    let mut command = Cli::definition().term_width(100);
    command.build();
    let mut pages = command.render_help().to_string();
    for sub in command.get_subcommands_mut() {
        pages.push_str("\n\n");
        pages.push_str(&sub.render_help().to_string());
    }
    insta::assert_snapshot!(pages);
}
