"""The doctor: facts agree with the libraries, advice appears exactly where something is amiss."""

import json
import os
import platform

import joblib
import numba
import numpy as np
import pytest
import scipy
from threadpoolctl import threadpool_limits

from underdetermined import doctor
from underdetermined.doctor import Blas, blas_advice, examine

AVX512 = ("X86_V2", "X86_V3", "X86_V4")
OLD_NAMES_AVX512 = ("SSE2", "AVX2", "AVX512F", "AVX512_SKX")
AVX2 = ("X86_V2", "X86_V3")


def openblas(architecture, threads=2):
    return Blas("openblas", "0.3.30", architecture, threads, "/lib/libopenblas.so")


def test_facts():
    diagnosis = examine()
    assert diagnosis.versions["python"] == platform.python_version()
    assert diagnosis.versions["numpy"] == np.__version__
    assert diagnosis.versions["scipy"] == scipy.__version__
    assert diagnosis.versions["numba"] == numba.__version__
    assert diagnosis.cores == joblib.cpu_count()
    assert diagnosis.processor
    assert json.loads(json.dumps(diagnosis.to_dict()))["cores"] == diagnosis.cores


def test_thread_counts_are_those_of_now():
    with threadpool_limits(1, user_api="blas"):
        assert {library.threads for library in examine().blas} <= {1}


@pytest.mark.parametrize(
    ("architecture", "instructions", "expected"),
    [
        ("Haswell", AVX512, "OPENBLAS_CORETYPE=SkylakeX"),
        ("Zen", OLD_NAMES_AVX512, "OPENBLAS_CORETYPE=SkylakeX"),
        ("Prescott", AVX512, "OPENBLAS_CORETYPE=SkylakeX"),
        ("Nehalem", AVX2, "OPENBLAS_CORETYPE=Haswell"),
        ("Sandybridge", ("AVX2",), "OPENBLAS_CORETYPE=Haswell"),
    ],
)
def test_old_kernels_are_noticed(architecture, instructions, expected):
    (sentence,) = blas_advice([openblas(architecture)], instructions, 2)
    assert expected in sentence
    assert architecture in sentence


@pytest.mark.parametrize(
    ("architecture", "instructions"),
    [
        ("SkylakeX", AVX512),
        ("Cooperlake", AVX512),
        ("Sapphirerapids", AVX512),
        ("Haswell", AVX2),
        ("Zen", AVX2),
        ("neoversen1", ("NEON", "ASIMD")),
        ("Nehalem", ("SSE", "SSE42")),
    ],
)
def test_fitting_kernels_need_no_advice(architecture, instructions):
    assert blas_advice([openblas(architecture)], instructions, 2) == ()


def test_other_libraries_get_no_openblas_advice():
    mkl = Blas("mkl", "2025", "Haswell", 2, "/lib/libmkl.so")
    assert blas_advice([mkl], AVX512, 2) == ()


def test_thread_advice():
    assert "unset OMP_NUM_THREADS" in blas_advice([openblas("SkylakeX", 1)], AVX512, 4)[0]
    assert "set OMP_NUM_THREADS=2" in blas_advice([openblas("SkylakeX", 8)], AVX512, 2)[0]
    assert blas_advice([openblas("SkylakeX", 1)], AVX512, 1) == ()


def test_same_advice_is_given_once():
    assert len(blas_advice([openblas("Zen"), openblas("Zen")], AVX512, 2)) == 1


def test_cache_that_cannot_be_written(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(doctor, "_kernel_cache", lambda: (True, str(file)))
    diagnosis = examine()
    assert not diagnosis.cache_writable
    assert any("NUMBA_CACHE_DIR" in sentence for sentence in diagnosis.advice)


def test_cache_folder_that_is_yet_to_be_made(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_kernel_cache", lambda: (True, str(tmp_path / "a" / "b")))
    assert examine().cache_writable
    assert os.listdir(tmp_path) == []


def test_kernels_that_are_kept_nowhere(monkeypatch):
    monkeypatch.setattr(doctor, "_kernel_cache", lambda: (True, ""))
    assert any("cannot be kept, so" in sentence for sentence in examine().advice)


def test_kernels_that_are_not_compiled(monkeypatch):
    monkeypatch.setattr(doctor, "_kernel_cache", lambda: (False, ""))
    diagnosis = examine()
    assert not diagnosis.cache_writable
    assert any("NUMBA_DISABLE_JIT" in sentence for sentence in diagnosis.advice)
