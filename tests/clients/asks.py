"""The asks of people in the conversations with agents: easy things, hard ones, and short replies to them."""

EASY = "What does main.rs print?"
AGAIN = "How many lines does main.rs have?"
HARD = (
    "Prove that the scheduler in main.rs is free of deadlock, derive a tight bound on its waiting times and implement "
    "a lock-free version with a formal argument for its memory orderings."
)
TASK = (
    "Design a lock-free multi-producer queue in Rust, prove its linearizability and discuss the memory orderings that "
    "it needs."
)
REVIEW = "Which bugs are in the file main.rs?"
PLAN = (
    "Write a distributed consensus protocol in Rust that tolerates Byzantine faults and prove its safety and liveness."
)
# Short replies, and the ask that each is a reply to.
REPLIES = {"yes": EASY, "continue": HARD}
