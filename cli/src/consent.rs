//! Asking whoever sits at the terminal what a plugin may have.

use std::io::{IsTerminal as _, stderr, stdin};

use stoa_loader::consent::{Answer, Consent, ConsentError, Consents, Question};

use crate::report::{DIM, NAME, WARN, harmless};

/// Where what was agreed to is kept.
pub(crate) fn file() -> Result<Consents, ConsentError> {
    Consents::user()
}

/// Whoever sits at the terminal, if somebody does. Nobody else agrees to anything: not a pipe, not a script.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskOnTerminal;

impl Consent for AskOnTerminal {
    fn answer(&self, question: &Question) -> Answer {
        if !(stdin().is_terminal() && stderr().is_terminal()) {
            return Answer::Refuse;
        }
        let without = question.can_do_without();
        anstream::eprintln!("{NAME}{}{NAME:#} asks for", harmless(&question.release().to_string()));
        for capability in question.capabilities().capabilities() {
            anstream::eprintln!("  {WARN}?{WARN:#} {}", harmless(&capability.to_string()));
        }
        let choices = if without { "yes, run it without [w], or no" } else { "yes or no" };
        anstream::eprint!("may it? {DIM}{choices}{DIM:#} [y/{}N] ", if without { "w/" } else { "" });
        let mut line = String::new();
        match stdin().read_line(&mut line).map(|_| chosen(&line)) {
            Ok(answer) => answer,
            Err(_) => Answer::Refuse,
        }
    }
}

/// What somebody means who typed this.
fn chosen(line: &str) -> Answer {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Answer::Agree,
        "w" | "without" => Answer::Without,
        _ => Answer::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_agrees() {
        for (line, answer) in [
            ("y\n", Answer::Agree),
            ("YES\n", Answer::Agree),
            ("w\n", Answer::Without),
            ("\n", Answer::Refuse),
            ("", Answer::Refuse),
            ("n\n", Answer::Refuse),
            ("yeah\n", Answer::Refuse),
        ] {
            assert_eq!(chosen(line), answer, "{line:?}");
        }
    }
}
