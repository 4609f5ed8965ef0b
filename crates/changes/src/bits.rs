//! A set of change indexes, one bit each.

/// A set of numbers, small because dense: which changes of a change set fared how.
#[derive(Debug, Clone, Default)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of all numbers below `end`.
    pub fn below(end: u64) -> Self {
        let mut words = vec![u64::MAX; index(end)];
        if !end.is_multiple_of(64) {
            words.push((1 << (end % 64)) - 1);
        }
        Self { words }
    }

    /// Adds a number; says whether it is new.
    pub fn insert(&mut self, number: u64) -> bool {
        let word = index(number);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (number % 64);
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Takes a number out; says whether it was in.
    pub fn remove(&mut self, number: u64) -> bool {
        let bit = 1 << (number % 64);
        match self.words.get_mut(index(number)) {
            Some(word) if *word & bit != 0 => {
                *word &= !bit;
                true
            }
            _ => false,
        }
    }

    pub fn contains(&self, number: u64) -> bool {
        self.words.get(index(number)).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// How many numbers are in it.
    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Adds all of another set.
    pub fn union_with(&mut self, other: &Bits) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().enumerate().flat_map(|(position, &word)| {
            let bits = std::iter::successors((word != 0).then_some(word), |rest| {
                let next = rest & (rest - 1);
                (next != 0).then_some(next)
            });
            bits.map(move |rest| position as u64 * 64 + u64::from(rest.trailing_zeros()))
        })
    }
}

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        let (short, long) = if self.words.len() < other.words.len() { (self, other) } else { (other, self) };
        short.words[..] == long.words[..short.words.len()] && long.words[short.words.len()..].iter().all(|w| *w == 0)
    }
}

impl Eq for Bits {}

impl FromIterator<u64> for Bits {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut bits = Self::new();
        for number in numbers {
            bits.insert(number);
        }
        bits
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number / 64).unwrap_or(usize::MAX)
}
