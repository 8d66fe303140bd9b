"""Returns and receipts as hypothesis draws them: few SKUs, so that lines and units meet often."""

from __future__ import annotations

from hypothesis import strategies as st

from backhaul.domain.matching import LineToMatch
from backhaul.domain.words import Condition

SKUS = ("TEE", "CAP", "MUG")
STRAY_SKU = "SOCK"  # on no return

receipt_rows = st.lists(st.tuples(st.sampled_from([*SKUS, STRAY_SKU]), st.sampled_from(list(Condition)), st.integers(0, 3)), max_size=8)


@st.composite
def return_lines(draw: st.DrawFn, skus: tuple[str | None, ...] = (*SKUS, None)) -> list[LineToMatch]:
    """Up to six lines with distinct numeric ids, in any order."""
    ids = draw(st.lists(st.integers(1, 2000), max_size=6, unique=True))
    return [LineToMatch(str(line_id), draw(st.sampled_from(skus))) for line_id in ids]
