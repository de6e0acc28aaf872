"""The width rules meet the published ones number by number (ground truth section 11.1), at d = 18, k = 4, U = 256."""

import pytest

from pipeline.shapes import SHAPES, widths

TABLE = """
funnel      | 256,4 | 256,130,4     | 256,172,88,4    | 256,193,130,67,4    | 256,206,156,106,56,4    | 256,214,172,130,88,46,4
long_funnel | 256,4 | 256,256,4     | 256,256,256,4   | 256,256,256,130,4   | 256,256,256,256,130,4   | 256,256,256,256,172,88,4
brick       | 256,4 | 256,256,4     | 256,256,256,4   | 256,256,256,256,4   | 256,256,256,256,256,4   | 256,256,256,256,256,256,4
triangle    | 256,4 | 137,256,4     | 97,176,256,4    | 77,136,195,256,4    | 65,112,159,206,256,4    | 57,96,135,174,213,256,4
diamond     | 256,4 | 256,130,4     | 137,256,130,4   | 137,256,172,88,4    | 97,176,256,172,88,4     | 97,176,256,193,130,67,4
hexagon     | 256,4 | 256,256,256,4 | 256,256,256,4   | 256,256,256,256,4   | 137,256,256,256,130,4   | 137,256,256,256,256,130,4
stairs      | 256,4 | 256,256,4     | 256,88,88,4     | 256,256,130,130,4   | 256,156,156,56,56,4     | 256,256,172,172,88,88,4
"""
GOLDEN = [
    (cells[0].strip(), n_layers, [int(width) for width in cell.split(",")])
    for cells in (line.split("|") for line in TABLE.strip().splitlines())
    for n_layers, cell in enumerate(cells[1:], start=2)
]


@pytest.mark.parametrize(("shape", "n_layers", "expected"), GOLDEN)
def test_the_published_table(shape, n_layers, expected):
    assert widths(shape, 18, 4, 256, n_layers) == expected


def test_the_table_covers_every_shape():
    assert {shape for shape, _, _ in GOLDEN} == set(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_layer_is_the_output_alone(shape):
    assert widths(shape, 18, 4, 256, 1) == [4]
    assert widths(shape, 18, 4, 256, 0) == []


def test_first_width_is_at_least_the_inputs():
    assert widths("funnel", 784, 10, 64, 4) == [784, 526, 268, 10]


def test_widths_do_not_shrink_below_the_outputs():
    assert widths("funnel", 60, 355, 100, 4) == [100, 100, 100, 355]


@pytest.mark.parametrize(("n_layers", "expected"), [(3, [1000, 500, 0]), (4, [1000, 667, 334, 0]), (5, [1000, 750, 500, 250, 0])])
def test_dropout_funnel(n_layers, expected):
    assert widths("funnel", 0, 0, 1000, n_layers) == expected


@pytest.mark.parametrize(("units", "groups", "expected"), [(354, 1, [354, 178]), (41, 4, [41, 34, 27, 20, 13])])
def test_resnet_widths(units, groups, expected):
    assert widths("funnel", 20, 2, units, groups + 2)[:-1] == expected


def test_unknown_shape_names_the_allowed_ones():
    with pytest.raises(ValueError, match="`shape` is 'cone', but must be one of funnel, "):
        widths("cone", 1, 1, 1, 3)
