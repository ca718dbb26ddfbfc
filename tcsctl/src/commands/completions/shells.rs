//! What the shells get: the scripts of the library, but for two faults of them.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

/// All that are known.
pub(super) const SHELLS: Shells<'static> =
    Shells(&[&WholeWords(Bash), &Elvish, &Fish, &Powershell, &FromFirstKey(Zsh)]);

/// For bash, which takes `host:srv01` for three words. The script puts them together again, and
/// takes off what bash does not replace.
struct WholeWords(Bash);

const BASH: &str = r#"_tcsctl() {
    local line=${COMP_LINE:0:COMP_POINT} words=("${COMP_WORDS[0]}") i before word
    line=${line#*"${COMP_WORDS[0]}"}
    for ((i = 1; i <= COMP_CWORD; i++)); do
        before=$line
        line=${line#"${line%%[![:blank:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$line
        if [[ $line == "$before" ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${line#"$word"}
    done
    local last=$((${#words[@]} - 1)) IFS=$'\013'
    COMPREPLY=($( \
        _CLAP_IFS="$IFS" \
        _CLAP_COMPLETE_INDEX="$last" \
        VAR="bash" \
        COMPLETER -- "${words[@]}" 2>/dev/null \
    ))
    local current=${words[last]} kept=""
    [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && kept=${current%"${current##*:}"}
    [[ $COMP_WORDBREAKS == *=* && ${current#"$kept"} == *=* ]] && kept=${current%"${current##*=}"}
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -F _tcsctl BIN 2>/dev/null || complete -F _tcsctl BIN
"#;

impl EnvCompleter for WholeWords {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let completer = format!("'{}'", completer.replace('\'', r"'\''"));
        let script = BASH.replace("VAR", var).replace("COMPLETER", &completer);
        out.write_all(script.replace("BIN", bin).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.0.write_complete(command, words, folder, out)
    }
}

/// For zsh, which loads a script from `fpath` with the first Tab, as the function that is to answer
/// it.
struct FromFirstKey(Zsh);

impl EnvCompleter for FromFirstKey {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.0.write_registration(var, name, bin, completer, out)?;
        let answers = format!("_clap_dynamic_completer_{}", name.replace('-', "_"));
        writeln!(out, "\n[[ ${{funcstack[1]}} == _{name} ]] && {answers} \"$@\" || true")
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.0.write_complete(command, words, folder, out)
    }
}
