"""The schemes that are offered, one by one."""

from fcrn_mobile.tuning.candidates import CANDIDATES, OLDER, Candidate

GROUPS = "per_grouped_channel"


def test_the_schemes_are_those_of_the_documentation() -> None:
    assert (
        Candidate("int8", "int8"),
        Candidate("palette6/16", "palette6", {"granularity": GROUPS, "group_size": 16}),
        Candidate("palette4/8", "palette4", {"granularity": GROUPS, "group_size": 8}),
        Candidate("palette3/8", "palette3", {"granularity": GROUPS, "group_size": 8}),
        Candidate("int4/32", "int4", {"block_size": 32}),
    ) == CANDIDATES
    assert (Candidate("int8", "int8"), Candidate("palette6", "palette6"), Candidate("palette4", "palette4")) == OLDER


def test_an_override_does_not_share_a_candidate_s_options() -> None:
    made = CANDIDATES[1].override(["a", "b"])
    assert (made.match, made.precision, made.options, made.activations) == (("a", "b"), "palette6", CANDIDATES[1].options, "")
    made.options["group_size"] = 3
    assert CANDIDATES[1].options["group_size"] == 16


def test_a_sparse_scheme_has_the_bits_of_a_float() -> None:
    assert Candidate("sparse50", "sparse50").bits == 16
    assert Candidate("both", "palette4-int8").bits == 4
