//! Random choices: the same seed makes the same choices.

use serde_json::Value;

/// A random generator.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        // splitmix64: similar seeds give unrelated numbers
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for index in (1..list.len()).rev() {
            list.swap(index, self.below(index + 1));
        }
    }

    /// The same text in random case.
    pub(super) fn cased(&mut self, text: &str) -> String {
        text.chars().map(|c| if self.coin() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
    }

    /// The same set in another order, with repeated items; a single item perhaps without a list.
    pub(super) fn set(&mut self, value: &Value, mut respell: impl FnMut(&mut Self, &Value) -> Value) -> Value {
        let mut list: Vec<Value> = match value {
            Value::Array(list) => list.clone(),
            single => vec![single.clone()],
        };
        if self.coin() {
            list.push(self.pick(&list).clone());
        }
        self.shuffle(&mut list);
        let mut list: Vec<Value> = list.iter().map(|item| respell(self, item)).collect();
        if list.len() == 1 && self.coin() { list.remove(0) } else { Value::Array(list) }
    }
}
