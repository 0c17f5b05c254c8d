use super::*;
use crate::model::sanitize::is_invisible;
use std::ops::Range;

fn rendered(file: &str, text: &str, span: Range<usize>, message: &str) -> String {
    let (file, text): (Arc<str>, Arc<str>) = (file.into(), text.into());
    let origin = Origin { file: file.clone(), line: 1, column: 1, span };
    let diagnostic = Diagnostic::at(&origin, message).label(message).hint(message);
    let mut shown = Vec::new();
    Diagnostics::new(vec![diagnostic], BTreeMap::from([(file, text)]), Vec::new()).render(&mut shown, false).unwrap();
    String::from_utf8(shown).unwrap()
}

#[test]
fn control_characters_and_workflow_commands_are_escaped() {
    let text = "owner = \"a\u{202e}b\u{1b}[31m\"\r\n# \r::error::x ##vso[x]\u{3164}\n";
    let shown =
        rendered("a\n::set-output name=x::\u{1b}[2J.toml", text, 8..text.len() - 1, "##[debug]\n::error::`a\u{202e}b`");
    assert!(shown.contains("owner = \"a<U+202E>b<U+001B>[31m\""), "{shown}");
    assert!(shown.contains("--> a<U+000A>::set-output name=x::<U+001B>[2J.toml:1:9"), "{shown}");
    assert!(shown.contains("error: ##\\[debug]<U+000A>::error::`a<U+202E>b`"), "{shown}");
    assert!(!shown.chars().any(|c| is_invisible(c) && c != '\n'), "{shown:?}");
    assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")) && !shown.contains("##["), "{shown}");
}

#[test]
fn marker_is_below_the_marked_text() {
    let text = "a = \"\u{200b}##[\" # é\tx\nb = 1";
    for (name, place) in [("##", text.find("##").unwrap()), ("x", text.find('x').unwrap()), ("a", 0)] {
        let shown = rendered("irsa.toml", text, place..place + name.len(), "here");
        let line = shown.lines().find(|line| line.starts_with("1 | ")).unwrap();
        let mark = shown.lines().find(|line| line.contains('^')).unwrap();
        // each of these characters is one column wide
        let column = |line: &str, found: &str| line.split(found).next().unwrap().chars().count();
        assert_eq!(column(line, name), column(mark, "^"), "{shown}");
        assert_eq!(mark.matches('^').count(), name.len(), "{shown}");
    }
    let shown = rendered("irsa.toml", text, text.find('\u{200b}').unwrap()..text.find("\" #").unwrap(), "here");
    assert!(shown.contains(&"^".repeat("<U+200B>##\\[".len())), "{shown}");
}
