"""stajax/models/fragments.py: which frames a net reads, against section 4.2 and Fig. 10."""

import jax.numpy as jnp
import numpy as np
import pytest

from stajax.models.fragments import ONE_FRAME, STA_SPAN, Fragments, Span, own_span, short_span


def test_three_fragments_of_a_moving_source_are_the_target_and_its_eight_neighbours():
    span = short_span(moves=True, company=2)
    assert span.nodes[0] == (-1, 0, 1)
    assert sorted(offset for node in span.nodes for offset in node) == list(range(-4, 5))
    assert (span.behind, span.ahead) == (4, 4)


def test_short_company_of_one_frame_is_the_frame_before_and_the_one_after():
    span = short_span(moves=False, company=2)
    assert [set(node) for node in span.nodes] == [{0}, {-1}, {1}]
    assert (span.behind, span.ahead) == (1, 1)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("company", [1, 2, 3, 4, 7])
def test_short_company_goes_outward_without_a_gap_or_a_repeat(moves, company):
    span, reach = short_span(moves, company), 3 if moves else 1
    assert span.nodes[0] == own_span(moves).nodes[0] and len(span.nodes) == 1 + company
    centres, around = [node[1] for node in span.nodes], (-1, 0, 1) if moves else (0, 0, 0)
    assert span.nodes == tuple(tuple(centre + offset for offset in around) for centre in centres)
    assert sorted(centres) == list(range(-reach * ((company + 1) // 2), reach * (company // 2) + 1, reach))
    assert [abs(centre) for centre in centres] == sorted(abs(centre) for centre in centres)
    assert span.behind - span.ahead == (reach if company % 2 else 0)  # the odd one lies before


def test_a_target_alone_is_three_frames_where_motion_enters_else_one():
    assert own_span(True) == STA_SPAN == Span(nodes=((-1, 0, 1),))
    assert own_span(False) == ONE_FRAME == Span(nodes=((0, 0, 0),))


def test_span_says_how_far_a_net_looks():
    assert (STA_SPAN.behind, STA_SPAN.ahead) == (1, 1)
    assert Span(nodes=((-1, 0, 1), (-7, -6, -5), (2, 3, 4))).behind == 7
    assert (Span(nodes=((1, 2, 3),)).behind, Span(nodes=((-3, -2, -1),)).ahead) == (0, 0)


def test_fragments_without_sound_have_a_closed_switch_and_with_sound_an_open_one():
    silent, loud = Fragments.of(np.zeros((2, 1, 3))), Fragments.of(np.zeros((2, 1, 3)), np.zeros((2, 1)))
    assert silent.switch.tolist() == [[0], [0]] and loud.switch.tolist() == [[1], [1]]
    assert silent.frames.dtype == silent.audio.dtype == loud.audio.dtype == jnp.int32
    assert silent.valid.all() and silent.valid.shape == (2, 1) and silent.company is None


def test_opened_changes_the_switch_alone():
    closed = Fragments.of(np.arange(6).reshape(2, 1, 3), [[1], [0]], [[0], [0.5]])
    opened = closed.opened()
    assert opened.switch.tolist() == [[1], [1]] and closed.switch.tolist() == [[0], [0.5]]
    assert all(getattr(opened, field) is getattr(closed, field) for field in ("frames", "audio", "valid", "company"))
