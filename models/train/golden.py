"""The texts of golden.json, written for this purpose: no row of any data set."""

_PARAGRAPH = (
    "The harbour office keeps a ledger of every vessel that enters, its draught, its cargo and the hour of the tide. "
    "When a keeper falls ill the entries are made by the pilot, in pencil, and inked later. "
)

_RATE_LIMITER = (
    "Design a rate limiter for 40 regions with at most 5 % overshoot. First compare token buckets with sliding "
    "windows, then derive the error bound, and finally sketch the failover protocol."
)
_CODE = (
    "```rust\nfn main() {\n    let xs = vec![1, 2, 3];\n"
    '    println!("{:?}", xs.iter().map(|x| x * x).sum::<i32>());\n}\n```\n'
    "Why does this print a single number?"
)
# The kind of question that `strong_wins` knows: without these its gate would leave all of its weights untested.
_DRAUGHT = (
    "A pilot boards a vessel whose draught is 6.2 m at low water, and the tide rises by 3.1 m. Which of the following "
    "is the least depth over the bar at high water that leaves one metre under the keel?\n"
    "A. 4.1 m\nB. 7.2 m\nC. 9.3 m\nD. 10.3 m\nAnswer:"
)
_HARBOUR_MASTER = (
    "Which of the following best describes the duty of a harbour master under a charter of free trade?\n"
    "A. To levy tolls on foreign goods\nB. To keep the fairway open to all\nC. To favour local vessels\n"
    "D. To inspect cargo for the crown\nAnswer:"
)

TEXTS = [
    "Hi",
    "What is the tallest lighthouse in Norway?",
    "Translate 'good morning, my friend' into Portuguese.",
    "Fix the spelling: teh quikc borwn fox",
    "Write a cheerful two-line birthday wish for my aunt who keeps bees.",
    "Summarise the difference between a lease and a licence in four sentences, with one example of each.",
    "Draft an email to a landlord asking to repair a leaking roof before winter, polite but firm, about 150 words.",
    "Write a Python function that merges two sorted lists in linear time and explain why it is stable.",
    "Prove that every finite integral domain is a field, then show step by step where finiteness is used.",
    _RATE_LIMITER,
    _CODE,
    '<order id="17"><item sku="A-9" qty="3"/><item sku="B-2" qty="1"/></order>\nTurn this into JSON.',
    '{"name": "Ada", "roles": ["admin", "ops"], "active": true}\nIs this valid JSON?',
    "Evaluate \\int_0^1 x^2 e^{-x} dx and give the result to 6 digits; then check: 2 - 5/e = 0.160603?",
    "SELECT city, COUNT(*) FROM trips WHERE fare > 12.50 GROUP BY city HAVING COUNT(*) > 100 ORDER BY 2 DESC;",
    "请用三句话解释为什么海水是咸的。",
    "東京から京都まで一番安い行き方を教えてください。",
    "Напиши короткое стихотворение о маяке и тумане.",
    "¿Cuáles son los pasos para renovar un pasaporte? Crème brûlée, naïve, Žižek, İstanbul.",
    "🚂🚦 which emoji is a train? 🙂👩‍👩‍👧‍👦",
    "WHY IS MY TRAIN LATE AGAIN???!!!",
    "...",
    "3.14159 2.71828 1.41421 0.57721 1.61803",
    _DRAUGHT,
    _HARBOUR_MASTER,
    "Compare the ledger below with modern port systems and list three risks. " + 3 * _PARAGRAPH + "Answer in a table.",
    "Read the ledger notes.\n\n" + 16 * _PARAGRAPH + "\n\nNow prove that no two entries can share an hour and a berth.",
]
