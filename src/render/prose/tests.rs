use super::*;
use proptest::prelude::*;

#[test]
fn literals_are_code_in_html_and_markdown() {
    let text = "role `a<b>` exists, see <script> & @admin #1 https://evil";
    assert_eq!(html(text), "role <code>a&lt;b&gt;</code> exists, see &lt;script&gt; &amp; @admin #1 https://evil");
    assert_eq!(
        markdown(text),
        "role `a<b>` exists, see &lt;script&gt; &amp; \\@<!-- -->admin \\#<!-- -->1 https:<!-- -->//evil"
    );
}

#[test]
fn html_within_markdown_has_no_mentions() {
    assert_eq!(
        quiet_html("`@a` @b #1 'x' https://evil www.evil <b>"),
        "<code>@a</code> @<!-- -->b #<!-- -->1 &#39;x&#39; https:<!-- -->//evil www<!-- -->.evil &lt;b&gt;"
    );
}

#[test]
fn unpaired_backticks_are_words() {
    assert_eq!(pieces("a ` b"), [Piece::Words("a ` b")]);
    assert_eq!(pieces("a `` b `c`"), [Piece::Words("a `` b "), Piece::Literal("c")]);
    assert_eq!(markdown("a ` *b*"), "a \\` \\*b\\*");
}

#[test]
fn code_span_may_contain_backticks() {
    assert_eq!(code("a``b"), "```a``b```");
    assert_eq!(code("`"), "`` ` ``");
    assert_eq!(code("role/a"), "`role/a`");
}

proptest! {
    #[test]
    fn the_pieces_are_the_text(text in "[a`* ]{0,40}") {
        let joined: String = pieces(&text).into_iter().map(|piece| match piece {
            Piece::Words(words) => words.to_owned(),
            Piece::Literal(literal) => format!("`{literal}`"),
        }).collect();
        prop_assert_eq!(joined, text);
    }

    #[test]
    fn html_has_no_markup_but_code(text in any::<String>()) {
        let plain = html(&text).replace("<code>", "").replace("</code>", "");
        prop_assert!(!plain.contains(['<', '>', '"', '\'']));
    }
}
