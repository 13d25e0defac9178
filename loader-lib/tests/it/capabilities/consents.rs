//! What was agreed to is kept, counts for what asks for no more, and for nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use stoa_core::{
    capability::{Grants, Needs},
    digest::Digest,
    lock::{Exact, Publisher},
    policy::Policy,
};
use stoa_loader::{
    Voucher,
    consent::{Agreement, Answer, Consent, ConsentError, Consents, Kept, MAX_BYTES, Question},
};

use crate::calls::Outcome;

/// What `demo:a` of this publisher asks for under no policy.
fn question(version: &str, publisher: Publisher, registry: &str, asks: &[&str]) -> Question {
    let release = Exact {
        id: "demo:a".parse().unwrap_or_else(|e| panic!("{e}")),
        version: version.parse().unwrap_or_else(|e| panic!("{e}")),
    };
    let asks: Vec<String> = asks.iter().map(|text| (*text).to_owned()).collect();
    let decision = Policy::default().decide(&release.id, &Needs::default().asking(&asks), &Grants::none());
    Question::new(release, Some(Voucher { registry: Digest::of(registry.as_bytes()), publisher }), &decision)
}

const NET: &str = "http.out:https://*.a.example";
const FILES: &str = "fs.read:data:/";

/// Somebody who gives always the same answer, and a count of how often they were asked.
fn somebody(answer: Answer) -> (impl Consent + Clone, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let consent = move |_: &Question| {
        count.fetch_add(1, SeqCst);
        answer
    };
    (consent, asked)
}

#[test]
fn only_what_reaches_further_or_is_of_another_publisher_or_registry_asks_again() -> Outcome {
    let folder = tempfile::tempdir()?;
    let consents = Consents::at(folder.path().join("stoa/consents.toml"));
    let (somebody, asked) = somebody(Answer::Agree);
    let kept = Kept::new(consents.clone(), somebody);
    let key = Publisher::Key(Digest::of(b"key"));
    let mut log = Vec::new();
    for (what, question) in [
        ("first", question("1.0.0", key, "r", &[NET])),
        ("the same again", question("1.0.0", key, "r", &[NET])),
        ("a later version that asks for the same", question("1.1.0", key, "r", &[NET])),
        ("for less", question("1.2.0", key, "r", &["http.out:https://b.a.example"])),
        ("for more", question("2.0.0", key, "r", &[NET, "env:LANG"])),
        ("for what was agreed to at first", question("2.1.0", key, "r", &[NET])),
        ("of another publisher", question("2.1.0", Publisher::None, "r", &[NET])),
        ("in another registry", question("2.1.0", key, "s", &[NET])),
        ("something else", question("3.0.0", key, "r", &[FILES])),
        ("both together, which nobody has agreed to", question("3.1.0", key, "r", &[NET, FILES])),
    ] {
        let before = asked.load(SeqCst);
        assert_eq!(kept.answer(&question), Answer::Agree, "{what}");
        log.push(format!("{what}: {}", if asked.load(SeqCst) > before { "asked" } else { "silent" }));
    }
    insta::assert_snapshot!(log.join("\n"), @r"
    first: asked
    the same again: silent
    a later version that asks for the same: silent
    for less: silent
    for more: asked
    for what was agreed to at first: silent
    of another publisher: asked
    in another registry: asked
    something else: asked
    both together, which nobody has agreed to: asked
    ");
    // What a later agreement covers is not kept beside it.
    let reach: Vec<_> = consents.all()?.iter().map(|one| one.capabilities.len()).collect();
    assert_eq!(reach.len(), 4, "{reach:?}");
    assert_eq!(consents.revoke(&"demo:a".parse()?)?, 4);
    assert_eq!(consents.all()?, []);
    Ok(())
}

#[test]
fn what_was_not_agreed_to_is_not_kept_and_asked_each_time() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("consents.toml");
    for answer in [Answer::Refuse, Answer::Without] {
        let (somebody, asked) = somebody(answer);
        let kept = Kept::new(Consents::at(&path), somebody);
        for times in 1..=2 {
            assert_eq!(kept.answer(&question("1.0.0", Publisher::None, "r", &[NET])), answer);
            assert_eq!(asked.load(SeqCst), times);
        }
        assert!(!path.exists());
    }
    Ok(())
}

#[test]
fn a_file_that_was_changed_is_refused_and_counts_for_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("consents.toml");
    let consents = Consents::at(&path);
    let narrow = question("1.0.0", Publisher::None, "r", &["http.out:https://a.example"]);
    consents.add(Agreement::to(&narrow).ok_or("nobody stands for it")?)?;
    let text = std::fs::read_to_string(&path)?;
    let (nobody, asked) = somebody(Answer::Refuse);
    let kept = Kept::new(consents.clone(), nobody);
    assert_eq!(kept.answer(&narrow), Answer::Agree);
    let why = |text: &[u8]| {
        std::fs::write(&path, text)?;
        match consents.all() {
            Err(ConsentError::Form { why, .. }) => Ok::<_, std::io::Error>(why),
            other => panic!("{other:?}"),
        }
    };
    let wider = text.replace("https://a.example", "https://*.example");
    assert_eq!(why(wider.as_bytes())?, "an agreement to demo:a has another digest than its capabilities");
    assert_eq!(why(text.replace("version = 1", "version = 2").as_bytes())?, "its version is 2, and 1 is known");
    assert_eq!(why(&vec![b'#'; MAX_BYTES as usize + 1])?, "it has more than 1048576 bytes");
    assert_eq!(kept.answer(&narrow), Answer::Refuse);
    assert_eq!(asked.load(SeqCst), 1);
    Ok(())
}

#[test]
fn two_that_agree_at_the_same_time_lose_nothing() -> Outcome {
    let folder = tempfile::tempdir()?;
    let consents = Consents::at(folder.path().join("consents.toml"));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let consents = &consents;
            scope.spawn(move || {
                for name in 0..4 {
                    let asks = format!("env:V{writer}_{name}");
                    let question = question("1.0.0", Publisher::None, "r", &[&asks]);
                    let agreement = Agreement::to(&question).expect("somebody stands for it");
                    consents.add(agreement).unwrap_or_else(|e| panic!("{e}"));
                }
            });
        }
    });
    assert_eq!(consents.all()?.len(), 16);
    Ok(())
}
