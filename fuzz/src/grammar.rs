//! Configurations that are nearly right: macros, rules, constants, matches and strategies out of a grammar, by the
//! bytes of an input. Plain mutations of a file seldom get past its parser.

use std::fmt::Write as _;

/// The deepest nesting of what is generated.
const MAX_DEPTH: u8 = 6;
/// The longest text that is generated.
const MAX_BYTES: usize = 256 << 10;

/// Expressions without parts.
const ATOMS: &[&str] = &[
    "true",
    "1",
    "0.0",
    "'red'",
    "[1, 2, 3]",
    "prompt.tokens",
    "prompt.images > 0",
    "request.model",
    "request.temperature",
    "headers['x-team']",
    "client.name",
    "now.hour",
    "constants.few",
    "constants.list0",
    "constants.list1",
    "scores.default.tier.complex",
    "x",
    "y",
    "prompt.contains_any(['a', 'b'])",
    "prompt.matches_any(['a+', 'x{2,50}'], 'user')",
    "double('NaN')",
    "macros.m0",
    "macros.m1",
    "prompt.tokenz",
];

/// Expressions in which `$` stands for another one.
const FORMS: &[&str] = &[
    "($ && $)",
    "($ || $)",
    "!$",
    "-$",
    "($ < $)",
    "($ == $)",
    "($ + $)",
    "($ * $)",
    "($ / $)",
    "($ ? $ : $)",
    "($ in $)",
    "$.exists(x, $)",
    "$.all(y, $)",
    "$.map(x, $)",
    "$.filter(x, $)",
    "$[$]",
    "size($)",
    "string($)",
    "int($)",
    "double($)",
    "$.contains($)",
    "$.startsWith($)",
    "[$, $]",
    "{1: $}",
    "macros.m2 && $",
    "macros.m3 == $",
];

/// The choices that an input makes; 0 when there are no more.
struct Choices<'i> {
    left: &'i [u8],
    written: usize,
}

/// Writes a configuration.
#[must_use]
pub(crate) fn configuration(input: &[u8]) -> String {
    let mut choices = Choices { left: input, written: 0 };
    let mut text = String::from(
        "version: 1\nlisten: {address: 127.0.0.1:0}\nproviders: {p: {base_url: http://h}}\n\
         models: {small: {provider: p}, large: {provider: p, price: {input: 1, output: 2}}}\n\
         classifiers: {default: {bundle: b}}\nrule_headers: [x-team, x-plan]\n",
    );
    text.push_str("constants:\n  few: 2\n  team: red\n");
    for own in 0..choices.below(4) {
        let element = ["1", "red", "0.5", "true"][choices.below(4)];
        let length = choices.pick(&[0, 1, 10, 300, 2000, 20_000]);
        let _ = writeln!(text, "  list{own}: [{}]", vec![element; length].join(", "));
    }
    let macros = choices.pick(&[0, 1, 2, 5, 20, 40]);
    text.push_str(if macros > 0 { "macros:\n" } else { "" });
    for own in 0..macros {
        let value = choices.expression(0);
        let value = choices.repeated(&value);
        let _ = writeln!(text, "  m{own}: \"{value}\"");
    }
    text.push_str("policies:\n");
    for own in 0..=choices.below(3) {
        let _ = writeln!(text, "  - name: policy{own}\n    match: {}", choices.matches());
        let rules = choices.pick(&[0, 1, 2, 5, 30]);
        text.push_str(if rules > 0 { "    rules:\n" } else { "" });
        for _ in 0..rules {
            let when = choices.expression(0);
            let when = choices.repeated(&when);
            let action = ["use: small", "deny: {message: no}", "set: {a: 1}", "continue: false"][choices.below(4)];
            let _ = writeln!(text, "      - {{when: \"{when}\", {action}}}");
        }
        let _ = writeln!(text, "    strategy: {}", choices.strategy(0));
    }
    choices.garble(text)
}

impl Choices<'_> {
    /// Chooses a number below `count`, which is above 0.
    fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.left.split_first() else { return 0 };
        self.left = rest;
        usize::from(*first) % count
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Joins several copies of an expression by an operator, as people do who write long rules.
    fn repeated(&mut self, one: &str) -> String {
        let times = self.pick(&[1, 1, 1, 1, 2, 10, 60]);
        let operator = self.pick(&[" || ", " && ", " + ", " == ", " ? true : "]);
        self.written += one.len() * times;
        if self.written > MAX_BYTES { "true".to_owned() } else { vec![one; times].join(operator) }
    }

    fn expression(&mut self, depth: u8) -> String {
        if depth >= MAX_DEPTH || self.left.is_empty() || self.below(3) == 0 {
            return match self.below(ATOMS.len() + 1) {
                last if last == ATOMS.len() => format!("macros.m{}", self.below(40)),
                own => ATOMS[own].to_owned(),
            };
        }
        let form = self.pick(FORMS);
        let mut parts = form.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text.push_str(&self.expression(depth + 1));
            text.push_str(part);
        }
        text
    }

    fn matches(&mut self) -> String {
        let globs = ["auto", "'*'", "'gpt-*'", "'?'", "'*a*b*'", "''", "' a '"];
        let count = self.pick(&[0, 1, 2, 20, 200]);
        let all = (0..count).map(|_| self.pick(&globs)).collect::<Vec<_>>().join(", ");
        let header = self.pick(&globs);
        format!("{{model: [{all}], header: {{x-team: {header}, X-Team: {}}}}}", self.pick(&globs))
    }

    fn strategy(&mut self, depth: u8) -> String {
        let inner = |choices: &mut Self| {
            if depth >= MAX_DEPTH { "{kind: random, models: [small]}".to_owned() } else { choices.strategy(depth + 1) }
        };
        match self.below(8) {
            0 => "{kind: split, models: {small: 1, large: 3}}".to_owned(),
            1 => "{kind: tiers, classifier: default, tiers: {simple: small, complex: large}, otherwise: small}".to_owned(),
            2 => "{kind: threshold, classifier: default, strong: large, weak: small, threshold: 0.5}".to_owned(),
            3 => format!("{{kind: cascade, stages: [{}, {}], otherwise: small}}", inner(self), inner(self)),
            4 => format!(
                "{{kind: hierarchy, classifier: default, head: tier, branches: [{{labels: [simple], strategy: {}}}], \
                 default: {}, otherwise: small}}",
                inner(self),
                inner(self)
            ),
            5 => "{kind: judge, name: j, model: large, choices: [{model: small, description: a}, {model: large, \
                  description: b}], otherwise: small}"
                .to_owned(),
            6 => "{kind: similarity, classifier: default, routes: [{name: r, model: small, examples: [a]}], otherwise: small}"
                .to_owned(),
            _ => "{kind: random, models: [small, large]}".to_owned(),
        }
    }

    /// Makes a few mistakes: cuts, repeats, odd characters.
    fn garble(&mut self, mut text: String) -> String {
        for _ in 0..self.pick(&[0, 0, 0, 1, 3]) {
            let at = (self.below(256) * 256 + self.below(256)) % text.len().max(1);
            let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            match self.below(5) {
                0 => text.truncate(at),
                1 => text.insert_str(at, &"[".repeat(1 << self.below(12))),
                2 => text.insert_str(at, self.pick(&["\u{feff}", "\t", "&a ", "*a", "<<: ", "!!x ", "'", "\r", "# "])),
                3 => text = format!("{}{}", &text[at..], &text[..at]),
                _ => {
                    let part = text[at..].chars().take(200).collect::<String>();
                    text.insert_str(at, &part.repeat(1 << self.below(6)));
                }
            }
        }
        text
    }
}
