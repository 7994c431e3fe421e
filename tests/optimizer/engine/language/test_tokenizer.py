from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from optimizer.engine.language import SpecialToken, TextStream, Tokenizer, built_in_model
from optimizer.engine.language.built_in import corpus
from optimizer.engine.language.byte_pairs import learned_merges, merged, words

TOKENIZER = built_in_model().tokenizer


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.text())
@example("two  spaces\n\n\tand _under_ 12345 ½²٣ \u3000 e\u0301 👩‍👩‍👧")
@example("a" * 5000)
def test_every_text_comes_back(text: str) -> None:
    """What is encoded is decoded to the same text, at once and token by token, whatever it is."""
    tokens = TOKENIZER.encode(text)
    assert all(0 <= token < TOKENIZER.vocabulary_size for token in tokens)
    assert TOKENIZER.decode(tokens) == text
    stream = TextStream(TOKENIZER)
    assert "".join(map(stream.feed, tokens)) + stream.close() == text


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    """UTF-8 cannot write one half of a pair; two halves are the character that they stand for."""
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud83db")) == "a\ufffdb"
    assert TOKENIZER.decode(TOKENIZER.encode("\ud83d\ude00")) == "😀"


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.integers(0, TOKENIZER.vocabulary_size - 1)))
def test_tokens_in_any_order_are_text(tokens: list[int]) -> None:
    """A stream of tokens that are no UTF-8 tells the text of all of them, with U+FFFD in it."""
    stream = TextStream(TOKENIZER)
    assert "".join(map(stream.feed, tokens)) + stream.close() == TOKENIZER.decode(tokens)


def test_a_character_comes_out_with_its_last_byte() -> None:
    """Of the four bytes of an emoji the first three say nothing."""
    stream = TextStream(TOKENIZER)
    assert [stream.feed(byte) for byte in "😀".encode()] == ["", "", "", "😀"]
    assert (stream.feed(0xF0), stream.close()) == ("", "\ufffd")


def test_special_tokens_cannot_be_written() -> None:
    """No text has one; a chat is made of them."""
    assert not set(SpecialToken) & set(TOKENIZER.encode("<|end|>\x00"))
    assert TOKENIZER.encode_chat([("system", "A"), ("tool", "B")]) == [
        SpecialToken.SYSTEM,
        65,
        SpecialToken.END,
        SpecialToken.USER,
        66,
        SpecialToken.END,
        SpecialToken.ASSISTANT,
    ]


def test_merges_are_those_learned_from_the_corpus() -> None:
    """The file that is shipped is what the text that is shipped gives."""
    texts = [said for turns in corpus() for _, said in turns]
    first = 256 + len(SpecialToken)
    assert learned_merges(texts, len(TOKENIZER.merges), first) == list(TOKENIZER.merges)


def test_merging_by_hand() -> None:
    """In "aaabdaaabac" the pair aa is the most frequent, then ab with it: the textbook case."""
    merges = learned_merges(["aaabdaaabac"], 3, 256)
    assert merges == [(97, 97), (97, 98), (256, 257)]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    # aa a b -> aa ab -> aaab
    assert merged(list(b"aaab"), ranks, 256) == [258]
    assert Tokenizer(()).encode("aé") == [97, 0xC3, 0xA9]


def test_words_lose_nothing_and_are_short() -> None:
    """The cut text is the text, and no word is longer than its space and 32 characters."""
    text = "x" * 100 + "  \n " + "é" * 70 + "___12345!?"
    assert "".join(words(text)) == text
    assert max(map(len, words(text))) <= 33
