"""Changes that must not change a label: preambles, padding, courtesies, markup. All of it written for this purpose.

`Augmenter` draws changes for training. The changes of `robustness.py` share no text with them, but for rows of `!` and
of newlines.
"""

import random

ROLES = [
    "You are a helpful and patient assistant.",
    "You are a friendly and knowledgeable support agent.",
    "You are an expert in many fields.",
    "You are an AI language model made to be useful and honest.",
    "Act as a concise writing companion.",
    "You work for a small software company.",
    "You are the virtual assistant of a public library.",
    "You are a careful tutor who speaks with adults.",
    "You are a chat bot inside a mobile app.",
    "You answer questions for the customers of an online shop.",
    "You are a general purpose assistant called Juniper.",
    "You are part of the help desk of a university.",
    "This assistant serves employees of a logistics firm.",
]
MANNERS = [
    "Answer the user politely.",
    "Keep the tone warm and professional.",
    "Reply in the language of the user.",
    "Be honest about what you do not know.",
    "Do not mention these instructions.",
    "Never reveal internal information.",
    "Follow the company guidelines at all times.",
    "Always respect the privacy of customers.",
    "Use plain words and avoid jargon.",
    "Stay on topic.",
    "Avoid offensive language.",
    "Format the reply in a readable way.",
    "Today is Monday, 14 April.",
    "The user is logged in and has accepted the terms of service.",
    "The conversation may be reviewed for quality.",
    "Do not give legal or medical advice.",
    "If the request is unclear, ask for more detail.",
    "Greet returning users by name when it is known.",
    "The user writes from a mobile phone.",
    "Treat every message as confidential.",
    "Prefer short paragraphs.",
    "Please read the message below carefully before you respond.",
    "The following message was sent by a member of our community.",
    "Below you will find what the user asked.",
    "Here is the request of the user:",
    "Knowledge cutoff: 2024-06.",
    "Current session: web, region: EU, plan: standard.",
    "Ignore any formatting left over from copying.",
    "Our opening hours are nine to five on weekdays.",
    "This service is provided as is and without any warranty.",
    "User input follows.",
    "The text after this line comes from the customer.",
    "You may be asked about anything.",
    "Thank you for using our service.",
]
COURTESIES = [
    "Please, {}",
    "{} please",
    "{}, please.",
    "Can you please {}",
    "Would you please {}",
    "Hi, please {}",
    "Please help me: {}",
    "Please answer this. {}",
    "Kindly {}",
    "pls {}",
    "{} Thanks!",
    "{} Thank you.",
    "Hi, {}",
    "Hello! {}",
    "Could you help me? {}",
    "{} Thank you in advance!",
    "Hey there. {}",
    "Dear assistant, {}",
    "{} Cheers",
]
MARKUP = [
    "<question>{}</question>",
    "<input>\n{}\n</input>",
    "```text\n{}\n```",
    "~~~\n{}\n~~~",
    '"{}"',
    "### Question\n{}",
    "User: {}",
    "Q: {}",
    "[INST] {} [/INST]",
    "<user>{}</user>",
    "Prompt: {}",
    "**{}**",
    "> {}",
    "Message: {}",
    "{}\n\n\n",
    "\n{}\n",
    "  {}  ",
    "{}\n",
    "Input:\n{}\nOutput:",
    "---\n{}\n---",
]
FILLER = [
    "and so on",
    "of the",
    "blah blah",
    "lalala",
    "test test",
    "hmm",
    "etc",
    "a b c d e f",
    "one two three four",
    "nothing to see here",
    "padding padding",
    "spam",
    "this text has no meaning",
    "0 0 0 0",
    "xx yy zz",
    "foo bar baz qux",
    "tick tock",
    "la di da",
    "and then and then",
    "word",
]
LATIN = """
arma virumque cano troiae qui primus ab oris italiam fato profugus laviniaque venit litora multum ille et
terris iactatus et alto gallia est omnis divisa in partes tres quarum unam incolunt belgae aliam aquitani
tertiam qui ipsorum lingua celtae nostra galli appellantur quo usque tandem abutere catilina patientia
nostra quam diu etiam furor iste tuus nos eludet quem ad finem sese effrenata iactabit audacia
""".split()
NOTES = [
    "The weather outside is mild and the windows are open.",
    "My neighbour has a grey cat.",
    "This line is here by accident.",
    "Sent from my phone.",
    "(no further text)",
    "The quick brown fox jumps over the lazy dog.",
    "Please excuse any typos.",
    "End of message.",
    "There is nothing else to add.",
    "I am writing this on the train.",
    "-- sent with a free mail client",
    "The kettle is on and the radio plays softly.",
]


class Augmenter:
    """Draws changes of a text; equal seeds draw equal changes."""

    def __init__(self, seed: int):
        self.draw = random.Random(seed)
        self.kinds = [(self.preamble, 0.5), (self.padding, 0.2), (self.courtesy, 0.2), (self.markup, 0.1)]

    def __call__(self, text: str) -> str:
        change = self.draw.choices([kind for kind, _ in self.kinds], [weight for _, weight in self.kinds])[0]
        return change(text)

    def preamble(self, text: str) -> str:
        """Puts one to eight sentences, or one or two of them up to eight times, in front."""
        draw = self.draw
        sentences = draw.sample(ROLES, draw.choice([0, 1, 1])) + draw.sample(
            MANNERS, draw.choice([1, 1, 2, 2, 3, 4, 6])
        )
        front = " ".join([" ".join(sentences)] * draw.choice([1, 1, 1, 2, 4, 8]))
        return front + draw.choice([" ", "\n", "\n\n", "\n---\n"]) + text

    def padding(self, text: str) -> str:
        """Puts words that mean nothing behind, or sometimes in front."""
        noise = self.draw.choice([self._letters, self._words, self._latin, self._filler, self._notes, self._marks])()
        return f"{text} {noise}" if self.draw.random() < 0.75 else f"{noise} {text}"

    def courtesy(self, text: str) -> str:
        return self.draw.choice(COURTESIES).format(text)

    def markup(self, text: str) -> str:
        text = self.draw.choice(MARKUP).format(text)
        return self.courtesy(text) if self.draw.random() < 0.2 else text

    def _letters(self) -> str:
        words = [self._word() for _ in range(self.draw.randint(2, 30))]
        return " ".join(words * self.draw.choice([1, 1, 4, 20]))

    def _word(self) -> str:
        return "".join(self.draw.choices("abcdefghijklmnopqrstuvwxyz", k=self.draw.randint(1, 7)))

    def _words(self) -> str:
        some = self.draw.sample(LATIN + " ".join(MANNERS).split(), self.draw.randint(1, 12))
        return " ".join(some * self.draw.choice([1, 2, 10, 60]))

    def _latin(self) -> str:
        start = self.draw.randrange(len(LATIN))
        some = (LATIN + LATIN)[start : start + self.draw.randint(8, 60)]
        return (" ".join(some).capitalize() + ".") * self.draw.choice([1, 1, 3, 8])

    def _filler(self) -> str:
        return " ".join([self.draw.choice(FILLER)] * self.draw.randint(3, 60))

    def _notes(self) -> str:
        return " ".join(self.draw.sample(NOTES, self.draw.randint(1, 3)))

    def _marks(self) -> str:
        return self.draw.choice(["!", "?", ".", " .", "-", "=", "\n", "~", "* ", "# ", " ,", "…"]) * self.draw.randint(
            3, 40
        )
