"""Reading tables: what is accepted gives the right numbers, what is refused says where and what to do."""

import csv
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_wine

from underdetermined.tables import (
    DATASETS,
    Table,
    TableError,
    centred_targets,
    draw_rows,
    load_dataset,
    numeric_target,
    read_table,
    standardise,
)


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a file and return its path."""

    def write_file(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.mark.parametrize(
    ("content", "names", "target"),
    [
        ("a,b,c\n1,2,3\n4,5,6\n", ("a", "b"), "c"),
        ("1,2,3\n4,5,6\n", ("column 0", "column 1"), "column 2"),
        ("a;b;c\n1;2;3\n4;5;6\n", ("a", "b"), "c"),
        ("a\tb\tc\n1\t2\t3\n4\t5\t6\n", ("a", "b"), "c"),
        ("a, b ,c\r\n 1, 2 ,3\r\n\r\n4,5,6", ("a", "b"), "c"),
        ('"a, b",b,c\n1,2,3\n4,5,6\n', ("a, b", "b"), "c"),
        (",b,c\n1,2,3\n4,5,6\n", ("column 0", "b"), "c"),
        (b"\xef\xbb\xbfa,b,c\n1,2,3\n4,5,6\n", ("a", "b"), "c"),
        (gzip.compress(b"a,b,c\n1,2,3\n4,5,6\n"), ("a", "b"), "c"),
    ],
    ids=["comma", "no header", "semicolon", "tab", "spaces", "quotes", "index", "byte order mark", "gzip"],
)
def test_forms_of_the_same_table(write, content, names, target):
    table = read_table(write(content))
    np.testing.assert_array_equal(table.inputs, [[1.0, 2.0], [4.0, 5.0]])
    np.testing.assert_array_equal(table.target, [3.0, 6.0])
    assert (table.input_names, table.target_name) == (names, target)


@pytest.mark.parametrize(
    ("target", "expected"),
    [(None, [3.0, 6.0]), ("a", [1.0, 4.0]), ("1", [2.0, 5.0]), ("-1", [3.0, 6.0]), ("0", [3.0, 6.0])],
)
def test_target_by_name_before_number(write, target, expected):
    table = read_table(write("a,b,0\n1,2,3\n4,5,6\n"), target=target, header="yes")
    np.testing.assert_array_equal(table.target, expected)
    np.testing.assert_array_equal(np.sort(np.c_[table.inputs, table.target]), [[1, 2, 3], [4, 5, 6]])


def test_header_can_be_said(write):
    path = write("2019,2020\n1,2\n")
    assert read_table(path).inputs.shape == (2, 1)
    assert read_table(path, header="yes").input_names == ("2019",)


def test_text_target_is_kept_as_labels(write):
    table = read_table(write("5.1,setosa\n6.0,virginica\n"))
    assert table.target.tolist() == ["setosa", "virginica"]
    assert table.task == "classification"


@given(
    st.lists(
        st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(",;\t"),
)
def test_numbers_survive_the_round_trip(tmp_path_factory, rows, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([("x", "y", "z"), *rows])
    path = tmp_path_factory.mktemp("round") / "table.csv"
    path.write_text(text.getvalue())
    table = read_table(path)
    np.testing.assert_array_equal(np.column_stack([table.inputs, table.target]), np.array(rows))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("a,b\n", r"a header \(a, b\) and no rows"),
        ("1\n2\n", "only one column"),
        ("a,b\n1,2\n,3\n", r"line 3, column 'a': missing value \(''; 1 in the table\)"),
        ("a,b\n1,2\n4,NaN\n?,1\n", r"line 3, column 'b': missing value \('NaN'; 2 in the table\)"),
        ("a,b\n1,2\nred,3\n", "line 3, column 'a': 'red' is not a number; encode categories"),
        ("a,b\n1,2\n3,x\n4,5\n", "line 3, column 'b': 'x' is not a number; the rest of the target"),
        ("a;b\n1,5;2\n3;4\n", "write decimal points"),
        ("age,2019\n1,2\n", "line 1, column 'column 0': 'age' is not a number; .*--header yes"),
        ("a,b\ninf,2\n", "line 2, column 'a': 'inf' is not finite"),
        ("a,b\n1,2\n3,-inf\n", "line 3, column 'b': '-inf' is not finite"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells where the first line has 2"),
        (b"\xff\xfea\x00", "not UTF-8"),
        (gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "gzip stream is damaged"),
        ('a,b\n1,"' + "x" * 200_000, "not a table of text"),
    ],
)
def test_what_is_refused(write, content, message):
    with pytest.raises(TableError, match=message):
        read_table(write(content))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("z", r"no column 'z'; the columns are a, a, b \(or a number from -3 to 2\)"),
        ("3", "no column '3'"),
        ("-4", "no column '-4'"),
        ("a", "columns 0, 1 are all named 'a'"),
    ],
)
def test_targets_that_do_not_exist(write, target, message):
    with pytest.raises(TableError, match=message):
        read_table(write("a,a,b\n1,2,3\n"), target=target)


def test_many_columns_are_listed_in_part(write):
    header = ",".join(f"name{i}" for i in range(50))
    with pytest.raises(TableError, match=r"name29, \.\.\."):
        read_table(write(header + "\n" + ",".join(["1"] * 50)), target="z")


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(TableError, match="no such file$"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="--dataset"):
        read_table("diabetes")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (np.repeat([0.0, 1.0], 5), "classification"),
        (np.repeat([0.0, 1.0], 4), "regression"),
        (np.repeat([0.0, 0.5], 5), "regression"),
        (np.arange(200.0) % 20, "classification"),
        (np.arange(210.0) % 21, "regression"),
        (np.zeros(50), "regression"),
        (np.array(["x", "y"]), "classification"),
    ],
)
def test_task_is_read_off_the_target(values, task):
    assert Table(np.zeros((len(values), 1)), values, ("x",), "y", "test").task == task


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("diabetes", "regression"),
        ("digits", "classification"),
        ("breast_cancer", "classification"),
        ("wine", "classification"),
    ],
)
def test_installed_data_sets(name, task):
    table = load_dataset(name)
    assert name in DATASETS
    assert table.task == task
    assert table.inputs.shape == (len(table.target), len(table.input_names))
    assert table.inputs.dtype == np.float64


def test_installed_data_sets_are_those_of_scikit_learn():
    np.testing.assert_array_equal(load_dataset("diabetes").target, load_diabetes().target)
    wine = load_wine()
    np.testing.assert_array_equal(load_dataset("wine").target, wine.target_names[wine.target])


def test_unknown_data_set_lists_the_known_ones():
    with pytest.raises(TableError, match="'iris'; choose one of diabetes, digits"):
        load_dataset("iris")


def test_sample_takes_rows_in_order():
    table = load_dataset("diabetes")
    part = table.sample(np.array([3, 1]))
    np.testing.assert_array_equal(part.target, table.target[[3, 1]])
    np.testing.assert_array_equal(part.inputs, table.inputs[[3, 1]])


def test_rows_are_drawn_once_each_and_stay_in_order():
    table = load_dataset("diabetes")
    drawn, notes = draw_rows(table, 40, 7)
    again, other = (draw_rows(table, 40, seed)[0] for seed in (7, 8))
    places = [np.flatnonzero((table.inputs == row).all(axis=1))[0] for row in drawn.inputs]
    assert len(set(places)) == 40
    assert places == sorted(places)
    np.testing.assert_array_equal(drawn.target, table.target[places])
    np.testing.assert_array_equal(again.inputs, drawn.inputs)
    assert not np.array_equal(other.inputs, drawn.inputs)
    assert notes == ("40 of 442 rows were used, drawn at random (--max-rows 0 uses all)",)


@pytest.mark.parametrize("max_rows", [None, 178, 1000])
def test_small_tables_keep_their_rows(max_rows):
    table = load_dataset("wine")
    assert draw_rows(table, max_rows, 0) == (table, ())


def test_no_rows_are_not_enough():
    with pytest.raises(ValueError, match="max_rows=0 leaves no row"):
        draw_rows(load_dataset("wine"), 0, 0)


@pytest.mark.parametrize("exponent", [-1000, 0, 990])
def test_standardised_columns_at_any_scale(rng, exponent):
    columns = np.column_stack([rng.normal(3.0, 5.0, (40, 2)), np.full(40, 0.1)])
    expected = (columns - columns.mean(axis=0)) / [*columns[:, :2].std(axis=0), 1.0]
    np.testing.assert_allclose(standardise(np.ldexp(columns, exponent)), expected, rtol=1e-13, atol=1e-15)


def test_centred_targets():
    points = Table(np.eye(4), np.array([1.0, 2.0, 2.0, 7.0]), ("a", "b", "c", "d"), "t", "s")
    np.testing.assert_allclose(centred_targets(points, "regression")[:, 0], np.array([-2, -1, -1, 4]) / np.sqrt(5.5))
    np.testing.assert_allclose(centred_targets(points, "classification").sum(axis=0), 0, atol=1e-15)
    assert np.ptp(centred_targets(points, "classification"), axis=0).tolist() == [1.0, 1.0, 1.0]


def test_text_is_no_target_of_a_regression():
    with pytest.raises(TableError, match=r"holds text \('class_0'\)"):
        numeric_target(load_dataset("wine"))
