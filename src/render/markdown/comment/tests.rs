use super::*;

fn block(section: Section, weight: usize, sizes: &[usize]) -> Block {
    let forms = sizes.iter().enumerate().map(|(form, size)| format!("{form}{}\n", "x".repeat(*size)));
    Block { section, weight, forms: forms.collect(), listed: section == Section::Change }
}

fn chosen(blocks: Vec<Block>) -> Vec<Option<usize>> {
    let comment = Comment { head: String::new(), blocks };
    let chosen = comment.chosen();
    assert!(comment.finish().len() <= LIMIT);
    chosen
}

#[test]
fn all_blocks_get_their_shortest_form_before_one_gets_a_longer_form() {
    let three = |first: &[usize]| {
        let rest = [block(Section::Change, 2, &[10, 100, 1_000]), block(Section::Change, 1, &[10, 100, 1_000])];
        chosen([block(Section::Change, 3, first)].into_iter().chain(rest).collect())
    };
    assert_eq!(three(&[10, 100, 1_000]), [Some(2); 3]);
    assert_eq!(three(&[10, 100, 70_000]), [Some(1), Some(2), Some(2)]);
    assert_eq!(three(&[10, 70_000, 1_000]), [Some(2), Some(2), Some(2)], "a later form may be shorter");
    assert_eq!(three(&[70_000, 80_000]), [None, Some(2), Some(2)]);
    assert_eq!(
        three(&[40_000, 41_000]),
        [Some(0), Some(2), Some(2)],
        "the rest of the room goes to blocks without a form"
    );
}

#[test]
fn the_block_with_the_lower_weight_gets_the_longer_form() {
    let half = LIMIT / 2;
    let two = |one: usize, other: usize| {
        chosen(vec![block(Section::Change, one, &[10, half]), block(Section::Note, other, &[10, half])])
    };
    assert_eq!(two(1, 2), [Some(1), Some(0)]);
    assert_eq!(two(2, 1), [Some(0), Some(1)]);
}

#[test]
fn blocks_that_do_not_fit_are_listed_or_counted() {
    let mut comment = Comment::new("head\n".into());
    for index in 0..30_000 {
        comment.push(block(Section::Change, 30_000 - index, &[40, 400]));
    }
    comment.push(block(Section::Refused, 0, &[10, 20]));
    let text = comment.finish();
    assert!(text.len() <= LIMIT);
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    let (listed, shown) = (lines("0xx"), lines("1xx") - 1);
    assert!(listed > 500 && shown > 50, "{listed} {shown}");
    let left = 30_000 - listed - shown;
    assert!(text.contains(&format!("Left out, because a comment has a size limit: {left} changes.")), "{left}");
    assert!(text.contains("**Refused**\n\n1xxxx"));
}
